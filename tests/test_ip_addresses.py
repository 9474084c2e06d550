"""Addresses are read once, and no more of them are remembered than the limit says."""

from __future__ import annotations

import pytest

from posthouse.ip_addresses import read_ip, reverse_name
from posthouse.limits import HEADER_NAMES_KEPT, IP_ADDRESSES_KEPT, MEDIA_TYPE_KEPT, MEDIA_TYPES_KEPT
from posthouse.message import headers, parameters


def test_an_address_is_what_it_spells() -> None:
    assert read_ip("192.0.2.1") == read_ip("192.0.2.1")
    assert str(read_ip("fe80::1%eth0")) == "fe80::1"
    assert reverse_name("192.0.2.10") == "10.2.0.192.in-addr.arpa"
    assert reverse_name("2001:db8::1").endswith(".8.b.d.0.1.0.0.2.ip6.arpa")
    for text in ("", "192.0.2", "mx.example.test", "192.0.2.1.", "::g"):
        for read in (read_ip, reverse_name):
            with pytest.raises(ValueError):
                read(text)


def test_what_strangers_choose_does_not_fill_memory() -> None:
    for number in range(IP_ADDRESSES_KEPT + 100):
        reverse_name(f"10.0.{number // 256}.{number % 256}")
    assert read_ip.cache_info().currsize <= IP_ADDRESSES_KEPT
    assert reverse_name.cache_info().currsize <= IP_ADDRESSES_KEPT
    read = headers.Headers.scan(b"From: a@b.test\r\n\r\n")
    for number in range(HEADER_NAMES_KEPT + 100):
        assert f"x-{number}" not in read
    assert headers._key.cache_info().currsize <= HEADER_NAMES_KEPT
    for number in range(MEDIA_TYPES_KEPT + 100):
        assert parameters.parse_media_type(b"a/b%d" % number)[1] == f"b{number}"
    before = parameters._remembered.cache_info()
    assert before.currsize <= MEDIA_TYPES_KEPT
    parameters.parse_media_type(b"text/plain; name=" + b"x" * MEDIA_TYPE_KEPT)
    assert parameters._remembered.cache_info() == before  # what is long is not remembered
