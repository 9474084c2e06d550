"""CONTEXT=SEARCH (RFC 5267): who keeps a result by ADDTO and REMOVEFROM alone has the same of us as of Dovecot.

Each result is also what a fresh search finds. The same random changes are made in both by another session.
"""

from __future__ import annotations

import imaplib
import random
import re

import pytest

from tests.interop.dovecot import Dovecot
from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.slow]
ALICE = next(iter(ACCOUNTS))
STEPS = 120
PROGRAMS = (
    "SEEN",
    "OR FLAGGED NOT ANSWERED",
    "UNDELETED KEYWORD $Work",
    "SUBJECT apples UNSEEN",
    "NOT SEEN LARGER 40",
)
ITEM = re.compile(r"(ADDTO|REMOVEFROM) \(([^)]*)\)")


def members(text: str) -> set[int]:
    """A sequence set."""
    found: set[int] = set()
    for item in text.split(","):
        first, _, last = item.partition(":")
        found.update(range(int(first), int(last or first) + 1))
    return found


class Keeper:
    """A session that keeps results by UID, and believes what it is told of them."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client
        assert "CONTEXT=SEARCH" in client.capability()[1][0].decode()
        client.select("INBOX")
        self.results: dict[str, set[int]] = {}

    def ask(self, tag: str, command: str) -> list[str]:
        """The lines of an answer that is OK."""
        self._client.send(f"{tag} {command}\r\n".encode())
        lines = []
        while not (line := self._client.readline().decode().rstrip()).startswith(f"{tag} "):
            lines.append(line)
        assert line.startswith(f"{tag} OK"), line
        return lines

    def keep(self, tag: str, program: str) -> None:
        """Begin to keep a result."""
        self.results[tag] = self.found(tag, f"UID SEARCH RETURN (UPDATE ALL) {program}")

    def found(self, tag: str, command: str) -> set[int]:
        """What a search finds."""
        lines = self.ask(tag, command)
        [answer] = [line for line in lines if f'(TAG "{tag}")' in line]
        told = re.search(r" ALL ([\d:,]+)", answer)
        self._note([line for line in lines if line is not answer])
        return members(told[1]) if told is not None else set()

    def catch_up(self) -> None:
        """Hear of everything."""
        self._note(self.ask("n", "NOOP"))

    def _note(self, lines: list[str]) -> None:
        for line in lines:
            tag = re.match(r'\* ESEARCH \(TAG "(\w+)"\) UID ', line)
            for item, text in ITEM.findall(line) if tag is not None else ():
                assert tag is not None
                words = text.split(" ")
                for numbers in words[1::2]:
                    result = self.results[tag[1]]
                    self.results[tag[1]] = (
                        result | members(numbers) if item == "ADDTO" else result - members(numbers)
                    )


def test_results_that_are_kept(dovecot: Dovecot, house: LocalHouse) -> None:
    chance = random.Random(5267)
    actors = (dovecot.client(), house.imap(ALICE))
    for actor in actors:
        actor.select("INBOX")
    keepers = (Keeper(dovecot.client()), Keeper(house.imap(ALICE)))
    for keeper in keepers:
        for number, program in enumerate(PROGRAMS):
            keeper.keep(f"k{number}", program)
    for step in range(STEPS):
        subject = chance.choice(("apples", "pears"))
        raw = f"Subject: {subject}\r\n\r\n{'x' * chance.randint(0, 40)}\r\n".encode()
        kind = chance.choice(("append", "append", "store", "store", "store", "expunge"))
        uid, sign = chance.randint(1, step + 1), chance.choice("+-")
        flag = chance.choice(("\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "$Work"))
        for actor in actors:
            if kind == "append":
                actor.append("INBOX", "", None, raw)  # type: ignore[arg-type]  # any date will do
                actor.noop()
            elif kind == "store":
                actor.uid("STORE", f"{uid}:{uid + 3}", f"{sign}FLAGS.SILENT", f"({flag})")
            else:
                actor.expunge()
        if chance.random() < 0.5:
            continue
        for keeper in keepers:
            keeper.catch_up()
            for number, program in enumerate(PROGRAMS):
                fresh = keeper.found(f"f{number}", f"UID SEARCH RETURN (ALL) {program}")
                assert keeper.results[f"k{number}"] == fresh, (step, program)
        assert keepers[0].results == keepers[1].results
    assert any(keepers[1].results.values())
