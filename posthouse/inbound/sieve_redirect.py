"""Redirect (RFC 5228 §4.2): the message goes on to another address as an alias would send it, in the same commit.

Elsewhere it goes with a reverse-path of ours (`sent_on`), but a null one stays; whether its sender hears of failures is
decided as for aliases. A redirect to an address of ours is delivered here, where that account's script sees it in turn.
Loops end at a Delivered-To of this account below our own (RFC 9228 §4), at the hops that every message may have, and
at SIEVE_DEPTH.
"""

from __future__ import annotations

from typing import Any

import msgspec

from posthouse.accounts.model import DestinationKind
from posthouse.errors import Permanent
from posthouse.inbound.bounceable import Standing
from posthouse.inbound.filtered import Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.leave_out import Span, without_spans
from posthouse.inbound.mail import Mail, MailRecipient
from posthouse.inbound.sieve_facts import Shape
from posthouse.inbound.sieve_means import Allowance, Means
from posthouse.limits import SIEVE_DEPTH, SIEVE_SENT
from posthouse.message.address import AddressError, parse_address
from posthouse.message.compose import needs
from posthouse.message.headers import Headers
from posthouse.sieve.actions import Redirect
from posthouse.store.interface import Op, Store


class NotSent(Exception):
    """Something is not sent; the words say why."""


async def redirected(
    action: Redirect, passage: Passage, means: Means, allowance: Allowance, changed: Shape | None
) -> list[Op[Any]]:
    """What sends a message on; `changed`: as the script has changed it. NotSent."""
    try:
        address = str(parse_address(action.address.strip()))
    except AddressError as fault:
        raise NotSent(f"it is no address: {fault}") from None
    if passage.depth + 1 >= SIEVE_DEPTH:
        raise NotSent(f"{SIEVE_DEPTH} scripts in turn have sent it on")
    if _has_been_here(passage):
        raise NotSent("it has been here before: that would be a loop")
    destination = await means.directory.destination(address)
    account = destination.account
    if account is not None and account.account_id == passage.account_id:
        raise NotSent("that is this account")
    if destination.kind is DestinationKind.UNKNOWN:
        raise NotSent("there is no such user here")
    if not await allowance.take():
        raise NotSent(f"this account's scripts have sent {SIEVE_SENT} messages in this hour")
    mail, fields = await _sent_on(action, address, passage, changed, means.store)
    handling = Handling(
        closed=True,
        again=True,
        depth=passage.depth + 1,
        forwarder=passage.box.address if "@" in passage.box.address else passage.box.account.address,
        end=passage.end if changed is None else b"",
        reverse_path=Standing.DOUBTFUL if passage.silent else passage.standing,
    )
    try:
        ops = await means.operations(mail, fields, handling)
    except Permanent as fault:
        raise NotSent(fault.public) from None
    if not ops:
        raise NotSent("no mailbox there takes it now")
    return ops


def _has_been_here(passage: Passage) -> bool:
    """Whether the message was delivered to this account on its way already."""
    own = {passage.box.address.casefold().encode(), passage.box.account.address.casefold().encode()}
    earlier = Headers.scan(passage.fields + passage.end + passage.mail.content.beginning())
    return any(value.lower() in own for value in earlier.all("delivered-to"))


async def _sent_on(
    action: Redirect, address: str, passage: Passage, changed: Shape | None, store: Store
) -> tuple[Mail, bytes]:
    """The message with its new envelope, and the fields before its content."""
    mail, recipient = passage.mail, passage.recipient
    fields = f"Delivered-To: {passage.box.address}\r\n".encode()
    mail = msgspec.structs.replace(
        mail,
        recipients=(MailRecipient(address, action.notify or recipient.notify, recipient.orcpt),),
        ret=action.ret or mail.ret,
        smtputf8=mail.smtputf8 or not address.isascii(),
        deliver_by=_deliver_by(action, mail),
        by_mode=action.by_mode or mail.by_mode,
        login=None,  # nobody's sending but this account's, which its allowance counts
    )
    if changed is None:
        return mail, fields + passage.fields
    content = await without_spans(changed.content, _of_delivery(passage, changed.content.beginning()), store)
    asks = needs(content.beginning())
    return (
        msgspec.structs.replace(
            mail,
            content=content,
            smtputf8=mail.smtputf8 or asks.smtputf8,
            body=asks.body if mail.body == "7BIT" else mail.body,
        ),
        fields,
    )


def _deliver_by(action: Redirect, mail: Mail) -> float:
    """Until when it is to be delivered there (RFC 6009 §4)."""
    if action.within is not None:
        return mail.received_at + action.within
    return mail.deliver_by if action.until is None else action.until


def _of_delivery(passage: Passage, head: bytes) -> list[Span]:
    """Where the account's own fields lie: a changed message begins with them (RFC 5321 §4.4: none of them leaves)."""
    headers = Headers.scan(head)
    return sorted(
        span
        for name, written in Headers.scan(passage.box.prefix).items()
        for value, span in zip(headers.all(name), headers.spans([name]), strict=True)
        if value == written
    )
