"""`addheader` and `deleteheader` (RFC 5293)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.limits import SIEVE_FIELD, SIEVE_HEADER_EDITS
from posthouse.message.headers import Headers
from posthouse.sieve.actions import FileInto, Keep
from tests.sieve.running import MESSAGE, actions, outcome, refusal

FIELDS = (
    b"Received: from a by b; Mon, 26 Feb 2007 15:00:01 +0100\r\n"
    b"X-Hello: one\r\n"
    b"Auto-Submitted: no\r\n"
    b"X-Hello:  two\r\n\t folded \r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"x-hello: three\r\n"
    b"\r\n"
    b"X-Hello: body\r\n"
)


def changed(commands: str, message: bytes = FIELDS) -> bytes:
    """The message as it is after these commands."""
    found = outcome(f'require ["editheader", "variables", "fileinto", "copy"]; {commands}', message)
    assert found.fault == ""
    return message if found.content is None else found.content


def hellos(commands: str) -> list[bytes]:
    return Headers.scan(changed(commands)).all("x-hello")


def test_a_field_is_added_at_either_end() -> None:
    """RFC 5293 §4."""
    assert changed('addheader "X-A" "b";') == b"X-A: b\r\n" + FIELDS
    head, body = FIELDS.split(b"\r\n\r\n")
    assert changed('addheader :last "X-A" "b";') == head + b"\r\nX-A: b\r\n\r\n" + body


@pytest.mark.parametrize(
    ("message", "last"),
    [
        (b"A: b\n\nbody\n", b"A: b\nX-A: b\n\nbody\n"),
        (b"A: b\r\n", b"A: b\r\nX-A: b\r\n"),
        (b"A: b", b"A: b\r\nX-A: b\r\n"),
        (b"", b"X-A: b\r\n"),
        (b"\r\nbody", b"X-A: b\r\n\r\nbody"),
    ],
)
def test_any_header_can_get_a_last_field(message: bytes, last: bytes) -> None:
    assert changed('addheader :last "X-A" "b";', message) == last


def test_what_is_not_ascii_is_encoded_and_nothing_begins_a_field() -> None:
    """RFC 5293 §4."""
    raw = changed('addheader "Subject" "Grüße\nBcc: all@example.org";')
    headers = Headers.scan(raw)
    assert raw.split(b"\r\n\r\n")[0].isascii()
    assert headers.text("subject") == "Grüße Bcc: all@example.org"
    assert headers.first("bcc") is None


def test_long_values_are_folded_and_too_long_ones_are_errors() -> None:
    raw = changed(f'addheader "X-A" "{"word " * 199}end";')
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert Headers.scan(raw).text("x-a") == "word " * 199 + "end"
    said = f"the value of a field may have {SIEVE_FIELD:,} characters"
    long = "x" * (SIEVE_FIELD + 1)
    assert refusal(f'require "editheader"; addheader "a" "{long}";') == f"line 1: {said}"
    script = f'require ["editheader", "variables"]; set "a" "{long}"; addheader "a" "${{a}}";'
    assert outcome(script).fault == f"line 1: {said}"
    assert changed(f'addheader "a" "{long[1:]}";')


@pytest.mark.parametrize(
    ("commands", "left"),
    [
        ('deleteheader "X-HELLO";', []),
        ('deleteheader :index 1 "x-hello";', [b"two\t folded", b"three"]),
        ('deleteheader :index 1 :last "x-hello";', [b"one", b"two\t folded"]),
        ('deleteheader :index 3 "x-hello";', [b"one", b"two\t folded"]),
        ('deleteheader :index 4 "x-hello";', [b"one", b"two\t folded", b"three"]),
        ('deleteheader :index 4 :last "x-hello";', [b"one", b"two\t folded", b"three"]),
        ('deleteheader "x-hello" "ONE";', [b"two\t folded", b"three"]),
        ('deleteheader :contains "x-hello" ["o"];', [b"three"]),
        ('deleteheader :matches "x-hello" ["t*"];', [b"one"]),
        ('deleteheader :index 1 :contains "x-hello" "two";', [b"one", b"two\t folded", b"three"]),
        ('deleteheader :comparator "i;octet" "x-hello" "ONE";', [b"one", b"two\t folded", b"three"]),
        ('deleteheader "x-none";', [b"one", b"two\t folded", b"three"]),
        # RFC 5293 §7: each sees what the one before has left.
        ('deleteheader :index 1 "X-Hello"; deleteheader :index 2 "X-Hello";', [b"two\t folded"]),
        (
            'addheader "X-Hello" "World"; deleteheader :index 1 "X-Hello";',
            [b"one", b"two\t folded", b"three"],
        ),
    ],
)
def test_fields_are_removed(commands: str, left: list[bytes]) -> None:
    """RFC 5293 §5."""
    assert hellos(commands) == left
    assert changed(commands).endswith(b"\r\n\r\nX-Hello: body\r\n")


def test_encoded_words_are_compared_as_text() -> None:
    assert Headers.scan(changed('deleteheader "subject" "grüße";')).first("subject") is None


@pytest.mark.parametrize(
    "command",
    [
        'deleteheader "Received"',
        'deleteheader "auto-submitted"',
        'deleteheader :index 1 "RECEIVED"',
        'addheader "Received" "x"',
        'addheader "Authentication-Results" "mx.example.org; dkim=pass"',
        'addheader "Original-From" "x"',
    ],
)
def test_what_says_where_a_message_has_been_stays(command: str) -> None:
    """RFC 5293 §6: silently."""
    assert changed(f"{command};") == FIELDS


def test_the_subject_can_be_replaced() -> None:
    raw = changed('deleteheader "Subject"; addheader :last "Subject" "[list] a";')
    assert Headers.scan(raw).all("subject") == [b"[list] a"]


def test_later_tests_see_it() -> None:
    """RFC 5293 §7."""
    script = """require ["editheader", "fileinto"]; addheader "X-Hello" "World";
        if header :contains "X-Hello" "World" { fileinto "international"; }"""
    assert actions(script) == (FileInto(line=2, mailbox="international"),)
    script = """require "editheader"; deleteheader "Subject"; if exists "subject" { discard; }"""
    assert actions(script) == (Keep(),)


def test_a_changed_message_is_the_same_message() -> None:
    """RFC 5293 §7."""
    found = outcome('require "editheader"; keep; addheader "X-Flavor" "vanilla"; keep;')
    assert found.actions == (Keep(line=1),)
    assert found.content == b"X-Flavor: vanilla\r\n" + MESSAGE


def test_a_fault_leaves_the_message_as_it_was() -> None:
    """RFC 5293 §7."""
    found = outcome('require ["editheader", "variables"]; addheader "a" "b"; addheader "${x}" "b";')
    assert (found.fault, found.content) == ('line 1: "" cannot be the name of a field', None)


def test_match_variables_are_left_alone() -> None:
    script = """require ["editheader", "variables", "fileinto"];
        if header :matches "x-hello" "o*" { deleteheader :matches "x-hello" "t*"; fileinto "${1}"; }"""
    assert actions(script, FIELDS) == (FileInto(line=2, mailbox="ne"),)


def test_with_the_header_alone_the_header_alone_is_given_back() -> None:
    head = FIELDS[: FIELDS.index(b"\r\n\r\n") + 4]
    script = 'require "editheader"; deleteheader "x-hello"; addheader :last "X-A" "b";'
    found = outcome(script, head, size=len(FIELDS))
    assert found.content is not None
    assert found.content.endswith(b"\r\nX-A: b\r\n\r\n")


def test_so_many_edits() -> None:
    script = 'require "editheader";' + 'addheader "a" "b";' * SIEVE_HEADER_EDITS
    assert outcome(script).fault == ""
    said = f"line 1: the header may be edited {SIEVE_HEADER_EDITS} times at most"
    assert outcome(script + 'addheader "a" "b";').fault == said
    assert outcome(script + 'deleteheader "a";').fault == said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('addheader "a b" "c"', '"a b" cannot be the name of a field'),
        ('addheader "a:" "c"', '"a:" cannot be the name of a field'),
        ('deleteheader "ä"', '"ä" cannot be the name of a field'),
        ('deleteheader ""', '"" cannot be the name of a field'),
        ('deleteheader :last "a"', ":last needs :index"),
        ('deleteheader :index 0 "a"', ":index counts from 1"),
        ('addheader "a"', '"addheader" takes 2 arguments (name, value), not 1'),
    ],
)
def test_wrong_uses(command: str, said: str) -> None:
    assert refusal(f'require "editheader"; {command};') == f"line 1: {said}"


@settings(deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_a_field_that_is_added_is_there_and_can_be_removed(message: bytes, last: bool) -> None:
    tag = ":last" if last else ""
    before = len(Headers.scan(message).all("x-added-here"))
    raw = changed(f'addheader {tag} "X-Added-Here" "yes";', message)
    assert Headers.scan(raw).all("x-added-here").count(b"yes") == before + 1
    assert changed(f'addheader {tag} "X-Added-Here" "yes"; deleteheader "X-Added-Here";', message) in {
        message,
        message + b"\r\n",
    }
