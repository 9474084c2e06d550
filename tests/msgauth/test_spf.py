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
