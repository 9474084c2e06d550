"""One look at the certificate with what it does: each step is remembered before the next one is made.

What is asked of the authority runs in a thread; files and state are ours here.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from posthouse import limits
from posthouse.config_tls import Acme
from posthouse.durable import write_private
from posthouse.errors import Conflict, PosthouseError
from posthouse.net.certificates import names_of
from posthouse.operations.acme.challenges import Challenges, Offered
from posthouse.operations.acme.faults import AcmeFault
from posthouse.operations.acme.files import AcmeFiles, Resting, State, fingerprint
from posthouse.operations.acme.names import Chosen, LeftOut
from posthouse.operations.acme.threads import in_thread
from posthouse.operations.acme.timing import NAMES_MISSING, WEEK, ask_again, pause, rest

if TYPE_CHECKING:
    from posthouse.operations.acme.authority import Authority

log: Final = logging.getLogger(__name__)


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a run works with."""

    settings: Acme
    files: AcmeFiles
    challenges: Challenges
    self_made_key: Path
    """Of the self-signed pair: the first order goes on with it."""
    installed: Callable[[], Awaitable[None]]
    """Called after a new pair is in place."""
    now: Callable[[], float]


class Run:
    """One look with what it keeps: `state` is what stands in the file."""

    def __init__(self, around: Around, state: State, leaf: x509.Certificate | None) -> None:
        """`leaf`: the certificate in use, if it is this authority's."""
        self.state = state
        self._around = around
        self._files = around.files
        self._now = around.now
        self._directory = around.settings.directory
        self._leaf = leaf
        self._ended = threading.Event()
        self._authority: Authority | None = None

    def end(self) -> None:
        """Nobody waits for the thread any more."""
        self._ended.set()

    async def keep(self, **changes: object) -> None:
        """Remember changes of the state."""
        state = msgspec.structs.replace(self.state, **changes)
        if state != self.state:
            self.state = state
            await asyncio.to_thread(self._files.keep, self._directory, state)

    async def note_left_out(self, left_out: tuple[LeftOut, ...]) -> None:
        """Say, once, which names are left out and why."""
        for one in sorted(set(left_out) - set(self.state.left_out), key=lambda each: each.name):
            log.info("acme left_out=%s why=%s", one.name, one.why)
        await self.keep(left_out=left_out)

    async def failed(self, fault: PosthouseError) -> None:
        """Remember a failure, and when to try again."""
        told = getattr(fault, "retry_after", 0.0)
        now, text = self._now(), fault.public[: limits.ACME_FAULT]
        if text != self.state.fault:
            log.warning("acme directory=%s fault=%s", self._directory, text)
        if isinstance(fault, Conflict):  # the authority was not asked: look again at the next round
            await self.keep(fault=text, fault_at=now)
            return
        failures = self.state.failures + 1
        await self.keep(failures=failures, fault=text, fault_at=now, try_at=now + pause(failures, told=told))

    async def fine(self) -> None:
        """Nothing is due: whatever failed before is over."""
        await self.keep(failures=0, fault="", fault_at=0, try_at=0)

    async def ask_when(self, leaf: x509.Certificate) -> None:
        """Ask for the suggested time of renewal when it is time to ask (RFC 9773 §4.2)."""
        now = self._now()
        # RFC 9773 §4.3: not about one that has ended
        if now < self.state.ask_at or now > leaf.not_valid_after_utc.timestamp():
            return
        try:
            authority = await self._open()
            told = await in_thread(partial(authority.suggestion, leaf))
        except AcmeFault as fault:
            log.info("acme suggestion cannot be asked: %s", fault.public)
            await self.keep(ask_at=now + ask_again(None))
            return
        await self.keep(suggested=told.at, ask_at=now + ask_again(told.ask_after))

    async def order(self, chosen: Chosen, due: str, *, new_key: bool) -> None:
        """Order until it succeeds or nothing is left to leave out. AcmeFault and what the files say."""
        names = chosen.names
        for left in reversed(range(limits.ACME_ROUNDS)):
            log.info("acme directory=%s names=%s due=%s", self._directory, ",".join(names), due)
            resumed = bool(self.state.order) and not new_key
            try:
                await self._once(names, new_key=new_key, for_names=due.startswith(NAMES_MISSING))
                return
            except AcmeFault as fault:
                if fault.gone:
                    await self.keep(order="", order_names=())
                unknown = fault.code == "accountDoesNotExist"
                if unknown:  # the authority has lost it: made anew with the same key (RFC 8555 §7.3)
                    await self.keep(account="")
                    self._authority = None
                await self._rest(fault.names)
                bad = set(fault.names)
                again = unknown or bad or (resumed and fault.gone)
                if not left or not again or names[0] in bad:
                    raise
                names = tuple(name for name in names if name not in bad)
                log.warning("acme left_out=%s fault=%s", ",".join(sorted(bad)), fault.public)

    async def _rest(self, bad: dict[str, str]) -> None:
        """Leave names that failed out of orders for a while."""
        now, resting = self._now(), dict(self.state.resting)
        for name, why in bad.items():
            failures = resting[name].failures + 1 if name in resting else 1
            resting[name] = Resting(
                until=now + rest(failures), why=why[: limits.ACME_FAULT], failures=failures
            )
        left_out = {one.name: one for one in self.state.left_out}
        left_out |= {name: LeftOut(name, resting[name].why) for name in bad}
        await self.keep(resting=resting, left_out=tuple(left_out.values()))

    async def _open(self) -> Authority:
        if self._authority is None:
            settings, files, directory = self._around.settings, self._files, self._directory
            account, ended = self.state.account, self._ended

            def opened() -> Authority:
                from posthouse.operations.acme.authority import Authority  # takes a while to import

                return Authority(settings, files.account_key(directory), account, ended)

            authority = await in_thread(opened)
            await self.keep(account=await in_thread(authority.account))
            self._authority = authority
        return self._authority

    async def _once(self, names: tuple[str, ...], *, new_key: bool, for_names: bool) -> None:
        """One order from where it is to the pair in place."""
        authority = await self._open()
        place = self._files.next_key(self._directory)
        if new_key or not self.state.order or not await asyncio.to_thread(place.exists):
            key = await asyncio.to_thread(self._key, new_key)
            await asyncio.to_thread(write_private, place, key)
            week = tuple(at for at in self.state.orders if at > self._now() - WEEK)
            orders = (*week, self._now()) if for_names else week
            url = await in_thread(partial(authority.begin, names, self._leaf))
            await self.keep(order=url, order_names=names, orders=orders)
        url, names = self.state.order, self.state.order_names
        key = await asyncio.to_thread(place.read_bytes)
        await in_thread(partial(authority.prove, url, await in_thread(self._offered)))
        chain = await in_thread(partial(authority.finish, url, key, names))
        await self._install(chain, key, names)

    def _offered(self) -> Offered:
        """Where the authority finds our answers."""
        dns = self._around.settings.dns
        if dns.given:
            from posthouse.operations.acme.dns_challenges import dns_challenges  # takes a while to import

            return dns_challenges(dns)
        return self._around.challenges

    def _key(self, new_key: bool) -> bytes:
        return self._files.new_key() if new_key else self._files.key(self._around.self_made_key)

    async def _install(self, chain: bytes, key: bytes, names: tuple[str, ...]) -> None:
        try:
            leaf = check_chain(chain, key, names, datetime.now(UTC))
            await asyncio.to_thread(self._files.install, chain, key)
        except (ValueError, ssl.SSLError, OSError) as fault:
            await self.keep(order="", order_names=())
            raise PosthouseError(f"the new certificate cannot be used: {fault}") from fault
        resting = {name: one for name, one in self.state.resting.items() if name not in names}
        await self.keep(
            issued=fingerprint(leaf),
            order="",
            order_names=(),
            failures=0,
            fault="",
            fault_at=0,
            try_at=0,
            suggested=0,
            ask_at=0,
            resting=resting,
            left_out=tuple(one for one in self.state.left_out if one.name not in names),
        )
        log.info("acme installed names=%s until=%s", ",".join(names), leaf.not_valid_after_utc.isoformat())
        try:
            await self._around.installed()
        except (PosthouseError, OSError) as fault:
            # It is in place all the same, and the next reload takes it.
            log.error("acme the new certificate is not shown yet: %s", fault)


def check_chain(chain: bytes, key: bytes, names: tuple[str, ...], now: datetime) -> x509.Certificate:
    """The leaf of a chain that is for this key and these names, and good now. ValueError: it is not."""
    leaf = x509.load_pem_x509_certificate(chain)
    if leaf.public_key() != serialization.load_pem_private_key(key, None).public_key():
        raise ValueError("it is for another key")
    if missing := set(names) - set(names_of(leaf)):
        raise ValueError(f"it is not for {', '.join(sorted(missing))}")
    if leaf.not_valid_after_utc <= now:
        raise ValueError("it has ended already")
    return leaf
