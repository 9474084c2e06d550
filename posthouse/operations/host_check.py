"""The hosts of a cluster in `posthouse status`: who is there, who fell silent, and what nobody does.

A host that stands alone has nothing to say here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from posthouse import limits
from posthouse.operations.findings import Finding, fine, look, wrong
from posthouse.operations.household import Household
from posthouse.store.host_facts import HostFacts

_DUTIES: Final = (
    ("queue", "no host sends: mail for others waits"),
    ("jobs", "no host indexes, sweeps and sends reports"),
)
"""Roles that no listener shows, and what happens when nobody has them."""


def check_hosts(household: Household) -> list[Finding]:
    """A line for each host, then what is wrong with them together."""
    hosts = household.hosts()
    if not hosts:
        return []
    return [*map(_one, hosts), *_together(household)]


def _one(host: HostFacts) -> Finding:
    doors = ", ".join(f"{name} {port}" for name, port in host.ports.items())
    words = "; ".join(filter(None, (" ".join(host.roles), doors, host.version)))
    if host.ended:
        return fine(f"host {host.name}", f"ended in good order {_ago(host.silent)} ago ({words})")
    if host.silent >= limits.NODE_SILENCE:
        fix = "is it down? others have taken over its queue; clients and MX come to the others"
        return look(f"host {host.name}", f"silent for {_ago(host.silent)} ({words})", fix)
    return fine(f"host {host.name}", words)


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _together(household: Household) -> Iterator[Finding]:
    alive = household.alive()
    roles = {role for host in alive for role in host.roles}
    for role, why in _DUTIES:
        if role not in roles:
            yield wrong(f"role {role}", why, f"start one: posthouse serve --roles {role}")
    versions = sorted({host.version for host in alive})
    if len(versions) > 1:
        yield look("versions", f"hosts run {' and '.join(versions)}", "bring the older ones up to date")
    names = {host.name for host in household.hosts()}
    if len(names) > 1 and not household.public_name:
        text = f"not set: programs are told to come to {household.name}, each host says its own name"
        yield look(
            "public_name", text, "set public_name, the same on every host, to the load balancer's name"
        )
