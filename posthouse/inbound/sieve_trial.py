"""What a script would do with a message, without doing it: for people who write scripts and wonder.

It sees the account's mailboxes, annotations and other scripts as they are now, and the ids that are remembered; nothing
is delivered, sent, made or remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.inbound.sieve_answers import Answers, TooManyQuestions
from posthouse.inbound.sieve_mailboxes import Mailboxes
from posthouse.inbound.sieve_step import Step
from posthouse.limits import SIEVE_TEXT
from posthouse.message.headers import Headers
from posthouse.sieve.actions import (
    Action,
    Discard,
    FileInto,
    Keep,
    Notify,
    Outcome,
    Redirect,
    Reject,
    Vacation,
)
from posthouse.sieve.facts import Facts
from posthouse.sieve.faults import SieveError
from posthouse.sieve.questions import Question
from posthouse.sieve.run import run
from posthouse.sieve.tables import Script
from posthouse.store.interface import Store
from posthouse.store.model import Account

_SHOWN = 200
"""Characters of an answer's or a refusal's words that are told."""


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that would be done."""

    action: str
    """As scripts call it; `changed`: other fields."""
    line: int = 0
    """Of the script; 0: it is implied."""
    what: str
    """In words."""


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """All of them."""

    deeds: tuple[Deed, ...]
    fault: str = ""
    """The script fails so, and the message is kept."""
    fields: tuple[str, ...] = ()
    """The header as the script leaves it, where it changes it."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """How the message is said to come."""

    sender: str = ""
    recipient: str = ""
    spam_percent: int = -1


class Trials:
    """Tries scripts. One for the house."""

    def __init__(self, store: Store, scripts: SieveScripts[Script], now: Callable[[], float]) -> None:
        self._store = store
        self._scripts = scripts
        self._now = now

    async def tried(self, script: Script, account: Account, message: bytes, envelope: Envelope) -> Trial:
        """What would become of a message that comes to an account."""
        mailboxes = Mailboxes(self._store, account.account_id)
        answers = Answers(self._store, self._scripts, mailboxes, account, self._now)
        outcome = await self._outcome(script, self._facts(account, message, envelope), answers)
        deeds = [await self._deed(action, mailboxes, envelope) for action in outcome.actions]
        fields: tuple[str, ...] = ()
        if outcome.content is not None:
            headers = Headers.scan(outcome.content)
            fields = tuple(
                f"{name.decode('ascii', 'replace')}: {value.decode('utf-8', 'replace')}"
                for name, value in headers.items()
            )
            deeds.append(Deed(action="changed", what="with another header"))
        if outcome.remember:
            deeds.append(
                Deed(action="duplicate", what="remembered, so that another of its kind is a duplicate")
            )
        return Trial(deeds=tuple(deeds), fault=outcome.fault, fields=fields)

    def _facts(self, account: Account, message: bytes, envelope: Envelope) -> Facts:
        recipient = envelope.recipient or account.address
        prefix = f"Return-Path: <{envelope.sender}>\r\nDelivered-To: {recipient}\r\n".encode()
        whole = prefix + message
        percent = envelope.spam_percent
        return Facts(
            headers=Headers.scan(whole),
            content=whole[:SIEVE_TEXT],
            size=len(whole),
            sender=envelope.sender,
            recipient=recipient,
            address=account.address,
            now=self._now(),
            spam=0 if percent < 0 else min(10, 1 + percent // 10),
            spam_percent=percent,
        )

    async def _outcome(self, script: Script, facts: Facts, answers: Answers) -> Outcome:
        running = run(script, facts)
        answer: object = None
        fault: SieveError | None = None
        while True:
            asked: Question | Outcome = await asyncio.to_thread(Step(running, answer, fault))
            if isinstance(asked, Outcome):
                return asked
            answer = fault = None
            try:
                answer = await answers.to(asked)
            except SieveError as wrong:
                fault = wrong
            except TooManyQuestions as wrong:
                return Outcome(actions=(Keep(),), fault=str(wrong))

    async def _deed(self, action: Action, mailboxes: Mailboxes, envelope: Envelope) -> Deed:
        name, what = type(action).__name__.lower(), ""
        match action:
            case Keep():
                what = f"INBOX{_flags(action.flags)}"
            case FileInto():
                what = await self._place(action, mailboxes) + _flags(action.flags)
            case Discard():
                what = "thrown away"
            case Redirect():
                what = f"sent on to {action.address}{_asked(action)}"
            case Reject():
                name = "ereject" if action.extended else "reject"
                what = f"refused: {_short(action.reason)}"
            case Vacation():
                to = envelope.sender or "nobody: it comes from <>"
                what = f"answered to {to}, once in {_period(action.seconds)}: {_short(action.reason)}"
            case Notify():
                what = f"told to {action.method}: {_short(action.message)}"
        return Deed(action=name, line=action.line, what=what)

    async def _place(self, action: FileInto, mailboxes: Mailboxes) -> str:
        """The mailbox that it would be in."""
        for found in (
            await mailboxes.with_id(action.mailbox_id) if action.mailbox_id else None,
            await mailboxes.with_use(action.special_use) if action.special_use else None,
            await mailboxes.named(action.mailbox),
        ):
            if found is not None:
                return found.name
        if action.create:
            return f"{action.mailbox}, which would be made"
        return f'INBOX, since there is no mailbox "{action.mailbox}"'


def _flags(flags: frozenset[str]) -> str:
    return f" with {' '.join(sorted(flags))}" if flags else ""


def _asked(action: Redirect) -> str:
    said = [f"NOTIFY={action.notify}" if action.notify else "", f"RET={action.ret}" if action.ret else ""]
    return "".join(f", {each}" for each in said if each)


def _period(seconds: int) -> str:
    days = seconds // 86_400
    return f"{days} days" if days else f"{seconds} seconds"


def _short(text: str) -> str:
    return " ".join(text.split())[:_SHOWN]
