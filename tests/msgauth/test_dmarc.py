"""DMARC by RFC 9989: the walk, the organization, alignment, what is asked for; and records of RFC 7489."""

from __future__ import annotations

import pytest

from posthouse.msgauth.dmarc import check_dmarc, walk
from posthouse.msgauth.dmarc_record import parse_dmarc
from posthouse.msgauth.results import Disposition, Dkim, Result, Spf, proved_domains
from tests.fakes.resolver import FakeResolver

ZONE = """
_dmarc.example.com. TXT "v=DMARC1; p=reject; sp=quarantine; np=reject; rua=mailto:r@example.com"
sub.example.com. A 192.0.2.1
mail.sub.example.com. A 192.0.2.1
_dmarc.strict.example. TXT "v=DMARC1; p=quarantine; adkim=s; aspf=s"
_dmarc.bank. TXT "v=DMARC1; p=reject; psd=y; np=reject"
one.bank. A 192.0.2.2
_dmarc.two.bank. TXT "v=DMARC1; p=none"
_dmarc.own.example.com. TXT "v=DMARC1; p=none; psd=n"
_dmarc.testing.example. TXT "v=DMARC1; p=reject; t=y"
_dmarc.old.example. TXT "v=DMARC1; p=quarantine; pct=0; rf=afrf; ri=3600"
_dmarc.twice.example. TXT "v=DMARC1; p=reject"
_dmarc.twice.example. TXT "v=DMARC1; p=none"
_dmarc.away.example. FAIL
plain.test. A 192.0.2.3
"""
NOBODY = Spf(result=Result.NONE)
UNASKED = Spf(result=Result.TEMPERROR, domain="example.com")


def spf(domain: str) -> Spf:
    return Spf(result=Result.PASS, domain=domain)


def dkim(domain: str, **fields: object) -> Dkim:
    return Dkim(**({"result": Result.PASS, "domain": domain} | fields))  # type: ignore[arg-type]


async def test_the_walk_of_the_standard() -> None:
    """RFC 9989 §4.10: a long name costs eight questions, its left labels are cut at once."""
    resolver = FakeResolver()
    await walk("a.b.c.d.e.f.g.h.i.j.mail.example.com", resolver)
    assert [name.removeprefix("_dmarc.") for _, name in resolver.asked] == [
        "a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "g.h.i.j.mail.example.com",
        "h.i.j.mail.example.com",
        "i.j.mail.example.com",
        "j.mail.example.com",
        "mail.example.com",
        "example.com",
        "com",
    ]


@pytest.mark.parametrize(
    ("domain", "organization"),
    [
        ("example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("one.bank", "one.bank"),
        ("deep.one.bank", "one.bank"),
        ("two.bank", "two.bank"),
        ("bank", "bank"),
        ("x.own.example.com", "own.example.com"),
        ("plain.test", "plain.test"),
        ("sub.plain.test", "sub.plain.test"),
    ],
)
async def test_organizational_domain(domain: str, organization: str) -> None:
    assert (await walk(domain, FakeResolver(ZONE))).organizational_domain == organization


@pytest.mark.parametrize(
    ("author", "by_spf", "by_dkim", "result", "disposition"),
    [
        ("example.com", spf("example.com"), (), "pass", "none"),
        ("example.com", spf("bounce.example.com"), (), "pass", "none"),
        ("sub.example.com", NOBODY, (dkim("example.com"),), "pass", "none"),
        ("example.com", NOBODY, (dkim("mail.sub.example.com"),), "pass", "none"),
        ("example.com", spf("example.net"), (dkim("example.org"),), "fail", "reject"),
        ("example.com", spf("notexample.com"), (dkim("com"),), "fail", "reject"),
        ("example.com", NOBODY, (dkim("example.com", result=Result.POLICY),), "fail", "reject"),
        ("sub.example.com", NOBODY, (), "fail", "quarantine"),
        ("no.such.example.com", NOBODY, (), "fail", "reject"),
        ("strict.example", spf("mail.strict.example"), (dkim("mail.strict.example"),), "fail", "quarantine"),
        ("strict.example", spf("strict.example"), (), "pass", "none"),
        ("one.bank", NOBODY, (dkim("two.bank"),), "fail", "reject"),
        ("two.bank", NOBODY, (dkim("bank"),), "fail", "none"),
        ("testing.example", NOBODY, (), "fail", "quarantine"),
        ("old.example", NOBODY, (), "fail", "none"),
        ("twice.example", NOBODY, (), "none", "none"),
        ("plain.test", spf("plain.test"), (), "none", "none"),
        ("away.example", NOBODY, (), "temperror", "none"),
        ("example.com", UNASKED, (), "temperror", "none"),
        ("sub.example.com", UNASKED, (), "temperror", "none"),
        ("example.com", NOBODY, (dkim("example.com", result=Result.TEMPERROR),), "temperror", "none"),
        ("example.com", UNASKED, (dkim("example.com"),), "pass", "none"),
        # Whose names cannot be asked for proves nothing about anybody else.
        ("two.bank", UNASKED, (), "fail", "none"),
        ("example.com", Spf(result=Result.TEMPERROR, domain="evil.test"), (), "fail", "reject"),
        ("example.com", NOBODY, (dkim("evil.test", result=Result.TEMPERROR),), "fail", "reject"),
        ("strict.example", Spf(result=Result.TEMPERROR, domain="a.strict.example"), (), "fail", "quarantine"),
    ],
)
async def test_verdict(
    author: str, by_spf: Spf, by_dkim: tuple[Dkim, ...], result: str, disposition: str
) -> None:
    found = (await check_dmarc(author, by_spf, by_dkim, FakeResolver(ZONE))).result
    assert (found.result, found.disposition) == (result, disposition), found


@pytest.mark.parametrize(
    ("author", "by_spf", "signers"),
    [
        ("example.com", spf("example.com"), ("x.silent.example.com",)),
        ("example.com", spf("x.silent.example.com"), ("example.com",)),
        ("example.com", NOBODY, ("x.silent.example.com", "example.com")),
        ("silence.example.com", NOBODY, ("example.com",)),  # nobody says whether it exists
    ],
)
async def test_what_is_proved_is_proved_whatever_else_is_silent(
    author: str, by_spf: Spf, signers: tuple[str, ...]
) -> None:
    """RFC 9989 §4.4.1: one aligned identifier makes a pass."""
    resolver = FakeResolver(ZONE + SILENT)
    found = (await check_dmarc(author, by_spf, [dkim(one) for one in signers], resolver)).result
    assert (found.result, found.disposition) == (Result.PASS, Disposition.NONE), found
    for one in (spf("x.silent.example.com"), NOBODY):
        by_dkim = [dkim("x.silent.example.com")]
        found = (await check_dmarc("example.com", one, by_dkim, FakeResolver(ZONE + SILENT))).result
        assert found.result is Result.TEMPERROR


SILENT = """
_dmarc.silent.example.com. FAIL
silence.example.com. MX FAIL
"""


@pytest.mark.parametrize(
    ("author", "by_spf", "signers", "result"),
    [
        ("example.com", spf("example.com"), (), "pass"),
        ("example.com", NOBODY, ("sub.example.com", "example.com"), "pass"),
        ("example.com", NOBODY, ("sub.example.com",), "temperror"),
        ("example.com", NOBODY, (), "temperror"),
        ("sub.example.com", spf("sub.example.com"), (), "temperror"),  # its policy is its parent's
        ("odd.com", spf("odd.com"), (), "temperror"),
    ],
)
async def test_silence_above_an_own_record_takes_no_proof_away(
    author: str, by_spf: Spf, signers: tuple[str, ...], result: str
) -> None:
    """RFC 9989 §4.10.2: the very same domain with a record of its own is its own organization."""
    zone = f'{ZONE}_dmarc.com. FAIL\n_dmarc.odd.com. TXT "v=DMARC1; p=banana"\n'
    found = await check_dmarc(author, by_spf, [dkim(one) for one in signers], FakeResolver(zone))
    assert found.result.result == result, found


async def test_the_walk_stops_at_the_first_that_says_what_it_is() -> None:
    """RFC 9989 §4.10 step 2: a public suffix ends it, also where it begins there."""
    resolver = FakeResolver('_dmarc.co.uk. TXT "v=DMARC1; psd=y"\n_dmarc.uk. TXT "v=DMARC1; p=reject"')
    found = await walk("co.uk", resolver)
    assert (found.organizational_domain, len(resolver.asked)) == ("co.uk", 1)


async def test_own_organization_below_another_is_apart() -> None:
    found = await check_dmarc("own.example.com", NOBODY, (dkim("example.com"),), FakeResolver(ZONE))
    assert found.result.result is Result.FAIL


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("v=DMARC1", Disposition.NONE),
        ("v=DMARC1;p=reject", Disposition.REJECT),
        ("v = DMARC1 ; p = Reject ; ;", Disposition.REJECT),
        ("v=DMARC1; rua=mailto:x@y.example; p=banana", Disposition.NONE),
        ("v=DMARC1; rua=https://y.example/; p=banana", Disposition.NONE),
        ("V=DMARC1; p=reject", Disposition.REJECT),
        ("v=DMARC2; p=reject", None),
        ("p=reject; v=DMARC1", None),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC1x; p=reject", None),
        ("v=DMARC1; p=reject; " + "x=y; " * 20_000, None),
    ],
)
def test_records(text: str, policy: Disposition | None) -> None:
    record = parse_dmarc(text)
    assert (None if record is None else record.policy) is policy


ODD = (("odd", "u"), ("apart", "n"))


@pytest.mark.parametrize("text", ["p=banana", "p=reject; sp=banana", "p=none; rua=banana; np=", "p=; rua="])
async def test_a_policy_that_nobody_can_read_is_not_its_parent_s(text: str) -> None:
    """RFC 9989 §4.10.1: no DMARC for this message; the record still stands in the tree."""
    odd, apart = (f'_dmarc.{name}.example.com. TXT "v=DMARC1; psd={psd}; {text}"' for name, psd in ODD)
    zone = f"{ZONE}{odd}\n{apart}"
    for author in ("odd.example.com", "apart.example.com", "x.apart.example.com"):
        found = await check_dmarc(author, NOBODY, (), FakeResolver(zone))
        assert (found.record, found.result.result) == (None, Result.PERMERROR), found
        assert found.result.disposition is Disposition.NONE
        proved = (await check_dmarc(author, spf(author), (), FakeResolver(zone))).result
        assert proved_domains([proved]) == {author}


@pytest.mark.parametrize(
    ("text", "testing"),
    [("t=y", True), ("t=Y", True), ("pct=0", True), ("pct=0; t=n", False), ("pct=50", False), ("t=x", False)],
)
def test_who_is_only_trying(text: str, testing: bool) -> None:
    record = parse_dmarc(f"v=DMARC1; p=reject; {text}")
    assert record is not None
    assert record.testing is testing


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", "0"),
        ("1", "1"),
        ("d:s", "ds"),
        ("0 : D", "0d"),
        ("s:1:d", "1ds"),
        ("0:1", "0"),
        ("x", "0"),
        ("1:", "0"),
    ],
)
def test_failure_options(text: str, options: str) -> None:
    record = parse_dmarc(f"v=DMARC1; p=none; {text and f'fo={text}'}")
    assert record is not None
    assert record.failure_options == set(options)


def test_report_addresses() -> None:
    record = parse_dmarc(
        "v=DMARC1; p=none; rua=mailto:a@x.example!10m, MAILTO:b%2Bc@x.example,https://x.example/"
    )
    assert record is not None
    assert record.aggregate_to == ("a@x.example", "b+c@x.example")
