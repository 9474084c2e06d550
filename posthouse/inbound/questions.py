"""The DNS questions of one check of a message: bounded in number and time, so that no sender's records hold us up.

Behind either bound every answer is "temporary failure", which the checks know how to take. The resolver bounds the time
of each single question; here it is their sum.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from posthouse.limits import MSGAUTH_QUESTIONS, MSGAUTH_TIMEOUT
from posthouse.resolver import AddressAnswer, MxAnswer, NameAnswer, Resolver, Status, TextAnswer

A = TypeVar("A", MxAnswer, AddressAnswer, TextAnswer, NameAnswer)


class Questions:
    """A Resolver for one check of one message."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._left = MSGAUTH_QUESTIONS
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + MSGAUTH_TIMEOUT

    async def _ask(self, kind: type[A], ask: Callable[[str], Awaitable[A]], name: str) -> A:
        self._left -= 1
        if self._left >= 0 and self._clock() < self._deadline:
            try:
                async with asyncio.timeout_at(self._deadline):
                    return await ask(name)
            except TimeoutError:
                pass  # the resolver goes on, and the next message finds the answer
        reason = "this message asks the DNS too much"
        if self._left >= 0:
            reason = f"the checks of this message took more than {MSGAUTH_TIMEOUT:g} seconds"
        return kind(status=Status.TEMPORARY, name=name, reason=reason)

    async def mx(self, domain: str) -> MxAnswer:
        """MX records of a domain."""
        return await self._ask(MxAnswer, self._resolver.mx, domain)

    async def a(self, host: str) -> AddressAnswer:
        """IPv4 addresses of a host."""
        return await self._ask(AddressAnswer, self._resolver.a, host)

    async def aaaa(self, host: str) -> AddressAnswer:
        """IPv6 addresses of a host."""
        return await self._ask(AddressAnswer, self._resolver.aaaa, host)

    async def txt(self, name: str) -> TextAnswer:
        """TXT records."""
        return await self._ask(TextAnswer, self._resolver.txt, name)

    async def ptr(self, address: str) -> NameAnswer:
        """Names of an address."""
        return await self._ask(NameAnswer, self._resolver.ptr, address)
