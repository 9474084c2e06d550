"""Ready-made networks: `posthouse playground --scenario NAME`, `Playground(scenario=NAME)`."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import msgspec

from posthouse.playground.host import HostSpec

PASSWORD: Final = "posthouse"

_NORTH = HostSpec(
    name="mx.north.test",
    address="127.0.0.10",
    domains=("north.test",),
    accounts=(("alice@north.test", PASSWORD), ("dora@north.test", PASSWORD)),
)
_SOUTH = HostSpec(
    name="mx.south.test",
    address="127.0.0.20",
    domains=("south.test",),
    trusted=("127.0.0.21/32",),
    accounts=(("bob@south.test", PASSWORD), ("carol@south.test", PASSWORD)),
)
_BACKUP = HostSpec(name="backup.south.test", address="127.0.0.21", backup_for=("south.test",))

_NORTH_ZONE = "@ MX 10 mx\nmx A 127.0.0.10\n"
_SOUTH_ZONE = "@ MX 10 mx\n@ MX 20 backup\nmx A 127.0.0.20\nbackup A 127.0.0.21\n"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A network and the state it begins in."""

    about: str
    """One line for the list of scenarios."""
    zones: MappingProxyType[str, str]
    """Domain → records in master file form."""
    hosts: tuple[HostSpec, ...]
    signed: frozenset[str] = frozenset()
    """Domains that are signed with DNSSEC."""
    away: frozenset[str] = frozenset()
    """Hosts that are not started: others find nobody there."""


_STANDARD_ZONES = MappingProxyType({"north.test": _NORTH_ZONE, "south.test": _SOUTH_ZONE})

SCENARIOS: Final = MappingProxyType(
    {
        "standard": Scenario(
            about="north.test, and south.test with a backup MX",
            zones=_STANDARD_ZONES,
            hosts=(_NORTH, _SOUTH, _BACKUP),
        ),
        "primary-away": Scenario(
            about="the primary MX of south.test is away: its backup holds the mail",
            zones=_STANDARD_ZONES,
            hosts=(_NORTH, _SOUTH, _BACKUP),
            away=frozenset({"mx.south.test"}),
        ),
        "null-mx": Scenario(
            about="silent.test takes no mail (RFC 7505): writing to it bounces at once",
            zones=MappingProxyType({"north.test": _NORTH_ZONE, "silent.test": "@ MX 0 .\n@ A 127.0.0.30\n"}),
            hosts=(_NORTH,),
        ),
        "signed": Scenario(
            about="the standard network with DNSSEC in south.test",
            zones=_STANDARD_ZONES,
            hosts=(_NORTH, _SOUTH, _BACKUP),
            signed=frozenset({"south.test"}),
        ),
    }
)
