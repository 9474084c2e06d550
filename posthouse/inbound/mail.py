"""A message on its way in: the envelope as agreed, the content, and what is known of the peer.

Made once the whole text is here, by the SMTP and LMTP servers, by `posthouse sendmail` and by the writers of
notices; then it passes `pipeline` and `deliver` unchanged.
"""

from __future__ import annotations

import enum
import random
import secrets

import msgspec

from posthouse.accounts.model import Login
from posthouse.message.compose import needs
from posthouse.store.model import Content


class Via(enum.StrEnum):
    """By which door a message came."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"
    LOCAL = "local"
    """From this program: a notice, or `posthouse sendmail`."""


class MailRecipient(msgspec.Struct, frozen=True):
    """A recipient as it was accepted."""

    address: str
    notify: str = ""
    """RFC 3461 NOTIFY; empty: not given."""
    orcpt: str = ""
    """RFC 3461 ORCPT, xtext."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """One message with its envelope."""

    trace_id: str
    reverse_path: str
    """Empty: the null reverse-path `<>`."""
    recipients: tuple[MailRecipient, ...]
    content: Content
    received_at: float
    """POSIX seconds."""
    helo: str = ""
    peer: str = ""
    """The peer's IP address; empty: this machine, by a Unix socket or from inside."""
    login: Login | None = None
    smtputf8: bool = False
    body: str = "7BIT"
    ret: str = ""
    envid: str = ""
    deliver_by: float = 0.0
    by_mode: str = ""
    """RFC 2852, as `store.model.NewQueued` keeps it."""
    via: Via = Via.LOCAL
    protocol: str = ""
    """The word behind "with" in the Received field (RFC 3848, RFC 6531 §4.3)."""
    tls: str = ""
    """Version and cipher; empty: no TLS."""


def our_mail(raw: bytes, *to: str, trace_id: str, at: float, notify: str = "") -> Mail:
    """A message that we write ourselves, from the null reverse-path: nobody need hear that it failed."""
    asks = needs(raw)
    return Mail(
        trace_id=trace_id,
        reverse_path="",
        recipients=tuple(MailRecipient(address, notify) for address in to),
        content=Content.of(raw),
        received_at=at,
        smtputf8=asks.smtputf8,
        body=asks.body,
        via=Via.LOCAL,
        protocol="local",
    )


def new_trace_id(now: float) -> str:
    """An id by which a message is known all its life; ids sort by time. 11 digits of milliseconds, 8 of chance."""
    return f"{int(now * 1000):011x}{random.getrandbits(32):08x}"  # no secret: a system call less


def new_fault_id() -> str:
    """What a 451 reply and the log line of the fault share."""
    return secrets.token_hex(4)
