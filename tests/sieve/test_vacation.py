"""`vacation` (RFC 5230) and `:seconds` (RFC 6131): what delivery is told to answer."""

from __future__ import annotations

import pytest

from posthouse.limits import SIEVE_VACATION_DAYS, VACATION_DAYS
from posthouse.sieve.actions import Keep, Redirect, Vacation
from tests.sieve.running import MESSAGE, actions, outcome, refusal

DAY = 86_400


def vacation(script: str, message: bytes = MESSAGE) -> Vacation:
    found = [action for action in actions(script, message) if isinstance(action, Vacation)]
    assert len(found) == 1
    return found[0]


def test_it_says_all_that_the_script_says() -> None:
    """RFC 5230 §4.8."""
    script = """require "vacation";
        vacation :days 23 :addresses ["tjs@example.edu", "ts4z@landru.example.edu"]
            "I'm away until October 19.\nIf it's an emergency, call 911, I guess.";"""
    assert actions(script) == (
        Vacation(
            line=2,
            reason="I'm away until October 19.\r\nIf it's an emergency, call 911, I guess.",
            seconds=23 * DAY,
            addresses=("tjs@example.edu", "ts4z@landru.example.edu"),
        ),
        Keep(),
    )


def test_it_leaves_the_implicit_keep_alone() -> None:
    """RFC 5230 §4.7."""
    script = 'require "vacation"; redirect "pleeb@isp.example.org"; vacation "Away";'
    assert [type(action) for action in actions(script)] == [Redirect, Vacation]


@pytest.mark.parametrize(
    ("period", "seconds"),
    [
        ("", VACATION_DAYS * DAY),
        (":days 0", DAY),
        (":days 1", DAY),
        (":days 31", 31 * DAY),
        (":days 4000", SIEVE_VACATION_DAYS * DAY),
        (":seconds 0", 0),
        (":seconds 1800", 1800),
        (":seconds 2147483647", SIEVE_VACATION_DAYS * DAY),
    ],
)
def test_the_period_is_bounded(period: str, seconds: int) -> None:
    """RFC 5230 §4.1, RFC 6131 §2."""
    assert vacation(f'require ["vacation", "vacation-seconds"]; vacation {period} "x";').seconds == seconds


def test_seconds_need_no_require_of_vacation() -> None:
    """RFC 6131 §3."""
    script = """require ["vacation-seconds"];
        vacation :addresses ["tjs@example.edu"] :seconds 1800 "I am in a meeting";"""
    assert vacation(script).seconds == 1800


def test_answers_are_told_apart_by_how_they_are_written() -> None:
    """RFC 5230 §4.2: variables are not expanded for that."""
    script = """require ["vacation", "variables"];
        if header :matches "subject" "*" {
            vacation :subject "Automatic response to: ${1}" "I'm away -- send mail to foo in my absence";
        }"""
    one = vacation(script)
    two = vacation(script, b"Subject: dinner?\r\n\r\n")
    assert (one.subject, two.subject) == (
        "Automatic response to: I have a present for you",
        "Automatic response to: dinner?",
    )
    assert one.handle == two.handle != ""
    other = vacation(script.replace("absence", "absense"))
    assert other.handle != one.handle
    assert vacation('require "vacation"; vacation "Away";').handle == ""
    assert vacation('require "vacation"; vacation :handle "ran-away" "I\'m out";').handle == "ran-away"


def test_a_second_one_is_a_fault() -> None:
    """RFC 5230 §4.7."""
    found = outcome('require "vacation"; vacation "Away"; vacation "Away";')
    assert (found.actions, found.fault) == (
        (Keep(),),
        "line 1: a message can be answered by one vacation only",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (':days 1 :seconds 1 "x"', "line 1: :days and :seconds cannot both be"),
        (':from "nobody" "x"', 'line 1: "nobody" cannot stand in From'),
        (':from "a@example.org, b" "x"', 'line 1: "a@example.org, b" cannot stand in From'),
        (':addresses ["a@example.org", "b"] "x"', 'line 1: "b" is not an address'),
        (':mime "Subject: ä\n\nx"', "line 1: the header of a MIME entity must be in ASCII"),
        (":days 1", 'line 1: "vacation" takes 1 argument (reason), not 0'),
        (':days "1" "x"', "line 1: :days wants a number here, not a string"),
    ],
)
def test_wrong_uses(arguments: str, said: str) -> None:
    found = refusal(f'require ["vacation", "vacation-seconds"]; vacation {arguments};')
    assert found.startswith(said)


def test_what_must_be_required() -> None:
    assert refusal('vacation "x";') == 'line 1: "vacation" needs require "vacation" or "vacation-seconds"'
    assert (
        refusal('require "vacation"; vacation :seconds 1 "x";')
        == 'line 1: :seconds needs require "vacation-seconds"'
    )


def test_a_sender_that_variables_make_wrong_is_a_fault() -> None:
    found = outcome('require ["vacation", "variables"]; set "a" "x"; vacation :from "${a}" "x";')
    assert found.fault == 'line 1: "x" cannot stand in From'


def test_mime_with_text_behind_its_header() -> None:
    script = 'require "vacation"; vacation :mime text:\nContent-Type: text/plain; charset=utf-8\n\nWeg für immer\n.\n;'
    found = vacation(script)
    assert found.mime
    assert found.reason.endswith("Weg für immer\r\n")
