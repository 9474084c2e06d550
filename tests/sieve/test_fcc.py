"""`:fcc` (RFC 8580)."""

from __future__ import annotations

import pytest

from posthouse.sieve.actions import Fcc, Keep, Notify, Vacation
from tests.sieve.running import actions, outcome, refusal

REQUIRE = 'require ["vacation", "enotify", "fcc", "mailbox", "special-use", "imap4flags", "mailboxid", "variables"];'


def test_an_answer_is_filed() -> None:
    """RFC 8580 §3.3."""
    script = """require ["vacation", "fcc"];
        vacation :days 7 :from "hemingway@example.com" :fcc "INBOX.Sent"
            "Gone Fishin'";"""
    away = actions(script)[0]
    assert isinstance(away, Vacation)
    assert away.fcc == Fcc(mailbox="INBOX.Sent")


def test_a_notice_is_filed_with_all_that_fileinto_has() -> None:
    script = f"""{REQUIRE} setflag "\\\\Deleted";
        notify :fcc "Sent" :flags ["\\\\seen", "a b"] :create :specialuse "\\\\Sent" "mailto:ken@example.com";"""
    told, kept = actions(script)
    assert isinstance(told, Notify)
    assert told.fcc == Fcc(
        mailbox="Sent", flags=frozenset({"\\Seen", "a", "b"}), create=True, special_use="\\Sent"
    )
    assert kept == Keep(flags=frozenset({"\\Deleted"}))


def test_by_its_id() -> None:
    away = actions(f'{REQUIRE} vacation :fcc "Sent" :mailboxid "F6352ae03" "x";')[0]
    assert isinstance(away, Vacation)
    assert away.fcc == Fcc(mailbox="Sent", mailbox_id="F6352ae03")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ('vacation :fcc "" "x"', "the name of a mailbox is missing"),
        ('vacation :flags "\\\\Seen" "x"', ':flags of "vacation" needs :fcc'),
        ('vacation :create "x"', ':create of "vacation" needs :fcc'),
        ('notify :specialuse "\\\\Sent" "mailto:a@b.example"', ':specialuse of "notify" needs :fcc'),
        ('notify :mailboxid "a" "mailto:a@b.example"', ':mailboxid of "notify" needs :fcc'),
        (
            'notify :fcc "a" :mailboxid "a" :specialuse "b" "mailto:a@b.example"',
            ":mailboxid and :specialuse cannot both be",
        ),
        ('redirect :fcc "a" "a@b.example"', '"redirect" knows no :fcc'),
    ],
)
def test_wrong_uses(command: str, said: str) -> None:
    assert refusal(f"{REQUIRE} {command};").startswith(f"line 1: {said}")


def test_what_must_be_required() -> None:
    assert refusal('require "vacation"; vacation :fcc "a" "x";') == 'line 1: :fcc needs require "fcc"'
    assert (
        refusal('require ["vacation", "fcc"]; vacation :fcc "a" :create "x";')
        == 'line 1: :create needs require "mailbox"'
    )


def test_a_name_that_variables_make_wrong_is_a_fault() -> None:
    found = outcome(f'{REQUIRE} vacation :fcc "${{a}}" "x";')
    assert found.fault == "line 1: the name of a mailbox is missing"
