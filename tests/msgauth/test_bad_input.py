"""Absurd signatures, records and texts: a clean verdict in bounded time, never an exception and never a pass."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest

from posthouse.limits import SPF_LOOKUPS
from posthouse.msgauth.dkim_canon import BodyForm, BodyHashes
from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.msgauth.dmarc import check_dmarc
from posthouse.msgauth.results import Result, Spf
from posthouse.msgauth.spf import SpfQuestion, check_spf
from tests.fakes.resolver import FakeResolver
from tests.machine import slowness
from tests.msgauth.messages import crafted, hashed, verified

RAW = b"From: info@bank.test\r\nTo: x@y.test\r\nSubject: hello\r\n\r\ntext\r\n"
KEY = SigningKey(
    domain="bank.test", selector="s1", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
ZONE = f's1._domainkey.bank.test. TXT "{key_record(KEY.key)}"\n'

ABSURD: dict[str, dict[str, Any]] = {
    "no version": {"v": None},
    "another version": {"v": "2"},
    "no algorithm": {"a": None},
    "an algorithm of 100,000 letters": {"a": "x" * 100_000},
    "no domain": {"d": None},
    "a domain without a dot": {"d": "test"},
    "a domain of 100,000 labels": {"d": "a." * 100_000 + "test"},
    "a domain with a space in it": {"d": "bank. test\0"},
    "a selector with a slash": {"s": "../../s1"},
    "a selector of 10,000 letters": {"s": "s" * 10_000},
    "h= of 50,000 names": {"h": "from:" + ":".join(["x"] * 50_000)},
    "h= of colons": {"h": "from" + ":" * 1000},
    "h= without names": {"h": ""},
    "l= below nothing": {"l": "-1"},
    "l= in other digits": {"l": "\u0664"},
    "l= of 1,000 digits": {"l": "1" * 1000},
    "c= of nobody": {"c": "upper/lower"},
    "t= that is no time": {"t": "yesterday"},
    "x= before t=": {"t": "1700000000", "x": "1600000000"},
    "x= of a thousand digits": {"x": "9" * 1000},
    "q= of another way": {"q": "carrier/pigeon"},
    "i= of another domain": {"i": "@elsewhere.test"},
    "i= that is no address": {"i": "\xff@\0"},
    "a tag without a value in the middle": {"z": "; ;;; =;a"},
    "z= of a megabyte": {"z": "x" * 1_000_000},
    "d= twice": {"z": "1; d=elsewhere.test"},
    "b= that is no base64": {"z": "1; b=!!!"},
}


@pytest.mark.parametrize("kind", ABSURD)
async def test_absurd_tags_prove_nothing_in_bounded_time(kind: str) -> None:
    raw = crafted(RAW, KEY, **ABSURD[kind])
    start = time.process_time()
    (found,) = await verified(raw, FakeResolver(ZONE))
    assert time.process_time() - start < slowness()
    assert found.result in (Result.NEUTRAL, Result.PERMERROR, Result.POLICY, Result.FAIL), found
    assert len(found.reason) < 300 and found.reason.isprintable()


async def test_the_same_signature_without_absurdity_passes() -> None:
    """Else the test above would prove nothing."""
    (found,) = await verified(crafted(RAW, KEY), FakeResolver(ZONE))
    assert found.result is Result.PASS


@pytest.mark.parametrize(
    ("domain", "identity", "passes"),
    [
        ("bank.test", "@bank.test", True),
        ("bank.test", "someone@Bank.Test", True),
        ("bank.test", "@bank.\r\n\ttest", True),
        ("bank.test", "@mail.bank.test", False),
        ("xn--bcher-kva.test", "@bücher.test", True),
        ("xn--bcher-kva.test", "@mail.bücher.test", False),
    ],
)
async def test_a_key_for_the_domain_itself_signs_for_nobody_below(
    domain: str, identity: str, passes: bool
) -> None:
    """RFC 6376 §3.6.1: t=s. The domain of i= may be folded, in capitals or in its own letters (RFC 8616 §5)."""
    key = SigningKey(domain=domain, selector="s1", algorithm=KEY.algorithm, key=KEY.key)
    record = key_record(KEY.key)
    for flags, expected in (("", True), ("t=s; ", passes)):
        zone = f's1._domainkey.{domain}. TXT "{record.replace("p=", flags + "p=")}"\n'
        (found,) = await verified(crafted(RAW, key, i=identity), FakeResolver(zone))
        assert (found.result is Result.PASS) == expected, found


@pytest.mark.parametrize("flags", ["t=y; ", "t=s : y; ", "t=Y; "])
async def test_a_domain_that_is_only_testing_has_signed_nothing(flags: str) -> None:
    """RFC 6376 §3.6.1: not treated differently from unsigned mail, whether the signature verifies or not."""
    record = key_record(KEY.key).replace("p=", flags + "p=")
    resolver = FakeResolver(f'{KEY.selector}._domainkey.{KEY.domain}. TXT "{record}"\n')
    raw = crafted(RAW, KEY)
    (found,) = await verified(raw, resolver)
    assert (found.result, found.passed) == (Result.POLICY, False)
    assert found.reason == "the domain is only testing: t=y"
    (found,) = await verified(raw.replace(b"Subject: ", b"Subject: other "), resolver)
    assert (found.result, found.passed) == (Result.FAIL, False)


async def test_a_length_beyond_the_text_opens_nothing() -> None:
    """RFC 6376 §3.5: it should not be there; what is signed is the whole text, and nothing can be added to it."""
    raw = crafted(RAW, KEY, l="9" * 70)
    (found,) = await verified(raw, FakeResolver(ZONE))
    assert found.result is Result.PASS
    (found,) = await verified(raw + b"more\r\n", FakeResolver(ZONE))
    assert found.result is Result.FAIL


async def spf(zone: str, sender: str = "eve@bank.test") -> tuple[Spf, FakeResolver]:
    resolver = FakeResolver(zone)
    start = time.process_time()
    found = await check_spf(
        SpfQuestion(address="192.0.2.1", reverse_path=sender, helo="mail.bank.test"), resolver
    )
    assert time.process_time() - start < slowness()
    return found, resolver


def texts(record: str) -> str:
    """A TXT record of any length, in strings of 255."""
    return " ".join(f'"{record[start : start + 255]}"' for start in range(0, len(record), 255))


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "ip4:192.0.2.9 " * 4600 + "+all",
        "v=spf1 " + "a:%{i}.%{l}.bank.test " * 3000 + "+all",
        "v=spf1 exists:" + "%{s}" * 16_000,
        "v=spf1 " + "x" * 65_000,
    ],
    ids=["addresses", "macros", "one long macro", "one long word"],
)
async def test_an_spf_record_of_64_kb_is_permerror(record: str) -> None:
    found, resolver = await spf(f"bank.test. TXT {texts(record)}")
    assert found.result is Result.PERMERROR
    assert len(resolver.asked) <= SPF_LOOKUPS + 2
    assert len(found.reason) < 300


@pytest.mark.parametrize(
    "zone",
    [
        'bank.test. TXT "v=spf1 include:bank.test -all"',
        'bank.test. TXT "v=spf1 redirect=bank.test"',
        'bank.test. TXT "v=spf1 include:b.test"\nb.test. TXT "v=spf1 include:bank.test"',
        'bank.test. TXT "v=spf1 exists:%{l}.a.test exists:%{d}.b.test exists:%{o}.c.test +all"',
    ],
    ids=["includes itself", "redirects to itself", "a circle of two", "void look-ups"],
)
async def test_records_that_go_in_circles_or_nowhere_are_permerror(zone: str) -> None:
    found, resolver = await spf(zone)
    assert found.result is Result.PERMERROR
    assert len(resolver.asked) <= SPF_LOOKUPS + 2


@pytest.mark.parametrize(
    "record",
    [
        "v=DMARC1; p=reject; " + "x=y; " * 12_000,
        "v=DMARC1; p=reject; rua=" + "mailto:a@b.test," * 4000,
        "v=DMARC1" * 8000,
    ],
)
async def test_a_dmarc_record_of_64_kb_is_none(record: str) -> None:
    start = time.process_time()
    found = await check_dmarc(
        "bank.test", Spf(result=Result.NONE), (), FakeResolver(f"_dmarc.bank.test. TXT {texts(record)}")
    )
    assert time.process_time() - start < slowness()
    assert found.result.result is Result.NONE


EMPTY_SIMPLE = hashlib.sha256(b"\r\n").digest()  # RFC 6376 §3.4.3
EMPTY_RELAXED = hashlib.sha256(b"").digest()  # RFC 6376 §3.4.4


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n\r\n", b"\r\n" * 100_000])
def test_no_body_and_lines_at_the_end(body: bytes) -> None:
    found = hashed(body, frozenset({BodyForm(False), BodyForm(True)}))
    assert found[BodyForm(False)].digest == EMPTY_SIMPLE
    assert found[BodyForm(True)].digest == EMPTY_RELAXED


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b"a\rb\r\n", b"a\rb\r\n", b"a\rb\r\n"),
        (b"a\nb", b"a\nb\r\n", b"a\nb\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"a\r\n\r", b"a\r\n\r\r\n", b"a\r\n\r\r\n"),
        (b"a \t \r\n \r\n", b"a \t \r\n \r\n", b"a\r\n"),
        (b" \r\n", b" \r\n", b""),
    ],
)
def test_odd_line_ends(body: bytes, simple: bytes, relaxed: bytes) -> None:
    """Whole, and in the smallest pieces."""
    for pieces in ([body], [body[place : place + 1] for place in range(len(body))]):
        hashes = BodyHashes([BodyForm(False), BodyForm(True)])
        for piece in pieces:
            hashes.feed(piece)
        found = hashes.finish()
        assert found[BodyForm(False)].digest == hashlib.sha256(simple).digest()
        assert found[BodyForm(True)].digest == hashlib.sha256(relaxed).digest()
