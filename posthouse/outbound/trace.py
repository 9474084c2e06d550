"""How a message to an address would travel, step by step: what `posthouse trace` prints.

The steps are those of a real delivery, taken by the same parts (directory, resolver, `mx`, `tls_policy`, courier);
nothing is imitated. Without `send` the conversation ends before DATA; with it a small probe is delivered. Each final
address of an alias is followed; the last step tells whether the message would arrive everywhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Destination, DestinationKind
from posthouse.dns_resolver import DnsResolver
from posthouse.errors import Permanent, PosthouseError
from posthouse.message.address import ascii_domain
from posthouse.message.compose import compose, format_mailbox, text_body
from posthouse.message.date import format_date
from posthouse.outbound.attempt import Courier
from posthouse.outbound.dns_walk import walk
from posthouse.outbound.mx import Host, Route, RouteKind
from posthouse.outbound.session import Session, SessionFailed, Target
from posthouse.outbound.tls_policy import VERIFIED, TlsPolicy
from posthouse.smtp.client_states import Result
from posthouse.smtp.client_values import Envelope, EnvelopeRecipient
from posthouse.smtp.replies import Reply

Deliver = Callable[[str, bytes], Awaitable[Reply]]
"""Delivers a probe to an address of ours; what its server would have replied."""


FindOrigin = Callable[[str], Awaitable[str | Reply]]
"""The sender whom a rewritten address of ours stands for, or why it stands for nobody."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the trace."""

    kind: str
    """"who", "dns", "mx", "policy", "talk", "tls" or "end"."""
    ok: bool
    text: str


class Tracer:
    """Explains routes. One per process."""

    def __init__(
        self,
        directory: Directory,
        courier: Courier,
        deliver: Deliver,
        origin: FindOrigin,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[float], str],
    ) -> None:
        """`deliver` is the house's own door, for probes to addresses of ours."""
        self._origin = origin
        self._directory = directory
        self._courier = courier
        self._deliver = deliver
        self._clock = clock
        self._new_id = new_id

    async def trace(self, *, address: str, send: bool = False) -> AsyncIterator[Step]:
        """The route to an address. ValueError when it is none."""
        address = normalize_address(address)
        destination = await self._directory.destination(address)
        yield _who(destination)
        if destination.kind is DestinationKind.RETURNING:
            found = await self._origin(destination.address)
            if isinstance(found, Reply):
                yield _end(f"{address}: {found}", ok=False)
                return
            address = found
            destination = await self._directory.destination(address)
            yield _who(destination)
        if destination.kind is DestinationKind.ALIAS and not send:
            async for step in self._alias(address):
                yield step
            return
        async for step in self._final(destination, send=send):
            yield step

    async def _final(self, destination: Destination, *, send: bool) -> AsyncIterator[Step]:
        """Where the message stays, or who is asked to take it."""
        address = destination.address
        if destination.kind in (DestinationKind.REMOTE, DestinationKind.BACKUP):
            backup = destination.kind is DestinationKind.BACKUP
            async for step in self._outward(address, backup=backup, send=send):
                yield step
        elif destination.kind in (DestinationKind.UNKNOWN, DestinationKind.RETURNING):
            yield _end(f"{address} is unknown: 550 5.1.1", ok=False)
        elif send:
            reply = await self._deliver(address, self._probe(address))
            yield _end(f"probe: {reply}", ok=reply.accepted)
        elif destination.account is not None and destination.account.disabled:
            yield _end(f"{address} is disabled: 550 5.2.1", ok=False)
        else:
            yield _end("it is delivered here; neither DNS nor another host is asked", ok=True)

    async def _alias(self, address: str) -> AsyncIterator[Step]:
        """Every address that an alias leads to in the end, as far as TRACE_TARGETS."""
        try:
            finals = await self._directory.expand(address)
        except Permanent as fault:
            yield _end(f"{address}: {fault.public}: 550 5.4.6", ok=False)
            return
        if not finals:
            yield _end(f"{address} leads nowhere, its aliases go in a circle: 550 5.1.1", ok=False)
            return
        failed = []
        for final in finals[: limits.TRACE_TARGETS]:
            yield _who(final)
            fine = False
            async for step in self._final(final, send=False):
                fine = step.ok
                yield step
            if not fine:
                failed.append(final.address)
        if len(finals) > limits.TRACE_TARGETS:
            more = len(finals) - limits.TRACE_TARGETS
            yield Step(kind="who", ok=True, text=f"{more} more addresses are not looked at")
        if failed:
            yield _end(f"it does not get to {', '.join(failed)}", ok=False)
        elif len(finals) > 1:
            yield _end(f"it would get to {len(finals[: limits.TRACE_TARGETS])} addresses", ok=True)

    # --- to other hosts ---------------------------------------------------------------------------------

    async def _outward(self, address: str, *, backup: bool, send: bool) -> AsyncIterator[Step]:
        domain = address.rpartition("@")[2]
        relay = self._courier.relay
        if relay is not None and not backup:
            yield Step(
                kind="mx", ok=True, text=f"everything goes through the relay {relay.host}:{relay.port}"
            )
        elif not domain.startswith("["):
            async for step in self._walk(domain):
                yield step
        route = await self._courier.route(domain, backup=backup)
        for step in _route_steps(route):
            yield step
        if route.failure is not None:
            yield _end(str(route.failure), ok=False)
            return
        async for step in self._hosts(address, route, send=send):
            yield step

    async def _walk(self, domain: str) -> AsyncIterator[Step]:
        resolver = self._courier.resolver
        if not isinstance(resolver, DnsResolver):
            return
        async for found in walk(resolver, domain, "MX"):
            where = f"{found.server} (for {found.zone})" if found.server else "DNS"
            yield Step(kind="dns", ok=found.ok, text=f"{where}: {found.text}")
        servers = ", ".join(map(str, await resolver.servers()))
        yield Step(kind="dns", ok=True, text=f"mail is sent by what {servers} answers:")

    async def _hosts(self, address: str, route: Route, *, send: bool) -> AsyncIterator[Step]:
        last = "no host could be tried"
        for host in route.hosts:
            try:
                policy = await self._courier.policy(route, host)
            except PosthouseError as error:
                yield Step(kind="policy", ok=False, text=f"{host.name}: {error.public}")
                continue
            for step in _policy_steps(host, policy):
                yield step
            for number in host.addresses:
                talk = _Talk(self._courier, self._courier.target(host, number, policy))
                yield Step(kind="talk", ok=True, text=f"connecting to {talk.target}")
                result = await talk.ask(address, self._probe(address) if send else None)
                for step in talk.steps:
                    yield step
                if result is not None and (result.reply.accepted or result.reply.permanent):
                    yield _verdict(talk.target, result, send=send)
                    return
                last = str(result.reply) if result is not None else talk.problem
        yield _end(f"not now: {last}", ok=False)

    def _probe(self, address: str) -> bytes:
        now = self._clock()
        hostname = self._courier.hostname
        fields = [
            ("Date", format_date(int(now))),
            ("From", format_mailbox("Posthouse", "postmaster", hostname)),
            ("To", f"<{address}>"),
            ("Subject", "Probe of the mail route"),
            ("Message-ID", f"<{self._new_id(now)}@{hostname}>"),
            ("Auto-Submitted", "auto-generated"),  # RFC 3834 §5
        ]
        text = f"The postmaster of {hostname} tests the way of mail to {address}. You need not do anything.\n"
        return compose(fields, text_body(text))


class _Talk:
    """The conversation with one address."""

    def __init__(self, courier: Courier, target: Target) -> None:
        self._courier = courier
        self.target = target
        self.steps: list[Step] = []
        self.problem = ""

    def _heard(self, who: str, text: str) -> None:
        self.steps.append(Step(kind="tls" if who == "-" else "talk", ok=True, text=f"  {who}: {text}"))

    async def ask(self, address: str, probe: bytes | None) -> Result | None:
        """The server's word on the recipient; with `probe`, of the delivery. None: it could not be asked."""
        session: Session | None = None
        try:
            async with asyncio.timeout(limits.TRACE_HOST):
                session = await self._courier.open(self.target, "trace", self._heard)
                await self._look_at_certificate(session)
                (result,) = await self._transact(session, address, probe)
                await session.close()
        except SessionFailed as error:
            self.problem = str(error.reply)
        except TimeoutError:
            self.problem = "it took too long"
        else:
            return result
        if session is not None:
            session.abort()
        self.steps.append(Step(kind="talk", ok=False, text=f"  {self.target}: {self.problem}"))
        return None

    async def _transact(self, session: Session, address: str, probe: bytes | None) -> list[Result]:
        envelope = Envelope(
            reverse_path="",
            recipients=(EnvelopeRecipient(ascii_domain(address)),),
            size=len(probe or b""),
            smtputf8=not ascii_domain(address).isascii(),
        )
        if probe is None:
            return await session.probe(envelope)
        content = probe

        async def chunks() -> AsyncIterator[bytes]:
            yield content

        return await session.send(envelope, chunks)

    async def _look_at_certificate(self, session: Session) -> None:
        """Whether a sender that verifies would be content; a connection of its own, since any certificate did here."""
        if not session.tls or self.target.policy.verify or self.target.policy.tlsa:
            return
        target = msgspec.structs.replace(self.target, policy=_verifying(self.target.policy), login=None)
        try:
            other = await self._courier.open(target, "trace")
            await other.close()
        except SessionFailed as error:
            text = f"  -: certificate not verified: {error.reply.text}"
            self.steps.append(Step(kind="tls", ok=True, text=text))
        else:
            text = f"  -: certificate verified for {self.target.host}"
            self.steps.append(Step(kind="tls", ok=True, text=text))


def _verifying(policy: TlsPolicy) -> TlsPolicy:
    return msgspec.structs.replace(policy, verify=True, fallback=None) if policy.immediate else VERIFIED


def _who(destination: Destination) -> Step:
    address = destination.address
    text = _KINDS[destination.kind].format(address=address)
    if destination.kind is DestinationKind.ALIAS:
        text += ", ".join(destination.targets)
    elif destination.account is not None:
        text += destination.account.address
    return Step(kind="who", ok=destination.kind is not DestinationKind.UNKNOWN, text=text)


_KINDS: Final = {
    DestinationKind.MAILBOX: "{address} is a mailbox here, of the account ",
    DestinationKind.ALIAS: "{address} is an alias here, for ",
    DestinationKind.BACKUP: "{address} is in a domain that we are backup for: it is handed on to a better host",
    DestinationKind.REMOTE: "{address} is not ours: its mail hosts are looked up",
    DestinationKind.REPORTS: "{address} takes reports about mail, which are read here (posthouse reports)",
    DestinationKind.RETURNING: "{address} is for what comes back to mail that was sent on (SRS)",
    DestinationKind.LIST: "{address} is a mailing list here (posthouse list show)",
    DestinationKind.LIST_SERVICE: "{address} goes with a mailing list here, for one member of it",
    DestinationKind.UNKNOWN: "{address} is in a domain of ours, but nobody has this address",
}


def _route_steps(route: Route) -> list[Step]:
    steps = []
    if route.canonical:
        steps.append(Step(kind="dns", ok=True, text=f"{route.domain} is an alias of {route.canonical}"))
    if route.kind is RouteKind.IMPLICIT and route.hosts:
        text = f"{route.domain} has no MX record: its own address is used"
        steps.append(Step(kind="mx", ok=True, text=text))
    steps += [Step(kind="mx", ok=True, text=_host_line(host)) for host in route.hosts]
    steps += [Step(kind="mx", ok=False, text=_host_line(host)) for host in route.unusable]
    steps += [
        Step(kind="mx", ok=True, text=f"MX {mx.preference} {mx.host}: not used, we are in the list ourselves")
        for mx in route.dropped
    ]
    return steps


def _host_line(host: Host) -> str:
    proved = " (proved by DNSSEC)" if host.secure else ""
    return f"MX {host.preference} {host.name}: {', '.join(host.addresses) or host.problem}{proved}"


def _policy_steps(host: Host, policy: TlsPolicy) -> list[Step]:
    """What the host must prove, and the lines that somebody published about it."""
    steps = [Step(kind="policy", ok=True, text=f"{host.name}: TLS {policy.name}")]
    where = f"TLSA of {policy.server_name or host.name}" if policy.dane else "MTA-STS"
    steps += [
        Step(kind="policy", ok=True, text=f"  {where}: {_shortened(line)}")
        for line in policy.published[: limits.TRACE_POLICY_LINES]
    ]
    if policy.objection:
        steps.append(Step(kind="policy", ok=True, text=f"  {policy.objection}"))
    return steps


def _shortened(line: str) -> str:
    most = limits.TRACE_POLICY_LINE
    return line if len(line) <= most else line[:most] + "…"


def _verdict(target: Target, result: Result, *, send: bool) -> Step:
    reply = result.reply
    if not reply.accepted:
        return _end(f"{target} refuses it: {reply}", ok=False)
    return _end(f"{target} took the probe: {reply}" if send else f"{target} would take it", ok=True)


def _end(text: str, *, ok: bool) -> Step:
    return Step(kind="end", ok=ok, text=text)
