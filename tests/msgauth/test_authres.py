"""Authentication-Results: what we write can be read again, and forgeries are found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.message.headers import unfold
from posthouse.msgauth.authres import AuthResultsError, forged, parse_authres, write_authres
from posthouse.msgauth.results import Arc, Authentication, Dkim, Dmarc, Iprev, Result, Spf

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
RESULTS = st.sampled_from(list(Result))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(RESULTS, WORDS, WORDS, st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True))
def test_what_is_written_reads_the_same(result: Result, reason: str, identity: str, domain: str) -> None:
    found = Authentication(
        spf=Spf(result=result, domain=domain, identity=f"x@{domain}", reason=reason),
        dkim=(Dkim(result=result, domain=domain, selector="s", reason=identity, mark="ab+/cd=="),),
        arc=Arc(result=Result.FAIL, reason=reason),
        dmarc=(Dmarc(result=result, domain=domain, policy_domain=domain, reason=reason),),
        iprev=Iprev(result=result, name=f"mx.{domain}"),
    )
    raw = write_authres("mx.here.example", found)
    assert raw.endswith(b"\r\n")
    assert all(line.startswith(b"\t") for line in raw.split(b"\r\n")[1:-1])
    read = parse_authres(unfold(raw.partition(b":")[2]))
    assert read.host == "mx.here.example"
    methods = {one.method: one for one in read.results}
    assert list(methods) == ["dkim", "spf", "arc", "dmarc", "iprev"]
    assert methods["spf"].result == result
    assert methods["spf"].properties == {"smtp.mailfrom": f"x@{domain}"}
    assert methods["dkim"].properties["header.d"] == domain
    assert methods["dkim"].properties["header.b"] == "ab+/cd=="
    assert methods["dmarc"].properties == {"header.from": domain}


@given(st.binary(max_size=300))
def test_reading_raises_its_own_error_only(value: bytes) -> None:
    try:
        parse_authres(value)
    except AuthResultsError:
        pass
    forged(value, ["mx.here.example"])


@pytest.mark.parametrize(
    ("value", "host", "methods"),
    [  # RFC 8601 appendix B
        (b"example.org 1; none", "example.org", []),
        (b"example.com; spf=pass smtp.mailfrom=example.net", "example.com", [("spf", "pass")]),
        (
            b"example.com; auth=pass (cram-md5) smtp.auth=sender@example.net; spf=pass smtp.mailfrom=example.net",
            "example.com",
            [("auth", "pass"), ("spf", "pass")],
        ),
        (
            b"foo.example.net (foobar) 1 (baz); dkim (Because I like it) / 1 (One yay) = (wait for it) fail "
            b"policy (A dot can go here) . (like that) expired (this surprised me) = (as I wasn't expecting it) "
            b"1362471462 (2013-03-05)",
            "foo.example.net",
            [("dkim", "fail")],
        ),
    ],
)
def test_samples_of_the_standard(value: bytes, host: str, methods: list[tuple[str, str]]) -> None:
    read = parse_authres(value)
    assert read.host == host
    assert [(one.method, one.result) for one in read.results] == methods


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"mx.here.example; dkim=pass header.d=bank.example", True),
        (b"MX.Here.Example.; dkim=pass", True),
        (b"(trust me (nested)) mx.here.example 1; dkim=pass", True),
        (b'"mx.here.example"; dkim=pass', True),
        (b'"mx\\.here.example"; dkim=pass', True),
        (b"\x01mx.here.example; dkim=pass", True),
        (b"; mx.here.example; dkim=pass", True),
        (b"mx.other.example; dkim=pass", False),
        (b"mx.other.example; dkim=pass (seen by mx.here.example)", False),
        (b"", False),
    ],
)
def test_forgeries(value: bytes, wanted: bool) -> None:
    assert forged(value, ["mx.here.example"]) is wanted
