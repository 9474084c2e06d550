"""ManageSieve's framing, commands and replies, without a connection."""

from __future__ import annotations

import pytest

from posthouse import limits
from posthouse.managesieve import replies
from posthouse.managesieve.core import RULES, Refusal, State, parse
from posthouse.managesieve.framing import Gathering, Literal, Malformed, TooLong, Unbearable
from posthouse.managesieve.replies import Capabilities
from posthouse.managesieve.server import HANDLERS


def gathered(*pieces: bytes, room: int = 100) -> Gathering:
    """A command of lines and literals in turn."""
    gathering = Gathering(room)
    rest = list(pieces)
    while (wanted := gathering.line(rest.pop(0))) is not None:
        if wanted.kept:
            gathering.literal(rest.pop(0))
    assert not rest
    return gathering


def test_every_command_has_its_handler():
    assert set(HANDLERS) == {rule.name for rule in RULES}


@pytest.mark.parametrize(
    ("pieces", "name", "values"),
    [
        ((b"noop",), b"NOOP", ()),
        ((b'NOOP "a"',), b"NOOP", (b"a",)),
        ((rb'NOOP "a\"\\"',), b"NOOP", (b'a"\\',)),
        ((b'NOOP "{3+}"',), b"NOOP", (b"{3+}",)),
        ((b"NOOP {0+}", b"", b""), b"NOOP", (b"",)),
        ((b'HAVESPACE "a" 4294967295',), b"HAVESPACE", (b"a", 4_294_967_295)),
        ((b"X {1+}", b"a", b" {2+}", b"\r\n", b' "c" 7 '), b"X", (b"a", b"\r\n", b"c", 7)),
        ((b"X {101+}", b""), b"X", (TooLong(101),)),
    ],
)
def test_arguments(pieces: tuple[bytes, ...], name: bytes, values: tuple[object, ...]):
    assert gathered(*pieces).command() == (name, values)


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b" NOOP",),
        (b'"NOOP"',),
        (b'NOOP "a',),
        (b'NOOP "a"b',),
        (b'NOOP "a""b"',),
        (b'NOOP "\0"',),
        (b'NOOP "\\a"',),
        (b"NOOP 1a",),
        (b"NOOP 4294967296",),
        (b"NOOP -1",),
        (b"NOOP {1}",),
        (b"NOOP{1+}", b"a", b""),
        (b'NOOP "a{1+}', b"a", b'"'),
        (b"NOOP {1+}", b"a", b"b"),
        (b"NOOP 1{1+}", b"a", b""),
    ],
)
def test_what_is_no_command(pieces: tuple[bytes, ...]):
    with pytest.raises(Malformed):
        gathered(*pieces).command()


@pytest.mark.parametrize(("pieces", "value"), [((b'"Kg=="',), b"Kg=="), ((b"{1+}", b"*", b""), b"*")])
def test_an_answer_is_one_string(pieces: tuple[bytes, ...], value: bytes):
    assert gathered(*pieces).string() == value


@pytest.mark.parametrize("line", [b"", b"Kg==", b"1", b'"a" "b"', b'x"a"', b'"a'])
def test_what_is_no_answer(line: bytes):
    with pytest.raises(Malformed):
        gathered(line).string()


def test_literals_are_bounded():
    gathering = Gathering(10)
    assert gathering.line(b"X {10+}") == Literal(10, True)
    gathering.literal(b"x" * 10)
    assert gathering.line(b" {%d+}" % limits.SIEVE_SKIP) == Literal(limits.SIEVE_SKIP, False)
    with pytest.raises(Unbearable):
        gathering.line(b" {11+}")
    for digits in (b"9" * 10, b"1" * 11, b"1" * 5000):
        with pytest.raises(Unbearable):
            Gathering(10).line(b"X {%b+}" % digits)
    many = Gathering(10)
    for _ in range(limits.SIEVE_LITERALS):
        assert many.line(b" {0+}") == Literal(0, True)
        many.literal(b"")
    with pytest.raises(Unbearable):
        many.line(b" {0+}")


def refused(gathering: Gathering, state: State = State.AUTHENTICATED) -> str:
    with pytest.raises(Refusal) as told:
        parse(gathering, state)
    return told.value.code


def test_a_script_that_is_too_long_is_over_quota():
    assert refused(gathered(b'PUTSCRIPT "a" {101+}', b"")) == "QUOTA/MAXSIZE"
    assert refused(gathered(b"CHECKSCRIPT {101+}", b"")) == "QUOTA/MAXSIZE"
    assert refused(gathered(b"GETSCRIPT {101+}", b"")) == ""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_states(rule):
    for state in (State.NOT_AUTHENTICATED, State.AUTHENTICATED):
        if state not in rule.states:
            assert refused(gathered(rule.name.encode()), state) == ""


@pytest.mark.parametrize(
    ("octets", "written"),
    [
        (b"", b'""'),
        (b'a"b\\', rb'"a\"b\\"'),
        ("é".encode(), '"é"'.encode()),
        (b"a\r\nb", b"{4}\r\na\r\nb"),
        (b"\0", b"{1}\r\n\0"),
        (b"\xff", b"{1}\r\n\xff"),
        (b"x" * 1024, b'"' + b"x" * 1024 + b'"'),
        (b"x" * 1025, b"{1025}\r\n" + b"x" * 1025),
    ],
)
def test_strings(octets: bytes, written: bytes):
    assert replies.string(octets) == written


def test_replies():
    assert replies.ok() == b"OK\r\n"
    assert replies.ok("Done", b"TAG x") == b'OK (TAG x) "Done"\r\n'
    assert replies.no(Refusal("line 1: a\r\nline 2: b")) == b"NO {20}\r\nline 1: a\r\nline 2: b\r\n"
    assert replies.bye("Bye", b"TRYLATER") == b'BYE (TRYLATER) "Bye"\r\n'


def test_capabilities_say_only_what_is_so():
    offer = Capabilities(
        extensions=(),
        redirects=5,
        notify=(),
        mechanisms=("PLAIN",),
        starttls=False,
        unauthenticate=False,
        owner="",
    )
    names = [line.split(b" ")[0] for line in replies.capabilities(offer).splitlines()]
    assert names == [
        b'"IMPLEMENTATION"',
        b'"SIEVE"',
        b'"SASL"',
        b'"MAXREDIRECTS"',
        b'"LANGUAGE"',
        b'"VERSION"',
    ]
