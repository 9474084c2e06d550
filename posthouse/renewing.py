"""Who cares for our certificate (`operations.acme`), built of what the house has: for which names, with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from posthouse.operations.acme.names import Wanted
from posthouse.operations.acme.renewal import Renewal
from posthouse.store.model import DomainKind

if TYPE_CHECKING:
    from posthouse.house import House
    from posthouse.places import Paths


def plain(name: str) -> str:
    """A name as certificates have it."""
    return name.lower().rstrip(".")


def make_renewal(house: House, paths: Paths) -> Renewal:
    """It goes on over reloads, so what it works with is asked for each time."""

    async def wanted() -> Wanted:
        household, settings = house.household, house.config.tls.acme
        listen = house.config.listen
        served = house.listening or {name for name in listen.__struct_fields__ if getattr(listen, name)}
        # Below a domain we answer over HTTPS only.
        domains = await house.store.domains() if "https" in served else ()
        return Wanted(
            hostname=household.hostname,
            others=tuple(filter(None, (household.public_name, *map(plain, settings.names)))),
            domains=tuple(each.name for each in domains if each.kind is DomainKind.LOCAL),
            unprovable=""
            if "http" in served or settings.dns.given
            else "listen.http is not served: the authority looks there, or in the DNS (tls.acme.dns)",
        )

    return Renewal(
        paths.acme,
        self_made_key=paths.self_made[1],
        resolver=lambda: house.resolver,
        wanted=wanted,
        now=house.clock,
    )
