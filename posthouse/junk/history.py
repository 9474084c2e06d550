"""What an account has to do with a sender: written to, heard of before, moved to Junk, in the contacts.

Kept as memos of the account, one for each address, and in memory while used. The memory may be behind by
HISTORY_CACHE seconds where several nodes serve one store. Wanted mail is counted where it matters (the first few, then
once a day), so that most deliveries write nothing here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from posthouse.limits import CONTACTS, CORRESPONDENTS_CACHED, DOMAINS_WRITTEN_TO, HISTORY_CACHE
from posthouse.message.address import found_as
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo

CORRESPONDENT: Final = "correspondent"
DOMAIN: Final = "domain-written"
CONTACT_KIND: Final = "ContactCard"
"""The kind of items that are contacts (RFC 9610)."""
_KEPT: Final = 400 * 86400.0
"""Seconds that a sender is remembered whom the account never wrote to."""
_COUNTED: Final = 5
"""Messages that are counted one by one."""
_DAY: Final = 86400.0
_EMAIL: Final = re.compile(rb'"address"\s*:\s*"([^"\\]{3,254})"')


class Correspondent(msgspec.Struct, frozen=True, array_like=True):
    """An account's history with one address."""

    written: int = 0
    """Messages written to it (a lower bound)."""
    received: int = 0
    """Wanted messages from it (a lower bound)."""
    junk: int = 0
    """Messages proved to be from it that the account moved to Junk, less those it took out again."""
    at: float = 0.0
    """The latest of all this."""
    forged: int = 0
    """As `junk`, of messages that nothing proved to be from it: they say nothing of whoever has the address."""


STRANGER: Final = Correspondent()


class History:
    """The histories of all accounts. One per house."""

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._now = now
        self._known: OrderedDict[tuple[int, str], tuple[float, Correspondent]] = OrderedDict()
        self._domains: OrderedDict[int, tuple[float, frozenset[str]]] = OrderedDict()
        self._contacts: OrderedDict[int, tuple[int, frozenset[str]]] = OrderedDict()
        self._asked: list[tuple[tuple[int, str], asyncio.Future[Correspondent]]] = []
        self._under_way: set[asyncio.Task[None]] = set()

    # --- asking -------------------------------------------------------------------------------------

    async def of(self, account_id: int, address: str) -> Correspondent:
        """The account's history with an address (lower case)."""
        key = (account_id, found_as(address))
        known = self._known.get(key)
        if known is not None and known[0] > self._now():
            self._known.move_to_end(key)
            return known[1]
        found = await self._ask(key)
        self._remember(key, found)
        return found

    def _ask(self, key: tuple[int, str]) -> asyncio.Future[Correspondent]:
        """Ask the store; what is wanted in one turn of the event loop goes over as one question."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._send)
        answer: asyncio.Future[Correspondent] = loop.create_future()
        self._asked.append((key, answer))
        return answer

    def _send(self) -> None:
        asked, self._asked = self._asked, []
        task = asyncio.create_task(self._answer(asked))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _answer(self, asked: list[tuple[tuple[int, str], asyncio.Future[Correspondent]]]) -> None:
        fault: Exception | None = None
        memos: dict[tuple[int, str], Memo] = {}
        try:
            memos = await self._store.memos_of(CORRESPONDENT, list({key: None for key, _ in asked}))
        except Exception as error:  # it is for those who asked
            fault = error
        for key, answer in asked:
            if answer.done():
                continue  # who asked has been cut off
            if fault is not None:
                answer.set_exception(fault)
            else:
                answer.set_result(_read(memos[key]) if key in memos else STRANGER)

    async def domains_written_to(self, account_id: int) -> frozenset[str]:
        """Domains that the account has written to."""
        known = self._domains.get(account_id)
        if known is not None and known[0] > self._now():
            return known[1]
        memos = await self._store.memos(account_id, DOMAIN, limit=DOMAINS_WRITTEN_TO)
        found = frozenset(memo.key for memo in memos)
        self._domains[account_id] = (self._now() + HISTORY_CACHE, found)
        _shorten(self._domains, 1000)
        return found

    async def in_contacts(self, account_id: int, address: str) -> bool:
        """Whether the address is in the account's contacts."""
        if account_id == HOUSE:
            return False  # a message explained for nobody in particular
        state = (await self._store.states(account_id)).kinds.get(CONTACT_KIND, 0)
        if not state:
            return False
        known = self._contacts.get(account_id)
        if known is None or known[0] != state:
            items = (await self._store.items(account_id, CONTACT_KIND))[:CONTACTS]
            addresses = frozenset(
                found_as(found.decode("utf-8", "replace"))
                for item in items
                for found in _EMAIL.findall(item.data)
            )
            known = self._contacts[account_id] = (state, addresses)
            _shorten(self._contacts, 200)
        return found_as(address) in known[1]

    def forget(self, account_id: int) -> None:
        """Read it anew: another process has changed it."""
        self._domains.pop(account_id, None)
        for key in [key for key in self._known if key[0] == account_id]:
            del self._known[key]

    # --- what happened --------------------------------------------------------------------------------

    async def received(self, account_id: int, address: str) -> list[Op[Any]]:
        """What notes a wanted message, for the commit that delivers it; mostly nothing."""
        before = await self.of(account_id, address)
        now = self._now()
        if before.received >= _COUNTED and now - before.at < _DAY:
            return []
        return [self._put(account_id, address, _with(before, received=before.received + 1, at=now))]

    async def written(self, account_id: int, addresses: Iterable[str]) -> list[Op[Any]]:
        """What notes that the account wrote to these (lower case)."""
        ops: list[Op[Any]] = []
        now = self._now()
        domains = await self.domains_written_to(account_id)
        new: set[str] = set()
        for address in dict.fromkeys(map(found_as, addresses)):
            before = await self.of(account_id, address)
            if before.written >= _COUNTED and now - before.at < _DAY:
                continue
            ops.append(self._put(account_id, address, _with(before, written=before.written + 1, at=now)))
            domain = address.rpartition("@")[2]
            if domain not in domains and domain not in new and len(domains) + len(new) < DOMAINS_WRITTEN_TO:
                new.add(domain)
                ops.append(PutMemo(memo=Memo(account_id=account_id, kind=DOMAIN, key=domain, data=b"")))
        if new:
            self._domains[account_id] = (now + HISTORY_CACHE, domains | new)
        return ops

    async def judged(
        self, account_id: int, address: str, *, junk: bool, before: str, proved: bool
    ) -> list[Op[Any]]:
        """What notes that the account called a message of this sender junk or good.

        `before`: what it was; `proved`: the message was its author's, or nobody asks for proof.
        """
        history = await self.of(account_id, address)
        said = {"junk": history.junk} if proved else {"forged": history.forged}
        if junk:
            new = _with(history, **{name: count + (before != "junk") for name, count in said.items()})
        else:
            # Of a message that was not called junk itself it overrules what was said of others: those put it there.
            less = {name: max(0, count - 1) for name, count in said.items()}
            called = less if before == "junk" else {"junk": 0, "forged": 0}
            new = _with(history, received=max(1, history.received), **called)
        return [self._put(account_id, address, _with(new, at=self._now()))]

    def _put(self, account_id: int, address: str, value: Correspondent) -> PutMemo:
        address = found_as(address)
        self._remember((account_id, address), value)
        until = None if value.written else self._now() + _KEPT
        data = msgspec.json.encode(value)
        memo = Memo(account_id=account_id, kind=CORRESPONDENT, key=address, data=data, until=until)
        return PutMemo(memo=memo)

    def _remember(self, key: tuple[int, str], value: Correspondent) -> None:
        self._known[key] = (self._now() + HISTORY_CACHE, value)
        self._known.move_to_end(key)
        _shorten(self._known, CORRESPONDENTS_CACHED)


def _with(value: Correspondent, **changes: Any) -> Correspondent:
    return msgspec.structs.replace(value, **changes)


def _read(memo: Memo) -> Correspondent:
    try:
        return msgspec.json.decode(memo.data, type=Correspondent)
    except msgspec.MsgspecError:
        return STRANGER


def _shorten(cache: OrderedDict[Any, Any], size: int) -> None:
    while len(cache) > size:
        cache.popitem(last=False)
