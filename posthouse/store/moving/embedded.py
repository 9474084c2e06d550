"""The embedded store as a side of a move: read beside a running house, or written anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from posthouse.errors import StoreUnavailable
from posthouse.store.moving import compare
from posthouse.store.moving.tables import OF_MAIL, Blob, Fingerprint, Rows, Totals
from posthouse.store.sql.state import AccountState, load_account
from posthouse.store.sql.transaction import Interest, Settings
from posthouse.store.sqlite.connection import Connection, connect, snapshot
from posthouse.store.sqlite.emails import read_blob
from posthouse.store.sqlite.lock import StoreLock
from posthouse.store.sqlite.migrate import migrate
from posthouse.store.sqlite.readers import Reader
from posthouse.store.sqlite.segments import SegmentFolder, digest_of
from posthouse.store.sqlite.transaction import Transaction

_PLACEMENT = (  # with the flag changes that are logged and not settled yet
    "(SELECT p.account_id, p.mailbox_id, p.uid, p.email_id, coalesce(p.flags & l.keep | l.bits, p.flags) AS flags,"
    " coalesce(l.modseq, p.modseq) AS modseq, p.created_modseq, p.size, p.received_at, p.saved_at"
    " FROM placement p LEFT JOIN flag_log l ON l.account_id = p.account_id AND l.mailbox_id = p.mailbox_id"
    " AND p.uid BETWEEN l.first AND l.last)"
)
_MINE = (
    "FROM placement p JOIN email e ON e.email_id = p.email_id AND e.account_id = p.account_id"
    " WHERE p.account_id = ?"
)

_UNOWNED = (  # sent before those who had them went
    "SELECT blob_id FROM blob WHERE blob_id NOT IN (SELECT blob_id FROM email UNION ALL SELECT blob_id FROM upload"
    " UNION ALL SELECT blob_id FROM queued)"
)


class _Embedded:
    """What reading and writing have in common."""

    def __init__(self, db: Connection) -> None:
        self.db = db

    def columns(self) -> dict[str, list[str]]:
        """Every table with its columns."""
        tables = self.db.rows(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        return {table: [row[1] for row in self.db.rows(f"PRAGMA table_info({table})")] for (table,) in tables}

    def accounts(self) -> list[int]:
        """All accounts."""
        return [row[0] for row in self.db.rows("SELECT account_id FROM account ORDER BY account_id")]

    def fingerprint(self, account_id: int) -> Fingerprint | None:
        """None: there is no such account."""
        return compare.fingerprint(self.db, account_id)

    def totals(self, account_id: int) -> Totals:
        """What is compared of an account's mail."""
        return compare.totals(self.db, account_id, _PLACEMENT)


class EmbeddedSource(_Embedded):
    """Read beside a running house."""

    def __init__(self, path: Path, blobs: Path) -> None:
        if not path.exists():
            raise StoreUnavailable(f"There is no store at {path}.")
        self._reader = Reader(path, SegmentFolder(blobs))
        super().__init__(self._reader.db)

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""
        return snapshot(self.db)

    def state(self, account_id: int) -> AccountState | None:
        """An account as it is."""
        return load_account(self.db, account_id)

    def rows_of(self, table: str, columns: Sequence[str], account_id: int) -> Iterator[Sequence[Any]]:
        """An account's rows of a table of OF_MAIL."""
        names = ", ".join(columns)
        if table == "email":  # which has no index by account
            wanted = ", ".join(f"e.{column}" for column in columns)
            return self.db.execute(f"SELECT DISTINCT {wanted} {_MINE}", (account_id,))
        where = f"{_PLACEMENT} AS placed" if table == "placement" else table
        return self.db.execute(f"SELECT {names} FROM {where} WHERE account_id = ?", (account_id,))

    def all_rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """All rows of another table."""
        return self.db.execute(f"SELECT {', '.join(columns)} FROM {table}")

    def blobs_of(self, account_id: int) -> list[Blob]:
        """Bytes that an account's mail and uploads have."""
        rows = self.db.rows(
            f"SELECT e.blob_id {_MINE} UNION SELECT blob_id FROM upload WHERE account_id = ? ORDER BY 1",
            (account_id, account_id),
        )
        return [(account_id, row[0]) for row in rows]

    def blobs_of_queue(self) -> list[Blob]:
        """Bytes that the queue has."""
        return [
            (owner, blob_id)
            for owner, blob_id in self.db.rows("SELECT DISTINCT coalesce(account_id, 0), blob_id FROM queued")
        ]

    def octets(self, blob: Blob) -> bytes:
        """The bytes, checked against their digest."""
        raw = read_blob(self._reader, blob[1])
        ((digest,),) = self.db.rows("SELECT digest FROM blob WHERE blob_id = ?", (blob[1],))
        if digest_of([raw]) != digest:
            raise StoreUnavailable(f"Message bytes {blob[1]} are damaged: see posthouse verify.")
        return raw

    def ceilings(self) -> dict[str, int]:
        """Numbers below which may be in use, by sequence."""
        return dict(self.db.rows("SELECT name, ceiling FROM sequence"))

    def close(self) -> None:
        """Let go."""
        self._reader.close()


class EmbeddedTarget(_Embedded):
    """Written anew, by nobody else."""

    def __init__(self, path: Path, blobs: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = StoreLock(path.with_name(path.name + ".lock"))
        try:
            self._tx = self._begin(path, blobs)
        except BaseException:
            self._lock.release()
            raise
        super().__init__(self._tx.db)

    @staticmethod
    def _begin(path: Path, blobs: Path) -> Transaction:
        path.touch(mode=0o600)  # everybody's mail: the files beside it get its mode
        migrate(path, int(time.time()))
        folder = SegmentFolder(blobs)
        db = connect(path)
        try:
            tx = Transaction(db, folder, Interest(), Settings())
            known = dict(tx.query("SELECT segment, size FROM segment"))
            folder.start_above(max(known, default=0))
            db.execute(
                "CREATE TABLE IF NOT EXISTS moving (account_id INTEGER PRIMARY KEY, mark TEXT NOT NULL)"
            )
            used = db.rows("SELECT 1 FROM account LIMIT 1")
            if used and not db.rows("SELECT 1 FROM moving LIMIT 1"):
                raise StoreUnavailable(f"{path} is a store in use already.")
        except BaseException:
            db.close()
            raise
        return tx

    def moved(self) -> dict[int, str]:
        """Accounts that are here already, with the fingerprint they had."""
        return dict(self.db.rows("SELECT account_id, mark FROM moving"))

    def missing(self, blobs: Collection[Blob]) -> list[Blob]:
        """Those bytes that are not here yet; accounts may share them."""
        condition, some = self.db.among("blob_id", [number for _, number in blobs])
        present = {row[0] for row in self.db.rows(f"SELECT blob_id FROM blob WHERE {condition}", (some,))}
        first: dict[int, Blob] = {}
        for blob in blobs:
            first.setdefault(blob[1], blob)
        return [blob for number, blob in first.items() if number not in present]

    def put_blobs(self, blobs: Sequence[Blob], octets: Callable[[Blob], bytes]) -> None:
        """Keep bytes."""
        self._tx.begin()
        for blob in blobs:
            self._tx.blobs.keep(blob[1], octets(blob))
        self._tx.commit()

    def put_accounts(self, accounts: Sequence[tuple[AccountState, str]], tables: Iterable[Rows]) -> None:
        """Replace the mail of accounts, and note their fingerprints, in one transaction."""
        tx = self._tx
        tx.begin()
        for state, _ in accounts:
            self._clear(state.account_id)
        for table, columns, rows in tables:
            self._insert(table, columns, rows)
        for state, mark in accounts:
            tx.write_state(state)
            tx.execute("INSERT OR REPLACE INTO moving VALUES (?, ?)", (state.account_id, mark))
        tx.commit()

    def _clear(self, account_id: int) -> None:
        self._tx.execute(
            "DELETE FROM email WHERE email_id IN (SELECT email_id FROM placement WHERE account_id = ?)",
            (account_id,),
        )
        for table in (*OF_MAIL, "mailbox", "mailbox_snapshot", "account_state", "moving"):
            if table != "email":
                self._tx.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))

    def _insert(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join("?" * len(columns))
        self._tx.flush()
        self.db.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)

    def drop_account(self, account_id: int) -> None:
        """An account is gone."""
        self._tx.begin()
        self._clear(account_id)
        self._tx.commit()

    def put_rest(self, tables: Iterable[Rows], ceilings: dict[str, int]) -> None:
        """Replace all other tables, count the owners of bytes, and end."""
        tx = self._tx
        tx.begin()
        for table, columns, rows in tables:
            tx.execute(f"DELETE FROM {table}")
            self._insert(table, columns, rows)
        tx.execute(
            "UPDATE queued_recipient SET state = 'waiting', token = 0, due_at = next_attempt_at"
            " WHERE state = 'leased'"
        )
        tx.destinations_changed(
            {row[0] for row in tx.query("SELECT DISTINCT destination FROM queued_recipient")}
        )
        unowned = tx.query(_UNOWNED)
        if unowned:
            tx.blobs.remove([blob_id for (blob_id,) in unowned])
        tx.execute("DELETE FROM blob_share")
        tx.execute(
            "INSERT INTO blob_share SELECT blob_id, count(*) FROM (SELECT blob_id FROM email"
            " UNION ALL SELECT blob_id FROM upload UNION ALL SELECT blob_id FROM queued)"
            " GROUP BY blob_id HAVING count(*) > 1"
        )
        for name, ceiling in ceilings.items():
            tx.execute("INSERT OR REPLACE INTO sequence VALUES (?, ?)", (name, ceiling))
        tx.commit()
        self.db.execute("DROP TABLE moving")

    def close(self) -> None:
        """Let go."""
        self._tx.close()
        self._lock.release()
