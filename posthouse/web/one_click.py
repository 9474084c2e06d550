"""The POST of a one-click unsubscription (RFC 8058 §3.2): the list's host learns that, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httpx2

from posthouse.errors import Temporary
from posthouse.ip_addresses import is_public
from posthouse.limits import UNSUBSCRIBE_TIME, UNSUBSCRIBES_AT_ONCE
from posthouse.resolver import Resolver
from posthouse.web.outside import NotOutside, Outside

_BODY: Final = b"List-Unsubscribe=One-Click"
_FIELDS: Final = {
    "user-agent": "Mozilla/5.0 (compatible; one-click unsubscribe)",
    "content-type": "application/x-www-form-urlencoded",
    "content-length": str(len(_BODY)),
    "accept": "*/*",
    "accept-encoding": "identity",
}


class OneClick:
    """One per process."""

    def __init__(
        self, resolver: Resolver, *, allowed: Callable[[str], bool] = is_public, verify: bool = True
    ) -> None:
        """`allowed`, `verify`: as for `Outside`."""
        self._outside = Outside(
            resolver,
            connections=UNSUBSCRIBES_AT_ONCE,
            seconds=UNSUBSCRIBE_TIME,
            allowed=allowed,
            verify=verify,
        )
        self._slots = asyncio.Semaphore(UNSUBSCRIBES_AT_ONCE)

    async def post(self, address: str) -> int | None:
        """The HTTP status; None: the address leads to nobody on the internet. Temporary: the host is away."""
        try:
            async with asyncio.timeout(UNSUBSCRIBE_TIME), self._slots:
                response = await self._outside.send("POST", address, _FIELDS, _BODY)
                await response.aclose()
                return response.status_code
        except NotOutside:
            return None
        except (TimeoutError, httpx2.HTTPError) as fault:
            raise Temporary("the list's host cannot be reached") from fault

    async def close(self) -> None:
        """Let go of connections."""
        await self._outside.close()
