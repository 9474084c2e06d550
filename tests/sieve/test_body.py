"""`body` (RFC 5173)."""

from __future__ import annotations

import base64

import pytest

from posthouse.limits import SIEVE_BODY
from posthouse.sieve.actions import FileInto
from tests.sieve.running import actions, holds, refusal

MULTIPART = b"""From: Whomever
To: Someone
Date: Whenever
Subject: whatever
Content-Type: multipart/mixed; boundary=outer

This is a multi-part message in MIME format.

--outer
Content-Type: multipart/alternative; boundary=inner

This is a nested multi-part message in MIME format.

--inner
Content-Type: text/plain; charset="us-ascii"

Hello

--inner
Content-Type: text/html; charset="us-ascii"

<html><body>Good<b>bye</b> World</body></html>

--inner--

This is the end of the inner MIME multipart.

--outer
Content-Type: message/rfc822

From: Someone Else
Subject: hello request

Please say Hi

--outer--

This is the end of the outer MIME multipart.
""".replace(b"\n", b"\r\n")
"""RFC 5173 §5.2."""


@pytest.mark.parametrize(
    ("test", "true"),
    [
        ('body :content "multipart" :contains "MIME"', True),
        ('body :content "multipart" :contains "Hello"', False),
        ('body :content "multipart" :contains "inner MIME multipart"', True),
        ('body :content "multipart/mixed" :contains "inner MIME multipart"', False),
        ('body :content "multipart/mixed" :contains "outer MIME multipart"', True),
        ('body :content "multipart/mixed" :contains "--outer"', False),
        ('body :content "multipart/mixed" :matches "This is a multi-part message in MIME format.*"', True),
        ('body :content "text/plain" :contains "Hello"', True),
        ('body :content "text/plain" :contains "say Hi"', True),
        ('body :content "text/html" :contains "Hello"', False),
        ('body :content "text/html" :contains "Good<b>bye</b>"', True),
        ('body :content "text" :contains ["Good<b>bye</b>", "x"]', True),
        ('body :content "message/rfc822" :contains "hello request"', True),
        ('body :content "message/rfc822" :contains "Please"', False),
        ('body :content "message/rfc822" :contains "whatever"', False),
        ('body :content "" :contains "Someone Else"', True),
        ('body :content "audio" :contains ""', False),
        ('body :content "text" :contains ""', True),
        ('body :content ["/text", "text/", "text/plain/x", "/"] :contains ""', False),
        ('body :content "TEXT/Plain" "hello\n"', True),
        ('body :text :contains "Goodbye World"', True),
        ('body :contains "Goodbye World"', True),
        ('body :text :contains "<body>"', False),
        ('body :contains "Subject: hello"', False),
        ('body :raw :contains "--outer"', True),
        ('body :raw :contains "Subject: hello request"', True),
        ('body :raw :contains "Whomever"', False),
        ('body :raw :matches "This is a multi-part*end of the outer*"', True),
    ],
)
def test_what_is_looked_at(test: str, true: bool) -> None:
    assert holds(test, MULTIPART, require="body") is true


def test_encodings_and_charsets_are_undone_unless_it_is_raw() -> None:
    """RFC 5173 §5.2."""
    encoded = base64.encodebytes("Grüße aus Köln\0!".encode("iso-8859-1"))
    message = (
        b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    )
    assert holds('body :contains "Grüße"', message, require="body")
    assert holds('body :content "text" :contains "!"', message, require="body")
    assert not holds('body :raw :contains "Grüße"', message, require="body")
    quoted = b"Content-Transfer-Encoding: quoted-printable\r\n\r\nMissile=\r\ns\r\n"
    assert holds('body :contains "missiles"', quoted, require="body")


def test_a_part_of_a_type_is_there() -> None:
    message = b"Content-Type: audio/mp3\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
    script = """require ["body", "fileinto"];
        if body :content "audio/mp3" :contains "" { fileinto "jukebox"; }"""
    assert actions(script, message) == (FileInto(line=2, mailbox="jukebox"),)


@pytest.mark.parametrize(
    ("message", "true"),
    [
        (b"Subject: a\r\n", False),
        (b"Subject: a", False),
        (b"Subject: a\r\n\r\n", True),
        (b"Subject: a\n\n", True),
        (b"\r\n", True),
        (b"", False),
    ],
)
def test_without_an_empty_line_there_is_no_body(message: bytes, true: bool) -> None:
    """RFC 5173 §4."""
    for transform in ("", ":raw", ':content "text"'):
        assert holds(f'body {transform} :contains ""', message, require="body") is true


def test_match_variables_are_left_alone() -> None:
    """RFC 5173 §6."""
    script = """require ["body", "variables", "fileinto"];
        if header :matches "subject" "* present *" {
            if body :raw :matches "*anvil*" { fileinto "${1}"; }
        }"""
    assert actions(script) == (FileInto(line=3, mailbox="I have a"),)


@pytest.mark.parametrize("transform", [":raw", ":text", ':content "text"'])
def test_the_first_octets_are_looked_at(transform: str) -> None:
    far = b"\r\n" + b"x" * SIEVE_BODY + b" needle"
    near = b"\r\n" + b"x" * (SIEVE_BODY - 7) + b" needle"
    assert not holds(f'body {transform} :contains "needle"', far, require="body")
    assert holds(f'body {transform} :contains "needle"', near, require="body")


def test_the_first_octets_of_all_parts_together() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    parts = b"--b\r\n\r\n" + b"x" * SIEVE_BODY + b"\r\n--b\r\n\r\nneedle\r\n--b--\r\n"
    assert not holds('body :contains "needle"', head + parts, require="body")
    assert holds('body :contains "needle"', head + parts.replace(b"x", b""), require="body")


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ('body :raw :text "a"', "line 1: :raw and :text cannot both be"),
        ('body :content :contains "a"', "line 1: :content must be followed by a string or a list of strings"),
        ("body", 'line 1: "body" takes 1 argument (keys), not 0'),
    ],
)
def test_wrong_uses(test: str, said: str) -> None:
    assert refusal(f'require "body"; if {test} {{ keep; }}').startswith(said)
