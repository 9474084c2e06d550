"""Addresses of SMTP, against the grammar and against a catalogue of addresses with their diagnosis."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.limits import DOMAIN, LOCAL_PART
from posthouse.message.address import (
    Address,
    AddressError,
    Path,
    found_as,
    normalize_domain,
    parse_address,
    parse_path,
)
from tests.message.vectors import vectors


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("a@b", "a", "b"),
        ("first.last+tag@Example.ORG", "first.last+tag", "Example.ORG"),
        ('"a b"@x.test', "a b", "x.test"),
        (r'"a\"\\b"@x.test', 'a"\\b', "x.test"),
        ('""@x.test', "", "x.test"),
        ("a@b_c._d_.test", "a", "b_c._d_.test"),
        ("a@[127.0.0.1]", "a", "[127.0.0.1]"),
        ("a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]"),
        ("用户@例え.テスト", "用户", "例え.テスト"),
    ],
)
def test_addresses(text: str, local: str, domain: str) -> None:
    address = parse_address(text)
    assert (address.local, address.domain) == (local, domain)
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", "a", "@b", "a@", "a..b@c", ".a@c", "a.@c", "a b@c", "a@b..c", "a@-b", "a@b-", "a@b c", "a@[1.2.3]",
     "a@[IPv6:g::]", "a@[x:y]", '"a@b', 'a"b"@c', "a@b>", "a@b\r", "a\0@b", "a@" + "x" * 64, "a@b."],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address(text)


def test_non_ascii_needs_smtputf8() -> None:
    for text in ("用户@b.test", "a@例え.テスト", '"用"@b.test'):
        with pytest.raises(AddressError):
            parse_address(text, utf8=False)


def test_paths() -> None:
    assert parse_path("<>").address is None
    assert parse_path("FROM:<a@b> SIZE=1", 5).end == 10
    assert parse_path('<"a> b"@c>').address == Address("a> b", "c")
    # RFC 5321 Appendix C: a source route is read and ignored.
    assert parse_path("<@x.test,@y.test:a@b>").address == Address("a", "b")
    assert parse_path("<PostMaster>").address == Address("PostMaster", "")
    # RFC 1034 §3.1: the dot of the root. Other hosts take it, and whose address it is, is plain.
    assert parse_path("<a@B.test.> SIZE=1") == Path(Address("a", "B.test"), 11)
    for text in ("", "a@b", "<a@b", "<a@b >", "< a@b>", "<a>", "<a@b>"[1:], "<@x.test a@b>", "<a@b\0>",
                 "<a@.>", "<a@b..>", "<a@[127.0.0.1].>"):  # fmt: skip
        with pytest.raises(AddressError):
            parse_path(text)


def test_domains_are_compared_as_a_labels() -> None:
    assert normalize_domain("EXAMPLE.org") == "example.org"
    assert normalize_domain("Bücher.example") == "xn--bcher-kva.example"
    assert normalize_domain("XN--BCHER-KVA.example") == "xn--bcher-kva.example"
    assert normalize_domain("例え。テスト") == "xn--r8jz45g.xn--zckzah"
    assert normalize_domain("[ipv6:2001:DB8:0::1]") == "[IPv6:2001:db8::1]"
    assert Address("Bob", "Bücher.example").normalized() == "bob@xn--bcher-kva.example"
    for text in (
        "",
        ".",
        "a..b",
        "xn--a",
        "ü" * 70,
        "a\u200b.",
        "[",
        "[]",
        "[1.2.3.4",
        "-",
        "a" * 64,
        "\ud800.x",
    ):
        with pytest.raises(ValueError, match=r"."):
            normalize_domain(text)


def test_limits() -> None:
    assert parse_address("x" * LOCAL_PART + "@b").local == "x" * LOCAL_PART
    with pytest.raises(AddressError):
        parse_address("x" * (LOCAL_PART + 1) + "@b")
    labels = ".".join(["x" * 63] * 4)
    assert len(normalize_domain(labels[:DOMAIN])) == DOMAIN
    with pytest.raises(AddressError):
        normalize_domain(labels)


# What the catalogue calls valid for SMTP, with or without a look at DNS.
VALID = re.compile(
    r"ISEMAIL_(VALID|DNSWARN_.*|RFC5321_(TLD|TLDNUMERIC|QUOTEDSTRING|ADDRESSLITERAL|IPV6DEPRECATED))"
)
# The catalogue allows what cannot be delivered to (general literals), or forbids what must be received (long
# local parts, RFC 5321 §4.5.3.1).
OURS_DIFFER = frozenset({"ISEMAIL_RFC5322_LOCAL_TOOLONG", "ISEMAIL_RFC5322_TOOLONG"})


@pytest.mark.parametrize("file", ["tests.xml", "tests-original.xml"])
def test_catalogue_of_addresses(file: str) -> None:
    tree = ElementTree.parse(vectors("address-isemail") / "test" / file)
    wrong, seen = [], 0
    for case in tree.iter("test"):
        text = re.sub("[\u2400-\u241f]", lambda c: chr(ord(c[0]) - 0x2400), case.findtext("address") or "")
        diagnosis = case.findtext("diagnosis") or ""
        if diagnosis in OURS_DIFFER or "@xn--e" in text:  # no A-label (RFC 5890 §2.3.2.1)
            continue
        seen += 1
        try:
            parse_address(text, utf8=False)
            accepted = True
        except AddressError:
            accepted = False
        if accepted != bool(VALID.fullmatch(diagnosis)):
            wrong.append((text, diagnosis))
    assert seen > 150
    assert wrong == []


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40))
def test_any_local_part_survives_writing_and_reading(local: str) -> None:
    if local.isprintable():
        address = Address(local, "x.test")
        assert parse_address(str(address)) == address


@given(st.text(max_size=60))
def test_nothing_but_address_errors(text: str) -> None:
    for parse in (parse_address, parse_path, normalize_domain):
        try:
            parse(text)
        except AddressError:
            pass


@pytest.mark.parametrize(
    ("address", "spelling"),
    [
        ("Bob@Example.TEST", "bob@example.test"),
        ("bob@bücher.test", "bob@xn--bcher-kva.test"),
        (
            "Jürgen@BÜCHER.test",
            "jürgen@xn--bcher-kva.test",
        ),  # also beside a local part that no server may know
        ("nobody", "nobody"),
        ("x@a..ü", "x@a..ü"),
        ("", ""),
    ],
)
def test_notes_are_found_by_one_spelling(address: str, spelling: str) -> None:
    assert found_as(address) == spelling == found_as(spelling)
