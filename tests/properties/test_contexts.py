"""Results that are kept by ADDTO and REMOVEFROM alone are what a fresh SEARCH or SORT finds (RFC 5267 §4.3).

The clients of `test_view`, of all kinds, with a few searches each: by numbers and by UIDs, with flags, keywords,
sizes, texts, message sets and sorted. Numbers are taken for what they mean where they stand in the stream: a
number of the result belongs to that message until EXPUNGE or VANISHED, before which it must have left. Other sessions'
changes also fall into the middle of commands and of the searches that look again.
"""

from __future__ import annotations

import re
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from posthouse.store.interface import AddEmail
from posthouse.store.model import Content
from tests.properties.test_view import CLIENTS, Between, Client, DurableSessions, Known, Sessions

RAWS = tuple(
    f"From: {author}@north.test\r\nSubject: {subject}news\r\n\r\nText\r\n".encode()
    for author, subject in (("a", ""), ("b", "Re: apple "), ("c", "zebra "))
)
PROGRAMS = (
    ("SEARCH", "SEEN"),
    ("SEARCH", "NOT FLAGGED"),
    ("SEARCH", "OR (KEYWORD $Work NOT DELETED) ANSWERED"),
    ("SEARCH", "UNKEYWORD $Work TEXT apple"),
    ("SEARCH", "ALL"),
    ("SEARCH", "2:3 UNSEEN"),
    ("SEARCH", "UID 4:*"),
    ("SEARCH", "NOT UID *"),
    ("SEARCH", "OR SMALLER 55 SEEN"),
    ("SORT", "(SUBJECT) UTF-8 UNSEEN"),
    ("SORT", "(REVERSE SIZE FROM) UTF-8 ALL"),
    ("SORT", "(REVERSE ARRIVAL) UTF-8 NOT ANSWERED"),
)
ITEM = re.compile(r"(ADDTO|REMOVEFROM) \(([^)]*)\)")


def numbers(text: str) -> list[int]:
    """A sequence set in the order in which it stands."""
    found: list[int] = []
    for item in text.split(",") if text else ():
        first, _, last = item.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


class Kept:
    """One result as the client knows it: UIDs, or messages that numbers meant."""

    def __init__(self, verb: str, program: str, by_uid: bool) -> None:
        self.verb = ("UID " if by_uid else "") + verb
        self.program = program
        self.by_uid = by_uid
        self.sorted = verb == "SORT"
        self.fixed = program[0].isdigit()
        """Message numbers mean what they meant at first, so that the same words find something else later."""
        self.items: list[Any] = []


class ContextClient(Client):
    """A client that keeps results."""

    def connect(self) -> None:
        super().connect()
        self.kept: dict[str, Kept] = {}
        self.answer: list[Any] | None = None
        self.numbers_asked = False

    def untagged(self, line: str) -> None:
        if line.startswith("* ESEARCH "):
            self._esearch(line)
            return
        if (match := re.fullmatch(r"\* (\d+) EXPUNGE", line)) is not None:
            self._must_have_left(self.messages[int(match.group(1)) - 1])
        super().untagged(line)

    def _vanished(self, text: str, *, earlier: bool) -> None:
        for uid in () if earlier else numbers(text):
            assert not any(kept.by_uid and uid in kept.items for kept in self.kept.values()), (
                f"{uid} has not left"
            )
            known = next((message for message in self.messages if message.uid == uid), None)
            if known is not None:
                self._must_have_left(known)
            else:
                # It was told as new and is gone before its UID was learnt: which number it had, nobody can tell.
                self.kept = {tag: kept for tag, kept in self.kept.items() if kept.by_uid}
        super()._vanished(text, earlier=earlier)

    def _must_have_left(self, message: Known) -> None:
        for kept in self.kept.values():
            here = message.uid if kept.by_uid else message
            assert here is None or here not in kept.items, "a message ends that is in a result"

    def _esearch(self, line: str) -> None:
        head = re.match(r'\* ESEARCH \(TAG "(\w+)"\)( UID)?', line)
        assert head is not None, line
        kept = self.kept.get(head.group(1))
        news = " ADDTO " in line or " REMOVEFROM " in line
        if kept is None and news:
            return  # of one that was forgotten
        if kept is None or not news:
            found = re.search(r" ALL ([\d:,]+)", line)
            self.answer = [
                self._meant(each, bool(head.group(2))) for each in numbers(found.group(1) if found else "")
            ]
            return
        assert bool(head.group(2)) is kept.by_uid
        for item, text in ITEM.findall(line):
            words = text.split(" ")
            for position, which in zip(map(int, words[::2]), words[1::2], strict=True):
                self._change(
                    kept, item, position, [self._meant(each, kept.by_uid) for each in numbers(which)]
                )

    def _meant(self, number: int, is_uid: bool) -> Any:
        if is_uid:
            return number
        assert 1 <= number <= len(self.messages), f"{number} is beyond what EXISTS said"
        return self.messages[number - 1]

    @staticmethod
    def _change(kept: Kept, item: str, position: int, members: list[Any]) -> None:
        if position == 0:
            assert not kept.sorted
        if item == "REMOVEFROM":
            assert all(each in kept.items for each in members)
            if position:
                assert kept.items[position - 1 : position - 1 + len(members)] == members
            kept.items = [each for each in kept.items if each not in members]
        else:
            assert not any(each in kept.items for each in members), "it is in the result already"
            if position:
                assert position <= len(kept.items) + 1
                kept.items[position - 1 : position - 1] = members
            else:
                kept.items += members

    async def keep(self, verb: str, program: str, by_uid: bool) -> None:
        if len(self.kept) >= 4:
            oldest = next(iter(self.kept))
            del self.kept[oldest]
            await self.command(f'CANCELUPDATE "{oldest}"')
        made = Kept(verb, program, by_uid)
        if made.fixed and len(self.messages) < 3:
            return
        tag = f"t{self.talk.count + 1}"
        self.kept[tag] = made
        self.answer = None
        await self._ask(made, f"{made.verb} RETURN (UPDATE ALL) {program}", made)

    async def _ask(self, kept: Kept, text: str, into: Kept | None) -> list[Any]:
        """The answer; where it is that of a search which is kept, news that follow it are taken as such."""
        tag = f"t{self.talk.count + 1}"
        self.no_expunge = not kept.by_uid
        answer = (await self.talk.raw(text)).decode()
        *lines, done, end = answer.split("\r\n")
        assert (end, done.split(" ")[1]) == ("", "OK"), answer
        found: list[Any] = []
        for line in lines:
            first = (
                line.startswith(f'* ESEARCH (TAG "{tag}")')
                and "ADDTO" not in line
                and "REMOVEFROM" not in line
            )
            self.untagged(line)
            if first:
                assert self.answer is not None
                found = self.answer
                if into is not None:
                    into.items = list(found)
        return found

    async def compare(self) -> None:
        """Nothing is left to be told: all results are as they are found afresh."""
        for kept in tuple(self.kept.values()):
            if kept.fixed:
                continue
            found = await self._ask(kept, f"{kept.verb} RETURN (ALL) {kept.program}", None)
            await self.complete()
            if kept.sorted:
                assert kept.items == found, kept.program
            else:
                assert len(kept.items) == len(found) and all(each in found for each in kept.items), (
                    kept.program
                )


class ContextSessions(Sessions):
    """Three clients on one mailbox."""

    texts = True
    """Texts can be searched."""

    async def deliver_one(self, flags: frozenset[str] = frozenset()) -> None:
        self.count = getattr(self, "count", 0) + 1
        raw = RAWS[self.count * 7 % len(RAWS)]
        await self.store.apply(
            AddEmail(
                account_id=self.account_id, mailbox_id=self.index.mailbox_id, content=Content.of(raw), flags=flags,
                received_at=self.count * 31 % 5,
            )
        )  # fmt: skip

    def client(self, store: Between, kind: str) -> Client:
        return ContextClient(store, self.account_id, kind)

    async def opened(self, client: Client) -> None:
        await super().opened(client)
        assert isinstance(client, ContextClient)
        for _ in range(2):
            self.begun = getattr(self, "begun", len(self.index)) + 5
            await self._keep(client, PROGRAMS[self.begun % len(PROGRAMS)], by_uid=bool(self.begun % 2))

    @rule(number=CLIENTS, program=st.sampled_from(PROGRAMS), by_uid=st.booleans())
    def keep(self, number: int, program: tuple[str, str], by_uid: bool) -> None:
        client = self.awake(number)
        assert isinstance(client, ContextClient)
        self.run(self._keep(client, program, by_uid))

    async def _keep(self, client: ContextClient, program: tuple[str, str], by_uid: bool) -> None:
        if self.texts or " TEXT " not in program[1]:
            await client.keep(*program, by_uid)
            await client.complete()  # VANISHED of a message whose UID was never learnt cannot be understood

    @rule(number=CLIENTS)
    def look_afresh(self, number: int) -> None:
        client = self.awake(number)
        assert isinstance(client, ContextClient)
        self.run(self._compared(client))

    def teardown(self) -> None:
        try:
            for client in self.clients if sys.exc_info()[0] is None else ():
                assert isinstance(client, ContextClient)
                if client.idling is None:
                    self.run(self._compared(client))
        finally:
            super().teardown()

    async def _compared(self, client: ContextClient) -> None:
        self.store.waiting = []
        await client.up_to_date()
        await client.up_to_date()
        await client.compare()


TestContexts = ContextSessions.TestCase
TestContexts.settings = settings(
    max_examples=100, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestContexts = pytest.mark.slow(TestContexts)


class DurableContexts(ContextSessions, DurableSessions):
    """The same over the embedded engine."""

    texts = False


TestDurableContexts = DurableContexts.TestCase
TestDurableContexts.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestDurableContexts = pytest.mark.slow(TestDurableContexts)
