"""For which names a certificate is ordered: our own, and those of our domains that really lead here.

One name that leads elsewhere would make the whole order fail, so the DNS is asked first. A domain's name leads here
when all its addresses are addresses of our own names: the authority may try any of them. Names that the configuration
gives need only have an address: there may be a load balancer between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from posthouse import limits
from posthouse.resolver import Resolver, Status

PREFIXES = ("mta-sts", "autoconfig", "autodiscover")
"""Names below a domain at which we answer (RFC 8461 §3.3; Thunderbird; Outlook): the one that mail depends on first."""


class LeftOut(msgspec.Struct, frozen=True):
    """A name that is wanted and is not ordered."""

    name: str
    why: str


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome."""

    names: tuple[str, ...]
    """The first is the host's."""
    left_out: tuple[LeftOut, ...] = ()
    why_not: str = ""
    """Why nothing can be ordered at all."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Names to have a certificate for."""

    hostname: str
    others: tuple[str, ...] = ()
    """That of the load balancer, and what the administrator added."""
    domains: tuple[str, ...] = ()
    """Ours, with mailboxes here."""
    unprovable: str = ""
    """Why the authority could not look here at all; empty: it can."""

    def all(self) -> tuple[str, ...]:
        """Each once, the more important first."""
        below = (f"{prefix}.{domain}" for prefix in PREFIXES for domain in self.domains)
        return tuple(dict.fromkeys((self.hostname, *self.others, *below)))


async def choose_names(
    wanted: Wanted, resolver: Resolver, *, had: Iterable[str] = (), resting: Mapping[str, str] | None = None
) -> Chosen:
    """Ask the DNS. `had`: names of the certificate in use, kept while nobody can say where they lead.

    `resting`: names that failed not long ago, with the reason.
    """
    every, resting, had = wanted.all(), resting or {}, set(had)
    found = dict(zip(every, await _addresses(every, resolver), strict=True))
    given = {wanted.hostname, *wanted.others}
    ours = frozenset().union(*(found[name].addresses for name in given))
    names, left_out = [wanted.hostname], []
    for name in every[1:]:
        strange = frozenset() if name in given else found[name].addresses - ours
        why = resting.get(name) or _why_not(found[name], strange, name in had)
        if not why and len(names) == limits.ACME_NAMES:
            why = f"a certificate has {limits.ACME_NAMES} names at most"
        if why:
            left_out.append(LeftOut(name, why))
        else:
            names.append(name)
    host = found[wanted.hostname]
    why_not = f"{wanted.hostname} has no address" if host.known and not host.addresses else ""
    return Chosen(names=tuple(names), left_out=tuple(left_out), why_not=why_not or wanted.unprovable)


class _Addresses(msgspec.Struct, frozen=True):
    known: bool
    addresses: frozenset[str]


async def _addresses(names: Sequence[str], resolver: Resolver) -> list[_Addresses]:
    gate = asyncio.Semaphore(limits.ACME_QUESTIONS)

    async def ask(name: str) -> _Addresses:
        async with gate:
            answers = [await resolver.a(name), await resolver.aaaa(name)]
        known = all(answer.status is not Status.TEMPORARY for answer in answers)
        return _Addresses(known, frozenset(each for answer in answers for each in answer.records))

    return list(await asyncio.gather(*map(ask, names)))


def _why_not(found: _Addresses, strange: frozenset[str], had: bool) -> str:
    if not found.known:
        return "" if had else "the DNS cannot be asked now"
    if not found.addresses:
        return "has no address"
    return f"leads to {', '.join(sorted(strange))}, not here" if strange else ""
