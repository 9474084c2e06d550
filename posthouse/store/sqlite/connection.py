"""Opening SQLite through apsw, and reading many rows at once.

apsw lets go of the interpreter lock around every row, and beside a busy event loop each return to it waits for a
turn: 100,000 rows fetched one by one take seconds then. So whatever may be long is fetched as ONE row that SQLite
itself puts together (`columns`): a million values a second, busy loop or not.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import apsw
import msgspec

from posthouse import limits
from posthouse.errors import StoreUnavailable

CACHE_KIB: Final = 64 * 1024
PAGE_SIZE: Final = 8192
"""Measured: 4,096 writes less for scattered rows, 16,384 reads texts faster; this is near the best in both."""
STATEMENTS_CACHED: Final = 400
_INCREMENTAL: Final = 2
"""The value of `PRAGMA auto_vacuum`."""
BUSY_MS: Final = 10_000
"""Only a checkpoint's last step and another program's backup can be in the way."""

decode_integers = msgspec.json.Decoder(list[int]).decode
decode_lengths = msgspec.json.Decoder(list[int | None]).decode


class Connection(apsw.Connection):
    """A connection whose rows are typed once, here."""

    remembers_deleted: Final = True
    has_retention: Final = True

    def rows(self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; its rows (few)."""
        return self.execute(statement, bindings).fetchall()

    def integers(self, wanted: Sequence[str], source: str, bindings: Sequence[Any]) -> list[list[int]]:
        """Expressions that give integers, each as a list; `source` is everything from FROM on."""
        return columns(self, [integer(each) for each in wanted], source, bindings)

    def among(self, column: str, numbers: Iterable[int]) -> tuple[str, Any]:
        """A condition (column is one of the numbers) and its one binding."""
        return f"{column} IN (SELECT value FROM carray(?))", members(numbers)

    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one and the same commit."""
        return snapshot(self)


def connect(path: Path) -> Connection:
    """A connection for one thread. Commits are durable when they return (synchronous=FULL)."""
    db = Connection(str(path), statementcachesize=STATEMENTS_CACHED)
    db.set_busy_timeout(BUSY_MS)
    if db.rows("PRAGMA auto_vacuum") != [
        (_INCREMENTAL,)
    ]:  # to set it again would wait for whoever writes now
        db.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")  # measured: free; so a file can give space back
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute(f"PRAGMA journal_size_limit = {limits.WAL_OCTETS_FORCED}")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA foreign_keys = OFF")
    return db


def open_copy(path: Path) -> Connection:
    """A database that nobody writes (a backup's), to be read only; nothing is made beside it."""
    uri = f"file:{quote(str(path))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return Connection(uri, flags=flags, statementcachesize=STATEMENTS_CACHED)


def vacuum_into(db: Connection, path: Path) -> None:
    """Copy a database as it is at one moment into a new file, which nobody else may read at any moment."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    db.execute("VACUUM INTO ?", (str(path),))  # an empty file is taken


@contextmanager
def snapshot(db: Connection) -> Iterator[None]:
    """Several statements that see one and the same commit."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


class Column(msgspec.Struct, frozen=True):
    """An expression to read. Integers must not be NULL; octets (and text, as UTF-8) may be."""

    expression: str
    octets: bool = False


def integer(expression: str) -> Column:
    """A column of integers."""
    return Column(expression)


def octets(expression: str) -> Column:
    """A column of octets."""
    return Column(expression, octets=True)


def columns(
    db: Connection, wanted: Sequence[Column], source: str, bindings: Sequence[Any]
) -> list[list[Any]]:
    """Each wanted column as a list; `source` is everything from FROM on. All lists are in the same order."""
    terms: list[str] = []
    for column in wanted:
        if column.octets:
            raw = f"CAST({column.expression} AS BLOB)"
            terms.append(f"json_group_array(length({raw}))")
            terms.append(f"CAST(group_concat({raw}, '') AS BLOB)")
        else:
            terms.append(f"json_group_array({column.expression})")
    row = db.rows(f"SELECT {', '.join(terms)} {source}", bindings)[0]
    found: list[list[Any]] = []
    at = 0
    for column in wanted:
        if column.octets:
            found.append(_cut(row[at + 1] or b"", decode_lengths(row[at])))
            at += 2
        else:
            found.append(decode_integers(row[at]))
            at += 1
    return found


def _cut(whole: bytes, lengths: Sequence[int | None]) -> list[bytes | None]:
    pieces: list[bytes | None] = []
    start = 0
    for length in lengths:
        if length is None:
            pieces.append(None)
            continue
        pieces.append(whole[start : start + length])
        start += length
    return pieces


_NOBODY: Final = array("q", [-(2**63)])
"""A number that nothing has."""


def members(numbers: Iterable[int]) -> Any:
    """Numbers as the binding of `carray(?)`: one binding however many there are."""
    return apsw.carray(array("q", numbers) or _NOBODY)  # an empty array has no memory that SQLite would take


def unavailable(fault: BaseException) -> StoreUnavailable:
    """The error that callers see for a fault of the disk or the database."""
    error = StoreUnavailable("The mail store is not available at the moment.")
    error.__cause__ = fault
    return error
