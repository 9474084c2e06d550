"""What an attempt carries, and what became of it: the recipients of one message at one destination."""

from __future__ import annotations

import enum

import msgspec

from posthouse import limits
from posthouse.message.address import normalize_domain
from posthouse.outbound.session import ContentReader
from posthouse.smtp.client_values import Envelope, EnvelopeRecipient, ServerOffer
from posthouse.smtp.replies import Reply
from posthouse.store.model import QueuedMessage, QueuedRecipient


class Disposition(enum.Enum):
    """How one recipient's attempt ended."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recipient in one attempt."""

    recipient: QueuedRecipient
    disposition: Disposition
    reply: Reply
    remote: bool = False
    """The reply is the server's own word."""
    host: str = ""
    """The server's name, when one was spoken to or tried."""
    target: str = ""
    """`host[address]:port`."""
    tls: str = ""
    answers_for_success: bool = False
    """The server offers DSN: it will send the notice of success if one was asked for (RFC 3461 §5.2.1)."""
    here: bool = False
    """No other host had to do with it: the domain's mailboxes are on this server."""
    may_be_there: bool = False
    """The connection broke after the final dot: the next attempt may make a duplicate."""


class Parcel:
    """One message for the recipients of one destination."""

    def __init__(
        self,
        message: QueuedMessage,
        destination: str,
        recipients: tuple[QueuedRecipient, ...],
        content: ContentReader,
        *,
        backup: bool = False,
    ) -> None:
        """`destination`: A-labels or an address literal; `backup`: we are a backup MX for it."""
        self.message = message
        self.destination = destination
        self.recipients = recipients
        self.content = content
        self.backup = backup
        self._ascii: tuple[bool, bool] | None = None

    async def envelope(self, recipients: list[QueuedRecipient], offer: ServerOffer) -> Envelope:
        """The envelope for these recipients, asking no more of the server than the message needs."""
        message = self.message
        reverse_path = ascii_domain(message.reverse_path)
        addresses = [ascii_domain(recipient.address) for recipient in recipients]
        body, smtputf8 = message.body, message.smtputf8
        if body == "8BITMIME" and "8BITMIME" not in offer and (await self._looked_through())[1]:
            body = "7BIT"  # RFC 6152 §3: declared 8-bit, but there is no such octet in it
        if smtputf8 and "SMTPUTF8" not in offer:
            # RFC 6531 §3.2: only addresses and header fields need it; many clients ask for it always.
            in_ascii = reverse_path.isascii() and all(address.isascii() for address in addresses)
            smtputf8 = not (in_ascii and (await self._looked_through())[0])
        return Envelope(
            reverse_path=reverse_path,
            recipients=tuple(
                EnvelopeRecipient(address, recipient.notify, recipient.orcpt)
                for address, recipient in zip(addresses, recipients, strict=True)
            ),
            size=message.stored.size,
            body=body,
            smtputf8=smtputf8,
            ret=message.ret,
            envid=message.envid,
        )

    async def _looked_through(self) -> tuple[bool, bool]:
        """(the header is ASCII, everything is ASCII); reads the message once, and only when a server needs it."""
        if self._ascii is None:
            header, everything, tail, in_header = True, True, b"", True
            async for chunk in self.content():
                if in_header:
                    joined = tail + chunk
                    end = joined.find(b"\r\n\r\n")
                    header = header and (joined if end < 0 else joined[:end]).isascii()
                    in_header, tail = end < 0, joined[-3:]
                everything = everything and chunk.isascii()
                if not everything and not in_header:
                    break
            self._ascii = header, everything
        return self._ascii


def ascii_domain(address: str) -> str:
    """An address with its domain in A-labels, when that makes it ASCII (RFC 6531 §3.2); else as it is."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return address
    try:
        return f"{local}@{normalize_domain(domain)}"
    except ValueError:
        return address


def shortened(reply: Reply) -> str:
    """A reply as one line for the queue, the timeline and DSNs."""
    return str(reply)[: limits.OUTBOUND_REPLY_TEXT]
