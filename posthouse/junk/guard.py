"""At the door: how fast strangers may come, what they get for guessing addresses, and traps that nobody else knows.

Rates are counted in memory over a minute, by address and by network; processes of one house tell each other what they
counted, a second's worth at once. A peer that names many unknown recipients gets its answers late (a tarpit), up to a
bound on how many may wait at once. Loopback is spared all of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Final

from posthouse.errors import PosthouseError
from posthouse.ip_addresses import read_ip
from posthouse.junk.greylist import network_of
from posthouse.limits import (
    RATE_NETWORK_FACTOR,
    RATES_KEPT,
    RATES_TOLD,
    RATES_TOLD_AT_ONCE,
    TARPIT_AFTER,
    TARPIT_MOST,
    TARPIT_STEP,
    TARPITTED,
    TRAP_KEPT,
)
from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo

log: Final = logging.getLogger(__name__)

KIND: Final = "trap"
_MINUTE: Final = 60.0


class Counters:
    """How often something happened by key in about the last minute: two windows, the older one counts in part."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._windows: OrderedDict[str, tuple[int, int, int]] = OrderedDict()
        self.spread: Callable[[tuple[str, ...]], None] | None = None
        """Tells other processes, which then call `heard`; None: there are none."""
        self._untold: dict[str, int] = {}
        self._told_at = 0.0

    def heard(self, words: tuple[str, ...]) -> None:
        """Another process tells its counts: key, number, key, number, …"""
        for key, count in zip(words[::2], words[1::2], strict=False):
            self._add(key, int(count))

    def _tell(self, key: str, count: int) -> None:
        if self.spread is None:
            return
        self._untold[key] = self._untold.get(key, 0) + count
        if self._now() - self._told_at >= RATES_TOLD or len(self._untold) >= RATES_TOLD_AT_ONCE:
            self._told_at = self._now()
            self.spread(tuple(word for key, count in self._untold.items() for word in (key, str(count))))
            self._untold = {}

    def add(self, key: str, count: int = 1) -> float:
        """Count; how many it makes."""
        self._tell(key, count)
        return self._add(key, count)

    def _add(self, key: str, count: int) -> float:
        now = self._now()
        window = int(now / _MINUTE)
        at, present, before = self._windows.get(key, (window, 0, 0))
        if at != window:
            present, before = 0, present if at == window - 1 else 0
        self._windows[key] = (window, present + count, before)
        self._windows.move_to_end(key)
        while len(self._windows) > RATES_KEPT:
            self._windows.popitem(last=False)
        return present + count + before * (1 - now / _MINUTE % 1)


class Guard:
    """One per house; `furnish` with each configuration."""

    def __init__(
        self,
        store: Store,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._wall = wall
        self._sleep = sleep
        self.messages = Counters()
        """Taken, by address and by network."""
        self.guesses = Counters()
        """Recipients that were refused, by address."""
        self._held = 0
        self._trapped: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._rate = 0
        self._traps: frozenset[str] = frozenset()

    def furnish(self, *, rate: int, traps: tuple[str, ...]) -> None:
        """By the configuration."""
        self._rate = rate
        self._traps = frozenset(address.lower() for address in traps)

    def admits(self, address: str) -> bool:
        """Whether one more message may come from this address now."""
        if not self._rate or not address or is_loopback(address):
            return True
        one = self.messages.add(single_of(address))
        many = self.messages.add(wide_of(address))
        return one <= self._rate and many <= self._rate * RATE_NETWORK_FACTOR

    async def springs(self, address: str, recipient: str) -> bool:
        """Whether the recipient is a trap; who stepped into it is suspected from now on."""
        if recipient.lower() not in self._traps:
            return False
        until, network = self._wall() + TRAP_KEPT, network_of(address)
        words = f"{network} wrote to a trap"
        log.info("trap peer=%s recipient=%s", address, recipient)
        if address:
            self._remember(network, until, words)
            memo = Memo(account_id=HOUSE, kind=KIND, key=network, data=words.encode(), until=until)
            await self._store.apply(PutMemo(memo=memo))
        return True

    async def suspicion(self, address: str) -> str:
        """What a peer's network did in a trap, in words; empty: nothing."""
        if not self._traps or not address:
            return ""
        network = network_of(address)
        known = self._trapped.get(network)
        if known is None or known[0] <= self._wall():
            try:
                memos = await self._store.memos(HOUSE, KIND, [network])
            except PosthouseError:
                return ""
            words = memos[0].data.decode("utf-8", "replace") if memos else ""
            self._remember(network, self._wall() + _MINUTE, words)
            return words
        return known[1]

    async def refused(self, address: str) -> None:
        """A recipient was refused: whoever guesses many waits for each answer."""
        if not address or is_loopback(address):
            return
        guesses = self.guesses.add(single_of(address))
        if guesses <= TARPIT_AFTER or self._held >= TARPITTED:
            return
        self._held += 1
        try:
            await self._sleep(min((guesses - TARPIT_AFTER) * TARPIT_STEP, TARPIT_MOST))
        finally:
            self._held -= 1

    def _remember(self, network: str, until: float, words: str) -> None:
        self._trapped[network] = (until, words)
        while len(self._trapped) > RATES_KEPT:
            self._trapped.popitem(last=False)


def is_loopback(address: str) -> bool:
    """Whether it is this machine."""
    try:
        return read_ip(address).is_loopback
    except ValueError:
        return False


def single_of(address: str) -> str:
    """What counts as one address: IPv4 whole, IPv6 the /64 that one customer has."""
    return network_of(address) if ":" in address else address


def wide_of(address: str) -> str:
    """What counts as one network: /24 of IPv4, /48 of IPv6."""
    if ":" not in address:
        return network_of(address)
    try:
        return str(ip_network(f"{address.partition('%')[0]}/48", strict=False))
    except ValueError:
        return address
