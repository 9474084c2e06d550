"""Posting TLS reports to the hosts that ask for that (RFC 8460 §5.4): over HTTPS, with a certificate that is good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import httpx2

from posthouse.errors import Temporary
from posthouse.ip_addresses import is_public
from posthouse.limits import TLS_REPORT_TIME
from posthouse.resolver import Resolver
from posthouse.web.outside import NotOutside, Outside

_RETRY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers of a host that may say something else later."""


class ReportPost:
    """One per process."""

    def __init__(
        self, resolver: Resolver, *, allowed: Callable[[str], bool] = is_public, verify: bool = True
    ) -> None:
        """`allowed`, `verify`: as for `Outside`."""
        self._outside = Outside(
            resolver, connections=1, seconds=TLS_REPORT_TIME, allowed=allowed, verify=verify
        )

    async def post(self, url: str, packed: bytes) -> bool:
        """Whether the host took a report, packed by gzip. Temporary: it is away, or says so."""
        fields = {
            "content-type": "application/tlsrpt+gzip",
            "content-length": str(len(packed)),
            "user-agent": "Posthouse",
            "accept-encoding": "identity",
        }
        try:
            async with asyncio.timeout(TLS_REPORT_TIME):
                response = await self._outside.send("POST", url, fields, packed)
                await response.aclose()
        except NotOutside:
            return False
        except (TimeoutError, httpx2.HTTPError) as fault:
            raise Temporary("the host for TLS reports cannot be reached") from fault
        if response.status_code in _RETRY:
            raise Temporary(f"the host for TLS reports answers {response.status_code}")
        return response.is_success

    async def close(self) -> None:
        """Let go of connections."""
        await self._outside.close()
