"""What a sender may be told about one recipient, and whether it wants to hear it (RFC 3461).

The notices themselves are written elsewhere (`outbound.dsn`), through the `notify` function that `app` passes in.
"""

from __future__ import annotations

import enum

import msgspec

from posthouse.inbound.mail import Mail, MailRecipient
from posthouse.smtp.replies import Reply


class NoticeKind(enum.Enum):
    """The actions of RFC 3464 §2.3.3 that happen here."""

    FAILED = "failed"
    DELIVERED = "delivered"
    EXPANDED = "expanded"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one recipient."""

    kind: NoticeKind
    recipient: MailRecipient
    """As the sender named it, with its NOTIFY and ORCPT."""
    address: str
    """The final address, when an alias led to another."""
    reply: Reply
    """Status and diagnostic text (RFC 3464 §2.3.4, §2.3.6)."""


def wanted(mail: Mail, notice: Notice) -> bool:
    """Whether the sender is told."""
    if not mail.reverse_path:
        return False  # RFC 5321 §4.5.5: no notification about a notification
    asked = notice.recipient.notify.split(",") if notice.recipient.notify else ["FAILURE"]
    # RFC 3461 §4.1: NEVER means never; without NOTIFY failures are told, successes not.
    return ("FAILURE" if notice.kind is NoticeKind.FAILED else "SUCCESS") in asked
