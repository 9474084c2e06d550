"""The course of a move: copy while mail goes on, copy again what has changed, then the rest while nothing may; compare.

It can be cut off at any point and begun again: accounts that are as they were copied are passed over, and bytes that
are there are not sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from posthouse.errors import StoreUnavailable
from posthouse.store.moving.tables import OF_MAIL, PAGE, Blob, Rows, Source, Target, Totals, shared_columns

ACCOUNTS_AT_ONCE: Final = 25
"""Accounts of one transaction: what a transaction costs is shared, and mail that comes meanwhile is soon copied."""
BLOBS_AT_ONCE: Final = 1_000
"""Message bodies of one transaction."""
BLOB_OCTETS: Final = 32 * 1024 * 1024
"""Octets of them at most, but for a single larger one."""
PASSES: Final = 5
"""Times that changed accounts are copied again while mail goes on."""

Progress = Callable[[str, int, int], None]
"""Told what is done, how many of how many."""


class Mismatch(StoreUnavailable):
    """What arrived is not what was sent."""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What a move came to."""

    accounts: int
    messages: int
    octets: int
    seconds: float
    pause: float
    """Seconds in which nothing could be changed."""


class Mover:
    """One move. All in one thread."""

    def __init__(self, source: Source, target: Target, progress: Progress) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._columns = shared_columns(source, target)
        self._compared: dict[int, Totals] = {}
        """Accounts that arrived as they were sent; each is compared when it is copied, not while all wait."""
        self._began = time.monotonic()

    def copy_while_serving(self) -> None:
        """Copy accounts until nearly all are as they are."""
        for number in range(PASSES):
            changed = self._changed()
            if number and len(changed) <= max(10, len(self._source.accounts()) // 100):
                break
            self._copy(changed, "copying" if number == 0 else "copying what changed")
        self._compare_earlier()

    def _compare_earlier(self) -> None:
        """Accounts that a run before this one has copied."""
        moved = self._target.moved()
        for account_id in moved.keys() - self._compared.keys():
            with self._source.snapshot():
                mark = self._source.fingerprint(account_id)
                if mark is not None and moved[account_id] == mark.text():
                    self._compare(account_id)

    def finish(self) -> Moved:
        """Nothing may change now: copy what is left and the rest, and compare."""
        paused = time.monotonic()
        self._copy(self._changed(), "copying what changed last")
        here = set(self._source.accounts())
        for account_id in self._target.moved().keys() - here:
            self._target.drop_account(account_id)
        blobs = self._source.blobs_of_queue()
        self._send(blobs)
        rest = (
            (table, columns, self._source.all_rows(table, columns))
            for table, columns in self._columns.items()
            if table not in OF_MAIL
        )
        self._target.put_rest(rest, self._source.ceilings())
        messages, octets = self._verify(sorted(here))
        now = time.monotonic()
        return Moved(
            accounts=len(here),
            messages=messages,
            octets=octets,
            seconds=now - self._began,
            pause=now - paused,
        )

    def _changed(self) -> list[int]:
        moved = self._target.moved()
        found = []
        for account_id in self._source.accounts():
            mark = self._source.fingerprint(account_id)
            if mark is not None and moved.get(account_id) != mark.text():
                found.append(account_id)
        return found

    def _copy(self, accounts: list[int], what: str) -> None:
        for start in range(0, len(accounts), ACCOUNTS_AT_ONCE):
            self._progress(what, start, len(accounts))
            self._copy_some(accounts[start : start + ACCOUNTS_AT_ONCE])
        self._progress(what, len(accounts), len(accounts))

    def _copy_some(self, accounts: list[int]) -> None:
        self._send(self._blobs_of(accounts))  # most of it, before the moment that counts
        with self._source.snapshot():
            found = []
            for account_id in accounts:
                state, mark = self._source.state(account_id), self._source.fingerprint(account_id)
                if state is not None and mark is not None:
                    found.append((state, mark.text()))
            here = [state.account_id for state, _ in found]
            self._send(self._blobs_of(here))
            self._target.put_accounts(found, self._mail_of(here))
            for account_id in here:
                self._compare(account_id)

    def _blobs_of(self, accounts: list[int]) -> list[Blob]:
        return [blob for account_id in accounts for blob in self._source.blobs_of(account_id)]

    def _compare(self, account_id: int) -> None:
        sent, arrived = self._source.totals(account_id), self._target.totals(account_id)
        if sent != arrived:
            raise Mismatch(f"Account {account_id} did not arrive as it was sent: {sent} is not {arrived}.")
        self._compared[account_id] = sent

    def _mail_of(self, accounts: list[int]) -> Iterator[Rows]:
        for table in OF_MAIL:
            columns = self._columns[table]
            page = []
            for account_id in accounts:
                for row in self._source.rows_of(table, columns, account_id):
                    page.append(row)
                    if len(page) == PAGE:
                        yield table, columns, page
                        page = []
            if page:
                yield table, columns, page

    def _send(self, blobs: list[Blob]) -> None:
        for start in range(0, len(blobs), BLOBS_AT_ONCE):
            missing = self._target.missing(blobs[start : start + BLOBS_AT_ONCE])
            batch: list[Blob] = []
            ready: dict[Blob, bytes] = {}
            room = BLOB_OCTETS
            for blob in missing:
                ready[blob] = self._source.octets(blob)
                batch.append(blob)
                room -= len(ready[blob])
                if room <= 0:
                    self._target.put_blobs(batch, ready.__getitem__)
                    batch, ready, room = [], {}, BLOB_OCTETS
            if batch:
                self._target.put_blobs(batch, ready.__getitem__)

    def _verify(self, accounts: list[int]) -> tuple[int, int]:
        """Compare what has not been; messages and octets of all."""
        for number, account_id in enumerate(accounts):
            self._progress("comparing", number, len(accounts))
            if account_id not in self._compared:
                self._compare(account_id)
        self._progress("comparing", len(accounts), len(accounts))
        all_of_them = [self._compared[account_id] for account_id in accounts]
        return sum(each.placements[0] for each in all_of_them), sum(each.emails[1] for each in all_of_them)
