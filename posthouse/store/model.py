"""The values that the store takes and gives: mailboxes, emails, queue entries, people, events.

All are frozen. Times are POSIX seconds in UTC (int where RFC 9051 shows whole seconds, float in the queue).
Flags are text in IMAP's spelling (`\\Seen`, `$Junk`) where they come in, and bits where they are kept: bits 0-4
are the system flags below, the rest are the account's keywords in the order of first use (`KeywordTable`).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

SEEN: Final = 1
ANSWERED: Final = 2
FLAGGED: Final = 4
DELETED: Final = 8
DRAFT: Final = 16
SYSTEM_FLAGS: Final = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
KEYWORD_SHIFT: Final = len(SYSTEM_FLAGS)
"""The bit of an account's first keyword."""
RECEIVED_MAX: Final = (1 << 32) - 1
"""The latest date of receipt that is kept (2106): what indexes in memory hold of it has 32 bits."""


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the store's values."""


# --- mailboxes and emails --------------------------------------------------------------------------


class Role(enum.Enum):
    """What a mailbox is for (RFC 6154 §2, RFC 8621 §2)."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    SNOOZED = "snoozed"
    """Mail that comes back to the inbox at a time (IANA's registry of mailbox names' attributes)."""


SEPARATOR: Final = "/"
"""Between the levels of a mailbox name. INBOX is always spelt `INBOX`."""


class Mailbox(Frozen, frozen=True, kw_only=True):
    """A folder of one account, with the counts that the writer keeps."""

    account_id: int
    mailbox_id: int
    name: str
    """The full path in Unicode (NFC), levels parted by `SEPARATOR`."""
    role: Role | None
    uid_validity: int
    uid_next: int
    highest_modseq: int
    total: int
    unseen: int
    deleted: int
    size: int
    """Octets of all messages, for STATUS SIZE (RFC 8438)."""
    subscribed: bool
    created_modseq: int = 0
    changed_modseq: int = 0
    """Of the latest change of name, role, order or subscription."""
    sort_order: int = 0
    """Where it stands among its siblings in a client's list (RFC 8621 §2)."""


class Usage(Frozen, frozen=True, kw_only=True):
    """What an account holds against its quota."""

    octets: int
    messages: int


class Stored(Frozen, frozen=True, kw_only=True):
    """Where a message's bytes are: `prefix` (headers added on delivery) and then the shared, unchanged blob."""

    blob_id: int
    prefix: bytes
    size: int
    """Octets of prefix and blob together."""
    account_id: int = 0
    """Whose bytes they are, where an engine keeps them by account."""


class Derived(Frozen, frozen=True, kw_only=True):
    """What is computed once from a message, just after it is stored or on first demand.

    Offsets and texts refer to prefix + blob as one message.
    """

    envelope: bytes
    """RFC 9051 §7.5.2 ENVELOPE as ready text, parentheses included; non-ASCII header values stay encoded."""
    body_structure: bytes
    """RFC 9051 §7.5.2 BODYSTRUCTURE as ready text, with extension data."""
    parts: bytes
    """The part tree with byte offsets (`message.mime.encode_parts`)."""
    preview: str
    """RFC 8970: up to 200 characters of the text."""
    sent_at: int
    """The Date header, or the time of receipt when it has none or a broken one."""
    thread_keys: tuple[int, ...] = ()
    """What a conversation shares (`message.threading`)."""


EmailField = str
"""A column that `Store.emails` can read: one of EMAIL_FIELDS."""

EMAIL_FIELDS: Final = frozenset(
    {"size", "received_at", "sent_at", "envelope", "body_structure", "parts", "preview"}
)


class Content:
    """Message bytes on their way into the store: chunks in memory, or a staged file (see `Store.stage`).

    Immutable once made. Every operation of one commit that names the same Content shares one stored blob.
    """

    __slots__ = ("__weakref__", "chunks", "head", "offset", "path", "size")

    def __init__(
        self, chunks: list[bytes], *, path: Path | None = None, size: int | None = None, offset: int = 0
    ) -> None:
        """`chunks` are the octets, or with `path` only the first of them (at least the whole header).

        `offset` is where the octets begin in the file; they go on to its end.
        """
        self.chunks = chunks
        self.path = path
        self.offset = offset
        self.size = sum(map(len, chunks)) if size is None else size
        self.head = chunks[0] if chunks else b""

    @classmethod
    def of(cls, raw: bytes) -> Content:
        """A message that is wholly in memory."""
        return cls([raw])

    def beginning(self) -> bytes:
        """All octets that are in memory: the whole message, or for a staged one its first part."""
        if len(self.chunks) > 1:
            self.chunks = [b"".join(self.chunks)] if self.path is None else self.chunks
        return self.chunks[0] if len(self.chunks) == 1 else b"".join(self.chunks)

    def blocks(self, size: int) -> Iterator[bytes]:
        """All octets in order, from memory or from the file (blocking: never on the event loop)."""
        if self.path is None:
            yield from self.chunks
            return
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while block := file.read(size):
                yield block


# --- the outbound queue -------------------------------------------------------------------------------


class RecipientState(enum.Enum):
    """Where a queued recipient stands. DELIVERED, FAILED and DROPPED are final."""

    WAITING = "waiting"
    LEASED = "leased"
    HELD = "held"
    DELIVERED = "delivered"
    FAILED = "failed"
    DROPPED = "dropped"


class NewRecipient(Frozen, frozen=True, kw_only=True):
    """A recipient to be queued."""

    address: str
    notify: str = ""
    """RFC 3461 NOTIFY as sent ("NEVER", "SUCCESS,FAILURE", …); empty: not given."""
    orcpt: str = ""
    """RFC 3461 ORCPT as sent, xtext-encoded."""
    next_attempt_at: float = 0.0
    held: bool = False


class NewQueued(Frozen, frozen=True, kw_only=True):
    """A message to be queued for other hosts."""

    trace_id: str
    reverse_path: str
    """Empty: the null reverse-path `<>` (RFC 5321 §4.5.5)."""
    recipients: tuple[NewRecipient, ...]
    created_at: float
    account_id: int | None = None
    """Who submitted it, when it came by login."""
    ret: str = ""
    """RFC 3461 RET: "FULL", "HDRS" or empty."""
    envid: str = ""
    smtputf8: bool = False
    body: str = "7BIT"
    """RFC 6152, 3030: "7BIT", "8BITMIME" or "BINARYMIME"."""
    deliver_by: float = 0.0
    """RFC 2852: until when (POSIX seconds) it is to be delivered, where `by_mode` says so."""
    by_mode: str = ""
    """RFC 2852 §4: "R" (then it comes back) or "N" (then the sender is told), with "T" behind it (each relay tells)."""


class QueuedRecipient(Frozen, frozen=True, kw_only=True):
    """A queued recipient with the outcome of its last attempt."""

    recipient_id: int
    address: str
    destination: str
    """The domain in lower case A-label form, by which deliveries are grouped."""
    state: RecipientState
    notify: str
    orcpt: str
    attempts: int
    next_attempt_at: float
    delay_noticed: bool
    last_at: float
    last_reply: str
    last_host: str
    last_tls: str
    last_attempt: bool = False
    """An administrator asked for it to fail: if the next attempt does not deliver it, it is given up."""


class QueuedMessage(Frozen, frozen=True, kw_only=True):
    """A queued message with its recipients that are not yet final."""

    queue_id: int
    trace_id: str
    reverse_path: str
    account_id: int | None
    stored: Stored
    created_at: float
    ret: str
    envid: str
    smtputf8: bool
    body: str
    recipients: tuple[QueuedRecipient, ...]
    deliver_by: float = 0.0
    by_mode: str = ""


class Lease(Frozen, frozen=True, kw_only=True):
    """The right to try one message's recipients of one destination until a time. `token` fences late holders."""

    message: QueuedMessage
    destination: str
    token: int
    until: float


class Outcome(Frozen, frozen=True, kw_only=True):
    """What an attempt came to for one recipient."""

    recipient_id: int
    state: RecipientState
    at: float
    next_attempt_at: float = 0.0
    reply: str = ""
    host: str = ""
    tls: str = ""
    delay_noticed: bool = False
    tried: bool = True
    """False: it was put off without an attempt, which is then not counted."""


class Suppression(Frozen, frozen=True, kw_only=True):
    """An address that nothing is sent to, or that is suggested for it."""

    address: str
    """Lower case."""
    active: bool
    """False: only suggested; mail is sent."""
    reason: str
    failures: int
    """Refusals as unknown in a row; 0: an administrator put it on the list."""
    at: float
    """When it was put on the list, or last refused."""


# --- people ---------------------------------------------------------------------------------------------


class DomainKind(enum.Enum):
    """What we are for a domain."""

    LOCAL = "local"
    """Its mailboxes are here."""
    BACKUP = "backup"
    """We are a backup MX: hold its mail and hand it to the primary."""


class Domain(Frozen, frozen=True, kw_only=True):
    """A domain we accept mail for. `name` is lower case, in A-label form."""

    name: str
    kind: DomainKind = DomainKind.LOCAL
    catch_all: str = ""
    """Address that gets mail for unknown local parts; empty: they are refused."""
    recipients: str = "ask"
    """BACKUP only: "ask" (ask the primary and remember), "list" (only `known_recipients`)."""
    quota: int = 0
    """Octets for each of its accounts that has no quota of its own; 0: the configured default."""
    created_at: int = 0


class Account(Frozen, frozen=True, kw_only=True):
    """Somebody with mailboxes."""

    account_id: int
    address: str
    """Login name and primary address: local part as given, domain in A-label form, both lower case."""
    display_name: str
    password: str
    """argon2id (or other) hash in PHC form; never clear text."""
    scram: str
    """SCRAM-SHA-256 keys as `iterations$salt$stored_key$server_key`, base64; empty: none."""
    quota: int
    """Octets; 0: the domain's, else the configured default."""
    disabled: bool
    admin: bool
    created_at: int


class AppPassword(Frozen, frozen=True, kw_only=True):
    """A generated password for one device."""

    app_password_id: int
    account_id: int
    name: str
    password: str
    created_at: int
    last_used_at: int
    scope: tuple[str, ...] = ()
    """The protocols it opens, of `accounts.model.DOORS`; empty: all."""
    expires_at: int = 0
    """0: never."""
    last_peer: str = ""
    """The address it was last used from."""


class Alias(Frozen, frozen=True, kw_only=True):
    """An address that stands for others (a local list of addresses)."""

    address: str
    targets: tuple[str, ...]


# --- the timeline -----------------------------------------------------------------------------------------


class Event(Frozen, frozen=True, kw_only=True):
    """One line in the life of a message: received, checked, stored, attempted, delivered, bounced, …"""

    trace_id: str
    """Time-ordered id given when the message came in; also in its Received header."""
    at: float
    kind: str
    address: str
    """The sender or recipient concerned; searchable."""
    detail: str
    """Host, reply, TLS, mailbox, reason: text for people; never message text or passwords."""
