"""Computes envelopes, structures and previews after the mail was accepted, in quiet moments.

Emails are taken in the order of their numbers; how far that has come is kept, so a restart goes on there. While
somebody is served only a few emails at a time are done; readers compute what is asked for before its turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.store.foreground import Foreground
from posthouse.store.memory.engine import Derive, NewDerived
from posthouse.store.memory.readers import Readers
from posthouse.store.sqlite import upkeep
from posthouse.store.sqlite.connection import columns, integer
from posthouse.store.sqlite.emails import derive_emails
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.transaction import Transaction
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

BUSY_SECONDS: Final = 0.25
"""Between two small steps while somebody is served: under one percent of a processor."""
RETRY_SECONDS: Final = 30.0
"""After a fault of the disk."""


class _Step(msgspec.Struct):
    computed: list[NewDerived]
    done_to: int


class Deriver:
    """The job. `wake` when mail came."""

    def __init__(
        self,
        readers: Readers[Reader],
        derive: Derive,
        background: Callable[[Callable[[Transaction], Any]], Awaitable[Any]],
        foreground: Foreground,
    ) -> None:
        self._readers = readers
        self._derive = derive
        self._background = background
        self._foreground = foreground
        self._woken = asyncio.Event()
        self._woken.set()
        self.done = asyncio.Event()
        """Set while there is nothing to do."""
        self._done_to: int | None = None

    def wake(self) -> None:
        """There is something new."""
        self.done.clear()
        self._woken.set()

    async def run(self) -> None:
        """For as long as the store is open."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                self._foreground.urgent = True
                while await self._step(await self._room()):
                    pass
                self._foreground.urgent = False
                if not self._woken.is_set():
                    self.done.set()
            except Exception as fault:
                self._foreground.urgent = False
                told(log, "deriving is put off", fault)
                await asyncio.sleep(RETRY_SECONDS)
                self._woken.set()

    async def _room(self) -> int:
        """Wait for a quiet moment, but not for long; how many emails to do in it."""
        waited = 0.0
        while self._foreground.busy:
            if waited >= BUSY_SECONDS:
                return limits.DERIVE_BATCH_BUSY
            await asyncio.sleep(limits.QUIET_SECONDS)
            waited += limits.QUIET_SECONDS
        return limits.DERIVE_BATCH

    async def _step(self, emails: int) -> bool:
        """Do some emails; whether there may be more."""
        if self._done_to is None:
            self._done_to = await self._readers.run(_done_to)
        step = await self._readers.run(_derive_some, self._done_to, emails, self._derive, self._foreground)
        if step.done_to == self._done_to:
            return False
        await self._background(lambda tx: upkeep.keep_derived(tx, step.computed, step.done_to))
        self._done_to = step.done_to
        return True


def _done_to(reader: Reader) -> int:
    rows = reader.db.rows("SELECT value FROM note WHERE name = 'derived_to'")
    return int(rows[0][0]) if rows else 0


def _derive_some(reader: Reader, after: int, count: int, derive: Derive, foreground: Foreground) -> _Step:
    """The next emails' values; of many, fewer as soon as somebody is served."""
    ids, owners, present = columns(
        reader.db,
        [integer("email_id"), integer("account_id"), integer("present")],
        "FROM (SELECT email_id, account_id, EXISTS (SELECT 1 FROM derived d"
        " WHERE d.account_id = email.account_id AND d.email_id = email.email_id) AS present"
        " FROM email WHERE email_id > ? ORDER BY email_id LIMIT ?)",
        (after, count),
    )
    step = _Step([], after)
    found = list(zip(ids, owners, present, strict=True))
    for start in range(0, len(found), limits.DERIVE_BATCH_BUSY):
        if foreground.busy and len(step.computed) >= limits.DERIVE_BATCH_BUSY:
            break
        some = found[start : start + limits.DERIVE_BATCH_BUSY]
        missing: dict[int, list[int]] = {}
        for email_id, account_id, there in some:
            if not there:
                missing.setdefault(account_id, []).append(email_id)
        for account_id, email_ids in missing.items():
            step.computed.extend(derive_emails(reader, account_id, email_ids, derive))
        step.done_to = some[-1][0]
    return step
