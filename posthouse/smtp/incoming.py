"""The text of one message on its way in, by DATA or in BDAT chunks: what is counted, and why it is refused.

Pure bookkeeping for the server core; the octets themselves go past it. Once refused, a message stays refused,
and its rest is received and thrown away up to a limit so that the peer hears the reply (RFC 5321 §4.2.5,
RFC 3030 §2).
"""

from __future__ import annotations

from typing import Final

from posthouse.limits import SMTP_DRAIN
from posthouse.smtp.grammar import Chunk
from posthouse.smtp.replies import Reply

_BARE: Final = Reply(550, "5.6.0", "The message has a CR or LF that stands alone")


def too_large(limit: int) -> Reply:
    """RFC 1870 §6.3: the message is over our fixed maximum."""
    return Reply(552, "5.3.4", f"The message is larger than {limit} octets")


class Incoming:
    """One message's text. `keeping` tells whether its octets are still wanted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.drained = 0
        self.refusal: Reply | None = None
        self.chunk: Chunk | None = None
        """The chunk that is coming in; None while it is DATA."""

    @property
    def keeping(self) -> bool:
        """Whether the octets are still wanted."""
        return self.refusal is None

    @property
    def last(self) -> bool:
        """Whether the message ends with the present chunk or text."""
        return self.chunk is None or self.chunk.last

    def refuse(self, reply: Reply) -> None:
        """The message can't be kept (disk full, no recipients); the first reason is the one that is told."""
        if self.refusal is None:
            self.refusal = reply

    def begin_chunk(self, chunk: Chunk) -> bool:
        """A chunk is announced. False: it is too large even to be thrown away."""
        self.chunk = chunk
        if self.size + chunk.size > self.limit:
            self.refuse(too_large(self.limit))
        return chunk.size <= self.limit + SMTP_DRAIN

    def count(self, octets: int) -> bool:
        """So many octets have come. False: enough was thrown away, the connection must close."""
        self.size += octets
        if self.size > self.limit:
            self.refuse(too_large(self.limit))
        if self.refusal is not None:
            self.drained += octets
        return self.drained <= SMTP_DRAIN + self.limit * (self.chunk is not None)

    def end(self, bare_cr_or_lf: bool, binary: bool) -> Reply | None:
        """The text or chunk is over: why the message is refused, or None.

        `bare_cr_or_lf`: a CR or LF stood alone in it. Only BINARYMIME may have such (RFC 3030 §3); elsewhere
        another server might see the end of the text there (RFC 5321 §4.1.1.4).
        """
        if bare_cr_or_lf and not binary:
            self.refuse(_BARE)
        return self.refusal
