"""Mail and DNS made to cost time, memory or the filter itself: a verdict within bounds, never an exception.

What a stranger decides here: every octet of the message and every record of his own zone.
"""

from __future__ import annotations

import gzip
import io
import time
import zipfile
from collections.abc import AsyncIterator

import pytest

from posthouse.config import MsgAuth
from posthouse.inbound.mail import Via
from posthouse.inbound.questions import Questions
from posthouse.junk.letter import Letter
from posthouse.junk.tokens import read_tokens
from posthouse.limits import DKIM_SIGNATURES_SHOWN, REPORT_UNPACKED, TOKEN_SOURCE, TOKENS
from posthouse.message.headers import Headers
from posthouse.message.html import html_text
from posthouse.msgauth.authres import parse_authres
from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.msgauth.report_reader import read_report
from posthouse.msgauth.report_unpack import ReportError
from posthouse.msgauth.results import Result
from posthouse.msgauth.spf import SpfQuestion, check_spf
from posthouse.store.derive import derive
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import SmallHouse
from tests.machine import slowness
from tests.msgauth.messages import crafted, signed

SECONDS = 1.0
"""Of processor time; each of these takes a hundredth of it where nothing is wrong."""
HEAD = b"From: eve@elsewhere.test\r\nSubject: x\r\n"


def html(body: str) -> bytes:
    return HEAD + b"Content-Type: text/html\r\n\r\n" + body.encode()


def nested(kind: bytes, depth: int) -> bytes:
    parts = [b"Content-Type: %b; boundary=b%d\r\n\r\n--b%d\r\n" % (kind, n, n) for n in range(depth)]
    return HEAD + b"".join(parts)


# --- the junk filter -----------------------------------------------------------------------------------------

BOMBS = {
    "a link in a link in a link": html("<a href=http://a" * 20_000),
    "links with long hosts": html("<a href=http://" + "a" * 90 + " " * 3 + ("<a href=http://b " * 10_000)),
    "a link and half a megabyte of blanks": html("<a href=http://a.b>" + " " * 200_000),
    "a link that shows a word without end": html("<a href=http://a.b>" + "a." * 100_000),
    "a style that never ends": html("<style>" * 30_000),
    "comments that never end": html("<!--" * 50_000),
    "hiding without end": html(("font-size" + " " * 2000) * 100),
    "a hundred thousand elements": html("<div>" * 50_000),
    "an attribute of a quarter megabyte": html('<a href="' + "x" * 250_000),
    "references without end": html("&amp" * 60_000),
    "a character of 200,000 digits": html("&#" + "9" * 200_000 + ";"),
    "a character of 200,000 hexadecimal digits": html("&#x" + "f" * 200_000 + ";"),
    "parts in parts": nested(b"multipart/mixed", 6_000),
    "messages in messages": HEAD + b"Content-Type: message/rfc822\r\n\r\n" * 8_000,
    "a digest in a digest": nested(b"multipart/digest", 6_000),
    "a hundred thousand parts": HEAD
    + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\n\r\n" * 30_000,
    "base64 of padding": html("").replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
    + b"=" * 250_000,
    "quoted-printable of equals signs": HEAD
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"=" * 250_000,
    "four thousand parameters": HEAD + b"Content-Type: text/plain" + b"; a*0*=utf-8''x" * 4_000 + b"\r\n\r\n",
    "encoded words by the thousand": HEAD
    + b"Comments: x\r\nSubject: "
    + b"=?utf-8?b?w6Q=?= " * 4_000
    + b"\r\n\r\n",
    "addresses without end": HEAD + b"\r\n" + b"a@a-" * 60_000,
    "an unknown charset": HEAD + b"Content-Type: text/plain; charset=" + b"x" * 9_000 + b"\r\n\r\ntext",
    "utf-7 and nulls": HEAD + b"Content-Type: text/html; charset=utf-7\r\n\r\n" + b"+ADw-\0" * 30_000,
    "bare CR for every line": HEAD.replace(b"\r\n", b"\r") + b"\r\rtext\r" * 30_000,
    "a list of lists": HEAD + b"List-Id: " + b"<" * 60_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_costs_the_filter_no_more_than_other_mail(kind: str) -> None:
    raw = BOMBS[kind][:TOKEN_SOURCE]
    start = time.process_time()
    letter = Letter.of(raw)
    tokens = read_tokens(raw, letter.headers, letter.authors)
    assert len(tokens.names) <= TOKENS
    assert len(tokens.addresses) <= 50
    derive(raw, 0)
    assert time.process_time() - start < SECONDS * slowness()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("&#" + "9" * 5_000 + ";", "\ufffd;"),
        ("&#" + "0" * 5_000 + "65;", "A"),
        ("&#" + "0" * 5_000 + ";", "\ufffd"),
        ("&#x" + "f" * 5_000 + ";", "\ufffd"),
        ("&#1114112;", "\ufffd"),
        ("&#65;&#000000065", "AA"),
    ],
    ids=["too many digits", "many zeros", "nothing but zeros", "hexadecimal", "beyond Unicode", "short ones"],
)
def test_characters_by_number(source: str, text: str) -> None:
    """HTML §13.2.5.84: beyond the last character stands U+FFFD, whatever the number of digits."""
    assert html_text(source) == text


# --- the DNS of a stranger -----------------------------------------------------------------------------------

KEY = SigningKey(
    domain="elsewhere.test", selector="s1", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
HOSTS = "\n".join(f"loop.test. MX 1 m{n}.test." for n in range(11))
CIRCLES = "\n".join(f"c{n}.loop.test. CNAME c{(n + 1) % 20}.loop.test." for n in range(20))


@pytest.mark.parametrize(
    ("zone", "wanted"),
    [
        ("loop.test. CNAME loop.test.", {Result.TEMPERROR}),
        ("loop.test. CNAME c0.loop.test.\n" + CIRCLES, {Result.TEMPERROR}),
        ('loop.test. TXT "v=spf1 include:c0.loop.test -all"\n' + CIRCLES, {Result.TEMPERROR}),
        ('loop.test. TXT "v=spf1 a:c0.loop.test mx:c0.loop.test -all"\n' + CIRCLES, {Result.TEMPERROR}),
        ('loop.test. TXT "v=spf1 ptr:c0.loop.test -all"\n9.2.0.192.in-addr.arpa. CNAME c0.loop.test.', {Result.FAIL}),
        ('loop.test. TXT "v=spf1 a:a.void.test a:b.void.test a:c.void.test +all"', {Result.PERMERROR}),
        ('loop.test. TXT "v=spf1 mx:a.void.test exists:b.void.test a:c.void.test +all"', {Result.PERMERROR}),
        ('loop.test. TXT "v=spf1 a:a.void.test a:b.void.test +all"', {Result.PASS}),
        ('loop.test. TXT "v=spf1 mx -all"\n' + HOSTS, {Result.PERMERROR}),
        ('loop.test. TXT "v=spf1 exists:%{l99999999999}.%{d0}.x +all"', {Result.PERMERROR}),
        ('loop.test. TXT "v=spf1 redirect=%{s}%{s}%{s}%{s}.loop.test"', {Result.PERMERROR, Result.NONE}),
        ("\n".join(f'loop.test. TXT "v=spf1 ip4:192.0.2.{n} -all"' for n in range(200)), {Result.PERMERROR}),
    ],
    ids=[
        "itself by CNAME",
        "a circle by CNAME",
        "include of a circle",
        "a and mx of a circle",
        "names of a circle",
        "three void look-ups",
        "three void look-ups of three kinds",
        "two void look-ups",
        "eleven mail hosts",
        "parts of a macro beyond reason",
        "a macro that fills the name",
        "two hundred records",
    ],
)  # fmt: skip
async def test_spf_ends(zone: str, wanted: set[Result]) -> None:
    """RFC 7208 §4.6.4, §4.5."""
    resolver = FakeResolver(zone)
    start = time.process_time()
    question = SpfQuestion(address="192.0.2.9", reverse_path=f"{'x.' * 30}y@loop.test", helo="h.loop.test")
    found = await check_spf(question, Questions(resolver))
    assert found.result in wanted, found
    assert len(resolver.asked) <= 25
    assert time.process_time() - start < SECONDS * slowness()


@pytest.fixture
async def house(tmp_path) -> AsyncIterator[SmallHouse]:  # type: ignore[no-untyped-def]
    zone = f"""
s1._domainkey.elsewhere.test. TXT "{key_record(KEY.key)}"
_dmarc.round.test. CNAME _dmarc.round.test.
sub.round.test. A 192.0.2.9
loop._domainkey.elsewhere.test. CNAME loop._domainkey.elsewhere.test.
_dmarc.many.test. TXT "v=DMARC1; p=reject"
_dmarc.many.test. TXT "v=DMARC1; p=none"
_dmarc.strict.test. TXT "v=DMARC1; p=reject"
"""
    made = await SmallHouse.open(tmp_path, resolver=FakeResolver(zone), msgauth=MsgAuth())
    yield made
    await made.close()


async def results(house: SmallHouse, raw: bytes) -> tuple[str, list[tuple[str, str]]]:
    """(reply, what the reader is told)."""
    [reply] = await house.pipeline.accept(house.mail("alice", raw=raw))
    messages = await house.inbox("alice") or await house.inbox("alice", "Junk")
    if not messages:
        return str(reply), []
    [value, *_] = Headers.scan(messages[-1]).all("authentication-results")
    return str(reply), [(one.method, one.result) for one in parse_authres(value).results]


async def test_a_policy_that_goes_in_circles_is_an_outage_not_a_pass(house: SmallHouse) -> None:
    for author in ("x@round.test", "x@sub.round.test"):
        reply, told = await results(
            house, HEAD.replace(b"eve@elsewhere.test", author.encode()) + b"\r\nx\r\n"
        )
        assert reply.startswith("250")
        assert ("dmarc", "temperror") in told


async def test_two_policies_are_none(house: SmallHouse) -> None:
    """RFC 9989 §4.10 step 2."""
    _, told = await results(house, HEAD.replace(b"eve@elsewhere.test", b"x@many.test") + b"\r\nx\r\n")
    assert ("dmarc", "none") in told


async def test_a_thousand_signatures_cost_ten(house: SmallHouse) -> None:
    start = time.process_time()
    raw = HEAD + b"\r\ntext\r\n"
    fields = crafted(raw, KEY).removesuffix(raw)
    raw = fields.replace(b"s=s1", b"s=no") * 900 + fields + raw
    reply, told = await results(house, raw)
    assert reply.startswith("250")
    assert sum(method == "dkim" for method, _ in told) == DKIM_SIGNATURES_SHOWN
    assert ("dkim", "pass") not in told, "the good one stands behind what is looked at"
    assert time.process_time() - start < 2 * SECONDS * slowness()


async def test_a_key_by_a_circle_and_a_good_one_beside_it(house: SmallHouse) -> None:
    raw = signed(HEAD + b"\r\ntext\r\n", KEY)
    circle = crafted(HEAD + b"\r\ntext\r\n", KEY, s="loop").removesuffix(HEAD + b"\r\ntext\r\n")
    _, told = await results(house, circle + raw)
    assert ("dkim", "pass") in told
    assert ("dkim", "temperror") in told


@pytest.mark.parametrize(
    "author",
    [
        b"info@strict.test\r",
        b"\xef\xbb\xbfinfo@strict.test",
        b"info@strict.test\xe2\x80\x8b",
        b"info@strict.test%00",
        b"=?utf-8?q?=22Bank=22_=3Cinfo=40strict=2Etest=3E?= <info@strict.test>",
        b"info @ strict . test",
        b"info@strict.test, info@strict.test" + b", <>" * 20,
        b"(" * 50 + b"info@strict.test",
        b'"@strict.test" <info@strict.test>',
        b"info@[strict.test]",
        b"undisclosed:; info@strict.test",
        b"info@STRICT.test",
        b"info@strict.test;elsewhere.test",
        b"info@strict.test\t(elsewhere.test)",
    ],
    ids=lambda value: repr(value[:30]),
)
async def test_no_form_of_from_escapes_the_policy(house: SmallHouse, author: bytes) -> None:
    """p=reject: refused, or at least never told to be proved."""
    raw = HEAD.replace(b"eve@elsewhere.test", author) + b"\r\ntext\r\n"
    reply, told = await results(house, signed(raw, KEY))
    assert ("dmarc", "pass") not in told
    assert reply.startswith("550") or ("dmarc", "fail") in told or ("dmarc", "none") in told, reply


def test_the_door_is_the_one_that_strangers_use(house: SmallHouse) -> None:
    """Else the tests above would prove nothing."""
    assert house.mail("alice").via is Via.MX


# --- reports -------------------------------------------------------------------------------------------------


def zipped(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in members:
            archive.writestr(name, octets)
    return out.getvalue()


PACKED = {
    "a gzip in a gzip in a gzip": gzip.compress(gzip.compress(gzip.compress(b" " * REPORT_UNPACKED))),
    "a zip in a zip": zipped(("a.xml", zipped(("a.xml", b"<feedback/>")))),
    "ten thousand members": zipped(*((f"{n}.txt", b"") for n in range(10_000))),
    "a bomb behind a report": zipped(("a.xml", b"<x/>"), ("b.xml", b" " * REPORT_UNPACKED)),
    "a name that climbs out": zipped(("../../../etc/a.xml", b"<x/>")),
    "a thousand empty gzip members": gzip.compress(b"") * 1_000,
    "a number of 100,000 digits": gzip.compress(
        b"<feedback><report_metadata><report_id>1</report_id><date_range><begin>"
        + b"9" * 100_000
        + b"</begin></date_range></report_metadata></feedback>"
    ),
    "TLS counts of 100,000 digits": gzip.compress(
        b'{"report-id":"1","policies":[{"summary":{"total-failure-session-count":' + b"9" * 100_000 + b"}}]}"
    ),
}


@pytest.mark.parametrize("kind", PACKED)
def test_a_packed_report_is_refused_within_bounds(kind: str) -> None:
    body = (
        HEAD + b"Content-Type: application/gzip\r\nContent-Transfer-Encoding: binary\r\n\r\n" + PACKED[kind]
    )
    start = time.process_time()
    with pytest.raises(ReportError):
        read_report(body)
    assert time.process_time() - start < SECONDS * slowness()
