"""Who may have how many DNS questions under way: DNS_AT_ONCE in all, and DNS_SHARE of them about one domain.

Strangers choose what we ask. A domain whose name servers say nothing holds each question to its end; with a share
it holds its own questions up and nobody else's. A domain is here what somebody can register, near enough: two labels,
three below such as `co.uk`, and of the reverse zones a network of the size that providers get.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from posthouse import limits

_REVERSE: Final = {("in-addr", "arpa"): 4, ("ip6", "arpa"): 10}
"""Labels of a /16 and of a /32, with the zone's own."""
_SECOND_LEVEL: Final = 3
"""Characters of `co`, `com`, `org` below a country: a registry's label, nobody's name."""


def domain_of(name: str) -> str:
    """The part of a name (lower case, without the root) that its owner registered, near enough."""
    labels = name.split(".")
    ending = tuple(labels[-2:])
    kept = _REVERSE.get((ending[0], ending[-1]), 2)
    if kept == 2 and len(labels[-1]) == 2 and len(ending[0]) <= _SECOND_LEVEL:
        kept = 3
    return ".".join(labels[-kept:])


class DnsShares:
    """Hands out turns. Owned by one event loop."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(limits.DNS_AT_ONCE)
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """Of the domains that are asked about now."""

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Wait until a question about a name may go; the caller bounds the time."""
        domain = domain_of(name)
        share = self._shares.get(domain)
        if share is None:
            share = self._shares[domain] = asyncio.Semaphore(limits.DNS_SHARE)
        async with share, self._all:
            yield
