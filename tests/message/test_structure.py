"""ENVELOPE, BODYSTRUCTURE, BODY and sections: what RFC 9051 says, case by case."""

from __future__ import annotations

import pytest

from posthouse.limits import BOUNDARY_SIZE, HEADER_PARAMETERS
from posthouse.message.headers import Headers
from posthouse.message.mime import scan
from posthouse.message.section import (
    Span,
    find_part,
    header_span,
    mime_span,
    part_span,
    text_span,
)
from posthouse.message.structure import body, body_structure, envelope
from posthouse.message.transfer import decode_transfer
from posthouse.store.derive import derive


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def envelope_of(header: str) -> str:
    return envelope(Headers.scan(crlf(header + "\n\n"))).decode("utf-8", "surrogateescape")


# RFC 9051 §8: the message of the sample connection.
SAMPLE = crlf("""\
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <gray@cac.washington.edu>
Subject: IMAP4rev2 WG mtg summary and minutes
To: imap@cac.washington.edu
cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>
Message-Id: <B27397-0100000@cac.washington.edu>
MIME-Version: 1.0
Content-Type: TEXT/PLAIN; CHARSET=US-ASCII

one
two
""")


def test_the_sample_of_the_standard() -> None:
    assert envelope(Headers.scan(SAMPLE)).decode() == (
        '("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev2 WG mtg summary and minutes"'
        ' (("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu"))'
        ' (("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu"))'
        ' ((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL'
        ' "<B27397-0100000@cac.washington.edu>")'
    )
    assert body(scan(SAMPLE)) == b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 10 2)'
    assert body_structure(scan(SAMPLE)) == (
        b'("text" "plain" ("charset" "US-ASCII") NIL NIL "7bit" 10 2 NIL NIL NIL NIL)'
    )


DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID = range(10)


def test_nothing_is_nil() -> None:
    assert envelope_of("X: y") == "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_of_several_the_last_counts() -> None:
    """RFC 8621 §4.1.3 says so for JMAP, and one mailbox must not show two subjects."""
    added = "Subject: added\nDate: Fri, 1 Jan 2027 00:00:00 +0000"
    twice = f"{added}\nSubject: signed\nDate: Mon, 7 Feb 1994 21:52:25 -0800"
    assert envelope_of(twice).startswith('("Mon, 7 Feb 1994 21:52:25 -0800" "signed" ')
    assert derive(crlf(f"{twice}\n\n"), 1).sent_at == 760_686_745


@pytest.mark.parametrize(
    ("header", "place", "expected"),
    [
        # RFC 9051 §7.5.2: present but empty is an empty string; empty addresses are NIL.
        ("Subject:", SUBJECT, '""'),
        ("Date: ", DATE, '""'),
        ("To: ", TO, "NIL"),
        (
            "To: A Group: b@c, D <d@e>;",
            TO,
            '((NIL NIL "A Group" NIL)(NIL NIL "b" "c")("D" NIL "d" "e")(NIL NIL NIL NIL))',
        ),
        ("Cc: undisclosed-recipients:;", CC, '((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL))'),
        ("Bcc: <@x.y,@z:a@b>", BCC, '((NIL "@x.y,@z" "a" "b"))'),
        # A local part is given after removing quoting; a name keeps its encoded words.
        (
            'To: "a\\"b c"@d, =?utf-8?q?=C3=A4?= <e@f>',
            TO,
            '((NIL NIL "a\\"b c" "d")("=?utf-8?q?=C3=A4?=" NIL "e" "f"))',
        ),
        ('Subject: a "b" \\ c', SUBJECT, '"a \\"b\\" \\\\ c"'),
        ("Subject: folded\n\there", SUBJECT, '"folded\there"'),
        ("Subject: Größe", SUBJECT, "{7}\r\nGröße"),
        ("Subject: a\udcffb\0c", SUBJECT, "{4}\r\na\udcffbc"),
        ("To: a@b\nTo: c@d", TO, '((NIL NIL "a" "b")(NIL NIL "c" "d"))'),
        ("To: root", TO, '((NIL NIL "root" ""))'),
        ("In-Reply-To: <a@b>", IN_REPLY_TO, '"<a@b>"'),
        ("Message-ID: <a@b>", MESSAGE_ID, '"<a@b>"'),
    ],
)
def test_envelopes(header: str, place: int, expected: str) -> None:
    fields = ["NIL"] * 10
    fields[place] = expected
    assert envelope_of(header) == f"({' '.join(fields)})"


def test_sender_and_reply_to_default_to_from() -> None:
    a, c = '((NIL NIL "a" "b"))', '((NIL NIL "c" "d"))'
    assert envelope_of("From: a@b\nSender:\nReply-To: c@d") == f"(NIL NIL {a} {a} {c} NIL NIL NIL NIL NIL)"


def part_of(header: str, content: str = "x\n") -> str:
    return body_structure(scan(crlf(f"{header}\n\n{content}"))).decode("utf-8", "surrogateescape")


TEXT = '("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL {} NIL)'
PICTURE = """\
Content-Type: image/png; name=a.png
Content-ID: <1@x>
Content-Description: a picture
Content-Transfer-Encoding: BASE64
Content-MD5: Q2==
Content-Disposition: inline; filename="b c.png"
Content-Language: en, fr
Content-Location: http://x/y"""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Subject: x", TEXT.format("NIL NIL")),
        ("Content-Language: de", TEXT.format('NIL "de"')),
        ("Content-Disposition: attachment", TEXT.format('("attachment" NIL) NIL')),
        ("Content-Type: multipart/mixed", TEXT.format("NIL NIL")),
        ("Content-Type: text", TEXT.format("NIL NIL")),
        (
            PICTURE,
            '("image" "png" ("name" "a.png") "<1@x>" "a picture" "base64" 3'
            ' "Q2==" ("inline" ("filename" "b c.png")) ("en" "fr") "http://x/y")',
        ),
    ],
)
def test_single_parts(header: str, expected: str) -> None:
    assert part_of(header) == expected


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        # RFC 2231 §3: pieces are joined; §4: an extended value stays in that form under its name with a star.
        ('a/b; url*1="two"; url*0=one', '"a" "b" ("url" "onetwo")'),
        ("a/b; n*0*=iso-8859-1''%e4; n*1=x.pdf", '"a" "b" ("n*" "utf-8\'\'%C3%A4x.pdf")'),
        ("a/b; n*=us-ascii'en'plain%20text", '"a" "b" ("n" "plain text")'),
        ('A/B; Name=x; other = "y z" (comment)', '"a" "b" ("name" "x" "other" "y z")'),
        ("message/delivery-status", '"message" "delivery-status" NIL'),
        ("message/rfc822\nContent-Transfer-Encoding: base64", '"application" "octet-stream" NIL'),
    ],
)
def test_media_types(media_type: str, expected: str) -> None:
    assert part_of(f"Content-Type: {media_type}").startswith(f"({expected} NIL NIL ")


NESTED = crlf("""\
Subject: outer
Content-Type: multipart/mixed; boundary=b

preamble
--b

first
--b
Content-Type: message/rfc822

Subject: inner
Content-Type: multipart/alternative; boundary="b2"

--b2
Content-Type: text/plain

plain
--b2
Content-Type: text/html
Content-Transfer-Encoding: quoted-printable

<p>=E4
--b2--
epilogue of the inner
--b--
epilogue
""")


def cut(span: Span | None) -> bytes | None:
    return None if span is None else NESTED[span.start : span.end]


def test_nested_parts() -> None:
    octets, lines = sizes()
    assert body(scan(NESTED)) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("message" "rfc822" NIL NIL NIL "7bit" %d'
        b' (NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL)'
        b' (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("text" "html" NIL NIL NIL "quoted-printable" 6 0) "alternative") %d) "mixed")'
    ) % (octets, lines)


def sizes() -> tuple[int, int]:
    """Octets and line ends of the embedded message, cut out by hand."""
    start = NESTED.index(b"Subject: inner")
    inner = NESTED[start : NESTED.index(b"\r\n--b--")]
    return len(inner), inner.count(b"\n")


def test_sections() -> None:
    root = scan(NESTED)
    assert cut(part_span(root, [])) == NESTED
    header, text = cut(header_span(root)), cut(text_span(root))
    assert header is not None and text is not None
    assert header + text == NESTED
    assert header.endswith(b"boundary=b\r\n\r\n")
    assert cut(part_span(root, [1])) == b"first"
    assert cut(mime_span(root, [1])) == b"\r\n"
    assert cut(part_span(root, [2])).startswith(b"Subject: inner\r\n")  # type: ignore[union-attr]
    assert cut(header_span(root, [2])).startswith(b"Subject: inner\r\n")  # type: ignore[union-attr]
    assert cut(text_span(root, [2])).startswith(b"--b2\r\n")  # type: ignore[union-attr]
    assert cut(mime_span(root, [2])) == b"Content-Type: message/rfc822\r\n\r\n"
    assert cut(part_span(root, [2, 1])) == b"plain"
    assert cut(part_span(root, [2, 2])) == b"<p>=E4"
    for missing in ([3], [0], [1, 1], [2, 3], [2, 1, 1], [2, 2, 1]):
        assert part_span(root, missing) is None
    # RFC 9051 §6.4.5.1: HEADER and TEXT are of messages only.
    assert header_span(root, [1]) is None
    assert text_span(root, [2, 1]) is None


def test_a_plain_message_has_a_part_1() -> None:
    root = scan(SAMPLE)
    assert part_span(root, [1]) == text_span(root)
    assert mime_span(root, [1]) == header_span(root)
    assert part_span(root, [2]) is None
    embedded = scan(b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody")
    assert part_span(embedded, [1, 1]) == Span(embedded.body_end - 4, embedded.body_end)


def test_partial() -> None:
    assert Span(10, 20).partial(0, 4) == Span(10, 14)
    assert Span(10, 20).partial(8, 100) == Span(18, 20)
    assert Span(10, 20).partial(30, 5) == Span(20, 20)


def test_transfer_encodings_are_undone() -> None:
    root = scan(NESTED)
    html = find_part(root, [2, 2])
    assert html is not None
    assert decode_transfer(NESTED[html.body_start : html.body_end], html.encoding) == b"<p>\xe4"
    for encoding, octets, expected in [
        ("base64", b"aGVs\r\nbG8=\r\n", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),
        ("base64", b"aGV*sbG8=!", b"hello"),
        ("base64", b"a", b""),
        ("quoted-printable", b"a=\r\nb=3D=zz", b"ab==zz"),
        ("quoted-printable", b"a= \t\r\nb=\t\nc = \r\n = d\r\n", b"abc  = d\r\n"),  # RFC 2045 §6.7 rule 3
        ("8bit", b"\xff", b"\xff"),
    ]:
        assert decode_transfer(octets, encoding) == expected
    assert decode_transfer(b"", "x-strange") is None


def children_of(boundary: str, content: str) -> list[bytes]:
    raw = crlf(f'Content-Type: multipart/mixed; boundary="{boundary}"\n\n{content}')
    return [raw[part.body_start : part.body_end] for part in scan(raw).children]


def test_delimiters() -> None:
    assert children_of("b", "--b\n\none\n--b\n\ntwo\n--b--\n") == [b"one", b"two"]
    assert children_of("b", "--b \t\n\none\n--b--  \n") == [b"one"], "white space may follow"
    assert children_of("b", "--b\n\none\n--bb\n--b-\n--b--\n") == [b"one\r\n--bb\r\n--b-"]
    assert children_of("b", "--b\n\none --b\n --b\n--b--") == [b"one --b\r\n --b"], (
        "only at the beginning of a line"
    )
    assert children_of("b", "--b\n\nnever closed") == [b"never closed"]
    assert children_of("b", "--b\n\none\n\n--b--") == [b"one\r\n"], "one line end belongs to the delimiter"
    assert children_of("b", "--b\nX: y\n--b--\n") == [b""], "a header and no body"
    assert children_of("a b", "--a b\n\none\n--a b--\n") == [b"one"]


def test_a_boundary_may_begin_another_one() -> None:
    inner = 'Content-Type: multipart/mixed; boundary="bb"\n\n--bb\n\none\n--bb--\n'
    raw = crlf(f"Content-Type: multipart/mixed; boundary=b\n\n--b\n{inner}\n--b\n\ntwo\n--b--\n")
    root = scan(raw)
    assert [len(part.children) for part in root.children] == [1, 0]


def test_an_outer_delimiter_ends_inner_parts() -> None:
    raw = crlf("Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n"
               "--i\n\none\n--o\n\ntwo\n--o--\n")  # fmt: skip
    root = scan(raw)
    assert [raw[part.body_start : part.body_end] for part in root.children[0].children] == [b"one"]
    assert raw[root.children[1].body_start : root.children[1].body_end] == b"two"


def test_digests_hold_messages() -> None:
    root = scan(crlf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ntext\n--b--\n"))
    assert root.children[0].message is not None
    assert root.children[0].envelope.startswith(b'(NIL "x"')


def test_limits_of_one_field() -> None:
    many = "".join(f"; p{i}=v" for i in range(HEADER_PARAMETERS + 50))
    assert len(scan(crlf(f"Content-Type: a/b{many}\n\n")).parameters) == HEADER_PARAMETERS
    long = "x" * (BOUNDARY_SIZE + 1)
    assert children_of(long, f"--{long}\n\none\n--{long}--\n") == []
    assert children_of(long[1:], f"--{long[1:]}\n\none\n--{long[1:]}--\n") == [b"one"]
