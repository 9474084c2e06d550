"""What a running script asks (`sieve.questions`), answered from the store: bounded in number."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.inbound.sieve_mailboxes import USES, Mailboxes
from posthouse.limits import SIEVE_QUESTIONS, SIEVE_REMEMBERED
from posthouse.sieve.questions import (
    Included,
    MailboxExists,
    MailboxIdExists,
    Metadata,
    Question,
    Seen,
    SpecialUseExists,
)
from posthouse.sieve.tables import Script
from posthouse.store import metadata
from posthouse.store.interface import Store
from posthouse.store.judgement import Memo, PutMemo
from posthouse.store.model import Account

_SEEN: Final = "SieveSeen"
_ADMIN: Final = "/shared/admin"
"""RFC 5464 §6.2.2: how the administrator is reached."""


class TooManyQuestions(Exception):
    """A script asks more than SIEVE_QUESTIONS."""


class Answers:
    """The answers to one run."""

    def __init__(
        self,
        store: Store,
        scripts: SieveScripts[Script],
        mailboxes: Mailboxes,
        account: Account,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._now = now
        self._scripts = scripts
        self._mailboxes = mailboxes
        self._account_id = account.account_id
        self._domain = account.address.rpartition("@")[2]
        self._left = SIEVE_QUESTIONS

    def begin(self) -> None:
        """The run begins anew, and asks again."""
        self._left = SIEVE_QUESTIONS

    async def to(self, question: Question) -> object:
        """The answer to one question. TooManyQuestions; SieveError of a script that is to be included."""
        self._left -= 1
        if self._left < 0:
            raise TooManyQuestions(f"it asks more than {SIEVE_QUESTIONS} questions")
        match question:
            case MailboxExists(name=name):
                return await self._mailboxes.named(name) is not None
            case MailboxIdExists(mailbox_id=mailbox_id):
                return await self._mailboxes.with_id(mailbox_id) is not None
            case SpecialUseExists():
                return await self._has_use(question)
            case Metadata():
                return await self._annotation(question)
            case Seen(unique_id=unique_id):
                keys = [_key(unique_id)]
                return bool(await self._store.memos(self._account_id, _SEEN, keys))
            case Included(name=name, personal=personal):
                # RFC 6609 §3.2: the house has no scripts for all
                return await self._scripts.included(self._account_id, name) if personal else None
        return None

    async def _has_use(self, question: SpecialUseExists) -> bool:
        if not question.mailbox:
            return await self._mailboxes.with_use(question.use) is not None
        mailbox = await self._mailboxes.named(question.mailbox)
        return (
            mailbox is not None
            and mailbox.role is not None
            and mailbox.role is USES.get(question.use.lower())
        )

    async def _annotation(self, question: Metadata) -> str | None:
        """As GETMETADATA tells its owner (RFC 5490 §3.3, §4.1)."""
        number = metadata.ACCOUNT_WIDE
        if not question.mailbox and question.name.lower() == _ADMIN:
            return f"mailto:postmaster@{self._domain}"
        if question.mailbox:
            mailbox = await self._mailboxes.named(question.mailbox)
            if mailbox is None:
                return None
            number = mailbox.mailbox_id
        items = await self._store.items(self._account_id, metadata.KIND, [number])
        entry = metadata.decode(items[0].data).get(question.name.lower()) if items else None
        return None if entry is None or entry.value is None else entry.value.decode("utf-8", "replace")

    def remembering(self, remember: tuple[tuple[bytes, int], ...]) -> list[PutMemo]:
        """What remembers ids that are no duplicates, for so many seconds (RFC 7352 §3)."""
        now = self._now()
        return [
            PutMemo(
                memo=Memo(
                    account_id=self._account_id,
                    kind=_SEEN,
                    key=_key(unique_id),
                    data=b"",
                    until=now + min(seconds, SIEVE_REMEMBERED),
                )
            )
            for unique_id, seconds in remember
        ]


def _key(unique_id: bytes) -> str:
    return hashlib.blake2b(unique_id, digest_size=16).hexdigest()
