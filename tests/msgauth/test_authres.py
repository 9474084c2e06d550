"""Authentication-Results: what we write can be read again, and forgeries are found."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthouse.message.headers import unfold
from posthouse.msgauth.authres import AuthResultsError, forged, parse_authres
from posthouse.msgauth.authres_write import write_authres, write_vouched
from posthouse.msgauth.results import Arc, Authentication, Dkim, Dmarc, Iprev, Result, Spf

WORDS = st.text(st.characters(codec="utf-8"), max_size=40)
RESULTS = st.sampled_from(list(Result))


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(RESULTS, WORDS, WORDS, st.from_regex(r"[a-z]{1,9}\.example", fullmatch=True))
@example(
    Result.PASS, "0" * 17, "0" * 16 + " ", "aaa.example"
)  # a line ends at the blank of a quoted local part
def test_what_is_written_reads_the_same(result: Result, reason: str, identity: str, domain: str) -> None:
    found = Authentication(
        spf=Spf(
            result=result, domain=domain, identity=f"{identity}x@{domain}", reason=reason, of_local_part=True
        ),
        dkim=(Dkim(result=result, domain=domain, selector="s", reason=identity, mark="ab+/cd=="),),
        arc=Arc(result=Result.FAIL, reason=reason),
        dmarc=(Dmarc(result=result, domain=domain, policy_domain=domain, reason=reason),),
        iprev=Iprev(result=result, address="2001:db8::1", name=f"mx.{domain}"),
    )
    raw = write_authres("mx.here.example", found)
    assert raw.endswith(b"\r\n")
    assert all(line.startswith((b"\t", b" ")) for line in raw.split(b"\r\n")[1:-1])
    read = parse_authres(unfold(raw.partition(b":")[2]))
    assert read.host == "mx.here.example"
    methods = {one.method: one for one in read.results}
    assert list(methods) == ["dkim", "spf", "arc", "dmarc", "iprev"]
    assert methods["spf"].result == result
    told = f"{_shown(identity)}x@{domain}" if identity.isascii() else domain
    assert methods["spf"].properties == {"smtp.mailfrom": told}
    assert methods["arc"].properties == {"smtp.remote-ip": "2001:db8::1"}
    assert methods["iprev"].properties == {"policy.iprev": "2001:db8::1", "policy.name": f"mx.{domain}"}
    assert methods["dkim"].properties["header.d"] == domain
    assert methods["dkim"].properties["header.b"] == "ab+/cd=="
    assert methods["dmarc"].properties == {"header.from": domain}


def _shown(text: str) -> str:
    """With what no header may have in it shown as a question mark."""
    return re.sub(r"[^\x20-\x7e]+", "?", text)


@pytest.mark.parametrize(
    ("value", "written"),
    [  # RFC 8601 §2.2 pvalue: a token or quoted string of RFC 2045 §5.1, or a mailbox
        ("mx.a.example", "mx.a.example"),
        ("ab+/cd12", '"ab+/cd12"'),
        ("2001:db8::1", '"2001:db8::1"'),
        ("[192.0.2.1]", '"[192.0.2.1]"'),
        ("a=b", '"a=b"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("@a.example", "@a.example"),
        ("first.last@a.example", "first.last@a.example"),
        ("a/b=c@a.example", '"a/b=c"@a.example'),
        ("two words@a.example", '"two words"@a.example'),
        ("x@y", '"x@y"'),
    ],
)
def test_values_are_written_by_the_grammar(value: str, written: str) -> None:
    said = parse_authres(b"backup.example; x=pass")
    one = msgspec.structs.replace(said.results[0], properties={"smtp.mailfrom": value, "header.z": "z"})
    raw = write_vouched("mx.example", msgspec.structs.replace(said, results=(one,)))
    assert unfold(raw).decode().partition("smtp.mailfrom=")[2] == f"{written} header.z=z"
    assert parse_authres(unfold(raw.partition(b":")[2])).results[0].properties == one.properties


@pytest.mark.parametrize(
    ("scope", "of_local_part", "told"),
    [
        ("mailfrom", False, "smtp.mailfrom=a.example"),
        ("mailfrom", True, "smtp.mailfrom=x@a.example"),
        ("helo", False, "smtp.helo=mx.a.example"),
    ],
)
def test_a_local_part_that_nobody_vouches_for_is_not_told(scope: str, of_local_part: bool, told: str) -> None:
    """RFC 8601 §2.7.2, §4."""
    identity = "x@a.example" if scope == "mailfrom" else "mx.a.example"
    spf = Spf(
        result=Result.PASS, domain="a.example", identity=identity, scope=scope, of_local_part=of_local_part
    )
    assert f" {told};" in write_authres("mx.here.example", Authentication(spf=spf)).decode()


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
    ("value", "properties"),
    [  # white space and comments may stand about any mark (RFC 8601 §2.2)
        (
            b'a; x=pass reason="; =" header . (c) d (e) = f.example smtp.helo=g',
            "header.d=f.example smtp.helo=g",
        ),
        (b'a; x=pass header.i="two words"@b.example header.s=t', "header.i=two words@b.example header.s=t"),
        (b'a; x=pass header.b=";" header.s="=" header.d="/"', "header.b=; header.s== header.d=/"),
        (b"a; x=pass header.b=ab/cd== header.s=t", "header.b=ab/cd== header.s=t"),
        (b"a 1; x / 1 = pass policy.p=q", "policy.p=q"),
        (b"a (one) 01 (two); x=pass policy.p=q", "policy.p=q"),
    ],
)
def test_properties_are_read_by_the_grammar(value: bytes, properties: str) -> None:
    (read,) = parse_authres(value).results
    found = {name: value for name, value in read.properties.items() if name != "reason"}
    assert " ".join(f"{name}={value}" for name, value in found.items()) == properties


def test_a_result_of_an_unknown_version_counts_for_nothing() -> None:
    """RFC 8601 §2.6: of a method it is passed over, of the field nothing is read."""
    read = parse_authres(b"a; dkim/2=pass header.d=bank.example; spf=pass smtp.mailfrom=b.example")
    assert [one.method for one in read.results] == ["spf"]
    with pytest.raises(AuthResultsError):
        parse_authres(b"a 2; dkim=pass header.d=bank.example")


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"mx.here.example; dkim=pass header.d=bank.example", True),
        # RFC 8601 §5: a version that no reader here knows, whoever's it is
        (b"mx.other.example 2; dkim=pass", True),
        (b"mx.other.example (x) 10; dkim=pass", True),
        (b"mx.other.example 1; dkim=pass", False),
        (b'"mx.other.example" 001; dkim=pass', False),
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


@pytest.mark.parametrize("ours", ["post.b\u00fccher.example", "post.xn--bcher-kva.example"])
@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("post.b\u00fccher.example", True),
        ("POST.B\u00dcCHER.EXAMPLE", True),
        ("post.bu\u0308cher.example", True),
        ("post.xn--bcher-kva.example.", True),
        ("(c) post.XN--BCHER-KVA.example 1", True),
        ("post.bucher.example", False),
    ],
)
def test_a_name_of_ours_is_found_in_labels_of_either_kind(ours: str, name: str, wanted: bool) -> None:
    """RFC 8601 §5."""
    assert forged(f"{name}; dkim=pass".encode(), [ours]) is wanted
