"""Counting of failed logins: a token bucket per key in a bounded table. Pure: the time comes in.

Each failure adds one to a key's level, time takes one away every `forgive` seconds. At `most` the key is blocked
until it has sunk again. The table forgets the longest untouched key first, so a flood of keys costs no memory.
"""

from __future__ import annotations

import ipaddress
from typing import Final


class Throttle:
    """Failure levels by key. `most`: failures; `forgive`: seconds; `size`: keys."""

    __slots__ = ("_forgive", "_levels", "_most", "_size")

    def __init__(self, *, most: int, forgive: float, size: int) -> None:
        self._most = most
        self._forgive = forgive
        self._size = size
        self._levels: dict[str, tuple[float, float]] = {}

    def level(self, key: str, now: float) -> float:
        """How many failures are not forgiven yet."""
        level, at = self._levels.get(key, (0.0, now))
        return max(0.0, level - (now - at) / self._forgive)

    def blocked(self, key: str, now: float) -> bool:
        """Whether the key must not even try."""
        return key in self._levels and self.level(key, now) > self._most - 1

    def fail(self, key: str, now: float) -> float:
        """Count a failure; the result is the new level."""
        level = self.level(key, now) + 1
        self._levels.pop(key, None)  # to the young end
        self._levels[key] = (level, now)
        if len(self._levels) > self._size:
            del self._levels[next(iter(self._levels))]
        return level

    def forget(self, key: str) -> None:
        """All is forgiven: the right password came."""
        self._levels.pop(key, None)

    def __len__(self) -> int:
        return len(self._levels)


NOBODY: Final = "@"
"""In place of a login name where neither a name nor an address is known: nothing is counted for it."""


def stand_in(peer: str) -> str:
    """What is counted in place of a login name where none is known (a passkey, a token): the peer's address."""
    return f"{NOBODY}{peer_key(peer)}"


def peer_key(peer: str) -> str:
    """What is counted as one address: an IPv4 address, or the /64 of an IPv6 one; empty for ourselves.

    Failures from loopback or a Unix socket are counted by login name only: a proxy or web page there speaks for many.
    """
    if not peer:
        return ""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            if address.is_loopback:
                return ""
            return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)
