"""Whatever strangers write and publish: the readers of mail authentication raise nothing but their own and end soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.message.headers import Headers
from posthouse.msgauth.arc import Chain
from posthouse.msgauth.authres import forged, parse_authres
from posthouse.msgauth.dkim_canon import raw_fields, relaxed_field
from posthouse.msgauth.dkim_key import PublicKey, parse_key
from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.msgauth.dkim_verify import Signatures
from posthouse.msgauth.dmarc import check_dmarc
from posthouse.msgauth.dmarc_record import parse_dmarc
from posthouse.msgauth.results import Result, Spf
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.msgauth.spf_macro import MacroError, expand
from posthouse.msgauth.spf_record import SpfSyntaxError, parse_spf
from tests.fakes.resolver import FakeResolver
from tests.machine import slowness
from tests.msgauth.messages import hashed, signed, split, verified

KEY = SigningKey(
    domain="a.test", selector="s", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
RESOLVER = FakeResolver(f's._domainkey.a.test. TXT "{key_record(KEY.key)}"')
MESSAGE = signed(b"From: x@a.test\r\nTo: y@b.test\r\nSubject: hello\r\n\r\nwords and more words\r\n", KEY)
FIELDS = st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "DKIM-Signature"])
SPF_TERMS = st.sampled_from(
    [
        *(
            "all",
            "-all",
            "a",
            "mx",
            "ptr",
            "include:%{d}",
            "include:a.test",
            "exists:%{ir}.%{v}.a.test",
            "a:a.test/24",
        ),
        *(
            "ip4:192.0.2.0/33",
            "redirect=a.test",
            "exp=a.test",
            "a//129",
            "%{",
            "mx:a.test//64",
            "x=%{p}",
            "ip6:::/0",
        ),
    ]
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(MESSAGE) - 1), st.binary(max_size=3), st.integers(0, 3))
async def test_no_change_that_matters_passes(at: int, put: bytes, cut: int) -> None:
    """Any edit either leaves what is signed alone in relaxed form, or the signature fails."""
    changed = MESSAGE[:at] + put + MESSAGE[at + cut :]
    for found in await verified(changed, RESOLVER):
        if found.result is Result.PASS:
            (fields, body), (before, old_body) = split(changed), split(MESSAGE)
            kept = {relaxed_field(one.raw) for one in fields if one.name in (b"from", b"to", b"subject")}
            assert kept == {
                relaxed_field(one.raw) for one in before if one.name in (b"from", b"to", b"subject")
            }
            assert body.split() == old_body.split()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
async def test_records_of_any_text(text: str) -> None:
    try:
        parse_spf(f"v=spf1 {text}")
    except SpfSyntaxError:
        pass
    try:
        expand(text, dict.fromkeys("slodiphcrtv", "x.y"))
    except MacroError:
        pass
    parse_dmarc(text)
    parse_dmarc(f"v=DMARC1; {text}")
    assert isinstance(parse_key(f"v=DKIM1; {text}"), PublicKey | tuple)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.lists(SPF_TERMS, max_size=8))
async def test_any_record_that_asks_itself_ends(terms: list[str]) -> None:
    resolver = FakeResolver(
        f'a.test. TXT "v=spf1 {" ".join(terms)}"\na.test. MX 10 a.test.\na.test. A 192.0.2.9'
    )
    question = SpfQuestion(address="192.0.2.1", reverse_path="x@a.test", helo="a.test")
    await check_spf(question, resolver)
    assert len(resolver.asked) <= 40


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
async def test_dmarc_of_any_domain(domain: str) -> None:
    await check_dmarc(domain, Spf(result=Result.NONE), (), FakeResolver())


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["ARC-Seal", "ARC-Message-Signature", "DKIM-Signature"]), st.text(max_size=120)
        )
    )
)
async def test_fields_of_any_text(pairs: list[tuple[str, str]]) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in pairs) + "From: x@a.test\r\n\r\n"
    fields = raw_fields(Headers.scan(head.encode("utf-8", "replace")))
    signatures, chain = Signatures.of(fields), Chain.of(fields)
    bodies = hashed(b"", signatures.forms | chain.forms)
    assert all(not one.passed for one in await signatures.verify(bodies, RESOLVER, 0))
    assert (await chain.validate(bodies, RESOLVER)).result is not Result.PASS


LONG = 60_000
NASTY = {
    "blanks in h=": f"v=1; a=rsa-sha256; d=a.test; s=s; bh=AAAA; b=AAAA; h=from{' ' * LONG}x",
    "blanks everywhere": f"v{' ' * LONG}=1",
    "semicolons": ";" * LONG,
    "empty b= again and again": "; b=" * (LONG // 4),
    "colons": f"v=1; a=rsa-sha256; d=a.test; s=s; bh=AAAA; b=AAAA; h={':' * LONG}",
    "a long selector": f"v=1; a=rsa-sha256; d=a.test; s={'a-' * (LONG // 2)}!; bh=AAAA; b=AAAA; h=from",
    "a long domain": f"v=1; a=rsa-sha256; d={'a.' * (LONG // 2)}; s=s; bh=AAAA; b=AAAA; h=from",
    "quotes": '"' + '\\"' * (LONG // 2),
    "brackets": "(" * LONG,
    "spf": "v=spf1 a:." + "a" * LONG + "!",
    "spf slashes": "v=spf1 a" + "/1" * (LONG // 2) + "x",
    "spf macros": "v=spf1 exists:" + "%{d" * (LONG // 3),
    "dmarc": "v=DMARC1;" + "p=none;" * (LONG // 7),
}


@pytest.mark.parametrize("name", NASTY)
async def test_long_texts_cost_little(name: str) -> None:
    """In processor time, so that a busy machine is no reason: quadratic readers would need many seconds."""
    text = NASTY[name]
    begun = time.process_time()
    for short in (text, text[:4000]):
        for field in ("DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"):
            fields = raw_fields(Headers.scan(f"{field}: {text}\r\nFrom: x@a.test\r\n\r\n".encode()))
            await Signatures.of(fields).verify({}, FakeResolver(), 0)
            Chain.of(fields)
        forged(short.encode(), ["mx.a.test"])
        for read in (parse_spf, parse_dmarc, parse_key, lambda text: parse_authres(text.encode())):
            try:
                read(short)
            except ValueError:
                pass
    assert time.process_time() - begun < 2.0 * slowness()
