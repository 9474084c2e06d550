"""A PostgreSQL connection for one thread, as blocking as a file: the engine's writer and readers work with these.

Each has a small event loop of its own for asyncpg, so decoding 100,000 rows never holds up the loop that serves
people. Nothing waits without bound: every statement has a time limit, after which the connection is torn down; after
a failed attempt to connect, others fail at once for a moment instead of waiting in line (`Server.refuse_until`).

Statements are prepared once and named. Behind a pooler that does not know them (an old pgbouncer in transaction
mode) the first error about a name turns naming off for good. No statement depends on a session's settings.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import uvloop

from posthouse import limits
from posthouse.errors import StoreUnavailable

log = logging.getLogger("posthouse.store")

T = TypeVar("T")

LOST: Final = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)
"""Faults after which the connection is useless: the server is away, or no longer the one that takes writes."""
CONTENDED: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.FeatureNotSupportedError,  # tables that are distributed: from now on one statement writes to one table
)
"""Faults that a second try usually gets over."""
_UNNAMED: Final = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
"""A pooler has given us another server connection, which does not know our statements."""
_SERVER_LIMITS: Final = (
    f"; SET LOCAL idle_in_transaction_session_timeout = {int(limits.DATABASE_TIMEOUT * 1000)}"
    f"; SET LOCAL lock_timeout = {int(limits.DATABASE_TIMEOUT * 700)}"
)
DELETED_SINCE: Final = 17
"""The schema step from which on deleted mail can be brought back."""
RETENTION_SINCE: Final = 21
"""The schema step from which on mail leaves mailboxes by itself."""
UNAVAILABLE: Final = "The mail store is not available at the moment."
_PLACEHOLDER: Final = re.compile(r"\?(\d*)")


class TransactionLost(Exception):
    """The connection broke within a transaction: nothing of it is kept, and nothing more may run as if it were there.

    Not a `PosthouseError`: no single operation is refused by it, all of them are undone.
    """


class NotCarriedOut(StoreUnavailable):
    """The database is away, and it is certain that the statement was not carried out."""


class Server:
    """Where the database is, and whether it answered lately. Shared by all connections of a process."""

    def __init__(self, url: str) -> None:
        """`url`: postgresql://user:password@host1,host2:port/name?…; sessions go to the host that takes writes."""
        self.url = _with_defaults(url)
        self.named_statements = True
        self.joins = True
        """Whether one statement may write to several tables; engines that distribute tables cannot always do it."""
        self.logs_flags = False
        """Whether large flag changes may be logged: all nodes alive read the log, and no older one can start."""
        self.steps: frozenset[int] = frozenset()
        """The steps of the schema that the database had when it was last looked at: one may wait (`migrate.WAITS`)."""
        self.refuse_until = 0.0
        self._lock = threading.Lock()

    async def connect(self) -> asyncpg.Connection[asyncpg.Record]:
        """A new connection in the calling loop. StoreUnavailable, at once when another attempt failed just now."""
        if time.monotonic() < self.refuse_until:
            raise NotCarriedOut("The database is away.")
        try:
            async with asyncio.timeout(limits.DATABASE_CONNECT_TIMEOUT * 2):
                return await asyncpg.connect(
                    self.url,
                    timeout=limits.DATABASE_CONNECT_TIMEOUT,
                    statement_cache_size=limits.DATABASE_STATEMENTS if self.named_statements else 0,
                    max_cacheable_statement_size=64 * 1024,
                )
        except (*LOST, asyncpg.PostgresError, ValueError) as fault:
            with self._lock:
                self.refuse_until = time.monotonic() + limits.DATABASE_RETRY
            log.warning("the database cannot be reached: %s", fault or type(fault).__name__)
            raise NotCarriedOut(UNAVAILABLE) from fault

    def statements_are_lost(self) -> None:
        """A pooler is in between that does not keep prepared statements."""
        if self.named_statements:
            log.warning("a pooler forgets prepared statements: going on without their names")
        self.named_statements = False


def _with_defaults(url: str) -> str:
    """The URL with what we always ask for: a server that takes writes."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    query.setdefault("target_session_attrs", "read-write")
    return urlunsplit(parts._replace(query=urlencode(query)))


class Connection:
    """One connection, opened at first use and again after it was lost. One thread only."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = uvloop.new_event_loop()
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self.in_transaction = False
        self.patience: float | None = None
        """Seconds for one statement; None: DATABASE_TIMEOUT."""
        self._lost = False
        """The transaction under way is gone; until it is rolled back every statement fails."""

    @property
    def joins(self) -> bool:
        """Whether one statement may write to several tables (`Server.joins`)."""
        return self._server.joins

    @property
    def logs_flags(self) -> bool:
        """Whether large flag changes may be logged (`Server.logs_flags`)."""
        return self._server.logs_flags

    @property
    def remembers_deleted(self) -> bool:
        """Whether the schema has a place for mail that can be brought back."""
        return DELETED_SINCE in self._server.steps

    @property
    def has_retention(self) -> bool:
        """Whether the schema has a place for what owners say of their mailboxes (`store.retention`)."""
        return RETENTION_SINCE in self._server.steps

    def rows(
        self, statement: str, bindings: Sequence[Any] | Mapping[str, Any] = (), /
    ) -> list[tuple[Any, ...]]:
        """Run a statement in the shared SQL; its rows. StoreUnavailable when the database is away."""
        assert not isinstance(bindings, Mapping), "bindings by name are SQLite's own"
        return [tuple(record) for record in self.fetch(numbered(statement), *bindings)]

    def integers(self, wanted: Sequence[str], source: str, bindings: Sequence[Any], /) -> list[list[int]]:
        """Expressions that give integers, each as a list; `source` is everything from FROM on."""
        found = self.fetch(numbered(f"SELECT {', '.join(wanted)} {source}"), *bindings)
        return [list(column) for column in zip(*found, strict=True)] or [[] for _ in wanted]

    def among(self, column: str, numbers: Collection[int], /) -> tuple[str, Any]:
        """A condition (column is one of the numbers) and its one binding."""
        return f"{column} = ANY(CAST(? AS bigint[]))", list(numbers)

    def snapshot(self) -> AbstractContextManager[None]:
        """Several statements that see one and the same commit."""
        return snapshot(self)

    def fetch(self, statement: str, *bindings: Any) -> list[asyncpg.Record]:
        """Run a statement with `$1`; its records."""
        return self._run(partial(self._fetch, statement, bindings))

    def fetch_once(self, statement: str, *bindings: Any) -> None:
        """Run a statement that must not be run twice. StoreUnavailable: nobody knows what became of it.

        NotCarriedOut: nothing did.
        """
        self._loop.run_until_complete(asyncio.sleep(0))  # hear now if the server has gone meanwhile
        self._run(partial(self._fetch, statement, bindings), again=False)

    def copy(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Put rows into a table by COPY."""
        self._run(partial(self._copy, table, columns, list(rows)))

    async def _copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        await (await self._opened()).copy_records_to_table(table, records=rows, columns=list(columns))

    def script(self, statements: str) -> None:
        """Run statements without bindings, several at once."""
        self._run(partial(self._script, statements))

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]], *, again: bool = True) -> T:
        if self._lost:
            raise TransactionLost
        within, fresh = self.in_transaction, self._connection is None
        try:
            return self._loop.run_until_complete(self._in_time(work()))
        except asyncpg.FeatureNotSupportedError:
            self._server.joins = False
            raise
        except (*_UNNAMED, *LOST, StoreUnavailable) as fault:
            if isinstance(fault, _UNNAMED):
                self._server.statements_are_lost()
            self.drop()
            self._lost = within
            if within:
                raise TransactionLost from fault
            if again and not fresh and not isinstance(fault, TimeoutError):
                return self._run(
                    work, again=False
                )  # it was lost while nobody used it: the server was restarted
            if isinstance(fault, (*_UNNAMED, asyncpg.ReadOnlySQLTransactionError)):
                raise NotCarriedOut(UNAVAILABLE) from fault
            raise unavailable(fault) from fault

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        async with asyncio.timeout(limits.DATABASE_TIMEOUT if self.patience is None else self.patience):
            return await work

    async def _fetch(self, statement: str, bindings: Sequence[Any]) -> list[asyncpg.Record]:
        found: list[asyncpg.Record] = await (await self._opened()).fetch(statement, *bindings)
        return found

    async def _script(self, statements: str) -> None:
        await (await self._opened()).execute(statements)

    async def _opened(self) -> asyncpg.Connection[asyncpg.Record]:
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if self.in_transaction:
            raise ConnectionResetError("the connection was lost within a transaction")
        self._connection = await self._server.connect()
        return self._connection

    # --- transactions ------------------------------------------------------------------------------------

    def begin(self, mode: str = "", *, bounded: bool = False) -> None:
        """Start a transaction. `bounded`: the server undoes it when we fall silent, so that nobody waits for us."""
        self.script(f"BEGIN {mode}" + (_SERVER_LIMITS if bounded else ""))
        self.in_transaction = True

    def commit(self) -> None:
        """End a transaction; durable when it returns."""
        self.script("COMMIT")
        self.in_transaction = False

    def rollback(self) -> None:
        """Undo a transaction. Never raises: a connection that cannot is torn down, which undoes it as well."""
        self._lost = False
        if not self.in_transaction:
            return
        try:
            self.script("ROLLBACK")
        except (StoreUnavailable, TransactionLost, asyncpg.PostgresError):
            self.drop()
        self.in_transaction = self._lost = False

    def drop(self) -> None:
        """Tear the connection down at once."""
        self.in_transaction = False
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
            self._loop.run_until_complete(asyncio.sleep(0))

    def close(self) -> None:
        """End it politely, and its loop."""
        if self._connection is not None and not self._connection.is_closed():
            try:
                closing = self._connection.close(timeout=limits.DATABASE_CONNECT_TIMEOUT)
                self._loop.run_until_complete(closing)
            except (*LOST, asyncpg.PostgresError):
                self.drop()
        self._connection = None
        self._loop.close()


@contextmanager
def snapshot(db: Connection) -> Iterator[None]:
    """Several statements that see one and the same commit."""
    try:
        db.begin("ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
        db.commit()
    except BaseException:
        db.rollback()
        raise


class _Counter:
    """Numbers placeholders as SQLite does: one without a number is the next after the highest so far."""

    def __init__(self) -> None:
        self.highest = 0

    def number(self, hit: re.Match[str]) -> str:
        number = int(hit[1] or self.highest + 1)
        self.highest = max(self.highest, number)
        return f"${number}"


_numbered: dict[str, str] = {}
"""Statements of the program itself, so they are few."""


def numbered(statement: str) -> str:
    """The shared SQL's `?` and `?1` as PostgreSQL's `$1`."""
    found = _numbered.get(statement)
    if found is None:
        found = _PLACEHOLDER.sub(_Counter().number, statement)
        if len(_numbered) < limits.DATABASE_STATEMENTS * 4:
            _numbered[statement] = found
    return found


def unavailable(fault: BaseException) -> StoreUnavailable:
    """The error that callers see for a fault of the database."""
    if isinstance(fault, StoreUnavailable):
        return fault
    error = StoreUnavailable(UNAVAILABLE)
    error.__cause__ = fault
    return error


def refused(fault: BaseException) -> StoreUnavailable | None:
    """What callers see for a fault of the database; None for any other fault."""
    if isinstance(fault, (*LOST, TransactionLost, asyncpg.PostgresError)):
        log.error("the database refused: %s", fault)
        return unavailable(fault)
    return None
