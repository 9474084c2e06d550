"""SPF (RFC 7208) where the suite of vectors says nothing: what a result is said of, and odd records."""

from __future__ import annotations

import pytest

from posthouse.msgauth.dmarc import check_dmarc
from posthouse.msgauth.results import Result
from posthouse.msgauth.spf import SpfQuestion, check_spf
from tests.fakes.resolver import FakeResolver

QUESTION = SpfQuestion(address="192.0.2.1", reverse_path="eve@here.test", helo="mail.here.test")

REDIRECTS = """
here.test. TXT "v=spf1 redirect=big.test"
big.test. TXT "v=spf1 ip4:192.0.2.0/28 -all"
_dmarc.here.test. TXT "v=DMARC1; p=reject; aspf=s"
_dmarc.big.test. TXT "v=DMARC1; p=reject"
"""


@pytest.mark.parametrize(("author", "result"), [("here.test", Result.PASS), ("big.test", Result.FAIL)])
async def test_a_redirect_proves_who_redirects_and_nobody_else(author: str, result: Result) -> None:
    """RFC 7208 §6.1: the result is that of the domain asked; else a record that points to a bank's proves the bank."""
    resolver = FakeResolver(REDIRECTS)
    spf = await check_spf(QUESTION, resolver)
    assert (spf.result, spf.domain) == (Result.PASS, "here.test")
    assert (await check_dmarc(author, spf, (), resolver)).result.result is result


@pytest.mark.parametrize(
    ("term", "result"),
    [  # RFC 7208 §7.1, §12: domain-end is a macro, whichever, or a dot and a top label
        ("exists:%{ir}.list.test%-", Result.NEUTRAL),
        ("exists:%{ir}.list.test%_", Result.NEUTRAL),
        ("exists:%{ir}.list.test%%", Result.NEUTRAL),
        ("exists:%{ir}.list.test.", Result.PASS),
        ("exists:list.test}", Result.PERMERROR),
        ("exists:%%{ir}", Result.PERMERROR),
        ("exists:%{ir}.", Result.PERMERROR),
        # §7.3: more parts than there are means all; none at all is no number
        ("exists:%{i1000r}.list.test", Result.PASS),
        ("exists:%{i0127r}.list.test", Result.PASS),
        ("exists:%{i0r}.list.test", Result.PERMERROR),
        ("ip6:fe80::1%eth0", Result.PERMERROR),
    ],
)
async def test_the_grammar_of_terms(term: str, result: Result) -> None:
    zone = f'here.test. TXT "v=spf1 {term}"\n1.2.0.192.list.test. A 127.0.0.2\n'
    assert (await check_spf(QUESTION, FakeResolver(zone))).result is result


@pytest.mark.parametrize(
    ("record", "of_local_part"),
    [
        ("v=spf1 ip4:192.0.2.1 -all exp=%{l}.why.test", False),
        ("v=spf1 exists:%{o}.%{h}.list.test ?all", False),
        ("v=spf1 exists:%{L}.list.test ?all", True),
        ("v=spf1 exists:%{ir}.%{s1r+}.list.test ?all", True),
        ("v=spf1 redirect=%{l}.list.test", True),
        ("v=spf1 ip4:192.0.2.1 exists:%{l}.list.test", False),
    ],
)
async def test_whether_the_records_speak_of_the_local_part(record: str, of_local_part: bool) -> None:
    """RFC 8601 §2.7.2: only then is it told in the result."""
    zone = f'here.test. TXT "{record}"\neve.list.test. TXT "v=spf1 ?all"\n'
    assert (await check_spf(QUESTION, FakeResolver(zone))).of_local_part is of_local_part


@pytest.mark.parametrize(
    ("helo", "asked"),
    [
        ("mail.b\u00fccher.test", "mail.xn--bcher-kva.test"),
        ("Mail.Here.test.", "mail.here.test"),
        ("mail.here.test..", None),
        ("[192.0.2.1]", None),
        ("mail", None),
        ("mail..here.test", None),
    ],
)
async def test_the_name_of_helo_is_asked_for_if_it_is_one(helo: str, asked: str | None) -> None:
    """RFC 7208 §2.3, §4.3: a name of several labels, in A-labels; of anything else the result is "none"."""
    resolver = FakeResolver('mail.here.test. TXT "v=spf1 -all"\nmail.xn--bcher-kva.test. TXT "v=spf1 -all"\n')
    found = await check_spf(SpfQuestion(address="192.0.2.1", reverse_path="", helo=helo), resolver)
    assert (found.result, found.scope) == (Result.FAIL if asked else Result.NONE, "helo")
    assert resolver.asked == ([("TXT", asked)] if asked else [])
