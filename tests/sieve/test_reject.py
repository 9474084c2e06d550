"""`reject` and `ereject` (RFC 5429)."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Discard, Keep, Reject
from tests.sieve.running import actions, outcome, refusal

REQUIRE = 'require ["reject", "ereject", "fileinto", "vacation", "copy"];'


def test_ereject_refuses() -> None:
    """RFC 5429 §2.1."""
    script = """require ["ereject"];
        if address "from" "coyote@desert.example.org" { ereject "I no longer accept mail from this address"; }"""
    assert actions(script) == (
        Reject(line=2, reason="I no longer accept mail from this address", extended=True),
    )


def test_reject_keeps_the_lines_of_its_reason() -> None:
    """RFC 5429 §2.2.1."""
    script = """require ["reject"];
if header :contains "from" "coyote@desert.example.org" {
    reject text:
I am not taking mail from you, and I don't
want your birdseed, either!
.
    ;
}"""
    reason = "I am not taking mail from you, and I don't\r\nwant your birdseed, either!\r\n"
    assert actions(script) == (Reject(line=3, reason=reason),)


@pytest.mark.parametrize(
    ("commands", "said"),
    [
        ('reject "a"; ereject "b";', "a message can be refused once only"),
        ('reject "a"; reject "a";', "a message can be refused once only"),
        ('reject "a"; keep;', "a message that is refused cannot go with keep"),
        ('keep; reject "a";', "a message that is refused cannot go with keep"),
        ('fileinto :copy "x"; ereject "a";', "a message that is refused cannot go with fileinto"),
        ('reject "a"; redirect "a@example.org";', "a message that is refused cannot go with redirect"),
        ('vacation "x"; reject "a";', "a message that is refused cannot go with vacation"),
        ('reject "a"; vacation "x";', "a message that is refused cannot go with vacation"),
    ],
)
def test_what_it_does_not_go_with(commands: str, said: str) -> None:
    """RFC 5429 §2.4: nothing is refused then."""
    found = outcome(f"{REQUIRE} {commands}")
    assert (found.actions, found.fault) == ((Keep(),), f"line 1: {said}")


def test_it_goes_with_discard() -> None:
    assert actions(f'{REQUIRE} discard; reject "a";') == (Discard(line=1), Reject(line=1, reason="a"))


def test_what_must_be_required() -> None:
    assert refusal('require "reject"; ereject "x";') == 'line 1: "ereject" needs require "ereject"'
    assert refusal('require "ereject"; reject "x";') == 'line 1: "reject" needs require "reject"'
    assert refusal(f"{REQUIRE} reject;").startswith('line 1: "reject" takes 1 argument')
