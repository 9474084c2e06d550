"""What we offer: capability URNs with their values, for the Session object (RFC 8620 §2)."""

from __future__ import annotations

from typing import Any, Final

from posthouse import limits
from posthouse.sieve.language import CAPABILITIES

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"

SUBMISSION: Final = "urn:ietf:params:jmap:submission"
VACATION: Final = "urn:ietf:params:jmap:vacationresponse"
BLOB: Final = "urn:ietf:params:jmap:blob"
QUOTA: Final = "urn:ietf:params:jmap:quota"
MDN: Final = "urn:ietf:params:jmap:mdn"
PRINCIPALS: Final = "urn:ietf:params:jmap:principals"
OWNER: Final = "urn:ietf:params:jmap:principals:owner"
WEBSOCKET: Final = "urn:ietf:params:jmap:websocket"
SIEVE: Final = "urn:ietf:params:jmap:sieve"
MASKED: Final = "https://www.fastmail.com/dev/maskedemail"
"""Masked addresses; another maker's extension, which password managers know (docs/jmap-extensions.md)."""
WEBPUSH: Final = "urn:ietf:params:jmap:webpush-vapid"

OWN: Final = "urn:posthouse:params:jmap:account"
"""Our own, for one's account: passwords, sessions, set-up of programs, journeys of sent mail."""
ADMIN: Final = "urn:posthouse:params:jmap:admin"
"""Our own, for administrators."""
CONTACTS: Final = "urn:ietf:params:jmap:contacts"
OURS: Final = frozenset({OWN, ADMIN, CONTACTS})

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


def submission() -> dict[str, Any]:
    """RFC 8621 §1.3.2."""
    return {
        "maxDelayedSend": limits.JMAP_HOLD,
        "submissionExtensions": {"FUTURERELEASE": [], "DSN": [], "SIZE": [], "8BITMIME": [], "SMTPUTF8": []},
    }


def blob(message_size: int) -> dict[str, Any]:
    """RFC 9404 §3.1."""
    return {
        "maxSizeBlobSet": message_size,
        "maxDataSources": limits.JMAP_BLOB_SOURCES,
        "supportedTypeNames": ["Email", "Mailbox", "Thread", "SieveScript"],
        "supportedDigestAlgorithms": ["sha-256", "sha-512", "sha"],
    }


def sieve() -> dict[str, Any]:
    """RFC 9661 §1.2.1, what an account may do; the same is said by ManageSieve."""
    names = sorted(CAPABILITIES)
    return {
        "maxSizeScriptName": limits.SIEVE_NAME,
        "maxSizeScript": limits.SIEVE_SCRIPT,
        "maxNumberScripts": limits.SIEVE_SCRIPTS,
        "maxNumberRedirects": limits.SIEVE_REDIRECTS,
        "sieveExtensions": names,
        "notificationMethods": ["mailto"] if "enotify" in names else None,
        "externalLists": None,
    }


def of_account(message_size: int) -> dict[str, dict[str, Any]]:
    """What every account has, with its values there."""
    return {
        MAIL: mail(message_size),
        SUBMISSION: submission(),
        VACATION: {},
        BLOB: blob(message_size),
        QUOTA: {},
        MDN: {},
        SIEVE: sieve(),
        MASKED: {},
    }


def of_server(base: str, vapid: str) -> dict[str, dict[str, Any]]:
    """What is the server's alone, or has values there; `base`: our address; `vapid`: our key for Web Push."""
    # RFC 8887 §3.1
    found: dict[str, dict[str, Any]] = {
        WEBSOCKET: {"url": f"{base.replace('http', 'ws', 1)}/jmap/ws", "supportsPush": True}
    }
    found[SIEVE] = {"implementation": "Posthouse"}  # RFC 9661 §1.2.1
    if vapid:
        found[WEBPUSH] = {"applicationServerKey": vapid}  # RFC 9749 §3
    return found


REVISION: Final = 7
"""Grows when what is offered changes, so that clients fetch the Session object again."""
KNOWN: Final = frozenset(
    {CORE, MAIL, SUBMISSION, VACATION, BLOB, QUOTA, MDN, SIEVE, MASKED, WEBSOCKET, WEBPUSH, PRINCIPALS}
)
"""What `using` may name."""


def ours(*, admin: bool, deleted_kept: float) -> dict[str, dict[str, Any]]:
    """Our own capabilities that an account has (docs/jmap-extensions.md), and contacts (RFC 9610 §1.5.1).

    `deleted_kept`: seconds for which deleted mail can be brought back.
    """
    contacts = {"maxAddressBooksPerCard": limits.ADDRESS_BOOKS, "mayCreateAddressBook": True}
    own: dict[str, dict[str, Any]] = {CONTACTS: contacts, OWN: {"deletedKept": int(deleted_kept)}}
    return own | {ADMIN: {}} if admin else own
