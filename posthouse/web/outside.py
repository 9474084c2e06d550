"""HTTP to hosts that strangers name: only to public addresses, and to the very address that was looked up.

So nobody makes us ask something in the house, nor by a second look-up (DNS rebinding). No cookies, no Referer, no
redirect is followed here; whoever asks bounds size and time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

import httpx2

from posthouse.errors import PosthouseError
from posthouse.ip_addresses import is_public
from posthouse.limits import MAIL_ADDRESS
from posthouse.resolver import Resolver

_PORTS: Final = {"http": 80, "https": 443}


class NotOutside(PosthouseError):
    """The address leads to no host on the internet."""


class Outside:
    """Asks such hosts. `close` at the end."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        connections: int,
        seconds: float,
        allowed: Callable[[str], bool] = is_public,
        verify: bool = True,
    ) -> None:
        """`seconds`: for each step of a request; `allowed` judges IP addresses; `verify`: certificates must be good
        (only tests say otherwise)."""
        self._resolver = resolver
        self._connections = connections
        self._seconds = seconds
        self._allowed = allowed
        self._verify = verify
        self._client: httpx2.AsyncClient | None = None

    async def send(
        self, method: str, address: str, fields: Mapping[str, str], content: bytes | None = None
    ) -> httpx2.Response:
        """The response, its body unread (`aclose` it). NotOutside; httpx2.HTTPError."""
        try:
            parts = urlsplit(address)
            port = parts.port
        except ValueError as fault:
            raise NotOutside("the address cannot be read") from fault
        host = parts.hostname or ""
        if parts.scheme not in _PORTS or not host or parts.username or len(address) > MAIL_ADDRESS:
            raise NotOutside("the address is none of the web")
        target = await self._address_of(host)
        shown = f"[{target}]" if ":" in target else target
        try:
            url = httpx2.URL(address).copy_with(host=shown, fragment=None)
        except httpx2.InvalidURL as fault:
            raise NotOutside("the address cannot be read") from fault
        named = host if port is None or port == _PORTS[parts.scheme] else f"{host}:{port}"
        request = self._http().build_request(method, url, headers={**fields, "host": named}, content=content)
        request.extensions["sni_hostname"] = host
        return await self._http().send(request, stream=True, follow_redirects=False)

    async def _address_of(self, host: str) -> str:
        """An address of the host that may be asked; the connection goes there and nowhere else."""
        try:
            found = [str(ipaddress.ip_address(host.strip("[]")))]
        except ValueError:
            answers = [await self._resolver.a(host), await self._resolver.aaaa(host)]
            found = [record for answer in answers for record in answer.records]
        if not found:
            raise NotOutside("the host has no address")
        if not all(map(self._allowed, found)):
            raise NotOutside("the host is not on the internet")
        return found[0]

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                verify=self._verify,
                trust_env=False,
                timeout=self._seconds,
                limits=httpx2.Limits(max_connections=self._connections, max_keepalive_connections=0),
            )
        return self._client

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()
