"""A cluster's store as a side of a move."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.model import Content, Stored
from posthouse.store.moving import compare
from posthouse.store.moving.tables import OF_MAIL, PAGE, Blob, Fingerprint, Rows, Totals
from posthouse.store.postgres.blobs import digest_of
from posthouse.store.postgres.bodies import read_blob
from posthouse.store.postgres.connection import Connection, Server, snapshot
from posthouse.store.postgres.migrate import migrate
from posthouse.store.postgres.readers import Reader
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.s3 import Objects
from posthouse.store.sql.state import AccountState, load_account
from posthouse.store.sql.transaction import Interest, Settings

_ALIVE: Final = "SELECT name FROM node WHERE seen_at > extract(epoch FROM clock_timestamp())::float8 - $1"
_COLUMNS: Final = (
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
    " ORDER BY table_name, ordinal_position"
)
_OWNERS: Final = (
    "INSERT INTO blob_share SELECT account_id, blob_id, count(*) FROM"
    " (SELECT account_id, blob_id FROM email UNION ALL SELECT account_id, blob_id FROM upload"
    "  UNION ALL SELECT blob_account, blob_id FROM queued) AS owned"
    " GROUP BY account_id, blob_id HAVING count(*) > 1"
)
_UNOWNED: Final = (
    "DELETE FROM blob b WHERE NOT EXISTS (SELECT 1 FROM email e WHERE e.account_id = b.account_id"
    "  AND e.blob_id = b.blob_id) AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.account_id = b.account_id"
    "  AND u.blob_id = b.blob_id) AND NOT EXISTS (SELECT 1 FROM queued q WHERE q.blob_account = b.account_id"
    "  AND q.blob_id = b.blob_id)"
)


class _Cluster:
    """What reading and writing have in common."""

    must_rest = True
    """Whether no node may run."""

    def __init__(self, url: str, objects: Objects | None) -> None:
        self.server = Server(url)
        self.reader = Reader(self.server, objects, 0.0)
        self.db: Connection = self.reader.db
        self.server.steps = migrate(self.db)
        alive = [row[0] for row in self.db.fetch(_ALIVE, limits.NODE_SILENCE)]
        if alive and self.must_rest:
            raise StoreUnavailable(f"Nodes of the cluster are running ({', '.join(alive)}): stop them first.")

    def columns(self) -> dict[str, list[str]]:
        """Every table with its columns."""
        found: dict[str, list[str]] = {}
        for table, column in self.db.fetch(_COLUMNS):
            found.setdefault(table, []).append(column)
        return found

    def accounts(self) -> list[int]:
        """All accounts."""
        return [row[0] for row in self.db.fetch("SELECT account_id FROM account ORDER BY account_id")]

    def fingerprint(self, account_id: int) -> Fingerprint | None:
        """None: there is no such account."""
        return compare.fingerprint(self.db, account_id)

    def totals(self, account_id: int) -> Totals:
        """What is compared of an account's mail."""
        return compare.totals(self.db, account_id, "placed")


class ClusterSource(_Cluster):
    """Read while no node runs."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""
        return snapshot(self.db)

    def state(self, account_id: int) -> AccountState | None:
        """An account as it is."""
        return load_account(self.db, account_id)

    def rows_of(self, table: str, columns: Sequence[str], account_id: int) -> Iterator[Sequence[Any]]:
        """An account's rows of a table of OF_MAIL."""
        if table == "email":  # only what is in a mailbox: the rest is being swept
            wanted = ", ".join(f"e.{column}" for column in columns)
            some = (
                f"SELECT {wanted} FROM email e WHERE e.account_id = $1 AND EXISTS"
                " (SELECT 1 FROM placement p WHERE p.account_id = $1 AND p.email_id = e.email_id)"
            )
            return self._pages(table, some, "e.email_id", account_id)
        where, order = ("placed", "mailbox_id, uid") if table == "placement" else (table, "ctid")
        some = f"SELECT {', '.join(columns)} FROM {where} WHERE account_id = $1"
        return self._pages(table, some, order, account_id)

    def _pages(self, table: str, statement: str, order: str, *bindings: Any) -> Iterator[Sequence[Any]]:
        name = f"pages_{table}"
        self.db.fetch(f"DECLARE {name} NO SCROLL CURSOR FOR {statement} ORDER BY {order}", *bindings)
        while rows := self.db.fetch(f"FETCH {PAGE} FROM {name}"):
            for row in rows:
                yield tuple(row)
        self.db.fetch(f"CLOSE {name}")

    def all_rows(self, table: str, columns: Sequence[str]) -> Iterator[Sequence[Any]]:
        """All rows of another table."""
        for row in self.db.fetch(f"SELECT {', '.join(columns)} FROM {table}"):
            yield tuple(row)

    def blobs_of(self, account_id: int) -> list[Blob]:
        """Bytes that an account's mail and uploads have."""
        rows = self.db.fetch(
            "SELECT e.blob_id FROM email e WHERE e.account_id = $1 AND EXISTS (SELECT 1 FROM placement p"
            " WHERE p.account_id = $1 AND p.email_id = e.email_id)"
            " UNION SELECT blob_id FROM upload WHERE account_id = $1 ORDER BY 1",
            account_id,
        )
        return [(account_id, row[0]) for row in rows]

    def blobs_of_queue(self) -> list[Blob]:
        """Bytes that the queue has."""
        return [
            (row[0], row[1]) for row in self.db.fetch("SELECT DISTINCT blob_account, blob_id FROM queued")
        ]

    def octets(self, blob: Blob) -> bytes:
        """The bytes, checked against their digest."""
        account_id, blob_id = blob
        raw = read_blob(self.reader, Stored(blob_id=blob_id, prefix=b"", size=0, account_id=account_id))
        ((digest,),) = self.db.fetch(
            "SELECT digest FROM blob WHERE account_id = $1 AND blob_id = $2", account_id, blob_id
        )
        if digest_of(Content.of(raw)) != digest:
            raise StoreUnavailable(f"Message bytes {blob_id} are damaged.")
        return raw

    def ceilings(self) -> dict[str, int]:
        """Numbers below which may be in use, by sequence."""
        return {row[0]: row[1] for row in self.db.fetch("SELECT name, ceiling FROM sequence")}

    def close(self) -> None:
        """Let go."""
        self.reader.close()


class ClusterTarget(_Cluster):
    """Written while no node runs."""

    def __init__(self, url: str, objects: Objects | None) -> None:
        super().__init__(url, objects)
        self._objects = objects
        self._tx = Transaction(
            Connection(self.server), Connection(self.server), Interest(), Settings(), "moving", "moving"
        )
        self.db.script(
            "CREATE TABLE IF NOT EXISTS moving (account_id bigint PRIMARY KEY, mark text NOT NULL)"
        )
        if self.accounts() and not self.moved():
            raise StoreUnavailable("That database has a store in use already.")
        self._there = set(self.moved())

    def moved(self) -> dict[int, str]:
        """Accounts that are here already, with the fingerprint they had."""
        return {row[0]: row[1] for row in self.db.fetch("SELECT account_id, mark FROM moving")}

    def missing(self, blobs: Collection[Blob]) -> list[Blob]:
        """Those bytes that are not here yet."""
        if not blobs:
            return []
        accounts, numbers = map(list, zip(*blobs, strict=True))
        rows = self.db.fetch(
            "SELECT a, n FROM unnest($1::bigint[], $2::bigint[]) AS wanted (a, n)"
            " WHERE NOT EXISTS (SELECT 1 FROM blob WHERE account_id = a AND blob_id = n)",
            accounts,
            numbers,
        )
        return [(row[0], row[1]) for row in rows]

    def put_blobs(self, blobs: Sequence[Blob], octets: Callable[[Blob], bytes]) -> None:
        """Keep bytes: large ones in the object store, before the rows that point at them."""
        rows: list[tuple[Any, ...]] = []
        for account_id, blob_id in blobs:
            content = Content.of(octets((account_id, blob_id)))
            key = None
            if self._objects is not None and content.size > limits.OBJECT_OCTETS:
                key = asyncio.run(self._objects.put(content))
            raw = None if key is not None else content.beginning()
            rows.append((account_id, blob_id, content.size, digest_of(content), key, raw))
        self.db.copy("blob", ("account_id", "blob_id", "size", "digest", "object", "content"), rows)

    def put_accounts(self, accounts: Sequence[tuple[AccountState, str]], tables: Iterable[Rows]) -> None:
        """Replace the mail of accounts, and note their fingerprints, in one transaction."""
        tx = self._tx
        numbers = [state.account_id for state, _ in accounts]
        tx.begin()
        try:
            if again := [number for number in numbers if number in self._there]:
                self._clear(again)
            for table, columns, rows in tables:
                tx.db.copy(table, columns, rows)
            tx.fetch(
                "INSERT INTO new_email SELECT account_id, email_id FROM email WHERE account_id = ANY($1::bigint[])",
                numbers,
            )
            tx.write_states([state for state, _ in accounts])
            tx.db.copy(
                "moving", ("account_id", "mark"), [(state.account_id, mark) for state, mark in accounts]
            )
            tx.commit()
        except BaseException:
            tx.rollback()
            raise
        self._there.update(numbers)

    def _clear(self, accounts: list[int]) -> None:
        for table in (
            *OF_MAIL,
            "new_email",
            "flag_log",
            "mailbox",
            "mailbox_snapshot",
            "account_state",
            "moving",
        ):
            self._tx.fetch(f"DELETE FROM {table} WHERE account_id = ANY($1::bigint[])", accounts)

    def drop_account(self, account_id: int) -> None:
        """An account is gone."""
        self._tx.begin()
        self._clear([account_id])
        self._tx.commit()

    def put_rest(self, tables: Iterable[Rows], ceilings: dict[str, int]) -> None:
        """Replace all other tables, count the owners of bytes, and end."""
        tx = self._tx
        tx.begin()
        try:
            tx.db.script("ALTER TABLE queued ALTER blob_account SET DEFAULT -1")
            tx.db.script("ALTER TABLE queued_recipient ALTER holder SET DEFAULT ''")
            for table, columns, rows in tables:
                tx.fetch(f"DELETE FROM {table}")
                tx.db.copy(table, columns, list(rows))
            tx.fetch("UPDATE queued SET blob_account = coalesce(account_id, 0) WHERE blob_account = -1")
            tx.db.script("ALTER TABLE queued ALTER blob_account DROP DEFAULT")
            tx.db.script("ALTER TABLE queued_recipient ALTER holder DROP DEFAULT")
            tx.fetch(
                "UPDATE queued_recipient SET state = 'waiting', token = 0, holder = '', due_at = next_attempt_at"
                " WHERE state = 'leased'"
            )
            tx.fetch(_UNOWNED)
            tx.fetch("DELETE FROM blob_share")
            tx.fetch(_OWNERS)
            tx.fetch(
                "INSERT INTO sequence SELECT * FROM unnest($1::text[], $2::bigint[]) ON CONFLICT (name)"
                " DO UPDATE SET ceiling = greatest(sequence.ceiling, excluded.ceiling)",
                list(ceilings),
                list(ceilings.values()),
            )
            tx.db.script("DROP TABLE moving")
            tx.commit()
        except BaseException:
            tx.rollback()
            raise

    def close(self) -> None:
        """Let go."""
        self._tx.close()
        self.reader.close()


def objects_of(url: str, cache: Path) -> Objects | None:
    """The object store of an address; None for an empty one."""
    return Objects(url, cache) if url else None
