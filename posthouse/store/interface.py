"""The contract of a store engine. `tests/kits/mail_store.py` is its proof; a store is done when the kit passes.

Writing is by operations: frozen values, several of which make one commit (`Store.commit`), all or nothing.
`commit` returns only when the outcome is durable, with one result per operation in order; other sessions
hear of it afterwards, in commit order. Errors: NotFound, Conflict, OverQuota reject the one commit that caused
them and no other; StoreUnavailable (disk full, closing) means that nothing was kept.

Reading never sees half a commit, and always sees one's own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Protocol, TypeVar

from posthouse.ranges import Ranges
from posthouse.store.account_model import EmailChange, Item, ItemChange, MailboxGone, Passage, States, Upload
from posthouse.store.account_operations import AddUpload, PruneUploads, PutItem, RemoveItem, RemoveUpload
from posthouse.store.credentials import CredentialStore
from posthouse.store.deleted import DeletedMail
from posthouse.store.judgement import Judgements
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.mailing_lists import MailingListStore
from posthouse.store.masked_model import MaskedAddress
from posthouse.store.model import (
    Account,
    Alias,
    Content,
    Domain,
    EmailField,
    Event,
    Mailbox,
    QueuedMessage,
    Stored,
    Suppression,
    Usage,
)
from posthouse.store.operations import (
    AddAccount,
    AddAppPassword,
    Added,
    AddEmail,
    ArrangeMailbox,
    ChangeQueued,
    Copied,
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Enqueue,
    Expunge,
    Expunged,
    FlagsSet,
    LeaseDue,
    MoveEmails,
    Op,
    PlaceEmails,
    PruneEvents,
    PutAccount,
    PutAlias,
    PutDomain,
    RecordEvents,
    RecordOutcomes,
    ReleaseLease,
    RememberRecipient,
    RemoveAccount,
    RemoveAlias,
    RemoveAppPassword,
    RemoveDomain,
    RenameMailbox,
    SetFlags,
    SetRole,
    Subscribe,
    TouchAppPassword,
    WakeDestination,
)
from posthouse.store.retention import RetainedMail
from posthouse.store.trust import TrustStore

__all__ = [
    "AddAccount",
    "AddAppPassword",
    "AddEmail",
    "AddUpload",
    "Added",
    "ArrangeMailbox",
    "ChangeQueued",
    "Copied",
    "CopyEmails",
    "CreateMailbox",
    "DeleteMailbox",
    "Enqueue",
    "Expunge",
    "Expunged",
    "FlagsSet",
    "LeaseDue",
    "MoveEmails",
    "Op",
    "PlaceEmails",
    "PruneEvents",
    "PruneUploads",
    "PutAccount",
    "PutAlias",
    "PutDomain",
    "PutItem",
    "RecordEvents",
    "RecordOutcomes",
    "ReleaseLease",
    "RememberRecipient",
    "RemoveAccount",
    "RemoveAlias",
    "RemoveAppPassword",
    "RemoveDomain",
    "RemoveItem",
    "RemoveUpload",
    "RenameMailbox",
    "SetFlags",
    "SetRole",
    "Staging",
    "Store",
    "Subscribe",
    "TouchAppPassword",
    "WakeDestination",
]

R = TypeVar("R")


# --- the store --------------------------------------------------------------------------------------------


class Staging(Protocol):
    """A large message being received: chunks go to a file outside the event loop."""

    async def write(self, chunk: bytes) -> None:
        """Append octets. StoreUnavailable when the disk is full."""
        ...

    async def finish(self) -> Content:
        """The content, ready for a commit (which makes it durable)."""
        ...

    async def discard(self) -> None:
        """Forget it. Harmless after `finish`."""
        ...


class Store(TrustStore, Judgements, CredentialStore, DeletedMail, RetainedMail, MailingListStore, Protocol):
    """What every engine offers. All methods run on the event loop and never block it."""

    # writing

    async def apply(self, op: Op[R]) -> R:
        """Commit one operation."""
        ...

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        """Commit operations together, all or nothing; one result each, in order."""
        ...

    def stage(self) -> Staging:
        """Begin to receive a message that is too large for memory."""
        ...

    # mailboxes and messages

    async def mailboxes(self, account_id: int) -> tuple[Mailbox, ...]:
        """All mailboxes of an account, ordered by name with INBOX first. Cheap: kept in memory while used."""
        ...

    async def mailbox(self, account_id: int, name: str) -> Mailbox | None:
        """One mailbox by its exact name (`INBOX` in any case)."""
        ...

    async def subscriptions(self, account_id: int) -> frozenset[str]:
        """All subscribed names, also of mailboxes that do not exist."""
        ...

    async def keywords(self, account_id: int) -> tuple[str, ...]:
        """The account's keywords in bit order: item i is bit `KEYWORD_SHIFT + i`."""
        ...

    async def usage(self, account_id: int) -> Usage:
        """What the account holds."""
        ...

    async def index(self, account_id: int, mailbox_id: int) -> MailboxIndex:
        """The shared live index of a mailbox. NotFound."""
        ...

    async def vanished_since(self, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
        """UIDs expunged after a mod-sequence (RFC 7162 §3.2.7); a superset when history was pruned."""
        ...

    async def emails(
        self, account_id: int, email_ids: Sequence[int], fields: Sequence[EmailField]
    ) -> list[tuple[Any, ...] | None]:
        """The named columns of each email, None for one that is gone; in the order asked, one read.

        Derived columns that are not there yet are computed and kept. Ask at most EMAILS_PER_READ at a time.
        """
        ...

    async def stored(self, account_id: int, email_ids: Sequence[int]) -> list[Stored | None]:
        """Where the bytes of each email are."""
        ...

    async def messages(self, account_id: int, email_ids: Sequence[int]) -> list[bytes | None]:
        """Whole messages, for batches of small ones; the caller bounds the sum of sizes.

        None for one that is gone or damaged.
        """
        ...

    async def read(self, stored: Stored, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of one message from an offset; the caller bounds the length. NotFound when it is gone."""
        ...

    async def whole(self, stored: Stored) -> bytes:
        """A whole message, compared with what was stored: for what must not pass on damage. NotFound, Damaged."""
        ...

    def chunks(self, stored: Stored) -> AsyncIterator[bytes]:
        """A whole message in pieces of at most BLOB_CHUNK octets."""
        ...

    async def search_text(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """Which of the emails contain the needle as a substring, case-insensitively, after decoding.

        `field`: "text" (header and body), "body", or "header:NAME" in lower case (an empty needle: the header is
        there). Complete: what is not indexed yet is scanned (RFC 9051 §6.4.4).
        """
        ...

    async def similar_words(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """For each folded word, words of the account's mail that look like it, the most alike first (`search.similar`).

        A few of each at most, and only of what is indexed already. The word itself is not among them.
        """
        ...

    async def transferred(self, account_id: int, marks: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these marks `NoteTransferred` has been given."""
        ...

    # what changed, threads, items, uploads

    async def states(self, account_id: int) -> States:
        """The latest mod-sequences. Cheap: kept in memory while used."""
        ...

    async def email_changes(self, account_id: int, since: int) -> list[EmailChange] | None:
        """Emails created, changed or destroyed after a mod-sequence, each once, by (modseq, email).

        An email that was created and destroyed since is left out, unless the very next commit created it: whoever knows
        a part of that commit asks from before it. None: the history does not reach back so far.
        """
        ...

    async def mailboxes_gone(self, account_id: int, since: int) -> list[MailboxGone] | None:
        """Mailboxes deleted after a mod-sequence. None: the history does not reach back so far."""
        ...

    async def passages(self, account_id: int, mailbox_ids: Sequence[int], since: int) -> list[Passage] | None:
        """What came into shared mailboxes from others, or left them, in order. None: as `email_changes`."""
        ...

    async def threads(self, account_id: int, email_ids: Sequence[int]) -> list[int | None]:
        """The thread of each email (the number of its first email), decided now where it was not yet.

        None for one that is gone. Any number may be asked for.
        """
        ...

    async def origins(self, account_id: int, email_ids: Sequence[int]) -> list[int]:
        """The email that each of these is a copy of (CopyEmails), or itself: both have the same octets."""
        ...

    async def items(self, account_id: int, kind: str, item_ids: Sequence[int] | None = None) -> list[Item]:
        """The items of a kind (those of these numbers that are there), by number."""
        ...

    async def item_count(self, account_id: int, kind: str) -> int:
        """How many items of a kind there are; their data is not read."""
        ...

    async def item_changes(self, account_id: int, kind: str, since: int) -> list[ItemChange] | None:
        """Items created, changed or removed after a mod-sequence, by (modseq, item). None: as `email_changes`."""
        ...

    async def items_due(self, kind: str, now: float, limit: int) -> list[Item]:
        """Items of all accounts whose `due_at` has come, the earliest first."""
        ...

    async def next_item_due(self, kind: str) -> float | None:
        """The earliest `due_at` of a kind; None: nothing is due ever."""
        ...

    async def uploads(self, account_id: int, upload_ids: Sequence[int]) -> list[Upload | None]:
        """Uploads of an account by number, None for those that are not its own or gone."""
        ...

    async def saved_dates(self, account_id: int, mailbox_id: int, uids: Sequence[int]) -> list[int | None]:
        """When each message came into this mailbox, in POSIX seconds (RFC 8514 §3); None for one that is gone."""
        ...

    def watch_account(self, account_id: int, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any committed change to the account; the result ends it."""
        ...

    # the queue

    async def queue(
        self, *, destination: str = "", address: str = "", after: int = 0, limit: int = 1000
    ) -> list[QueuedMessage]:
        """What is queued, by number above `after`; optionally of one destination, sender or recipient."""
        ...

    async def queued(self, queue_id: int) -> QueuedMessage | None:
        """One queued message."""
        ...

    async def next_due(self) -> float | None:
        """When the earliest waiting recipient (or expiring lease) is due; None: the queue is empty."""
        ...

    def watch_queue(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any commit that may have made something due; the result ends it."""
        ...

    async def suppressions(
        self, *, addresses: Sequence[str] | None = None, limit: int = 1000
    ) -> list[Suppression]:
        """The suppression list with suggestions, by address; only these addresses (lower case) when given."""
        ...

    # people

    async def domains(self) -> tuple[Domain, ...]:
        """All domains, by name."""
        ...

    async def accounts(self, domain: str = "") -> tuple[Account, ...]:
        """All accounts (of a domain), by address."""
        ...

    async def account(self, address: str) -> Account | None:
        """One account by its address in lower case."""
        ...

    async def account_by_id(self, account_id: int) -> Account | None:
        """One account by its number."""
        ...

    async def aliases(self, domain: str = "") -> tuple[Alias, ...]:
        """All aliases (of a domain), by address."""
        ...

    async def alias(self, address: str) -> Alias | None:
        """One alias by its address in lower case."""
        ...

    async def masked_address(self, address: str) -> MaskedAddress | None:
        """One masked address, also one that was removed."""
        ...

    async def known_recipient(self, address: str) -> tuple[bool, int] | None:
        """(valid, when learnt) for a backup domain's recipient, or None."""
        ...

    def watch_people(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Call `heard` after any change to domains, accounts, aliases or what logs people in; the result ends it."""
        ...

    # the timeline

    async def events(self, *, trace_id: str = "", address: str = "", limit: int = 1000) -> list[Event]:
        """The timeline of one message, or the latest lines about an address, in time order."""
        ...

    async def close(self) -> None:
        """Finish what was handed in, checkpoint, and let go of the files."""
        ...
