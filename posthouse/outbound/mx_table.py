"""`posthouse mx DOMAIN`: the mail hosts of a domain as `mx.select_hosts` orders them, as plain rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from posthouse.message.address import normalize_domain
from posthouse.outbound.mx import Route


class MxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One host, in delivery order."""

    preference: int
    host: str
    addresses: tuple[str, ...]
    note: str = ""


class MxList(msgspec.Struct, frozen=True, kw_only=True):
    """The table, and what is to be said of it."""

    domain: str
    kind: str
    usable: bool
    hosts: tuple[MxRow, ...]
    note: str


class MxTable:
    """Answers `mx`. `route` is the courier's, `is_backup` tells whether we are a backup MX of a domain."""

    def __init__(
        self,
        route: Callable[..., Awaitable[Route]],
        is_backup: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._route = route
        self._is_backup = is_backup

    async def mx(self, *, domain: str) -> MxList:
        """Where mail for a domain goes. ValueError when it is no domain."""
        name = normalize_domain(domain.rstrip("."))
        route = await self._route(name, backup=await self._is_backup(name))
        return _table(route)


def _table(route: Route) -> MxList:
    hosts = [
        MxRow(preference=host.preference, host=host.name, addresses=host.addresses) for host in route.hosts
    ]
    hosts += [
        MxRow(preference=host.preference, host=host.name, addresses=(), note=host.problem)
        for host in route.unusable
    ]
    hosts += [
        MxRow(preference=mx.preference, host=mx.host, addresses=(), note="not tried: we are in the list")
        for mx in route.dropped
    ]
    note = str(route.failure) if route.failure is not None else ""
    if not note and route.canonical:
        note = f"{route.domain} is an alias of {route.canonical}"
    return MxList(
        domain=route.domain,
        kind=route.kind.value,
        usable=route.failure is None,
        hosts=tuple(hosts),
        note=note,
    )
