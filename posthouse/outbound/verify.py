"""Does the primary know this recipient? Asked by a backup MX before it takes mail for it.

The primary is asked as any sender would: MAIL with the null reverse-path, RCPT, and no DATA. Its yes and no are
remembered for `inbound.verify_cache` seconds, and longer while it cannot be asked: a yes in the store, a no (of which
a dictionary attack makes any number) in bounded memory. Equal questions under way are asked once, all are bounded in
number and time, and a primary that is away is not asked again for a while.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from posthouse import limits
from posthouse.accounts.addresses import is_returning, normalize_address
from posthouse.errors import PosthouseError, Temporary
from posthouse.message.address import ascii_domain
from posthouse.outbound.attempt import Courier
from posthouse.outbound.mx import Route
from posthouse.outbound.session import Session, SessionFailed, Target, domain_of
from posthouse.smtp.client_states import Result
from posthouse.smtp.client_values import Envelope, EnvelopeRecipient
from posthouse.smtp.replies import Reply
from posthouse.store.interface import RememberRecipient, Store
from posthouse.store.model import Domain

log: Final = logging.getLogger(__name__)


class Known(enum.StrEnum):
    """What is known of a recipient."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"
    """It cannot be asked now, and has never been."""


class RecipientVerifier:
    """Answers for the domains that we are backup MX for. One per process."""

    def __init__(
        self, store: Store, courier: Courier, *, cache: float, clock: Callable[[], float] = time.time
    ) -> None:
        """`cache`: seconds that an answer holds before it is asked for again."""
        self._store = store
        self._courier = courier
        self._cache = cache
        self._clock = clock
        self._under_way: dict[str, asyncio.Task[Known]] = {}
        self._gate = asyncio.Semaphore(limits.VERIFY_AT_ONCE)
        self._refused: OrderedDict[str, int] = OrderedDict()
        """Address → when the primary said no."""
        self._away: OrderedDict[str, float] = OrderedDict()
        """Domain → until when its primary is not asked."""

    async def verify(self, address: str) -> Known:
        """What is known of an address in a backup domain, asking the primary when need be."""
        key = _key(address)
        domain = await self._domain(key.rpartition("@")[2])
        remembered = await self._remembered(key)
        # What comes back to mail that the primary sent on stands in no list: only the primary can know it.
        if domain is not None and domain.recipients == "list" and not is_returning(key):
            listed = remembered is not None and remembered[0]
            return Known.VALID if listed else Known.INVALID
        if remembered is not None and self._clock() - remembered[1] < self._cache:
            return _known(remembered[0])
        answer = await self._ask_once(key, address)
        if answer is Known.UNKNOWN and remembered is not None:
            return _known(remembered[0])  # however old: better than a guess
        return answer

    async def _remembered(self, key: str) -> tuple[bool, int] | None:
        refused_at = self._refused.get(key)
        return (False, refused_at) if refused_at is not None else await self._store.known_recipient(key)

    async def _remember(self, key: str, *, valid: bool) -> None:
        now = int(self._clock())
        self._refused.pop(key, None)
        if valid or await self._store.known_recipient(key) is not None:
            await self._store.apply(RememberRecipient(address=key, valid=valid, at=now))
            return
        self._refused[key] = now
        while len(self._refused) > limits.VERIFY_REFUSED:
            self._refused.popitem(last=False)

    async def _domain(self, name: str) -> Domain | None:
        return next((domain for domain in await self._store.domains() if domain.name == name), None)

    async def _ask_once(self, key: str, address: str) -> Known:
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key, address))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: str, address: str) -> Known:
        domain = key.rpartition("@")[2]
        if self._away.get(domain, 0.0) > self._clock():
            return Known.UNKNOWN
        try:
            async with asyncio.timeout(limits.VERIFY_TIMEOUT), self._gate:
                result = await self._probe(domain, address)
        except (TimeoutError, PosthouseError):
            result = None
        if result is None:
            self._leave_alone(domain)
            return Known.UNKNOWN
        log.info("verified to=<%s> reply=%s", address, result.reply)
        if result.reply.accepted:
            valid = True
        elif result.reply.permanent and result.verb == "RCPT" and not _about_else(result.reply):
            valid = False
        else:
            return Known.UNKNOWN  # a 5xx to MAIL is about us, a 4xx about now
        await self._remember(key, valid=valid)
        return _known(valid)

    def _leave_alone(self, domain: str) -> None:
        self._away.pop(domain, None)
        self._away[domain] = self._clock() + limits.VERIFY_AWAY
        while len(self._away) > limits.OUTBOUND_DESTINATIONS:
            self._away.popitem(last=False)

    async def _probe(self, domain: str, address: str) -> Result | None:
        """The word of the first server that answers; None: nobody does."""
        # RFC 5321 §4.5.5: like every notice the question has the null reverse-path: it can bounce to nobody.
        envelope = Envelope(
            reverse_path="",
            recipients=(EnvelopeRecipient(ascii_domain(address)),),
            size=0,
            smtputf8=not ascii_domain(address).isascii(),
        )
        route = await self._courier.route(domain, backup=True)
        for target in await self._targets(route):
            result = await self._ask_at(target, envelope)
            if result is not None:
                return result
        return None

    async def _ask_at(self, target: Target, envelope: Envelope) -> Result | None:
        """One server's word; None: it says nothing."""
        session = self._courier.pool.take(target, domain_of(envelope.recipients[0].address))
        if session is not None:
            result = await self._ask_in(session, envelope)
            if not result.local:
                return result
            # It was dead already: that says nothing of the server.
        try:
            session = await self._courier.open(target, "verify")
        except SessionFailed:
            return None
        result = await self._ask_in(session, envelope)
        return None if result.local else result

    async def _ask_in(self, session: Session, envelope: Envelope) -> Result:
        try:
            (result,) = await session.probe(envelope)
        except BaseException:
            session.abort()
            raise
        self._courier.pool.give(session)
        return result

    async def _targets(self, route: Route) -> list[Target]:
        found: list[Target] = []
        for host in route.hosts:
            try:
                policy = await self._courier.policy(route, host)
            except Temporary:  # this one must not be asked now; another one may
                continue
            found += [self._courier.target(host, address, policy) for address in host.addresses]
        return found[: limits.OUTBOUND_ADDRESSES]


def _about_else(reply: Reply) -> bool:
    """RFC 3463 §3: whether a refusal is about us (X.7), the server (X.3) or a full mailbox, not about the address."""
    return reply.enhanced.startswith(("5.7.", "5.3.", "5.2.2", "5.2.3"))


def _key(address: str) -> str:
    try:
        return normalize_address(address)
    except ValueError:
        return address.casefold()


def _known(valid: bool) -> Known:
    return Known.VALID if valid else Known.INVALID
