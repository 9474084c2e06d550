"""Mail of others that we send on: by whose reverse-path it leaves, and whom notices about it go back to.

`sender_rewriting` has the addresses; here are the key (kept in the store, so that it is the same on every node and
comes back from a backup), the senders that are too long for an address, and the bounds. An outside sender's mail that
an alias or a script sends on leaves in the name of the domain that sends it on. The null reverse-path stays
(RFC 5321 §4.5.5), and so do addresses of ours, whose SPF names us anyway.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.inbound.house_keys import house_key
from posthouse.inbound.mail import Mail
from posthouse.inbound.plan import Plan
from posthouse.inbound.sender_rewriting import Flaw, SenderRewriting
from posthouse.inbound.story import line
from posthouse.limits import RETURNS, RETURNS_TABLE, RETURNS_WINDOW, SRS_DAYS
from posthouse.message.address import normalize_domain
from posthouse.message.automatic import is_automatic
from posthouse.message.headers import Headers
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo
from posthouse.store.model import DomainKind, Event, NewRecipient

KEY: Final = "sender-key"
"""The kind of the memo with the key."""
KEPT: Final = "sent-on"
"""The kind of memos with senders, by token."""
_DAY: Final = 86400

_FORGED: Final = Reply(550, "5.1.1", "Not a return address that this server has made")
_OLD: Final = Reply(550, "5.1.1", f"This return address was good for {SRS_DAYS} days, and is too old")
_NO_NOTICE: Final = Reply(550, "5.7.1", "This address takes notices and automatic answers only")


class Departure(msgspec.Struct):
    """With which reverse-path each recipient elsewhere is written to."""

    by_sender: dict[str, list[NewRecipient]] = msgspec.field(default_factory=dict)
    ops: list[Op[Any]] = msgspec.field(default_factory=list)
    """What must be kept of senders, in the same commit."""
    notes: list[Event] = msgspec.field(default_factory=list)


def as_it_is(mail: Mail, plan: Plan) -> Departure:
    """With its own."""
    recipients = list(plan.remote.values())
    return Departure(by_sender={mail.reverse_path: recipients} if recipients else {})


class SentOn:
    """Rewrites senders and knows them again. One per process."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        secret: bytes,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`secret`: what all nodes share, for the first key."""
        self._store = store
        self._directory = directory
        self._secret = secret
        self.rewrites = True
        """Whether it is wanted. What was rewritten before comes back all the same."""
        self._now = now
        self._rewriting: SenderRewriting | None = None
        self._returns: OrderedDict[str, tuple[float, int]] = OrderedDict()

    # --- leaving --------------------------------------------------------------------------------------

    async def departure(self, mail: Mail, plan: Plan, forwarder: str) -> Departure:
        """The reverse-paths; `forwarder`: the address whose script sends it on, or empty."""
        departure = Departure()
        made: dict[str, str] = {}
        for address, recipient in plan.remote.items():
            position = plan.led_by[address]
            if position in plan.returned:
                # RFC 3834 §3.3 too: nobody is told what becomes of a notice or an automatic answer.
                sender = mail.reverse_path if mail.login is not None else ""
                note = line(mail, "returned", plan.returned[position], f"goes back to {address}")
                departure.notes.append(note)
            else:
                by = _domain(plan.forwarders.get(position, forwarder))
                if by not in made:
                    made[by] = await self._sender(mail, by, departure)
                sender = made[by]
            departure.by_sender.setdefault(sender, []).append(recipient)
        return departure

    async def _sender(self, mail: Mail, by: str, departure: Departure) -> str:
        """The reverse-path of what this domain sends on; empty `by`: nobody does, it is sent by its sender."""
        sender = mail.reverse_path
        if not by or not sender or not self.rewrites:
            return sender
        domain = await self._own(by)
        if domain is None or await self._own(_domain(sender)) is not None:
            return sender
        made = (await self._scheme()).rewrite(sender, domain, mail.received_at)
        if made.token:
            # The longest wait in queues of ours and of others, and a day's rounding.
            until = mail.received_at + (SRS_DAYS + 2) * _DAY
            memo = Memo(account_id=HOUSE, kind=KEPT, key=made.token, data=sender.encode(), until=until)
            departure.ops.append(PutMemo(memo=memo))
        departure.notes.append(line(mail, "rewritten", sender, f"sent on from {made.address}"))
        return made.address

    async def _own(self, name: str) -> str | None:
        """A domain whose mailboxes are here, in A-labels; None: it is none."""
        try:
            domain = await self._directory.domain(normalize_domain(name.rstrip(".")))
        except ValueError:
            return None
        return domain.name if domain is not None and domain.kind is DomainKind.LOCAL else None

    async def _scheme(self) -> SenderRewriting:
        if self._rewriting is None:
            key = await house_key(self._store, KEY, self._secret, b"sender rewriting")
            self._rewriting = SenderRewriting(key)
        return self._rewriting

    # --- coming back ----------------------------------------------------------------------------------

    async def origin(self, address: str) -> str | Reply:
        """The sender whom an address of ours stands for, or why it stands for nobody."""
        found = (await self._scheme()).read(address.rpartition("@")[0], self._now())
        if isinstance(found, Flaw):
            return _OLD if found is Flaw.OLD else _FORGED
        if not found.token:
            return found.sender
        memos = await self._store.memos(HOUSE, KEPT, [found.token])
        return memos[0].data.decode() if memos else _FORGED

    async def returning(self, mail: Mail, address: str) -> str | Reply:
        """Whom a message to an address of ours goes back to, or why it does not."""
        # RFC 5321 §4.5.5: notices have the null reverse-path; some automatic answers have another (RFC 3834 §3.3).
        if (
            mail.reverse_path
            and mail.login is None
            and not _is_notice(Headers.scan(mail.content.beginning()))
        ):
            return _NO_NOTICE
        return await self.origin(address)

    def admits(self, origin: str) -> bool:
        """Whether a stranger may send one more message back to this sender now; counts it."""
        now, key = self._now(), origin.lower()
        since, count = self._returns.pop(key, (now, 0))
        if not 0 <= now - since < RETURNS_WINDOW:
            since, count = now, 0
        self._returns[key] = since, count + 1
        if len(self._returns) > RETURNS_TABLE:
            self._returns.popitem(last=False)
        return count < RETURNS


def _domain(address: str) -> str:
    return address.rpartition("@")[2] if "@" in address else ""


def _is_notice(headers: Headers) -> bool:
    kind = (headers.first("content-type") or b"").lstrip().lower()
    return kind.startswith(b"multipart/report") or is_automatic(headers)
