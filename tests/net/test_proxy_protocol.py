"""The PROXY protocol's headers."""

from __future__ import annotations

import pytest

from posthouse.net.endpoint import Endpoint
from posthouse.net.proxy_protocol import ProxyHeader, ProxyHeaderError, parse_header

V2 = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = bytes([192, 0, 2, 7, 192, 0, 2, 1]) + b"\x0f\xa0\x00\x19"
V6 = bytes.fromhex("20010db800000000000000000000000720010db8000000000000000000000001") + b"\x0f\xa0\x00\x19"
MAPPED = (
    bytes.fromhex("00000000000000000000ffffc000020700000000000000000000ffffc0000201") + b"\x0f\xa0\x00\x19"
)
FOUR = {"peer": Endpoint("192.0.2.7", 4000), "local": Endpoint("192.0.2.1", 25)}
SIX = {"peer": Endpoint("2001:db8::7", 4000), "local": Endpoint("2001:db8::1", 25)}


@pytest.mark.parametrize(
    ("raw", "header"),
    [
        (b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 25\r\n", FOUR),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 25\r\n", SIX),
        # RFC 4291 §2.5.5.2: from a proxy that takes IPv4 on its IPv6 socket
        (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 4000 25\r\n", FOUR),
        (b"PROXY UNKNOWN\r\n", {}),
        (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", {}),
        (V2 + b"\x21\x11\x00\x0c" + V4, FOUR),
        (V2 + b"\x21\x21\x00\x24" + V6, SIX),
        (V2 + b"\x21\x21\x00\x24" + MAPPED, FOUR),
        (V2 + b"\x21\x11\x00\x10" + V4 + b"\x04\x00\x01x", FOUR),
        (V2 + b"\x20\x00\x00\x00", {}),
        (V2 + b"\x21\x31\x00\x00", {}),
    ],
)
def test_whole_headers(raw: bytes, header: dict[str, Endpoint]):
    for cut in range(len(raw)):
        assert parse_header(raw[:cut]) is None
    assert parse_header(raw + b"EHLO\r\n") == ProxyHeader(length=len(raw), **header)


@pytest.mark.parametrize(
    "raw",
    [
        b"EHLO x\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4000\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 4000 70000\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
        b"PROXY TCP4 2001:db8::7 192.0.2.1 4000 25\r\n",
        b"PROXY TCP5 192.0.2.7 192.0.2.1 4000 25\r\n",
        b"PROXY \r\n",
        b"PROXY TCP4 " + b"1" * 200,
        V2 + b"\x11\x11\x00\x0c" + V4,
        V2 + b"\x22\x11\x00\x0c" + V4,
        V2 + b"\x21\x11\xff\xff",
        V2 + b"\x21\x11\x00\x04" + V4,
    ],
)
def test_broken_headers(raw: bytes):
    with pytest.raises(ProxyHeaderError):
        parse_header(raw)
