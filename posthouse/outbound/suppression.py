"""Addresses that nothing is sent to: those the administrator names, and those that other hosts know nobody by.

Sending again and again to mailboxes that do not exist costs a post office its good name. So a recipient refused for
good as unknown is noted as a suggestion, and after `outbound.suppress_after` such refusals in a row it is on the
list; a delivery forgets them. Mail to an address on the list fails at once, with a notice that says why and since when.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.accounts.addresses import normalize_address
from posthouse.config import Outbound
from posthouse.outbound.parcel import Delivery, Disposition, shortened
from posthouse.smtp.replies import Reply
from posthouse.store.care import ForgetRefusals, NoteRefusal
from posthouse.store.interface import Op, Store
from posthouse.store.model import QueuedRecipient, Suppression

# RFC 3463 §3.2: X.1.1 bad destination mailbox address, X.1.6 mailbox has moved without forwarding address.
UNKNOWN: Final = frozenset({"5.1.1", "5.1.6"})
_IN_WORDS: Final = re.compile(
    r"(no such|unknown|invalid) (user|mailbox|recipient|address|local part)"
    r"|(user|mailbox|recipient|address|account)\S* (is )?(unknown|not found|does not exist|doesn't exist|invalid)",
    re.IGNORECASE,
)
"""How servers without RFC 2034 say that nobody has the address."""
_OTHERS: Final = re.compile(
    r"\bsender|\bfrom\b|\breverse.path|\breturn.path|\bhelo\b|\behlo\b", re.IGNORECASE
)
"""Whom they speak of when it is not the recipient."""


async def bar(
    store: Store, recipients: Sequence[QueuedRecipient]
) -> tuple[tuple[Delivery, ...], tuple[QueuedRecipient, ...]]:
    """(what fails because its address is on the list, who may be tried)."""
    found = await store.suppressions(addresses=[_key(one) for one in recipients])
    listed = {one.address: one for one in found if one.active}
    barred = tuple(
        Delivery(recipient=one, disposition=Disposition.FAILED, reply=_refusal(listed[_key(one)]))
        for one in recipients
        if _key(one) in listed
    )
    return barred, tuple(one for one in recipients if _key(one) not in listed)


def _key(recipient: QueuedRecipient) -> str:
    """How the list spells an address."""
    try:
        return normalize_address(recipient.address)
    except ValueError:
        return recipient.address.lower()


def _refusal(listed: Suppression) -> Reply:
    since = time.strftime("%Y-%m-%d", time.gmtime(listed.at))
    # RFC 3463 §3.8: X.7.1, the sender may not send there; by rule it is still what the other host said.
    enhanced = "5.1.1" if listed.failures else "5.7.1"
    why = f": {listed.reason}" if listed.reason else ""
    return Reply(550, enhanced, f"This server sends nothing to this address since {since}{why}")


def learnt(deliveries: Sequence[Delivery], settings: Outbound, now: float) -> tuple[Op[Any], ...]:
    """What the list learns from an attempt."""
    refused: list[Op[Any]] = [
        NoteRefusal(
            address=_key(one.recipient),
            reply=shortened(one.reply),
            at=now,
            after=settings.suppress_after,
        )
        for one in deliveries
        if one.remote and one.disposition is Disposition.FAILED and nobody_there(one.reply)
    ]
    reached = tuple(
        _key(one.recipient) for one in deliveries if one.remote and one.disposition is Disposition.DELIVERED
    )
    return (*refused, ForgetRefusals(addresses=reached)) if reached else tuple(refused)


def nobody_there(reply: Reply) -> bool:
    """Whether a refusal says that nobody has the address."""
    if not reply.permanent:
        return False
    if reply.enhanced:
        return reply.enhanced in UNKNOWN
    text = reply.text[: limits.OUTBOUND_REPLY_TEXT]
    return bool(_IN_WORDS.search(text)) and not _OTHERS.search(text)
