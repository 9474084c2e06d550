"""POP3: any cutting of a message gives the same answer, and no line makes the parser raise anything of its own."""

from __future__ import annotations

import poplib
import re
from io import BytesIO
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from posthouse.pop3.core import Command, Refusal, State, parse
from posthouse.pop3.surrogate import surrogate
from posthouse.pop3.text import Stuffer, Top, stuff

tokens = [b"\r", b"\n", b"\r\n", b".", b"\r\n\r\n", b"a", b"bc: d", b"\xc3\xbc", b"\xff"]
messages = st.lists(st.sampled_from(tokens)).map(b"".join)
cuts = st.lists(st.integers(0, 60))


def pieces(raw: bytes, at: list[int]) -> list[bytes]:
    marks = sorted({0, len(raw), *(mark for mark in at if mark < len(raw))})
    return [raw[a:b] for a, b in pairwise(marks)]


@given(messages, cuts)
def test_stuffing_in_any_pieces(raw: bytes, at: list[int]):
    stuffer = Stuffer()
    assert b"".join(map(stuffer.take, pieces(raw, at))) + stuffer.end() == stuff(raw)


@given(messages)
def test_a_client_reads_back_what_was_stuffed(raw: bytes):
    # The library takes a CR away at the beginning of a line, and would see a dot there that we never sent first.
    assume(not re.search(rb"(?:\A|\n)\r+\.", raw))
    client = poplib.POP3.__new__(poplib.POP3)
    client.file = BytesIO(b"+OK\r\n" + stuff(raw))
    client._debugging = 0
    _, lines, _ = client._getlongresp()
    assert client.file.read() == b"", "the reply ended before its end"
    whole = raw if raw.endswith(b"\r\n") or not raw else raw + b"\r\n"
    # the library drops a CR at the end of a line, and takes CR LF and LF alike
    assert b"\n".join(lines).replace(b"\r", b"") == whole.removesuffix(b"\n").replace(b"\r", b"")


@given(messages, cuts, st.integers(0, 4))
def test_top_in_any_pieces(raw: bytes, at: list[int], lines: int):
    top = Top(lines)
    taken = b""
    for piece in pieces(raw, at):
        taken += top.take(piece)
        if top.done:
            break
    assert taken == Top(lines).take(raw) or not raw


@given(st.binary(), st.sampled_from([State.AUTHORIZATION, State.TRANSACTION]))
def test_any_line_is_a_command_or_refused(line: bytes, state: State):
    try:
        assert isinstance(parse(line, state), Command)
    except Refusal as refused:
        assert refused.bad


values = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)
fields = st.tuples(st.sampled_from(["Subject", "From", "To", "Content-Type", "X-Any"]), values)


@given(st.lists(fields, min_size=1, max_size=5), st.binary(max_size=20))
def test_a_surrogate_has_an_ascii_header_and_the_same_body(header: list[tuple[str, str]], body: bytes):
    raw = "".join(f"{name}: {value}\r\n" for name, value in header).encode() + b"\r\n"
    changed = surrogate(raw + body)
    assert changed.endswith(b"\r\n\r\n" + body)
    assert changed[: len(changed) - len(body)].isascii()
    assert surrogate(changed) == changed
    assert [
        line.split(b":")[0].decode()
        for line in changed.split(b"\r\n\r\n")[0].split(b"\r\n")
        if line[:1] > b" "
    ] == [name for name, _ in header]
