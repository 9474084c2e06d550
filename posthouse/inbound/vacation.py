"""The vacation responder: an answer to people who write while one is away (RFC 8621 §8, RFC 3834, RFC 5230).

It answers a person once in VACATION_DAYS, and never: mail without a sender, automatic mail, lists and bulk mail, what
was not addressed to the account, what went to Junk, itself. Answers go out with the null reverse-path, so nothing can
answer them; the answer and the note of it are one commit.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.errors import Conflict, NotFound, PosthouseError
from posthouse.inbound.answers import Answer, addressed, may_answer, write_answer
from posthouse.inbound.mail import Mail, Via
from posthouse.message.compose import Body, multipart, text_body
from posthouse.message.headers import Headers
from posthouse.message.html import html_text
from posthouse.store.interface import Op, PutItem, RemoveItem, Store
from posthouse.store.model import Account

log: Final = logging.getLogger(__name__)

KIND: Final = "VacationResponse"
SENT: Final = "VacationSent"
SINGLETON: Final = 1
"""The number of the one object of each account."""
_DAY: Final = 86400

Operations = Callable[[Mail, bytes], Awaitable[list[Op[Any]]]]
"""`Deliverer.operations`."""


class Vacation(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 8621 §8; dates in POSIX seconds."""

    is_enabled: bool = False
    from_date: int | None = None
    to_date: int | None = None
    subject: str | None = None
    text_body: str | None = None
    html_body: str | None = None

    def holds(self, now: float) -> bool:
        """Whether mail that comes now is answered."""
        begun = self.from_date is None or now >= self.from_date
        return self.is_enabled and begun and (self.to_date is None or now < self.to_date)


class VacationResponder:
    """Answers after delivery, in the background. One per process; `close` waits for what was begun."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        operations: Callable[[], Operations],
        hostname: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._directory = directory
        self._operations = operations
        self._hostname = hostname
        self._now = now
        self._tasks: set[asyncio.Task[None]] = set()

    def delivered(self, mail: Mail, account_ids: Sequence[int]) -> None:
        """Mail has reached these accounts. Quick; a flood of mail is answered as far as VACATION_AT_ONCE goes."""
        if mail.via is Via.LOCAL or not mail.reverse_path or len(self._tasks) >= limits.VACATION_AT_ONCE:
            return
        task = asyncio.create_task(self._answer(mail, tuple(account_ids)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Finish what was begun."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer(self, mail: Mail, account_ids: tuple[int, ...]) -> None:
        headers = None
        for account_id in account_ids:
            try:
                if KIND not in (await self._store.states(account_id)).kinds:
                    continue
                headers = headers or Headers.scan(mail.content.head)
                if may_answer(headers, mail.reverse_path):
                    await self._answer_for(mail, headers, account_id)
            except PosthouseError as fault:
                log.info("no vacation answer account=%d: %s", account_id, fault.public)
            except Exception:
                log.exception("fault in the vacation responder")

    async def _answer_for(self, mail: Mail, headers: Headers, account_id: int) -> None:
        now = self._now()
        items = await self._store.items(account_id, KIND, [SINGLETON])
        vacation = msgspec.json.decode(items[0].data, type=Vacation) if items else Vacation()
        account = await self._store.account_by_id(account_id)
        if account is None or account.disabled or not vacation.holds(now):
            return
        if mail.reverse_path.casefold() == account.address or not await addressed(
            headers, account, self._directory
        ):
            return
        key = (
            int.from_bytes(
                hashlib.blake2b(mail.reverse_path.casefold().encode(), digest_size=8).digest(), "big"
            )
            >> 2
        )
        before = await self._store.items(account_id, SENT, [key])
        if before and now - msgspec.json.decode(before[0].data, type=float) < limits.VACATION_DAYS * _DAY:
            return
        forgotten: list[Op[Any]] = []
        if not before and await self._store.item_count(account_id, SENT) >= limits.VACATION_PEOPLE:
            forgotten = await self._answered_long_ago(account_id, now)
            if not forgotten:
                log.info("no vacation answer account=%d: too many people were answered", account_id)
                return
        answer = self._written(mail, headers, account, vacation)
        ops = await self._operations()(answer, b"")
        note = PutItem(
            account_id=account_id,
            kind=SENT,
            item_id=key,
            new=True,
            data=msgspec.json.encode(now),
            unchanged_since=before[0].modseq if before else 0,
        )
        try:
            await self._store.commit(*forgotten, note, *ops)
        except (Conflict, NotFound):
            return  # at this moment the same person wrote twice, or another answer forgot the same people
        log.info("vacation answer account=%d id=%s", account_id, answer.trace_id)

    async def _answered_long_ago(self, account_id: int, now: float) -> list[Op[Any]]:
        """What forgets the people who would be answered again: without that the notes of them only grow."""
        return [
            RemoveItem(account_id=account_id, kind=SENT, item_id=item.item_id)
            for item in await self._store.items(account_id, SENT)
            if now - msgspec.json.decode(item.data, type=float) >= limits.VACATION_DAYS * _DAY
        ]

    def _written(self, mail: Mail, headers: Headers, account: Account, vacation: Vacation) -> Mail:
        answer = Answer(subject=vacation.subject or "", body=_body(vacation))
        return write_answer(mail, headers, account, answer, self._hostname, self._now())


def _body(vacation: Vacation) -> Body:
    text = vacation.text_body
    if text is None and vacation.html_body is not None:
        text = html_text(vacation.html_body)
    plain = text_body(text if text is not None else "I am away and will answer later.\r\n")
    if vacation.html_body is None:
        return plain
    html = text_body(vacation.html_body, "text/html")
    return multipart("alternative", [plain, html], f"=_{secrets.token_hex(16)}")
