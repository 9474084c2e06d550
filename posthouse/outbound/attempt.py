"""One attempt to deliver: walks the hosts of the route until every recipient has its answer (RFC 5321 §5.1).

A 2xx or 5xx ends the walk for the recipient it was said of; a 4xx, a refused connection or a broken one goes on to
the next address. All recipients go in one transaction as far as the server takes them. When the connection breaks
after the final dot nobody knows whether the message arrived: that recipient is tried again later and nowhere else
now, so that a duplicate is made only there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable
from random import Random
from typing import Final

import msgspec

from posthouse import limits
from posthouse.config import Outbound
from posthouse.errors import Temporary
from posthouse.message.address import ascii_domain
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.outbound.content import Unreadable
from posthouse.outbound.mx import Host, Route, RouteKind, route_to_host, select_hosts
from posthouse.outbound.parcel import Delivery, Disposition, Parcel
from posthouse.outbound.pool import SessionPool
from posthouse.outbound.relay import Relay, parse_relay
from posthouse.outbound.session import Heard, Session, SessionFailed, Target
from posthouse.outbound.tls_policy import (
    OPPORTUNISTIC,
    HostUntrusted,
    Opportunistic,
    TlsContexts,
    TlsPolicies,
    TlsPolicy,
)
from posthouse.outbound.tls_witness import TlsWitness
from posthouse.resolver import Resolver
from posthouse.smtp.client_states import Result
from posthouse.smtp.replies import Reply
from posthouse.store.model import QueuedRecipient

log: Final = logging.getLogger(__name__)

_NOT_TRIED: Final = Reply(451, "4.4.1", "No mail server of the domain could be tried")
_OUR_FAULT: Final = Reply(451, "4.3.0", "A fault on our side; the message stays in the queue")
_STOPPED: Final = Reply(451, "4.3.2", "This server is stopping; the message stays in the queue")
_OUT_OF_TIME: Final = Reply(451, "4.4.2", "The attempt took too long")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt came to."""

    deliveries: tuple[Delivery, ...]
    route: Route | None
    tried: tuple[str, ...] = ()
    """Servers that failed us, each as `host[address]:port: why`."""
    reached: bool = False
    """At least one server was ready to talk: a deferral is not the destination's being away."""


class Courier:
    """Makes attempts. One per process; it owns the session pool."""

    def __init__(
        self,
        settings: Outbound,
        *,
        hostname: str,
        resolver: Resolver,
        ourselves: Container[str],
        policies: TlsPolicies | None = None,
        contexts: TlsContexts | None = None,
        random: Random | None = None,
        tell: Callable[[str, TlsSeen], None] | None = None,
    ) -> None:
        """Raises ValueError when `outbound.relay` cannot be read. `tell`: hears how TLS with a domain's host went."""
        self.settings = settings
        self.hostname = hostname
        self.resolver = resolver
        self.ourselves = ourselves
        self.contexts = contexts or TlsContexts()
        self.random = random or Random()
        self.relay: Relay | None = parse_relay(settings.relay)
        self.witness = TlsWitness(tell, relayed=self.relay is not None)
        self.pool = SessionPool()
        self._policies: TlsPolicies = policies or Opportunistic()
        self._sources = _by_family(settings.source)

    async def route(self, destination: str, *, backup: bool = False) -> Route:
        """Where mail for a destination goes."""
        families = tuple(self._sources) or (4, 6)
        if self.relay is not None and not backup:
            return await route_to_host(
                destination, self.relay.host, self.resolver, random=self.random, families=families
            )
        return await select_hosts(
            destination,
            self.resolver,
            self.ourselves,
            random=self.random,
            backup=backup,
            families=families,
        )

    async def policy(self, route: Route, host: Host) -> TlsPolicy:
        """What a host must prove. Raises Temporary (HostUntrusted)."""
        if self.relay is not None and host.name == self.relay.host:
            return self.relay.policy
        return await self._policies.for_host(route, host)

    def target(self, host: Host, address: str, policy: TlsPolicy) -> Target:
        """How one address of a host is reached."""
        relay = self.relay if self.relay is not None and host.name == self.relay.host else None
        return Target(
            host=host.name,
            address=address,
            port=self.settings.port if relay is None else relay.port,
            policy=policy,
            source=self._sources.get(6 if ":" in address else 4),
            login=relay.login if relay is not None else None,
        )

    async def open(self, target: Target, session_id: str, heard: Heard | None = None) -> Session:
        """A fresh session. Raises SessionFailed."""
        return await Session.open(
            target, hostname=self.hostname, contexts=self.contexts, session_id=session_id, heard=heard
        )

    async def deliver(self, parcel: Parcel) -> Report:
        """Try every recipient. Never raises: what goes wrong is a deferral.

        When its task is cancelled it stops and returns what has been reached, so that no delivery is forgotten.
        """
        walk = _Walk(self, parcel)
        try:
            async with asyncio.timeout(limits.OUTBOUND_ATTEMPT):
                await walk.go()
        except TimeoutError:
            walk.defer_rest(_OUT_OF_TIME)
        except asyncio.CancelledError:
            walk.defer_rest(_STOPPED)
        except Unreadable as fault:
            walk.defer_rest(fault.reply)
        except Exception:
            log.exception("fault in an attempt id=%s to=%s", parcel.message.trace_id, parcel.destination)
            walk.defer_rest(_OUR_FAULT)
        return walk.report()

    async def close(self) -> None:
        """End the idle sessions."""
        await self.pool.close()


class _Walk:
    """One attempt under way: who still waits, and what was heard."""

    def __init__(self, courier: Courier, parcel: Parcel) -> None:
        self._courier = courier
        self._parcel = parcel
        self._route: Route | None = None
        self._waiting = {recipient.recipient_id: recipient for recipient in parcel.recipients}
        self._settled: list[Delivery] = []
        self._deferrals: dict[int, Delivery] = {}
        """The last word that leaves a recipient waiting."""
        self._refusals: dict[int, Delivery] = {}
        """Servers that cannot take this message; another one may."""
        self._tried: list[str] = []
        self._attempts = 0
        self._reached = False
        self._session: Session | None = None

    async def go(self) -> None:
        """From the DNS to the last host."""
        self._route = route = await self._courier.route(self._parcel.destination, backup=self._parcel.backup)
        if route.failure is not None:
            self._end_by_route(route)
            return
        for host in route.hosts:
            try:
                policy = await self._policy(route, host)
            except Temporary as error:
                if isinstance(error, HostUntrusted):
                    self._courier.witness.untrusted(self._parcel, host, error.seen)
                self._pass_over(host.name, Reply(451, "4.7.5", error.public))
                continue
            for address in host.addresses:
                if not self._waiting or self._attempts >= limits.OUTBOUND_ADDRESSES:
                    return
                self._attempts += 1
                await self._try(self._courier.target(host, address, policy))

    async def _policy(self, route: Route, host: Host) -> TlsPolicy:
        """What a host must prove, unless the sender wants it otherwise (RFC 8689 §3). Raises Temporary."""
        try:
            policy = await self._courier.policy(route, host)
        except HostUntrusted:
            if await self._parcel.tls_is_optional():
                return OPPORTUNISTIC
            raise
        if policy is OPPORTUNISTIC or route.kind is RouteKind.RELAY:
            return policy
        return OPPORTUNISTIC if await self._parcel.tls_is_optional() else policy

    def _end_by_route(self, route: Route) -> None:
        failure = route.failure
        assert failure is not None
        end = self._settle if failure.permanent else self._defer
        disposition = Disposition.FAILED if failure.permanent else Disposition.DEFERRED
        # Its own words are the DNS's, not a server's: RFC 3464 §2.3.5 then has no Remote-MTA.
        reply = Reply(failure.code, failure.status, failure.text)
        for recipient in list(self._waiting.values()):
            end(Delivery(recipient=recipient, disposition=disposition, reply=reply))
        self._reached = failure.permanent

    # --- one address ------------------------------------------------------------------------------------

    async def _try(self, target: Target) -> None:
        """In one session, and in others where the server ends each before everybody was asked about."""
        todo = list(self._waiting.values())
        while todo:  # each session takes at least one off
            session, left = self._courier.pool.take(target, self._parcel.destination), None
            if session is not None:
                left = await self._use(session, todo, reused=True)
            todo = await self._try_anew(target, todo) if left is None else left

    async def _try_anew(self, target: Target, todo: list[QueuedRecipient]) -> list[QueuedRecipient]:
        try:
            session = await self._courier.open(target, self._parcel.message.trace_id)
        except SessionFailed as error:
            self._courier.witness.session(self._parcel, target, error)
            self._pass_over(str(target), error.reply, target=target, remote=not error.local)
            return []
        self._courier.witness.session(self._parcel, target, session)
        return await self._use(session, todo, reused=False) or []

    async def _use(
        self, session: Session, todo: list[QueuedRecipient], *, reused: bool
    ) -> list[QueuedRecipient] | None:
        """Send to these; who is left for another session (RFC 9422 §4.1: a server may take few messages in each).

        None: a reused session was dead already, and nothing was said on it.
        """
        self._session, answered = session, False
        while todo:
            batch, todo = _divide(todo, session)
            envelope = await self._parcel.envelope(batch, session.core.offer)
            results = await session.send(envelope, self._parcel.content)
            broken = all(result.reply.code == 421 for result in results)
            if reused and broken and not any(result.ambiguous for result in results):
                self._let_go(session)
                return None
            reused, answered = False, answered or not broken
            self._reached = True
            todo = self._take_results(session, batch, results) + todo
            if not session.core.reusable:
                break
        self._let_go(session)
        return todo if answered else []

    def _let_go(self, session: Session) -> None:
        self._session = None
        self._courier.pool.give(session)

    def _take_results(
        self, session: Session, batch: list[QueuedRecipient], results: list[Result]
    ) -> list[QueuedRecipient]:
        """Note every answer; the recipients that the server wants in a transaction of their own."""
        accepted = any(result.reply.accepted for result in results)
        others = any(result.verb != "RCPT" for result in results)
        again = []
        for recipient, result in zip(batch, results, strict=True):
            # RFC 5321 §4.5.3.1.10: 452, or from old servers 552, to RCPT: too many for one transaction.
            if others and result.verb == "RCPT" and result.reply.code in (452, 552):
                again += [recipient] if accepted else []
                self._defer(_delivery(session, recipient, result, Disposition.DEFERRED))
            else:
                self._take_result(session, recipient, result)
        return again

    def _take_result(self, session: Session, recipient: QueuedRecipient, result: Result) -> None:
        reply = result.reply
        if reply.accepted:
            self._settle(_delivery(session, recipient, result, Disposition.DELIVERED))
        elif reply.permanent and not result.local and not session.wanted_tls(reply):
            self._settle(_delivery(session, recipient, result, Disposition.FAILED))
        elif reply.permanent and result.local:
            refusal = _delivery(session, recipient, result, Disposition.FAILED)
            self._refusals[recipient.recipient_id] = refusal
            self._note(f"{session.target}: {reply}")
        elif result.ambiguous:
            self._settle(_delivery(session, recipient, result, Disposition.DEFERRED))
        else:
            self._defer(_delivery(session, recipient, result, Disposition.DEFERRED))
            self._note(f"{session.target}: {reply}")

    # --- keeping count ------------------------------------------------------------------------------------

    def _pass_over(
        self, name: str, reply: Reply, *, target: Target | None = None, remote: bool = False
    ) -> None:
        """A server with which no session came about: whatever it said, another one, or a later time, may do.

        RFC 5321 §3.1: a 554 greeting refuses the session, not a recipient.
        """
        self._note(str(reply) if name in reply.text else f"{name}: {reply}")
        if reply.permanent:
            reply = Reply(451, "4.3.2", f"No mail service there: {reply}")
        for recipient in self._waiting.values():
            self._defer(
                Delivery(
                    recipient=recipient,
                    disposition=Disposition.DEFERRED,
                    reply=reply,
                    remote=remote,
                    host=target.host if target is not None else name,
                    target=str(target) if target is not None else "",
                )
            )

    def _note(self, text: str) -> None:
        text = text[: limits.OUTBOUND_REPLY_TEXT]
        if text not in self._tried:
            self._tried.append(text)

    def _settle(self, delivery: Delivery) -> None:
        self._waiting.pop(delivery.recipient.recipient_id, None)
        self._settled.append(delivery)

    def _defer(self, delivery: Delivery) -> None:
        self._deferrals[delivery.recipient.recipient_id] = delivery

    def defer_rest(self, reply: Reply) -> None:
        """The attempt ends here for all who wait."""
        session, self._session = self._session, None
        sent = session is not None and session.final
        if session is not None:
            session.abort()
        for recipient in self._waiting.values():
            last = self._deferrals.get(recipient.recipient_id)
            if last is None or sent:
                self._defer(
                    Delivery(
                        recipient=recipient,
                        disposition=Disposition.DEFERRED,
                        reply=reply,
                        may_be_there=sent,
                    )
                )

    def report(self) -> Report:
        """What came of it."""
        deliveries = list(self._settled)
        for number, recipient in self._waiting.items():
            # A server that may come back, or take it later, outweighs one that cannot take it as it is.
            last = self._deferrals.get(number) or self._refusals.get(number)
            deliveries.append(
                last or Delivery(recipient=recipient, disposition=Disposition.DEFERRED, reply=_NOT_TRIED)
            )
        return Report(
            deliveries=tuple(deliveries), route=self._route, tried=tuple(self._tried), reached=self._reached
        )


def _delivery(
    session: Session, recipient: QueuedRecipient, result: Result, disposition: Disposition
) -> Delivery:
    return Delivery(
        recipient=recipient,
        disposition=disposition,
        reply=result.reply,
        remote=not result.local,
        host=session.target.host,
        target=str(session.target),
        tls=session.tls,
        answers_for_success="DSN" in session.core.offer,
        takes_by="DELIVERBY" in session.core.offer,
        may_be_there=result.ambiguous,
    )


def _divide(
    todo: list[QueuedRecipient], session: Session
) -> tuple[list[QueuedRecipient], list[QueuedRecipient]]:
    """Who goes together in the next transaction, and who comes after."""
    most = session.core.recipients_most
    if "SMTPUTF8" not in session.core.offer:
        # RFC 6531 §3.6: what such a server cannot be told must not keep the mail from the others.
        todo = sorted(todo, key=lambda one: not ascii_domain(one.address).isascii())
        plain = sum(ascii_domain(one.address).isascii() for one in todo)
        most = min(most, plain) if plain else most
    return todo[:most], todo[most:]


def _by_family(sources: Iterable[str]) -> dict[int, str]:
    """The first of each IP version counts."""
    return {6 if ":" in source else 4: source.strip("[]") for source in reversed([*sources])}
