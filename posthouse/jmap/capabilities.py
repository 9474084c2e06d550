"""What we offer: capability URNs with their values, for the Session object (RFC 8620 §2)."""

from __future__ import annotations

from typing import Any, Final

from posthouse import limits

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"

SUBMISSION: Final = "urn:ietf:params:jmap:submission"
VACATION: Final = "urn:ietf:params:jmap:vacationresponse"
BLOB: Final = "urn:ietf:params:jmap:blob"
QUOTA: Final = "urn:ietf:params:jmap:quota"
MDN: Final = "urn:ietf:params:jmap:mdn"
WEBSOCKET: Final = "urn:ietf:params:jmap:websocket"
WEBPUSH: Final = "urn:ietf:params:jmap:webpush-vapid"

COLLATIONS: Final = ["i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"]


def core(message_size: int) -> dict[str, Any]:
    """RFC 8620 §2: the limits, as they are enforced."""
    return {
        "maxSizeUpload": message_size,
        "maxConcurrentUpload": limits.JMAP_UPLOADS,
        "maxSizeRequest": limits.JMAP_REQUEST_SIZE,
        "maxConcurrentRequests": limits.JMAP_REQUESTS,
        "maxCallsInRequest": limits.JMAP_CALLS,
        "maxObjectsInGet": limits.JMAP_GET,
        "maxObjectsInSet": limits.JMAP_SET,
        "collationAlgorithms": COLLATIONS,
    }


def mail(message_size: int) -> dict[str, Any]:
    """RFC 8621 §1.3.1."""
    return {
        "maxMailboxesPerEmail": limits.JMAP_MAILBOXES_PER_EMAIL,
        "maxMailboxDepth": limits.JMAP_MAILBOX_DEPTH,
        "maxSizeMailboxName": limits.JMAP_MAILBOX_NAME,
        "maxSizeAttachmentsPerEmail": message_size * 3 // 4,
        "emailQuerySortOptions": list(EMAIL_SORTS),
        "mayCreateTopLevelMailbox": True,
    }


EMAIL_SORTS: Final = (
    *("receivedAt", "size", "from", "to", "subject", "sentAt"),
    *("hasKeyword", "allInThreadHaveKeyword", "someInThreadHaveKeyword"),
)


def of_account(message_size: int) -> dict[str, dict[str, Any]]:
    """What every account has, with its values there."""
    return {MAIL: mail(message_size)}


def of_server(base: str) -> dict[str, dict[str, Any]]:
    """What is the server's alone, or has values there; `base`: our address."""
    return {}


REVISION: Final = 1
"""Grows when what is offered changes, so that clients fetch the Session object again."""
KNOWN: Final = frozenset({CORE, MAIL})
"""What `using` may name."""
