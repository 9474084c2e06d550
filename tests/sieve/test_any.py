"""Any octets are a script or a `SieveError`; any script ends over any message."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.message.headers import Headers
from posthouse.sieve.actions import Outcome
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import SieveError
from posthouse.sieve.language import CAPABILITIES, LANGUAGE
from posthouse.sieve.run import run
from posthouse.sieve.tables import Script
from posthouse.sieve.validate import compile_script

WORDS = st.sampled_from(
    [
        *LANGUAGE.commands,
        *LANGUAGE.tests,
        *(f":{name}" for tags in LANGUAGE.tags.values() for name in tags),
        *(f":{name}" for name in [*LANGUAGE.match_types, *LANGUAGE.address_parts, "comparator"]),
        *[
            ";",
            "{",
            "}",
            "(",
            ")",
            "[",
            "]",
            ",",
            "12",
            "3K",
            '"subject"',
            '"a*?\\\\"',
            '"${1}${a.b}"',
            '"x@y.example"',
        ],
        *["text:\na\n.\n", "# x\n", "/* x */", '"gt"', '"a"', '"\\\\Seen"'],
    ]
)
REQUIRE = f"require [{', '.join(f'{chr(34)}{name}{chr(34)}' for name in CAPABILITIES)}];\n".encode()


def compiled(text: bytes) -> Script | None:
    try:
        return compile_script(text)
    except SieveError as error:
        assert error.public.startswith("line ")
        return None


def finished(script: Script, message: bytes) -> Outcome:
    running = run(script, Facts(headers=Headers.scan(message), content=message, size=len(message)))
    try:
        next(running)
        while True:
            running.send(None)
    except StopIteration as end:
        assert isinstance(end.value, Outcome)
        return end.value


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_octets_are_a_script_or_a_sieve_error(text: bytes) -> None:
    compiled(text)


@settings(deadline=None)
@given(st.lists(WORDS, max_size=40), st.binary(max_size=300))
def test_any_words_are_a_script_or_a_sieve_error_and_end(words: list[str], message: bytes) -> None:
    script = compiled(REQUIRE + " ".join(words).encode())
    if script is not None:
        assert finished(script, message).actions


SCRIPT = compile_script(
    REQUIRE
    + b"""
    if allof (header :matches ["subject", "from", "to"] "*?a*", address :domain :contains ["from", "to"] "e") {
        set :upper :length "x" "${1}${2}";
        fileinto :copy "a/${x}";
    }
    if envelope :localpart "from" "${0}" { redirect "${2}@example.org"; }
    elsif not exists "date" { keep; }
    """
)


@settings(deadline=None)
@given(st.binary(max_size=500))
def test_a_script_ends_over_any_message(tail: bytes) -> None:
    for message in (tail, b"Subject: " + tail, b"From: " + tail, b"To: a" + tail):
        assert finished(SCRIPT, message).actions
