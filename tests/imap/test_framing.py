"""Where commands end, whatever they hold and however they arrive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.imap.framing import Frame, Literal, Step, announced_literal, tag_of
from posthouse.net.buffer import ReceiveBuffer

LIMIT = 100


def frame(appends: bool = True) -> Frame:
    return Frame(literal_limit=LIMIT, appends=appends)


@pytest.mark.parametrize(
    ("line", "literal"),
    [
        (b"a LOGIN {5}", Literal(5, True, False, 8)),
        (b"a LOGIN {5+}", Literal(5, False, False, 8)),
        (b"a APPEND x ~{0}", Literal(0, True, True, 11)),
        (b"a LOGIN {5-}", None),
        (b"a LOGIN {}", None),
        (b"a LOGIN {5} ", None),
        (b"a NOOP", None),
        (b"{123456789012345678901}", None),
    ],
)
def test_a_line_announces_a_literal_only_at_its_end(line: bytes, literal: Literal | None) -> None:
    assert announced_literal(line) == literal


def test_a_command_with_two_literals() -> None:
    command = frame()
    assert command.line(b"a LOGIN {5}") is Step.LITERAL
    command.take(b"alice")
    assert command.line(b" {3+}") is Step.LITERAL
    command.take(b"pw\r")
    assert command.line(b"") is Step.RUN
    assert command.command() == b"a LOGIN {5}\r\nalice {3+}\r\npw\r"


def test_the_message_of_an_append_is_left_to_its_runner() -> None:
    command = frame()
    assert command.line(b"a append INBOX (\\Seen) {999999}") is Step.MESSAGE
    assert command.literal == Literal(999999, True, False, 23)


def test_the_mailbox_of_an_append_may_be_a_literal_too() -> None:
    command = frame()
    assert command.line(b"a APPEND {5}") is Step.LITERAL
    command.take(b"INBOX")
    assert command.line(b" {999999+}") is Step.MESSAGE
    assert command.command() == b"a APPEND {5}\r\nINBOX {999999+}"


def test_a_stranger_cannot_hand_in_messages() -> None:
    assert frame(appends=False).line(b"a APPEND INBOX {999999}") is Step.REFUSE


def test_limits_of_one_literal_and_of_the_whole_command() -> None:
    assert frame().line(b"a X {%d}" % LIMIT) is Step.LITERAL
    assert frame().line(b"a X {%d}" % (LIMIT + 1)) is Step.REFUSE
    command = Frame(literal_limit=limits.IMAP_LITERAL, appends=False)
    steps = []
    for _ in range(limits.IMAP_COMMAND // limits.IMAP_LITERAL + 1):
        steps.append(command.line(b"{%d+}" % limits.IMAP_LITERAL))
        if steps[-1] is Step.LITERAL:
            command.take(bytes(limits.IMAP_LITERAL))
    assert steps[-1] is Step.REFUSE
    assert len(command.command()) <= limits.IMAP_COMMAND


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        (b"a1 NOOP", b"a1"),
        (b"a1", b"*"),
        (b"", b"*"),
        (b"\xff x", b"*"),
        (b"t" * (limits.IMAP_TAG + 1) + b" x", b"*"),
    ],
)
def test_the_tag_of_what_cannot_be_read(line: bytes, tag: bytes) -> None:
    assert tag_of(line) == tag


PIECES = st.lists(st.tuples(st.binary(max_size=8), st.booleans()), max_size=3)


@given(commands=st.lists(PIECES, min_size=1, max_size=4), cuts=st.lists(st.integers(1, 9)))
def test_any_chunking_gives_the_same_commands(
    commands: list[list[tuple[bytes, bool]]], cuts: list[int]
) -> None:
    wire = b""
    wanted = []
    for pieces in commands:
        text = b"a X"
        for data, plus in pieces:
            text += b" {%d%b}\r\n%b" % (len(data), b"+" if plus else b"", data)
        wanted.append(text)
        wire += text + b"\r\n"
    buffer = ReceiveBuffer()
    got = []
    command, want = frame(), 0
    literal = False
    while wire:
        cut = cuts.pop() if cuts else len(wire)
        buffer.feed(wire[:cut])
        wire = wire[cut:]
        while True:
            if literal:
                octets = buffer.take_exactly(want)
                if octets is None:
                    break
                command.take(octets)
                literal = False
                continue
            line = buffer.take_line(limits.IMAP_LINE)
            if line is None:
                break
            step = command.line(line)
            if step is Step.LITERAL and command.literal is not None:
                want, literal = command.literal.size, True
            else:
                assert step is Step.RUN
                got.append(command.command())
                command = frame()
    assert got == wanted


@pytest.mark.parametrize(
    "start", [b"a REPLACE 4 ", b"a UID REPLACE 2000 ", b"a replace * ", b"a uid replace x "]
)
def test_replace_hands_out_its_message_as_append_does(start: bytes) -> None:
    assert frame().line(start + b"Drafts (\\Seen) {999999}") is Step.MESSAGE
    command = frame()
    assert command.line(start + b"{6}") is Step.LITERAL
    command.take(b"Drafts")
    assert command.line(b" {999999+}") is Step.MESSAGE
    assert frame(appends=False).line(start + b"Drafts {999999}") is Step.REFUSE
