"""Charsets, header values, HTML, previews, dates, and what we compose: tables."""

from __future__ import annotations

import base64
import email
import email.policy
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.limits import (
    CHARSET_SAMPLE,
    COMMENT_DEPTH,
    COMPOSED_LINE,
    HEADER_VALUE,
    PREVIEW_SOURCE,
    SEARCH_TEXT,
)
from posthouse.message.charsets import CODECS, codec_for, decode, decode_unlabelled
from posthouse.message.compose import (
    compose,
    crlf,
    format_field,
    format_mailbox,
    message_body,
    multipart,
    text_body,
)
from posthouse.message.date import (
    Date,
    format_date,
    format_internal_date,
    parse_date,
    parse_internal_date,
)
from posthouse.message.headers import Headers, decode_value
from posthouse.message.html import html_text
from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list
from posthouse.message.mime import scan
from posthouse.message.parameters import parameter, parse_media_type
from posthouse.message.text import preview, text_of


def test_every_codec_exists() -> None:
    for codec in set(CODECS.values()):
        assert isinstance(b"".decode(codec), str)


@pytest.mark.parametrize(
    ("octets", "label", "text"),
    [
        ("邮局".encode("gbk"), "gb2312", "邮局"),
        ("镕".encode("gbk"), "GB2312", "镕"),  # not in GB 2312 itself
        ("郵局".encode("big5"), "Big5", "郵局"),
        ("東京".encode("iso2022_jp"), "ISO-2022-JP", "東京"),
        (b"\x1b$B-!\x1b(B (\x1b$BEl5~\x1b(B)", "ISO-2022-JP", "① (東京)"),  # a row of NEC's
        (b"\x1b$B|b\x1b(B", "ISO-2022-JP", "髙"),  # a row of IBM's
        (b"abc \x1b$BEl5~E", "ISO-2022-JP", "abc 東京\ufffd"),
        (b"\x1b$BEl5~\r\n\x1b(I1\x1b(B.", "ISO-2022-JP-MS", "東京\r\nｱ."),
        (b"\x1b$BEl5~\x1b(B", None, "東京"),
        (b"\x1b$BEl5~\x1b(B", "us-ascii", "東京"),
        (b"~{VPND~", "HZ-GB-2312", "中文\ufffd"),
        (b"\xad\xa1 " + "東京ﾃｽﾄ".encode("euc_jp"), "EUC-JP", "① 東京ﾃｽﾄ"),
        ("東京".encode(), "EUC-JP", "東京"),
        ("我哋嘅".encode("big5hkscs"), "Big5", "我哋嘅"),
        ("똠방".encode("cp949"), "ks_c_5601-1987", "똠방"),
        ("Größe".encode(), "iso-8859-1", "GrÃ¶ÃŸe"),
        ("“x”".encode("cp1252"), "iso-8859-1", "“x”"),
        ("Привет".encode("koi8-r"), "KOI8-R", "Привет"),
        (b"\xff\xfeA\x00", "utf-16", "A"),
        ("Größe".encode(), "us-ascii", "Größe"),
        ("你好".encode(), "gb2312x", "你好"),
        (b"abc\xff", "utf-8", "abc\ufffd"),
        ("你好".encode()[:5], None, "你\ufffd"),
        ("关于明天会".encode()[:-1] + b"...", None, "关于明天\ufffd..."),
        ("Grüße aus Köln".encode() + b", -- \xdcber uns", None, "Grüße aus Köln, -- \ufffdber uns"),
        (b"caf\xe9", None, "café"),
        ("我们在邮局门口见面".encode("gb18030"), None, "我们在邮局门口见面"),
    ],
)
def test_charsets(octets: bytes, label: str | None, text: str) -> None:
    assert decode(octets, label) == text


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("ISO_8859-1:1987", "latin1"),
        ("csISOLatin1", "latin1"),
        ("csShiftJIS", "shift_jis"),
        ("MS932", "shift_jis"),
        ("x-windows-949", "euc_kr"),
        ("ASMO-708", "iso8859-6"),
        ("ELOT_928", "iso8859-7"),
        ("ISO-8859-8-I", "iso8859-8"),
        ("win-1251", "cp1251"),
        ("l5", "iso8859-9"),
    ],
)
def test_charsets_have_many_names(label: str, codec: str) -> None:
    assert codec_for(label) is not None
    texts = {
        "shift_jis": "東京",
        "euc_kr": "안녕",
        "iso8859-6": "سلام",
        "iso8859-7": "Γειά",
        "iso8859-8": "שלום",
    }
    text = texts.get(codec, "Привет" if codec == "cp1251" else "Größe")
    assert decode(text.encode(codec), label) == text


def test_python_codecs_out_of_reach() -> None:
    for label in (
        "punycode",
        "idna",
        "unicode_escape",
        "rot13",
        "base64",
        "zlib",
        "undefined",
        "mbcs",
        "\0",
        "x" * 5000,
    ):
        assert codec_for(label) is None
        assert isinstance(decode(b"abc\xff", label), str)


@given(st.binary(max_size=300), st.sampled_from([*sorted(set(CODECS)), "unknown", ""]))
def test_decoding_never_fails(octets: bytes, label: str) -> None:
    assert decode(octets, label).encode("utf-8") is not None, "text that can be written"


def test_every_pair_of_jis_is_what_shift_jis_has_there() -> None:
    rows = [row for row in range(0x21, 0x7F) if row not in range(0x75, 0x79)]
    pairs = {bytes((row, cell)): row for row in rows for cell in range(0x21, 0x7F)}
    for pair in pairs:
        try:
            wanted = (b"\x1b$B" + pair + b"\x1b(B").decode("iso2022_jp")
        except UnicodeDecodeError:
            continue
        # A pair of NEC's before it makes Python's codec give up: ours has to read both.
        found = decode(b"\x1b$B-!" + pair + b"\x1b(B", "iso-2022-jp")
        assert found[0] == "①"
        assert (
            unicodedata.normalize("NFKC", found[1:]) == unicodedata.normalize("NFKC", wanted)
            or wanted in "〜‖−¢£¬"
        )


def test_headers_in_bare_japanese() -> None:
    raw = b"Subject: \x1b$BEl5~\x1b(B\r\n\r\n"
    assert Headers.scan(raw).text("subject") == "東京"
    assert "東京" in text_of(raw, scan(raw))[0]


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"+2AA-", "\ufffd"),
        (b"a+3AA-b", "a\ufffdb"),
        (b"+2D3eAA-", "\U0001f600"),
        (b"+2D0-+3gA-", "\U0001f600"),
        (b"+YuVUSg-", "拥告"),
        (b"+2AA-\xff", "\ufffd\ufffd"),
    ],
)
def test_utf7_gives_no_half_of_a_pair(octets: bytes, text: str) -> None:
    assert decode(octets, "utf-7") == text
    word = b"=?utf-7?B?" + base64.b64encode(octets) + b"?="
    assert Headers.scan(b"Subject: " + word + b"\r\n\r\n").text("subject") == text


def test_the_sample_lies_where_the_8_bit_text_is() -> None:
    plain = b"plain text " * CHARSET_SAMPLE
    assert decode_unlabelled(plain + "我们在邮局门口见面".encode("gb18030")).endswith("我们在邮局门口见面")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?a_b=C3=A4?=", "a bä"),
        (b"=?UTF-8?B?5L2g?= =?utf-8?b?5aW9?=", "你好"),
        (b"=?utf-8?b?5L2g5Q==?= =?utf-8?b?pb0=?=", "你好"),  # a character cut in two
        (b"a =?utf-8?q?b?= c", "a b c"),
        (b"=?utf-8?q?a?=b=?utf-8?q?c?=", "abc"),
        (b"=?utf-8*de?q?x?=", "x"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"=?utf-8?b?!?=", ""),
        (b"=?gb2312?B?08q+1g==?=", "邮局"),
        ("raw Größe".encode(), "raw Größe"),
        (b"=?iso-8859-1?Q?Gr\xfc\xdfe?=", "Grüße"),  # octets that should have been encoded
        ("=?utf-8?Q?Grüße?= an Jürgen".encode(), "Grüße an Jürgen"),
        (b"=?iso-8859-1?Q?a?= =?iso-8859-1?Q?\xe4?= \xfcber", "aä über"),
    ],
)
def test_header_values(raw: bytes, text: str) -> None:
    assert decode_value(raw) == text


def test_header_section() -> None:
    headers = Headers.scan(b"From x@y Mon\r\nA: 1\r\n 2\r\nno colon\r\nb : 3\r\nA: 4\r\n\r\nC: 5\r\n")
    assert [(field.name, field.start) for field in headers] == [(b"A", 14), (b"b", 34), (b"A", 41)]
    assert headers.first("a") == b"1 2"
    assert headers.all("A") == [b"1 2", b"4"]
    assert headers.first("B") == b"3"
    assert "c" not in headers
    assert headers.raw[headers.end :] == b"C: 5\r\n"


def test_values_are_read_to_their_limit() -> None:
    headers = Headers.scan(b"To: " + b"a" * (HEADER_VALUE + 100) + b"\r\n\r\n")
    assert len(headers.first("to") or b"") == HEADER_VALUE - 1  # the blank behind the colon counts


def test_comments_within_comments() -> None:
    (mailbox,) = flat(parse_mailbox_list(b"a@b " + b"(" * 50 + b"x" + b")" * 50))
    assert mailbox.address == "a@b"
    deep = flat(parse_mailbox_list(b"(" * (COMMENT_DEPTH + 5) + b"x" + b")" * (COMMENT_DEPTH + 5) + b" a@b"))
    assert len(deep) <= 1


@pytest.mark.parametrize(
    "beside",
    [b"", b", Friends: d@e.test;", b", (away) d@e.test", b", <@hop.test:d@e.test>", b", d . e @ f.test"],
)
@pytest.mark.parametrize("name", ["Dr. J. Doe", "John Q. Public", "J. R. R. Tolkien"])
def test_a_name_keeps_its_dots_and_gaps_whatever_stands_beside_it(name: str, beside: bytes) -> None:
    """RFC 5322 §4.1: a phrase may have dots, and the white space around them is no part of a local part there."""
    first, *others = flat(parse_mailbox_list(f"{name} <j . doe@b.test>".encode() + beside))
    assert (first.name, first.address) == (name, "j.doe@b.test")
    assert [each.address for each in others] in ([], ["d@e.test"], ["d.e@f.test"])


@pytest.mark.parametrize(
    "pieces",
    [
        ("utf-8''f%C3%BCr%20", "alle%C3%A4"),
        ("utf-8''f%C3", "%BCr%20alle%C3%A4"),
        ("utf-8''f%C", "3%BCr%2", "0alle%C3%A", "4"),
    ],
)
def test_octets_may_be_cut_between_pieces_of_a_parameter(pieces: tuple[str, ...]) -> None:
    """RFC 2231 §3; cut within an escape is what careless programs do."""
    value = "x/y; " + "; ".join(f"name*{i}*={piece}" for i, piece in enumerate(pieces))
    assert parameter(parse_media_type(value.encode())[2], "name") == "für alleä"


def test_mailboxes_as_text() -> None:
    mailbox = Mailbox("=?utf-8?q?J=C3=B6rg?=", None, "a b", "c.test")
    assert mailbox.display_name == "Jörg"
    assert mailbox.address == '"a b"@c.test'


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("<p>one</p><p>two &amp; three</p>", "one two & three"),
        ("<style>p{}</style><script>x</script><head><title>t</title></head>b", "b"),
        ("a<!-- c -->b<br>c", "ab c"),
        ("a < b and <x@y.test>", "a < b and"),
        ("<b>邮</b>局&#65;&nbsp;", "邮局A"),
        ("<HEAD><p>shown", "shown"),
        ("Hi<img alt=\"Shop now >\" src = 'a>b' width=3> there", "Hi there"),
        ("<p title=Bob's>it's</p><a href=x?a=\"b>c</a>", "it's c"),
        ("<!-->shown<!-- not -->", "shown"),
    ],
)
def test_html(source: str, text: str) -> None:
    assert " ".join(html_text(source).split()) == text


def test_previews() -> None:
    def of(raw: bytes) -> str:
        return preview(raw, scan(raw))

    assert of(b"\r\n  one\r\n\r\ntwo  ") == "one two"
    assert of(b"Content-Type: text/html\r\n\r\n<style>x</style><p>Hi <b>you</b>") == "Hi you"
    assert of(b"Content-Type: image/png\r\n\r\nx") == ""
    assert of(b"\r\n" + b"word " * 100) == ("word " * 40).rstrip()
    assert of("\r\n\u200f\x07你".encode()) == "你"
    assert of("\r\nمی\u200cخواهم 👩\u200d💻".encode()) == "می\u200cخواهم 👩\u200d💻"
    padded = "<p>Sale" + "&zwnj;&nbsp;" * 300
    assert of(b"Content-Type: text/html\r\n\r\n" + padded.encode()) == "Sale"
    long = "\r\n".join(["東京都" * 10] * 2000).encode("iso2022_jp")
    assert of(b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + long).startswith("東京都東京都")
    style = b"<style>" + b"x" * PREVIEW_SOURCE + b"</style>late"
    assert of(b"Content-Type: text/html\r\n\r\n" + style) == "", "only the beginning of a part is looked at"
    mixed = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    attached = b"--b\r\nContent-Disposition: attachment\r\n\r\nno\r\n"
    assert of(mixed + attached + b"--b\r\n\r\nyes\r\n") == "yes"


def test_texts_of_parts_are_kept_apart() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nend\r\n--b\r\n\r\nstart\r\n--b--\r\n"
    assert text_of(raw, scan(raw))[1] == "end\0start"


def test_what_a_bounce_says_of_a_delivery_is_searched() -> None:
    raw = (
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\nIt came back.\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        b"Final-Recipient: rfc822; gone@elsewhere.test\r\nDiagnostic-Code: smtp; 550 no such user\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: lost\r\n\r\nletter\r\n--b--\r\n"
    )
    body = text_of(raw, scan(raw))[1]
    assert "no such user" in body
    assert body.count("letter") == 1, "a message that came along is still read as one"


def test_text_beyond_the_limit_is_not_searched() -> None:
    one = b"--b\r\n\r\nstart" + b"x" * (SEARCH_TEXT - 20) + b"\r\n"
    raw = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        + one
        + b"--b\r\n\r\nsecond text, cut off\r\n--b--\r\n"
    )
    body = text_of(raw, scan(raw))[1]
    assert body.startswith("start")
    assert body.endswith("xx\0second text, cu")


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", Date(880127706, -360)),
        ("21 Nov 97 09:55:06 GMT", Date(880106106, 0)),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", Date(880127706, -360)),
        ("Fri, 21 Nov 1997 09:55:06 EST", Date(880124106, -300)),
        ("Fri Nov 21 09:55:06 1997", Date(880106106, 0)),
        ("1997-11-21T09:55:06Z", Date(880106106, 0)),
        ("Thu, 1 Jan 1970 00:00:00 +0000", Date(0, 0)),
        ("Wed, 31 Dec 2008 23:59:60 +0000", Date(1230768000, 0)),
        ("", None),
        ("31 Feb 2020 00:00:00 +0000", None),
        ("1 Foo 2020 00:00:00 +0000", None),
        ("no date", None),
    ],
)
def test_dates(text: str, date: Date | None) -> None:
    assert parse_date(text) == date


@given(st.integers(0, 2**33), st.integers(-14 * 60, 14 * 60))
def test_dates_survive_writing_and_reading(seconds: int, offset: int) -> None:
    assert parse_date(format_date(seconds, offset)) == Date(seconds, offset)
    assert parse_internal_date(format_internal_date(seconds, offset)) == Date(seconds, offset)


def test_internal_dates() -> None:
    then = datetime(1996, 7, 5, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7)))
    assert format_internal_date(int(then.timestamp()), -420) == " 5-Jul-1996 02:44:25 -0700"
    for text in ("1-Jul-1996 02:44:25 +0000", " 1-Jul-1996 02:44 +0000", "32-Jul-1996 02:44:25 +0000", ""):
        assert parse_internal_date(text) is None
    late = parse_date("Sat, 1 Mar 2025 23:30:00 -0500")
    early = parse_date("Sat, 1 Mar 2025 00:30:00 +0800")
    assert late is not None and early is not None
    assert late.day == early.day, "the calendar day of the sender's clock"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_header_text_survives_writing_and_reading(text: str) -> None:
    raw = format_field("Subject", text)
    assert all(len(line) <= COMPOSED_LINE for line in raw.decode().split("\r\n") if " " in line.strip())
    assert raw.isascii()
    headers = Headers.scan(raw + b"\r\n")
    assert len(headers) == 1
    read = headers.text("subject") or ""
    clean = "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in text)
    if "=?" not in text:
        assert read.split() == clean.split()


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("text", ["x" * 2000, "a " + "x" * 901 + " b " + "y" * 901, "报" * 400, "é" * 450])
def test_no_value_makes_a_line_too_long(text: str, utf8: bool) -> None:
    raw = format_field("Subject", text, utf8=utf8) + b"\r\n"
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 §2.1.1
    assert Headers.scan(raw).text("subject") == text
    raw = format_field("To", format_mailbox(text, "a", "b.test")) + b"\r\n"
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_no_value_begins_a_field_of_its_own() -> None:
    raw = compose([("Subject", "x\r\nBcc: victim@x.test\n\nbody")], text_body("t"))
    assert "bcc" not in Headers.scan(raw)
    assert format_mailbox("a\r\nBcc: b", "c", "d") == '"a Bcc: b" <c@d>'


def test_composed_reports_are_read_by_others() -> None:
    original = b"Subject: first\r\n\r\nhello\r\n"
    parts = [
        text_body("Grüße\nund mehr\n"),
        text_body("x: y\n", "message/delivery-status"),
        message_body(original),
    ]
    report = multipart("report", parts, "=_b", "; report-type=delivery-status")
    fields = [
        ("From", format_mailbox("Pöst, House", "mailer-daemon", "north.test")),
        ("Subject", "Unzustellbar: 邮件" * 9),
    ]
    raw = compose(fields, report)
    assert b"\n" not in raw.replace(b"\r\n", b"")
    read = email.message_from_bytes(raw, policy=email.policy.default)
    assert not any(part.defects for part in read.walk())
    assert read["subject"] == "Unzustellbar: 邮件" * 9
    assert read["from"].addresses[0].display_name == "Pöst, House"
    assert read.get_content_type() == "multipart/report"
    text, status, embedded = read.iter_parts()
    assert text.get_content().splitlines() == ["Grüße", "und mehr"]
    assert status.get_content_type() == "message/delivery-status"
    assert embedded.get_content()["subject"] == "first"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("plain\n", "7bit"),
        ("grün\n" + "x" * 60, "quoted-printable"),
        ("你好\n", "base64"),
        ("x" * 999, "quoted-printable"),
        ("a\0", "quoted-printable"),
    ],
)
def test_text_bodies(text: str, encoding: str) -> None:
    body = text_body(text)
    assert body.encoding == encoding
    read = email.message_from_bytes(compose([], body), policy=email.policy.default)
    payload = read.get_payload(decode=True)
    assert isinstance(payload, bytes)
    assert payload.replace(b"\r\n", b"\n") == text.encode()
    assert max(map(len, body.octets.split(b"\r\n"))) <= 998


def test_line_ends() -> None:
    assert crlf(b"a\nb\r\nc\rd") == b"a\r\nb\r\nc\r\nd"
