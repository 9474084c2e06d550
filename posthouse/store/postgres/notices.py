"""What nodes tell each other: one NOTIFY for a batch of commits, sent after they are durable.

Notices are about latency only. A node that was cut off, or whose notice was lost, finds by its own looks what it has
missed: every NOTICE_CHECK the directory's number (so a revoked password ends everywhere within a second), every
NOTICE_CHECK_MAIL the mod-sequences of the accounts in memory. While the database is away nothing about people is
believed from memory. All on the event loop, with a connection of its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import asyncpg
import msgspec

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.memory import changes
from posthouse.store.memory.live import Live, call
from posthouse.store.memory.notice import AccountNotice, Notice, notice_of
from posthouse.store.postgres.connection import LOST, Server
from posthouse.store.unforeseen import told

log = logging.getLogger("posthouse.store")

CHANNEL: Final = "posthouse"
_decode = msgspec.json.Decoder(Notice).decode
_PEOPLE: Final = "SELECT coalesce((SELECT value FROM note WHERE name = 'people'), 0)"
_MODSEQS: Final = "SELECT account_id, modseq FROM account_state WHERE account_id = ANY($1::bigint[])"
_MAILBOXES: Final = (
    "SELECT account_id, mailbox_id, highest_modseq FROM mailbox WHERE account_id = ANY($1::bigint[])"
)
_FAULTS: Final = (*LOST, asyncpg.PostgresError, StoreUnavailable)


class Notices:
    """Sends and hears. `start` once; `close` at the end."""

    def __init__(self, server: Server, live: Live, node: str) -> None:
        self._server = server
        self._live = live
        self._node = node
        self._outgoing: list[Notice] = []
        self._wanted = asyncio.Event()
        self._people: int | None = None
        self._loops: list[asyncio.Task[None]] = []
        self.connected = asyncio.Event()
        """Set while we hear the others."""
        self.listeners: dict[str, Callable[[tuple[str, ...]], None]] = {}
        """Who hears what other nodes tell of a topic."""
        self.deaf = False
        """Tests: as if every NOTIFY to us were lost."""
        self.beat: Callable[[asyncpg.Connection[Any]], Any] | None = None
        """Called with the connection at every look: the node's sign of life."""
        live.spread = self.post

    def tell(self, topic: str, words: tuple[str, ...]) -> None:
        """Tell other nodes something small. What waits is bounded: more is left out."""
        if len(self._outgoing) < limits.NOTICES_WAITING:
            self._outgoing.append(Notice(told=[(topic, *words)]))
            self._wanted.set()

    def start(self) -> None:
        """Begin to listen."""
        self._loops.append(asyncio.create_task(self._run()))

    def post(self, published: list[changes.Change]) -> None:
        """Tell others, some milliseconds from now, what was committed."""
        notice = notice_of(published)
        if notice:
            if len(self._outgoing) >= limits.NOTICES_WAITING:
                self._outgoing.clear()  # others look for themselves; we cannot be heard anyway
            self._outgoing.append(notice)
            self._wanted.set()

    async def close(self) -> None:
        """Send what waits, and end."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    # --- the course of it --------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            connection = None
            try:
                connection = await self._server.connect()
                await self._listen(connection)
            except _FAULTS as fault:
                log.info("other nodes are not heard: %s", fault or type(fault).__name__)
            except asyncio.CancelledError:
                if connection is not None:
                    await self._send_last(connection)
                raise
            except Exception as fault:
                # A bug must not make a node deaf for good: it would go on to believe passwords that were revoked.
                told(log, "other nodes are not heard", fault)
            finally:
                self.connected.clear()
                if connection is not None:
                    connection.terminate()
            self._believe_nothing_about_people()
            await asyncio.sleep(limits.DATABASE_RETRY)

    async def _listen(self, connection: asyncpg.Connection[Any]) -> None:
        lost = asyncio.Event()

        def ended(_: object) -> None:
            lost.set()
            self._wanted.set()

        connection.add_termination_listener(ended)
        await connection.add_listener(CHANNEL, self._hear)
        await self._look_at_mail(connection)
        self._believe_nothing_about_people()
        self._live.heard(Notice(queue=True, came=True, went=True))
        if self.beat is not None:
            await self.beat(connection)
        self.connected.set()
        looked = time.monotonic()
        while not lost.is_set():
            await self._send(connection)
            async with asyncio.timeout(limits.DATABASE_CONNECT_TIMEOUT):
                await self._look_at_people(connection)
                if self.beat is not None:
                    await self.beat(connection)
            if time.monotonic() - looked > limits.NOTICE_CHECK_MAIL:
                async with asyncio.timeout(limits.DATABASE_TIMEOUT):
                    await self._look_at_mail(connection)
                self._live.heard(Notice(queue=True, came=True, went=True))
                looked = time.monotonic()
            await self._send_until(connection, time.monotonic() + limits.NOTICE_CHECK)
        raise ConnectionResetError("the connection for notices was lost")

    async def _send_until(self, connection: asyncpg.Connection[Any], deadline: float) -> None:
        """Send what comes until it is time for the next look."""
        while (left := deadline - time.monotonic()) > 0 and not connection.is_closed():
            try:
                async with asyncio.timeout(left):
                    await self._wanted.wait()
            except TimeoutError:
                return
            await self._send(connection)
            await asyncio.sleep(limits.NOTICE_GAP)  # the first one goes at once, what follows goes together

    async def _send(self, connection: asyncpg.Connection[Any]) -> None:
        self._wanted.clear()
        outgoing, self._outgoing = self._outgoing, []
        for payload in payloads(outgoing, self._node):
            await connection.execute(
                "SELECT pg_notify($1, $2)", CHANNEL, payload, timeout=limits.DATABASE_CONNECT_TIMEOUT
            )

    async def _send_last(self, connection: asyncpg.Connection[Any]) -> None:
        try:
            async with asyncio.timeout(limits.DATABASE_CONNECT_TIMEOUT):
                await self._send(connection)
        except _FAULTS:
            pass  # the others look for themselves

    # --- hearing -----------------------------------------------------------------------------------------

    def _hear(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        try:
            notice = _decode(str(payload))
        except msgspec.DecodeError:
            log.warning("a notice that nobody of us sent: %.100r", payload)
            return
        if notice.node == self._node or self.deaf:
            return
        self._live.heard(notice)
        for topic, *words in notice.told:
            if topic in self.listeners:
                call(partial(self.listeners[topic], tuple(words)))

    async def _look_at_people(self, connection: asyncpg.Connection[Any]) -> None:
        people = await connection.fetchval(_PEOPLE)
        if self._people is not None and people != self._people:
            self._live.heard(Notice(people=True))
        self._people = people

    async def _look_at_mail(self, connection: asyncpg.Connection[Any]) -> None:
        """Compare what is in memory with what the database says."""
        modseqs = self._live.views.cached_modseqs()
        accounts = sorted(modseqs.keys() | {index.account_id for index in self._live.indexes.alive()})
        for start in range(0, len(accounts), limits.STATES_CACHED):
            some = accounts[start : start + limits.STATES_CACHED]
            there = dict(await connection.fetch(_MODSEQS, some))
            moved = [each for each in some if there.get(each, -1) != modseqs.get(each)]
            if not moved:
                continue
            mailboxes: dict[int, list[tuple[int, int]]] = {}
            present = set()
            for account_id, mailbox_id, modseq in await connection.fetch(_MAILBOXES, moved):
                mailboxes.setdefault(account_id, []).append((mailbox_id, modseq))
                present.add((account_id, mailbox_id))
            for index in self._live.indexes.alive():
                key = (index.account_id, index.mailbox_id)
                if index.account_id in moved and key not in present:
                    mailboxes.setdefault(index.account_id, []).append((index.mailbox_id, 1 << 62))
            stale = [
                each for each in moved if there.get(each, -1) > modseqs.get(each, -1) or each not in there
            ]
            self._live.heard(
                Notice(
                    accounts=[(each, there.get(each, 1 << 62), mailboxes.get(each, [])) for each in stale],
                    gone=[each for each in some if each not in there],
                )
            )

    def _believe_nothing_about_people(self) -> None:
        self._people = None
        self._live.heard(Notice(people=True))


def payloads(notices: list[Notice], node: str) -> list[str]:
    """Notices as the texts of NOTIFY, few and short enough."""
    if not notices:
        return []
    whole = Notice(node=node)
    modseqs: dict[int, int] = {}
    mailboxes: dict[int, dict[int, int]] = {}
    for notice in notices:
        for account_id, modseq, some in notice.accounts:
            modseqs[account_id] = max(modseq, modseqs.get(account_id, 0))
            known = mailboxes.setdefault(account_id, {})
            for mailbox_id, mailbox_modseq in some:
                known[mailbox_id] = max(mailbox_modseq, known.get(mailbox_id, 0))
        whole.gone += notice.gone
        whole.told += notice.told
        for flag in ("people", "queue", "came", "went"):
            setattr(whole, flag, getattr(whole, flag) or getattr(notice, flag))
    whole.accounts = [(each, modseqs[each], list(mailboxes[each].items())) for each in modseqs]
    return _fitting(whole)


def _fitting(notice: Notice) -> list[str]:
    text = msgspec.json.encode(notice).decode()
    if len(text.encode()) <= limits.NOTICE_OCTETS:
        return [text]
    if len(notice.accounts) + len(notice.gone) + len(notice.told) <= 1:
        # One account with hundreds of mailboxes: others look for themselves.
        accounts: list[AccountNotice] = [
            (account_id, modseq, []) for account_id, modseq, _ in notice.accounts
        ]
        less = msgspec.structs.replace(notice, accounts=accounts, told=[])
        return [msgspec.json.encode(less).decode()]
    a, g, t = len(notice.accounts) // 2, len(notice.gone) // 2, len(notice.told) // 2
    first = msgspec.structs.replace(
        notice, accounts=notice.accounts[:a], gone=notice.gone[:g], told=notice.told[:t]
    )
    second = msgspec.structs.replace(
        notice, accounts=notice.accounts[a:], gone=notice.gone[g:], told=notice.told[t:]
    )
    return [*_fitting(first), *_fitting(second)]
