"""Sieve on delivery (RFC 5228): an account's active script decides what becomes of its copy of a message.

The script is shown what the judge of junk puts in the inbox. What goes to Junk or Rejects it sees only if it `require`s
spamtest, virustest or their like (RFC 5235); then it decides, and what it keeps goes where the judge said. All that it
wants is in the one commit that delivers the message. A script that fails, takes too long or asks too much keeps the
message as if there were none (RFC 5228 §2.10.6), and its owner is told.

Only a store that cannot answer is no fault of the script: then the message is put off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

import msgspec

from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.errors import Temporary
from posthouse.inbound.deliver import Deliverer
from posthouse.inbound.filtered import Filtered, Passage
from posthouse.inbound.rulings import Place
from posthouse.inbound.sieve_actions import Doing
from posthouse.inbound.sieve_answers import Answers, TooManyQuestions
from posthouse.inbound.sieve_facts import facts_of
from posthouse.inbound.sieve_mailboxes import Mailboxes
from posthouse.inbound.sieve_means import Means
from posthouse.inbound.sieve_refusal import refusal_told
from posthouse.inbound.sieve_step import Step
from posthouse.limits import SIEVE_INLINE, SIEVE_SECONDS, SIEVE_SLOW, SIEVE_SLOW_KEPT
from posthouse.sieve.actions import Keep, Outcome
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import SieveError
from posthouse.sieve.flow import Unfinished
from posthouse.sieve.questions import Question
from posthouse.sieve.run import run
from posthouse.sieve.tables import Script
from posthouse.store.interface import Op

log: Final = logging.getLogger(__name__)

_JUDGING: Final = frozenset({"spamtest", "spamtestplus", "virustest"})


class Sieving:
    """Runs the scripts of all accounts. One per configuration."""

    def __init__(self, scripts: SieveScripts[Script], means: Means) -> None:
        self._scripts = scripts
        self._means = means
        self._slow: set[int] = set()
        """Accounts whose scripts were seen to keep the event loop."""

    async def has_script(self, account_id: int) -> bool:
        """Whether an account has an active script. One look into memory where it never had any."""
        try:
            return await self._scripts.active(account_id) is not None
        except SieveError:
            return True  # its owner is told

    async def sees_junk(self, account_id: int) -> bool:
        """Whether its script decides itself what becomes of junk."""
        try:
            script = await self._scripts.active(account_id)
        except SieveError:
            return False
        return script is not None and not _JUDGING.isdisjoint(script.requires)

    async def tell_refusal(self, passage: Passage, reason: str) -> Sequence[Op[Any]]:
        """What tells the sender of a message that it was refused, and why."""
        return await refusal_told(passage, reason, self._means)

    async def filter(self, passage: Passage) -> Filtered | None:
        """What the account's script makes of a copy; None: there is no script for it."""
        number = passage.account_id
        if passage.place is not Place.INBOX and not await self.sees_junk(number):
            return None
        mailboxes = Mailboxes(self._means.store, number)
        answers = Answers(self._means.store, self._scripts, mailboxes, passage.box.account, self._means.now)
        whole = False
        outcome: Outcome | None = None
        script: Script | None = None
        try:
            script = await self._scripts.active(number)
            if script is None:
                return None
            whole = script.reads_text
        except SieveError as fault:
            outcome = _failed(f"the script cannot be used any more: {fault.public}")
        facts = await facts_of(passage, self._means, whole=whole)
        if script is not None:
            outcome = await self._outcome(script, facts, answers, passage)
        assert outcome is not None
        return await self._done(passage, facts, outcome, answers, mailboxes)

    async def _outcome(self, script: Script, facts: Facts, answers: Answers, passage: Passage) -> Outcome:
        try:
            async with asyncio.timeout(SIEVE_SECONDS):
                return await self._driven(script, facts, answers, passage.account_id)
        except TimeoutError:
            return _failed(f"it takes more than {SIEVE_SECONDS:g} seconds")
        except TooManyQuestions as fault:
            return _failed(str(fault))
        except Temporary:
            raise
        except Exception:
            log.exception("a sieve script failed id=%s account=%d", passage.mail.trace_id, passage.account_id)
            return _failed("something went wrong here, which the postmaster's log tells of")

    async def _driven(self, script: Script, facts: Facts, answers: Answers, account_id: int) -> Outcome:
        """Run a script, with an answer to each of its questions; in a thread when it takes long.

        That it does is seen by what it does, before it has kept everybody waiting: a run has no effects but its
        outcome, so it begins anew there.
        """
        large = script.reads_text and len(facts.content) > SIEVE_INLINE
        if not large and account_id not in self._slow:
            try:
                return await self._steps(run(script, facts, briefly=True), answers, account_id)
            except Unfinished:
                self._note_slow(account_id)
                answers.begin()
        return await self._steps(run(script, facts), answers, account_id, aside=True)

    async def _steps(
        self,
        running: Generator[Question, object, Outcome],
        answers: Answers,
        account_id: int,
        *,
        aside: bool = False,
    ) -> Outcome:
        answer: object = None
        fault: SieveError | None = None
        while True:
            step = Step(running, answer, fault)
            asked = await asyncio.to_thread(step) if aside else self._timed(step, account_id)
            if isinstance(asked, Outcome):
                return asked
            answer = fault = None
            try:
                answer = await answers.to(asked)
            except SieveError as wrong:  # of an included script: the one that includes it fails with it
                fault = wrong

    def _timed(self, step: Step, account_id: int) -> Question | Outcome:
        begun = time.perf_counter()
        asked = step()
        if time.perf_counter() - begun > SIEVE_SLOW:
            self._note_slow(account_id)
        return asked

    def _note_slow(self, account_id: int) -> None:
        if len(self._slow) >= SIEVE_SLOW_KEPT:
            self._slow.clear()
        self._slow.add(account_id)

    async def _done(
        self, passage: Passage, facts: Facts, outcome: Outcome, answers: Answers, mailboxes: Mailboxes
    ) -> Filtered:
        try:
            done = await Doing(self._means, passage, facts, mailboxes).carry_out(outcome)
        except Temporary:
            raise
        except Exception:
            log.exception("sieve actions failed id=%s account=%d", passage.mail.trace_id, passage.account_id)
            failed = _failed("what it wants could not be done, as the postmaster's log tells")
            return await Doing(self._means, passage, facts, mailboxes).carry_out(failed)
        remember = answers.remembering(outcome.remember)
        return msgspec.structs.replace(done, ops=(*done.ops, *remember)) if remember else done


def _failed(fault: str) -> Outcome:
    return Outcome(actions=(Keep(),), fault=fault)


def let_scripts_act(
    deliverer: Deliverer, scripts: SieveScripts[Script], hostname: str, now: Callable[[], float]
) -> None:
    """Show the accounts' scripts what is delivered from now on."""
    means = Means(
        store=deliverer.store,
        directory=deliverer.directory,
        folders=deliverer.folders,
        operations=deliverer.operations,
        hostname=hostname,
        now=now,
    )
    deliverer.filters = Sieving(scripts, means)
