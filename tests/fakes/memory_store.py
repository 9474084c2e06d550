"""A store in memory for tests of the protocols: one account, the mail part of the Store contract, nothing durable.

It applies each commit to the shared MailboxIndex and publishes it just as an engine does. `log_length` shortens the
index's log, so that tests reach the paths of sessions that are far behind.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from posthouse.errors import Conflict, NotFound, StoreUnavailable
from posthouse.message.charsets import decode_unlabelled
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mime import scan
from posthouse.message.text import text_of
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.derive import derive
from posthouse.store.interface import (
    Added,
    AddEmail,
    Copied,
    CopyEmails,
    CreateMailbox,
    DeleteMailbox,
    Expunge,
    Expunged,
    FlagsSet,
    MoveEmails,
    Op,
    SetFlags,
)
from posthouse.store.mailbox_index import IndexChange, MailboxIndex, NewRows
from posthouse.store.model import DELETED, KEYWORD_SHIFT, SEEN, SYSTEM_FLAGS, Mailbox, Role, Stored

ACCOUNT = 1
KEYWORDS_MAX = 40


class Email:
    """One message at rest."""

    def __init__(self, raw: bytes, received_at: int, blob_id: int) -> None:
        self.raw = raw
        self.received_at = received_at
        self.derived = derive(raw, received_at)
        self.stored = Stored(blob_id=blob_id, prefix=b"", size=len(raw))


class MemoryStore:
    """Only what IMAP asks of a Store."""

    def __init__(self, log_length: int = 256) -> None:
        self._log_length = log_length
        self._modseq = 0
        self._names: dict[str, int] = {}
        self._roles: dict[int, Role] = {}
        self._indexes: dict[int, MailboxIndex] = {}
        self._vanished: dict[int, list[tuple[int, Ranges]]] = {}
        self._emails: dict[int, Email] = {}
        self._keywords: list[str] = []
        self.full = False
        """The disk is full: every change fails."""
        self.reads = 0
        """Octets that were read of messages."""
        for name, role in (("INBOX", Role.INBOX), ("Archive", Role.ARCHIVE)):
            self._create(name, role)

    def _create(self, name: str, role: Role | None = None) -> int:
        if name in self._names:
            raise Conflict("exists")
        mailbox_id = max(self._names.values(), default=0) + 1
        index = MailboxIndex(ACCOUNT, mailbox_id, 1000 + mailbox_id)
        index.log = deque(maxlen=self._log_length)
        self._names[name] = mailbox_id
        if role is not None:
            self._roles[mailbox_id] = role
        self._indexes[mailbox_id] = index
        self._vanished[mailbox_id] = []
        return mailbox_id

    def index_of(self, name: str) -> MailboxIndex:
        """The live index of a mailbox, for assertions."""
        return self._indexes[self._names[name]]

    # --- changes --------------------------------------------------------------------------------------

    async def apply(self, op: Op[Any]) -> Any:
        """Commit one operation."""
        if self.full:
            raise StoreUnavailable("The disk is full")
        return _RULES[type(op)](self, op)

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        """Commit several (in order; tests do not rely on all-or-nothing here)."""
        return [await self.apply(op) for op in ops]

    def _index(self, mailbox_id: int) -> MailboxIndex:
        index = self._indexes.get(mailbox_id)
        if index is None:
            raise NotFound("No such mailbox")
        return index

    def _next(self) -> int:
        self._modseq += 1
        return self._modseq

    def _bits(self, flags: frozenset[str]) -> int:
        bits = 0
        for flag in flags:
            if flag in SYSTEM_FLAGS:
                bits |= 1 << SYSTEM_FLAGS.index(flag)
                continue
            lowered = [name.lower() for name in self._keywords]
            if flag.lower() not in lowered:
                if len(self._keywords) >= KEYWORDS_MAX:
                    raise Conflict("too many keywords")
                self._keywords.append(flag)
                lowered.append(flag.lower())
            bits |= 1 << (KEYWORD_SHIFT + lowered.index(flag.lower()))
        return bits

    def _place(self, index: MailboxIndex, email_id: int, bits: int, modseq: int) -> int:
        email, uid = self._emails[email_id], index.uid_next
        index.append(
            NewRows(
                uids=array("I", [uid]), flags=array("Q", [bits]), modseqs=array("Q", [modseq]),
                email_ids=array("Q", [email_id]), sizes=array("I", [len(email.raw)]),
                received=array("I", [email.received_at]),
            )
        )  # fmt: skip
        return uid

    def _publish(
        self,
        index: MailboxIndex,
        modseq: int,
        *,
        added: Ranges = EMPTY,
        flagged: Ranges = EMPTY,
        vanished: Ranges = EMPTY,
    ) -> None:
        index.note(IndexChange(modseq=modseq, added=added, flagged=flagged, vanished=vanished))
        index.tell()

    def _remove(self, index: MailboxIndex, uids: Ranges, modseq: int) -> None:
        index.remove(uids)
        self._vanished[index.mailbox_id].append((modseq, uids))
        self._publish(index, modseq, vanished=uids)

    def _added(self, index: MailboxIndex, uids: Ranges, modseq: int) -> None:
        self._publish(index, modseq, added=uids)

    def add(self, mailbox: str, raw: bytes, *, flags: str = "", received_at: int = 0) -> int:
        """Put a message in, for the set-up of tests; its UID."""
        index = self.index_of(mailbox)
        email_id = len(self._emails) + 1
        self._emails[email_id] = Email(raw, received_at, email_id)
        modseq = self._next()
        uid = self._place(index, email_id, self._bits(frozenset(flags.split())), modseq)
        self._added(index, Ranges(((uid, uid),)), modseq)
        return uid

    def _add_email(self, op: AddEmail) -> Added:
        index = self._index(op.mailbox_id)
        email_id = len(self._emails) + 1
        self._emails[email_id] = Email(op.prefix + op.content.beginning(), op.received_at, email_id)
        bits, modseq = self._bits(op.flags), self._next()
        uid = self._place(index, email_id, bits, modseq)
        self._added(index, Ranges(((uid, uid),)), modseq)
        return Added(uid_validity=index.uid_validity, uid=uid, email_id=email_id, modseq=modseq)

    def _set_flags(self, op: SetFlags) -> FlagsSet:
        index, bits = self._index(op.mailbox_id), self._bits(op.flags)
        changed: dict[int, int] = {}
        modified = []
        for place, uid in enumerate(index.uids):
            if uid not in op.uids:
                continue
            if op.unchanged_since is not None and index.modseqs[place] > op.unchanged_since:
                modified.append(uid)
                continue
            old = index.flags[place]
            new = {"add": old | bits, "remove": old & ~bits, "replace": bits}[op.action]
            if new != old:
                index.flags[place] = new
                changed[uid] = place
        # As the embedded engine does, each run of UIDs gets a mod-sequence of its own.
        for first, last in Ranges.of(changed).pairs():
            modseq = self._next()
            for uid in range(first, last + 1):
                index.modseqs[changed[uid]] = modseq
            index.note(
                IndexChange(modseq=modseq, added=EMPTY, flagged=Ranges(((first, last),)), vanished=EMPTY)
            )
        if changed:
            index.tell()
        return FlagsSet(modseq=index.highest_modseq, changed=Ranges.of(changed), modified=Ranges.of(modified))

    def _expunge(self, op: Expunge) -> Expunged:
        index = self._index(op.mailbox_id)
        gone = Ranges.of(
            uid
            for uid, flags in zip(index.uids, index.flags, strict=True)
            if (op.uids is None or uid in op.uids) and (op.force or flags & DELETED)
        )
        if gone:
            self._remove(index, gone, self._next())
        return Expunged(uids=gone, modseq=index.highest_modseq)

    def _transfer(self, op: CopyEmails | MoveEmails) -> Copied:
        source, target = self._index(op.source_id), self._index(op.target_id)
        places = [place for place, uid in enumerate(source.uids) if uid in op.uids]
        uids = Ranges.of(source.uids[place] for place in places)
        new: list[int] = []
        modseq = self._next()
        for place in places:
            email_id = source.email_ids[place]
            if isinstance(op, CopyEmails):
                original = self._emails[email_id]
                email_id = len(self._emails) + 1
                self._emails[email_id] = original
            new.append(self._place(target, email_id, source.flags[place], modseq))
        if new:
            self._added(target, Ranges.of(new), modseq)
            if isinstance(op, MoveEmails):
                self._remove(source, uids, self._next())
        return Copied(uid_validity=target.uid_validity, source=uids, target=Ranges.of(new))

    def _create_mailbox(self, op: CreateMailbox) -> Mailbox:
        self._create(op.name, op.role)
        return self._mailbox(op.name)

    def _delete_mailbox(self, op: DeleteMailbox) -> None:
        index = self._index(op.mailbox_id)
        for name, mailbox_id in tuple(self._names.items()):
            if mailbox_id == op.mailbox_id:
                del self._names[name]
        del self._indexes[op.mailbox_id]
        index.removed = True
        modseq = self._next()
        self._publish(index, modseq, vanished=index.uid_set())

    # --- reading --------------------------------------------------------------------------------------

    def _mailbox(self, name: str) -> Mailbox:
        index = self.index_of(name)
        return Mailbox(
            account_id=ACCOUNT, mailbox_id=index.mailbox_id, name=name, role=self._roles.get(index.mailbox_id),
            uid_validity=index.uid_validity, uid_next=index.uid_next, highest_modseq=index.highest_modseq,
            total=len(index), unseen=sum(not bits & SEEN for bits in index.flags),
            deleted=sum(bool(bits & DELETED) for bits in index.flags), size=sum(index.sizes), subscribed=True,
        )  # fmt: skip

    async def mailboxes(self, account_id: int) -> tuple[Mailbox, ...]:
        """All mailboxes."""
        return tuple(map(self._mailbox, sorted(self._names)))

    async def mailbox(self, account_id: int, name: str) -> Mailbox | None:
        """One mailbox."""
        name = "INBOX" if name.upper() == "INBOX" else name
        return self._mailbox(name) if name in self._names else None

    async def subscriptions(self, account_id: int) -> frozenset[str]:
        """All."""
        return frozenset(self._names)

    async def keywords(self, account_id: int) -> tuple[str, ...]:
        """In bit order."""
        return tuple(self._keywords)

    async def index(self, account_id: int, mailbox_id: int) -> MailboxIndex:
        """The live index."""
        return self._index(mailbox_id)

    async def vanished_since(self, account_id: int, mailbox_id: int, modseq: int) -> Ranges:
        """UIDs expunged after a mod-sequence."""
        self._index(mailbox_id)
        found = EMPTY
        for at, uids in self._vanished[mailbox_id]:
            if at > modseq:
                found = found | uids
        return found

    async def emails(
        self, account_id: int, email_ids: Sequence[int], fields: Sequence[str]
    ) -> list[tuple[Any, ...] | None]:
        """The named columns."""
        rows: list[tuple[Any, ...] | None] = []
        for email_id in email_ids:
            email = self._emails.get(email_id)
            if email is None:
                rows.append(None)
                continue
            values = {"size": len(email.raw), "received_at": email.received_at}
            rows.append(tuple(values.get(name, getattr(email.derived, name, None)) for name in fields))
        return rows

    async def origins(self, account_id: int, email_ids: Sequence[int]) -> list[int]:
        """Nothing is a copy here."""
        return list(email_ids)

    async def threads(self, account_id: int, email_ids: Sequence[int]) -> list[int | None]:
        """Everything stands alone here."""
        return list(email_ids)

    async def stored(self, account_id: int, email_ids: Sequence[int]) -> list[Stored | None]:
        """Where the bytes are."""
        return [self._emails[one].stored if one in self._emails else None for one in email_ids]

    async def messages(self, account_id: int, email_ids: Sequence[int]) -> list[bytes | None]:
        """Whole messages."""
        raws = [self._emails[one].raw if one in self._emails else None for one in email_ids]
        self.reads += sum(len(raw) for raw in raws if raw is not None)
        return raws

    async def read(self, stored: Stored, offset: int = 0, length: int | None = None) -> bytes:
        """Octets of one message."""
        raw = self._emails[stored.blob_id].raw
        octets = raw[offset:] if length is None else raw[offset : offset + length]
        self.reads += len(octets)
        return octets

    async def chunks(self, stored: Stored) -> AsyncIterator[bytes]:
        """A whole message."""
        yield self._emails[stored.blob_id].raw

    async def search_text(
        self, account_id: int, email_ids: Sequence[int], field: str, needle: str
    ) -> frozenset[int]:
        """By scanning."""
        return frozenset(one for one in email_ids if _contains(self._emails[one].raw, field, needle.lower()))

    async def similar_words(self, account_id: int, field: str, words: Sequence[str]) -> list[list[str]]:
        """There is no index."""
        return [[] for _ in words]

    def watch_account(self, account_id: int, heard: Callable[[], None]) -> Callable[[], None]:
        """Nobody needs it here."""
        return lambda: None


def _contains(raw: bytes, field: str, needle: str) -> bool:
    if field.startswith("header:"):
        values = Headers.scan(raw).all(field.removeprefix("header:"))
        return any(needle in decode_value(value).lower() for value in values)
    header, body = text_of(raw, scan(raw))
    text = body if field == "body" else header + "\n" + body
    return needle in text.lower() or (field == "text" and needle in decode_unlabelled(raw).lower())


_RULES: dict[type, Callable[..., Any]] = {
    AddEmail: MemoryStore._add_email,
    SetFlags: MemoryStore._set_flags,
    Expunge: MemoryStore._expunge,
    CopyEmails: MemoryStore._transfer,
    MoveEmails: MemoryStore._transfer,
    CreateMailbox: MemoryStore._create_mailbox,
    DeleteMailbox: MemoryStore._delete_mailbox,
}
