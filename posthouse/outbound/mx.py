"""Which hosts get mail for a domain, and in which order (RFC 5321 §5.1, RFC 7505).

Mail goes to the domain's SMTP servers, which its MX records name, or its own address when it has no MX
record at all. It never goes "to the other side's POP3 or IMAP server": those are where people read mail that
has already arrived; they accept none, and a domain need not have any.

`select_hosts` only asks the DNS. It never raises for what it finds: a Route without hosts says why. Numbers of
hosts and addresses are bounded (MX_HOSTS, MX_ADDRESSES); with fewer than two the walk would not be reliable.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
from collections.abc import Container, Iterable
from random import Random
from typing import Final

import msgspec

from posthouse import limits
from posthouse.resolver import AddressAnswer, Mx, MxAnswer, Resolver, Status


class RouteKind(enum.Enum):
    """How the hosts were found."""

    MX = "mx"
    IMPLICIT = "implicit mx"
    """No MX record: the domain's own address counts as MX 0."""
    LITERAL = "address literal"
    RELAY = "relay"
    """The configured smarthost, whatever the domain."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why mail cannot go now, or ever, in the words of an SMTP reply."""

    permanent: bool
    code: int
    status: str
    """Enhanced status code (RFC 3463)."""
    text: str

    def __str__(self) -> str:
        """As a reply would say it."""
        return f"{self.code} {self.status} {self.text}"


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """One mail exchanger."""

    name: str
    """Lower case A-labels, or the address literal with its brackets."""
    preference: int
    addresses: tuple[str, ...] = ()
    """In the order to try them; empty: `problem` says why."""
    problem: str = ""
    temporary: bool = False
    """The problem may pass: a question about it failed."""
    canonical: str = ""
    """Where a CNAME led, when it did."""
    listed_securely: bool = False
    """That it is a mail exchanger of the domain was proved by DNSSEC."""
    secure: bool = False
    """The MX record and the addresses were proved by DNSSEC."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where mail for a domain goes: `hosts` in the order to try them, or `failure`."""

    domain: str
    kind: RouteKind
    hosts: tuple[Host, ...] = ()
    """Hosts with addresses, best first."""
    unusable: tuple[Host, ...] = ()
    """Hosts in the list that have no usable address."""
    dropped: tuple[Mx, ...] = ()
    """Left out because we are in the list ourselves: we, and all that are not better than we."""
    failure: Failure | None = None
    """Set when there are no hosts."""
    canonical: str = ""
    """Where a CNAME led, when it did."""
    secure: bool = False


# RFC 7505 §4: 556 with 5.1.10 for a domain that accepts no mail.
NULL_MX: Final = Failure(
    permanent=True, code=556, status="5.1.10", text="The domain accepts no mail (null MX)"
)
NO_DOMAIN: Final = Failure(permanent=True, code=550, status="5.1.2", text="The domain does not exist")
NO_ADDRESS: Final = Failure(
    permanent=True, code=550, status="5.1.2", text="The domain has neither mail servers (MX) nor an address"
)
NO_USABLE_MX: Final = Failure(
    permanent=True,
    code=550,
    status="5.4.4",
    text="None of the domain's mail servers (MX) has a usable address",
)
LOOP: Final = Failure(
    permanent=True,
    code=554,
    status="5.4.6",
    text="The best mail server (MX) of the domain is this one: mail loop",
)
NO_PRIMARY: Final = Failure(
    permanent=False,
    code=451,
    status="4.4.6",
    text="This server is backup for the domain, but no better mail server (MX) is in its list",
)
PRIMARY_WITHOUT_ADDRESS: Final = Failure(
    permanent=False,
    code=451,
    status="4.4.4",
    text="This server is backup for the domain, but no better mail server (MX) has a usable address",
)
BAD_LITERAL: Final = Failure(permanent=True, code=501, status="5.1.3", text="Not a valid address literal")


async def select_hosts(
    domain: str,
    resolver: Resolver,
    ourselves: Container[str],
    *,
    random: Random,
    backup: bool = False,
    families: Iterable[int] = (4, 6),
) -> Route:
    """The route for mail to `domain` (A-labels in lower case, or an address literal with brackets).

    `ourselves` knows our names and addresses, `backup` says that we are a backup MX for the domain, `families`
    are the IP versions that we can send by.
    """
    wanted = tuple(families)
    if domain.startswith("["):
        return _route_to_literal(domain, ourselves, wanted)
    answer = await resolver.mx(domain)
    if answer.status is Status.TEMPORARY:
        # RFC 5321 §5.1: after a temporary error the message must be queued and retried later.
        return _no_route(answer, RouteKind.MX, _dns_failed("MX records of", domain, answer.reason))
    if answer.status is Status.NO_NAME:
        # RFC 5321 §5.1: a non-existent domain must be reported as an error.
        return _no_route(answer, RouteKind.MX, NO_DOMAIN)
    if answer.status is Status.NO_DATA:
        # RFC 5321 §5.1: an empty list of MXs means an implicit MX of preference 0 that points to the domain.
        kind, records = RouteKind.IMPLICIT, [Mx(0, answer.canonical or answer.name)]
    else:
        # RFC 7505 §3: "." stands alone; beside real hosts it names none, so it is passed over.
        kind, records = RouteKind.MX, [record for record in answer.records if record.host]
    if not records:
        return _no_route(answer, kind, NULL_MX)
    in_order = _ordered(records, random)
    hosts = await _with_addresses(in_order[: limits.MX_HOSTS], resolver, wanted, random)
    hosts = [
        msgspec.structs.replace(host, listed_securely=answer.secure, secure=host.secure and answer.secure)
        for host in hosts
    ]
    return _decide(answer, kind, hosts, in_order, ourselves, backup)


def _no_route(answer: MxAnswer, kind: RouteKind, failure: Failure) -> Route:
    return Route(
        domain=answer.name, kind=kind, failure=failure, canonical=answer.canonical, secure=answer.secure
    )


def _dns_failed(what: str, name: str, reason: str) -> Failure:
    text = f"The {what} {name} cannot be looked up now" + (f": {reason}" if reason else "")
    return Failure(permanent=False, code=451, status="4.4.3", text=text)


def _ordered(records: Iterable[Mx], random: Random) -> list[Mx]:
    """Best preference first; each host once, at its best."""
    shuffled = list(set(records))
    shuffled.sort()  # the order of a set is chance of another kind
    # RFC 5321 §5.1: hosts of equal preference must be tried in random order, to spread the load.
    random.shuffle(shuffled)
    shuffled.sort(key=lambda record: record.preference)
    best: dict[str, Mx] = {}
    for record in shuffled:
        best.setdefault(record.host, record)
    return list(best.values())


async def _with_addresses(
    records: list[Mx], resolver: Resolver, families: tuple[int, ...], random: Random
) -> list[Host]:
    found = await asyncio.gather(*(_look_up(record.host, resolver, families) for record in records))
    return [_host(record, answers, random) for record, answers in zip(records, found, strict=True)]


async def _look_up(name: str, resolver: Resolver, families: tuple[int, ...]) -> list[AddressAnswer]:
    # RFC 5321 §5.2: a client on one IP version need not ask for addresses of the other.
    questions = [resolver.aaaa(name)] if 6 in families else []
    if 4 in families:
        questions.append(resolver.a(name))
    return list(await asyncio.gather(*questions))


def _host(record: Mx, answers: list[AddressAnswer], random: Random) -> Host:
    """A host with its addresses in the order to try: both families in turn, IPv6 first.

    A fixed simplification of RFC 6724 §2.1: with both in turn, a family that doesn't work here costs one try.
    """
    by_family: list[list[str]] = []
    for answer in answers:
        usable = [address for address in answer.records if is_usable(address)]
        random.shuffle(usable)
        by_family.append(usable)
    longest = max((len(addresses) for addresses in by_family), default=0)
    in_turn = [addresses[i] for i in range(longest) for addresses in by_family if i < len(addresses)]
    failed = [answer for answer in answers if answer.status is Status.TEMPORARY]
    problem = ""
    if not in_turn and failed:
        problem = f"its address cannot be looked up now: {failed[0].reason}"
    elif not in_turn:
        absent = all(answer.status is Status.NO_NAME for answer in answers)
        problem = "no such host" if absent else "it has no usable address"
    known = [answer for answer in answers if answer.status is not Status.TEMPORARY]
    return Host(
        name=record.host,
        preference=record.preference,
        addresses=tuple(in_turn[: limits.MX_ADDRESSES]),
        problem=problem,
        temporary=bool(failed),
        canonical=next((answer.canonical for answer in known if answer.canonical), ""),
        # RFC 7672 §2.1.1: a question that fails is no sign of an unsigned zone: the others decide.
        secure=bool(known) and all(answer.secure for answer in known),
    )


async def route_to_host(
    domain: str, host: str, resolver: Resolver, *, random: Random, families: Iterable[int] = (4, 6)
) -> Route:
    """The route that leads to one known host, a smarthost, whatever the domain. `host`: a name or an address."""
    wanted = tuple(families)
    kind = RouteKind.RELAY
    try:
        address = str(ipaddress.ip_address(host.strip("[]").removeprefix("IPv6:")))
    except ValueError:
        found = _host(Mx(0, host), await _look_up(host, resolver, wanted), random)
    else:
        found = Host(name=host, preference=0, addresses=(address,))
    if found.addresses:
        return Route(domain=domain, kind=kind, hosts=(found,))
    # A smarthost that cannot be found is a mistake of ours or a fault of the DNS, never the recipient's: wait.
    failure = _dns_failed("relay", host, found.problem)
    return Route(domain=domain, kind=kind, unusable=(found,), failure=failure)


def is_usable(address: str) -> bool:
    """Whether an address can be that of a mail server at all."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (ip.is_unspecified or ip.is_multicast or address == "255.255.255.255")


def _decide(
    answer: MxAnswer,
    kind: RouteKind,
    hosts: list[Host],
    in_order: list[Mx],
    ourselves: Container[str],
    backup: bool,
) -> Route:
    ours = {host.name for host in hosts if any(address in ourselves for address in host.addresses)}
    ours |= {record.host for record in in_order if record.host in ourselves}
    # RFC 5321 §5.1: if we are in the list, all records at our preference and above must be discarded.
    best_of_ours = min((record.preference for record in in_order if record.host in ours), default=None)
    dropped: tuple[Mx, ...] = ()
    if best_of_ours is not None:
        dropped = tuple(record for record in in_order if record.preference >= best_of_ours)
        hosts = [host for host in hosts if host.preference < best_of_ours]
    usable = tuple(host for host in hosts if host.addresses)
    unusable = tuple(host for host in hosts if not host.addresses)
    failure = None
    if not usable:
        failure = _why_none(answer.name, kind, unusable, bool(dropped), backup)
    return Route(
        domain=answer.name,
        kind=kind,
        hosts=usable,
        unusable=unusable,
        dropped=dropped,
        failure=failure,
        canonical=answer.canonical,
        secure=answer.secure,
    )


def _why_none(
    domain: str, kind: RouteKind, unusable: tuple[Host, ...], dropped: bool, backup: bool
) -> Failure:
    waiting = next((host for host in unusable if host.temporary), None)
    if waiting is not None:
        return _dns_failed("address of", waiting.name, waiting.problem.partition(": ")[2])
    if backup:
        # What the DNS says of the primary is wrong and will be mended: to hold the mail until then is what we are for.
        return PRIMARY_WITHOUT_ADDRESS if unusable else NO_PRIMARY
    if not unusable and dropped:
        # RFC 5321 §5.1: nothing left means that the message must be returned as undeliverable.
        return LOOP
    # RFC 5321 §5.1: MX records exist but none is usable, so no address fallback; nor for an implicit MX.
    return NO_ADDRESS if kind is RouteKind.IMPLICIT else NO_USABLE_MX


def _route_to_literal(domain: str, ourselves: Container[str], families: tuple[int, ...]) -> Route:
    """RFC 5321 §4.1.3: [192.0.2.1] or [IPv6:2001:db8::1]; no DNS."""
    kind = RouteKind.LITERAL
    inner = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inner[:5].lower() == "ipv6:":
            address = str(ipaddress.IPv6Address(inner[5:]))
        else:
            address = str(ipaddress.IPv4Address(inner))
    except ValueError:
        return Route(domain=domain, kind=kind, failure=BAD_LITERAL)
    if address in ourselves:
        return Route(domain=domain, kind=kind, dropped=(Mx(0, domain),), failure=LOOP)
    if not is_usable(address) or ipaddress.ip_address(address).version not in families:
        return Route(domain=domain, kind=kind, failure=NO_ADDRESS)
    return Route(domain=domain, kind=kind, hosts=(Host(name=domain, preference=0, addresses=(address,)),))
