"""`duplicate` (RFC 7352)."""

from __future__ import annotations

import pytest

from posthouse.limits import SIEVE_DUPLICATE_SECONDS, SIEVE_DUPLICATES
from posthouse.sieve.actions import Discard, Keep, Outcome
from posthouse.sieve.questions import Question, Seen
from tests.sieve.running import outcome, refusal

MESSAGE = b"Message-ID: <a@example.org>\r\nX-Event: 7\r\nX-Ticket: 7\r\nSubject: ALERT: fire\r\n\r\n"
DAY = 86_400


class Memory:
    """What was remembered of earlier runs."""

    def __init__(self) -> None:
        self.kept: dict[bytes, int] = {}
        self.asked: list[bytes] = []

    def __call__(self, question: Question) -> bool:
        assert isinstance(question, Seen)
        self.asked.append(question.unique_id)
        return question.unique_id in self.kept

    def run(self, test: str, message: bytes = MESSAGE) -> bool:
        """Whether it was a duplicate; what shall be remembered is."""
        found = self.outcome(f'require ["duplicate", "variables"]; if {test} {{ discard; }}', message)
        return found.actions == (Discard(line=1),)

    def outcome(self, script: str, message: bytes = MESSAGE) -> Outcome:
        found = outcome(script, message, self)
        self.kept.update(found.remember)
        return found


def test_a_message_that_comes_again_is_a_duplicate() -> None:
    memory = Memory()
    assert not memory.run("duplicate")
    assert list(memory.kept.values()) == [7 * DAY]
    assert memory.run("duplicate")
    assert not memory.run("duplicate", b"Message-ID: <b@example.org>\r\n\r\n")


def test_where_the_id_comes_from_does_not_matter() -> None:
    """RFC 7352 §3.2."""
    memory = Memory()
    assert not memory.run("duplicate")
    assert memory.run('duplicate :header "message-id"')
    assert memory.run('duplicate :uniqueid "<a@example.org>"')
    assert memory.run('allof (header :matches "message-id" "*", duplicate :uniqueid "${0}")')
    assert not memory.run('duplicate :uniqueid "<A@example.org>"')


def test_handles_keep_ids_apart() -> None:
    """RFC 7352 §5.4."""
    memory = Memory()
    assert not memory.run('duplicate :header "X-Event" :handle "notifier"')
    assert not memory.run('duplicate :header "X-Ticket" :handle "support"')
    assert not memory.run('duplicate :header "X-Ticket"')
    assert not memory.run('duplicate :header "X-Ticket" :handle ""')
    assert memory.run('duplicate :header "X-Ticket" :handle "notifier"')


def test_a_message_without_the_field_is_none_and_is_not_remembered() -> None:
    """RFC 7352 §3.1."""
    memory = Memory()
    for test in ('duplicate :header "x-none"', 'duplicate :header "a b"', 'duplicate :header ""'):
        assert not memory.run(test)
        assert not memory.run(test)
    assert not memory.run("duplicate", b"Subject: a\r\n\r\n")
    assert (memory.kept, memory.asked) == ({}, [])


def test_only_the_first_field_counts() -> None:
    memory = Memory()
    assert not memory.run("duplicate", b"Message-ID:  a \r\nMessage-ID: b\r\n\r\n")
    assert memory.run('duplicate :uniqueid "a"')
    assert not memory.run('duplicate :uniqueid "b"')


@pytest.mark.parametrize(
    ("seconds", "kept"), [("60", 60), ("1800", 1800), ("2147483647", SIEVE_DUPLICATE_SECONDS)]
)
def test_it_is_remembered_for_a_time(seconds: str, kept: int) -> None:
    """RFC 7352 §3.3: too long a time is no error."""
    memory = Memory()
    assert not memory.run(f"duplicate :seconds {seconds}")
    assert list(memory.kept.values()) == [kept]


def test_no_time_is_never() -> None:
    memory = Memory()
    assert not memory.run("duplicate :seconds 0")
    assert not memory.run("duplicate :seconds 0")
    assert memory.kept == {}


def test_the_time_begins_anew_only_with_last() -> None:
    """RFC 7352 §3.3."""
    memory = Memory()
    script = 'require "duplicate"; if duplicate %s { discard; }'
    assert len(memory.outcome(script % "").remember) == 1
    assert memory.outcome(script % "").remember == ()
    assert len(memory.outcome(script % ":last").remember) == 1


def test_one_run_always_finds_the_same() -> None:
    """RFC 7352 §3: what this run has seen is no duplicate in it; the last test's time counts."""
    memory = Memory()
    script = 'require "duplicate"; if duplicate { stop; } if duplicate :seconds 60 { stop; } discard;'
    found = memory.outcome(script)
    assert found.actions == (Discard(line=1),)
    assert [seconds for _, seconds in found.remember] == [60]
    assert len(memory.asked) == 1


def test_a_run_that_fails_remembers_nothing() -> None:
    memory = Memory()
    script = """require ["duplicate", "variables"];
        if duplicate { discard; } set "a" "b"; redirect "${a}";"""
    found = memory.outcome(script)
    assert found.fault
    assert (found.actions, found.remember) == ((Keep(),), ())


def test_so_many_are_looked_for_in_one_run() -> None:
    tests = "".join(f'if duplicate :uniqueid "{n}" {{ discard; }}' for n in range(SIEVE_DUPLICATES + 1))
    assert (
        Memory().outcome(f'require "duplicate"; {tests}').fault
        == f"line 1: one run may look for {SIEVE_DUPLICATES} duplicates at most"
    )


def test_wrong_uses() -> None:
    script = 'require "duplicate"; if duplicate :header "a" :uniqueid "b" { keep; }'
    assert refusal(script) == "line 1: :header and :uniqueid cannot both be"
    assert refusal('require "duplicate"; if duplicate "a" { keep; }').startswith(
        'line 1: "duplicate" takes no arguments, not 1'
    )
