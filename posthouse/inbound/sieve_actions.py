"""What a script wants, as operations of the delivery's commit and as lines of the timeline.

What cannot be sent is no reason to lose the message: a redirect that fails is a keep (RFC 5228 §2.10.6, §4.2), an
answer or a notice that fails is left out.
"""

from __future__ import annotations

from typing import Any

from posthouse.imap.mailbox_name import BadName
from posthouse.inbound.filtered import Filtered, Passage, Refusal
from posthouse.inbound.sieve_facts import Shape, changed_shape
from posthouse.inbound.sieve_filing import Filing
from posthouse.inbound.sieve_mailboxes import Mailboxes
from posthouse.inbound.sieve_means import Allowance, Means
from posthouse.inbound.sieve_news import fault_told
from posthouse.inbound.sieve_notify import notified
from posthouse.inbound.sieve_redirect import NotSent, redirected
from posthouse.inbound.sieve_vacation import Sent, answered
from posthouse.inbound.story import line
from posthouse.limits import SIEVE_REASON
from posthouse.sieve.actions import (
    Action,
    Discard,
    Fcc,
    FileInto,
    Keep,
    Notify,
    Outcome,
    Redirect,
    Reject,
    Vacation,
)
from posthouse.sieve.facts import Facts
from posthouse.store.interface import AddEmail, Op


class Doing:
    """Does what one script wants with one copy."""

    def __init__(self, means: Means, passage: Passage, facts: Facts, mailboxes: Mailboxes) -> None:
        self._means = means
        self._passage = passage
        self._facts = facts
        self._filing = Filing(means, passage, mailboxes)
        self._allowance = Allowance(means, passage.account_id)
        self._ops: list[Op[Any]] = []
        self._notes: list[str] = []
        self._to_file: list[Keep | FileInto] = []
        self._refusal = ""
        self._extended = False
        self._changed: Shape | None = None
        self._failed = False
        """Something that should have become of it did not."""

    async def carry_out(self, outcome: Outcome) -> Filtered:
        """Everything."""
        fault = outcome.fault
        self._changed = await self._shape(outcome)
        for action in outcome.actions:
            await self._do(action)
        if self._failed and not self._to_file and not self._refusal:
            self._to_file.append(Keep())
        copies = await self._filing.copies(self._to_file, self._changed or self._filing.unchanged)
        if fault:
            self._notes.append(f"the script failed: {fault}")
            self._ops += await fault_told(self._passage, fault, self._facts.headers, self._means)
        self._ops += self._allowance.ops()
        answers = any(isinstance(action, Vacation) for action in outcome.actions)
        return Filtered(
            ops=(*copies, *self._ops),
            notes=tuple(
                line(self._passage.mail, "filtered", self._passage.box.address, note)
                for note in (*self._notes, *self._filing.notes)
            ),
            refusal=await self._refused(),
            quiet=answers or not copies,
        )

    async def _shape(self, outcome: Outcome) -> Shape | None:
        if outcome.content is None:
            return None
        changed = await changed_shape(self._passage, self._facts, outcome.content, self._means.store)
        self._notes.append("changed" if changed is not None else "not changed: it is too large for that")
        return changed

    async def _do(self, action: Action) -> None:
        at = f" (line {action.line})" if action.line else ""
        match action:
            case Keep() | FileInto():
                self._to_file.append(action)
            case Discard():
                self._notes.append(f"discarded{at}")
            case Reject():
                self._refusal = action.reason[:SIEVE_REASON] or " "
                self._extended = action.extended
                self._notes.append(f"refused{at}: {' '.join(action.reason.split())[:200]}")
            case Redirect():
                await self._redirect(action, at)
            case Vacation():
                await self._answer(action, at)
            case Notify():
                await self._notify(action, at)

    async def _redirect(self, action: Redirect, at: str) -> None:
        try:
            self._ops += await redirected(action, self._passage, self._means, self._allowance, self._changed)
            self._notes.append(f"redirected to {action.address}{at}")
        except NotSent as why:
            self._failed = True
            self._notes.append(f"not redirected to {action.address}{at}: {why}")

    async def _answer(self, action: Vacation, at: str) -> None:
        headers = self._facts.headers
        try:
            sent = await answered(action, self._passage, self._means, self._allowance, headers)
        except NotSent as why:
            self._notes.append(f"no vacation answer{at}: {why}")
            return
        self._ops += sent.ops
        self._notes.append(f"vacation answer to {self._passage.mail.reverse_path}{at}")
        await self._copy(sent, action.fcc)

    async def _notify(self, action: Notify, at: str) -> None:
        headers = self._facts.headers
        try:
            sent = await notified(action, self._passage, self._means, self._allowance, headers)
        except NotSent as why:
            self._notes.append(f"no notice{at}: {why}")
            return
        self._ops += sent.ops
        self._notes.append(f"notice to {', '.join(one.address for one in sent.mail.recipients)}{at}")
        await self._copy(sent, action.fcc)

    async def _copy(self, sent: Sent, fcc: Fcc | None) -> None:
        """RFC 8580 §3: a copy of what was sent."""
        if fcc is None:
            return
        try:
            mailbox = await self._filing.find(fcc)
        except BadName:
            mailbox = None
        if mailbox is None:
            self._notes.append(f'no copy of it in "{fcc.mailbox}": there is no such mailbox')
            return
        self._ops.append(
            AddEmail(
                account_id=self._passage.account_id,
                mailbox_id=mailbox.mailbox_id,
                content=sent.mail.content,
                flags=await self._filing.flags(fcc.flags),
                received_at=int(sent.mail.received_at),
            )
        )

    async def _refused(self) -> Refusal | None:
        if not self._refusal:
            return None
        return Refusal(self._refusal.strip(), self._extended, await self._filing.kept())
