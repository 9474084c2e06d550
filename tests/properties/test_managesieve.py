"""ManageSieve: what a client writes is read back, and no octets make the parser raise anything of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.managesieve import replies
from posthouse.managesieve.core import Command, Refusal, State, parse
from posthouse.managesieve.framing import Gathering, Malformed, Unbearable

ROOM = 64
states = st.sampled_from([State.NOT_AUTHENTICATED, State.AUTHENTICATED])
words = [
    b"NOOP",
    b"putscript",
    b"HAVESPACE",
    b" ",
    b'"',
    b"\\",
    b"\r\n",
    b"\n",
    b"{3+}\r\n",
    b"{9+}",
    b"7",
    b"a",
    b"\xff",
]
streams = st.lists(st.sampled_from([*words, b'"a"', b"{70+}\r\n", b"\0"])).map(b"".join) | st.binary(
    max_size=200
)


def gather(stream: bytes) -> tuple[Gathering | None, bytes]:
    """The first command of a stream, None when it is not whole, and what follows."""
    gathering = Gathering(ROOM)
    while True:
        line, end, stream = stream.partition(b"\n")
        if not end:
            return None, b""
        literal = gathering.line(line.removesuffix(b"\r"))
        if literal is None:
            return gathering, stream
        if len(stream) < literal.octets:
            return None, b""
        if literal.kept:
            gathering.literal(stream[: literal.octets])
        stream = stream[literal.octets :]


@given(streams, states)
def test_any_stream_is_commands_refusals_or_unbearable(stream: bytes, state: State):
    while stream:
        try:
            gathering, stream = gather(stream)
            if gathering is None:
                return
            assert isinstance(parse(gathering, state), Command)
        except Refusal as refusal:
            assert replies.no(refusal).endswith(b"\r\n")
        except Unbearable:
            return


@given(streams)
def test_any_answer_is_a_string_or_malformed(stream: bytes):
    try:
        gathering, _ = gather(stream)
        if gathering is not None:
            assert isinstance(gathering.string(), bytes)
    except (Malformed, Unbearable):
        pass


@given(
    st.lists(st.tuples(st.binary(max_size=ROOM), st.booleans()), max_size=limits.SIEVE_LITERALS), st.binary()
)
def test_strings_are_read_back(strings: list[tuple[bytes, bool]], behind: bytes):
    command = b"X"
    for octets, as_literal in strings:
        written = replies.literal(octets) if as_literal else replies.string(octets)
        if written.startswith(b"{"):
            written = written.replace(b"}", b"+}", 1)
        command += b" " + written
    gathering, rest = gather(command + b"\r\n" + behind)
    assert gathering is not None
    assert gathering.command() == (b"X", tuple(octets for octets, _ in strings))
    assert rest == behind
