"""Learning from what people do, in the background: mail moved into and out of Junk, marked, answered, put into Sent.

The store writes the lessons in the commit of the command itself (`store.judgement`), so no command waits for this,
every client counts alike, and what a crash cut off is learnt at the next start. Each round keeps the models and ends
its lessons in one commit: nothing is learnt twice, and a message that goes back is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final, NamedTuple

from posthouse.errors import PosthouseError
from posthouse.junk.classifier import Model
from posthouse.junk.history import History
from posthouse.junk.letter import Letter, whole_text
from posthouse.junk.models import Models
from posthouse.junk.tokens import read_tokens
from posthouse.junk.verdict import author_was_proved
from posthouse.limits import GOOD_PER_ROUND, LESSONS_AT_ONCE, LESSONS_POLL, TOKEN_SOURCE
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import HOUSE, EndLesson, Lesson, LessonKind
from posthouse.store.model import SEEN, Role

log: Final = logging.getLogger(__name__)

_AS: Final = {LessonKind.JUNK: "junk", LessonKind.GOOD: "good", LessonKind.ANSWERED: "good"}
_RETRY: Final = 30.0
"""Seconds after a round that failed."""


class _Taught(NamedTuple):
    """What is learnt."""

    letter: Letter
    proved: bool | None
    """Whether it was its author's; None: nothing is known of that."""


class Trainer:
    """`start`, then `stop`. One per house that serves."""

    def __init__(
        self,
        store: Store,
        models: Models,
        history: History,
        may_do: Callable[[str], Awaitable[bool]],
    ) -> None:
        """`may_do`: whether a duty is this node's; of several only one learns."""
        self._may_do = may_do
        self._store = store
        self._models = models
        self._history = history
        self._wanted = asyncio.Event()
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._unwatch: Callable[[], None] | None = None
        self.learnt: Callable[[int], None] = _nobody
        """Hears after the commit whose filter has learnt."""

    def start(self) -> None:
        """Begin with what waits from before."""
        self._unwatch = self._store.watch_lessons(self._wake)
        self._wanted.set()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="junk-trainer")

    async def stop(self) -> None:
        """End between two rounds."""
        if self._unwatch is not None:
            self._unwatch()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def _wake(self) -> None:
        self._idle.clear()
        self._wanted.set()

    async def settle(self) -> None:
        """Wait until nothing waits to be learnt (tests)."""
        await self._idle.wait()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LESSONS_POLL):  # other nodes' lessons wake nobody here
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                while await self._may_do("junk trainer") and await self.round():
                    pass
            except PosthouseError as fault:
                log.warning("learning put off: %s", fault)
                asyncio.get_running_loop().call_later(_RETRY, self._wanted.set)
            except Exception:
                log.exception("learning failed")
                asyncio.get_running_loop().call_later(_RETRY, self._wanted.set)
            if not self._wanted.is_set():
                self._idle.set()

    async def round(self) -> int:
        """Learn some of what waits; how many lessons."""
        lessons = await self._store.lessons(LESSONS_AT_ONCE)
        for account_id, some in itertools.groupby(lessons, key=lambda lesson: lesson.account_id):
            mine = list(some)
            try:
                await self._learn(account_id, mine)
            except Exception as fault:
                self._history.forget(account_id)  # what it noted is not kept, and is to be noted again
                if isinstance(fault, PosthouseError):
                    raise
                # A fault of ours; but one message must not keep everybody's lessons waiting.
                log.exception("account %d: %d lessons cannot be learnt", account_id, len(mine))
                await self._store.commit(*(_ended(lesson, lesson.learnt) for lesson in mine))
        return len(lessons)

    async def _learn(self, account_id: int, lessons: list[Lesson]) -> None:
        async with self._models.lesson(account_id, HOUSE) as school:
            ops: list[Op[Any]] = []
            has_taught = False
            for lesson in lessons:
                letter = await self._read(account_id, lesson.email_id)
                learnt = _AS.get(lesson.kind, lesson.learnt) if letter is not None else lesson.learnt
                if letter is not None:
                    if learnt != lesson.learnt:
                        has_taught = True
                        taught = _Taught(letter, await self._proved(account_id, lesson.email_id))
                        await self._teach(school, taught, learnt, lesson.learnt)
                    ops += await self._note(account_id, letter, lesson)
                ops.append(_ended(lesson, learnt))
            if any(lesson.kind is LessonKind.JUNK for lesson in lessons):
                examples = await self._examples(account_id, school, {lesson.email_id for lesson in lessons})
                has_taught = has_taught or bool(examples)
                ops += examples
            if has_taught:
                ops += [await self._models.packed(owner, model) for owner, model in school.items()]
            await self._store.commit(*ops)
            if has_taught:
                self._models.taught(school)
        self.learnt(account_id)
        log.info("learnt account=%d lessons=%d", account_id, len(lessons))

    async def _read(self, account_id: int, email_id: int) -> Letter | None:
        (stored,) = await self._store.stored(account_id, [email_id])
        if stored is None:
            return None
        try:
            raw = await self._store.read(stored, 0, TOKEN_SOURCE)
        except PosthouseError:
            return None  # gone, or damaged: nothing to learn from
        # As it came: what we put in front of it would tell one recipient's copy from another's.
        return Letter.of(raw[len(stored.prefix) :])

    async def _proved(self, account_id: int, email_id: int) -> bool | None:
        """Whether it was its author's, by the verdict that came with it; None: it came by another way."""
        (record,) = await self._store.verdict(account_id, [email_id])
        return None if record is None else author_was_proved(record)

    async def _teach(self, school: dict[int, Model], taught: _Taught, learnt: str, before: str) -> None:
        """To the account's filter and to that of the house."""
        letter = taught.letter
        raw = letter.content.beginning()
        tokens = await asyncio.to_thread(read_tokens, raw, letter.headers, letter.authors, taught.proved)
        for model in school.values():
            if before:
                model.unlearn(tokens.names, junk=before == "junk")
            model.learn(tokens.names, junk=learnt == "junk")

    async def _note(self, account_id: int, letter: Letter, lesson: Lesson) -> list[Op[Any]]:
        """What the account's history gains."""
        if lesson.kind is LessonKind.SENT:
            return await self._history.written(account_id, _recipients(letter))
        author = letter.author
        if author is None:
            return []
        address = author.address.lower()
        if lesson.kind is LessonKind.ANSWERED:
            return await self._history.written(account_id, [address])
        (record,) = await self._store.verdict(account_id, [lesson.email_id])
        return await self._history.judged(
            account_id,
            address,
            junk=lesson.kind is LessonKind.JUNK,
            before=lesson.learnt,
            proved=author_was_proved(record),
        )

    async def _examples(
        self, account_id: int, school: dict[int, Model], taught: Collection[int]
    ) -> list[Op[Any]]:
        """Read mail that was left in the inbox is good: without examples of it, words would only speak for junk.

        `taught`: emails of this round, which may have been marked as junk where they are.
        """
        model = school[account_id]
        lacking = model.junk + 2 - model.good
        inbox = next((box for box in await self._store.mailboxes(account_id) if box.role is Role.INBOX), None)
        if inbox is None or lacking <= 0:
            return []
        index = await self._store.index(account_id, inbox.mailbox_id)
        latest = zip(index.email_ids[-GOOD_PER_ROUND:], index.flags[-GOOD_PER_ROUND:], strict=True)
        seen = [email_id for email_id, flags in latest if flags & SEEN]
        known = await self._store.learnt(account_id, seen)
        ops: list[Op[Any]] = []
        for email_id, before in zip(reversed(seen), reversed(known), strict=True):
            if before or email_id in taught or len(ops) >= min(lacking, LESSONS_AT_ONCE):
                continue
            letter = await self._read(account_id, email_id)
            if letter is not None:
                example = _Taught(letter, await self._proved(account_id, email_id))
                await self._teach(school, example, "good", "")
                ops.append(EndLesson(account_id=account_id, email_id=email_id, kind=None, learnt="good"))
        return ops


def _ended(lesson: Lesson, learnt: str) -> EndLesson:
    return EndLesson(account_id=lesson.account_id, email_id=lesson.email_id, kind=lesson.kind, learnt=learnt)


def _nobody(_: int) -> None:
    """There is no other process."""


def _recipients(letter: Letter) -> Iterable[str]:
    """To and Cc, lower case; a few hundred at most."""
    values = [*letter.headers.all("to"), *letter.headers.all("cc")][:10]
    found = (
        whole_text(one.address.lower())
        for value in values
        for one in flat(parse_mailbox_list(value))
        if one.domain
    )
    return itertools.islice(found, 200)
