"""What an attempt carries, and what became of it: the recipients of one message at one destination."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from io import IncrementalNewlineDecoder

import msgspec

from posthouse import limits
from posthouse.message.address import ascii_domain
from posthouse.message.headers import Headers
from posthouse.outbound.dsn import LONG_LINE
from posthouse.outbound.schedule import time_left
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
    takes_by: bool = False
    """The server offers DELIVERBY: it looks at the time that the sender has set (RFC 2852 §4.1)."""
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
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`destination`: A-labels or an address literal; `backup`: we are a backup MX for it."""
        self.message = message
        self.destination = destination
        self.recipients = recipients
        self.content = content
        self.backup = backup
        self._clock = clock
        self._look: _Look | None = None

    async def envelope(self, recipients: list[QueuedRecipient], offer: ServerOffer) -> Envelope:
        """The envelope for these recipients, asking no more of the server than the message needs."""
        message = self.message
        reverse_path = ascii_domain(message.reverse_path)
        addresses = [ascii_domain(recipient.address) for recipient in recipients]
        in_ascii = reverse_path.isascii() and all(address.isascii() for address in addresses)
        # RFC 6531 §3.2: an alias may lead to an address that needs it, whatever the sender asked for.
        body, smtputf8 = message.body, message.smtputf8 or not in_ascii
        if body == "BINARYMIME" and not ("BINARYMIME" in offer and "CHUNKING" in offer):
            # RFC 3030 §3: some hosts always declare so; what is lines of text all the same can go as such.
            body = "8BITMIME" if (await self._looked_through()).lines else body
        if body == "8BITMIME" and "8BITMIME" not in offer and (await self._looked_through()).ascii:
            body = "7BIT"  # RFC 6152 §3: declared 8-bit, but there is no such octet in it
        if smtputf8 and "SMTPUTF8" not in offer:
            # RFC 6531 §3.2: only addresses and header fields need it; many clients ask for it always.
            smtputf8 = not (in_ascii and (await self._looked_through()).ascii_header)
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
            by=time_left(message, self._clock()),
        )

    async def tls_is_optional(self) -> bool:
        """RFC 8689 §3: whether its sender wants it sent whatever the domain asks of TLS: a report that it is broken."""
        beginning = b""
        async for chunk in self.content():
            beginning += chunk
            if b"\r\n\r\n" in beginning or len(beginning) > limits.MESSAGE_HEADER:
                break
        said = Headers.scan(beginning).all("tls-required")
        return [value.lower() for value in said] == [b"no"]  # said twice it says nothing

    async def _looked_through(self) -> _Look:
        """Reads the message once, and only when a server needs it."""
        if self._look is None:
            look = _Look()
            async for chunk in self.content():
                look.at(chunk)
            self._look = look
        return self._look


class _Look:
    """What a message is made of, seen as it passes."""

    def __init__(self) -> None:
        self.ascii_header = True
        self.ascii = True
        self._in_header = True
        self._tail = b""
        self._line = b""
        self._short = True
        self._newlines = IncrementalNewlineDecoder(None, False)

    def at(self, chunk: bytes) -> None:
        """The next octets."""
        if self._in_header:
            joined = self._tail + chunk
            end = joined.find(b"\r\n\r\n")
            self.ascii_header = self.ascii_header and (joined if end < 0 else joined[:end]).isascii()
            self._in_header, self._tail = end < 0, joined[-3:]
        self.ascii = self.ascii and chunk.isascii()
        self._newlines.decode(chunk.decode("latin-1"))
        if self._short:
            joined = self._line + chunk
            self._short = b"\0" not in chunk and LONG_LINE.search(joined) is None
            self._line = joined[joined.rfind(b"\n") + 1 :]

    @property
    def lines(self) -> bool:
        """Whether it is lines that any transport takes (RFC 2045 §2.8): not too long, ended by CRLF alone, no NUL."""
        self._newlines.decode("", final=True)  # a CR at the very end stands alone
        return self._short and self._newlines.newlines in (None, "\r\n")


def shortened(reply: Reply) -> str:
    """A reply as one line for the queue, the timeline and DSNs."""
    return str(reply)[: limits.OUTBOUND_REPLY_TEXT]
