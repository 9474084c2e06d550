"""A backup as it lies in its folder, to be read: who has what, and the bytes. Nothing is written there.

Blocking: for commands that restore. The copy is read by the schema that this program knows, or it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import apsw
import msgspec

from posthouse.errors import StoreUnavailable
from posthouse.store.account_model import Item
from posthouse.store.credentials import Credential
from posthouse.store.model import KEYWORD_SHIFT, SYSTEM_FLAGS, Account, AppPassword
from posthouse.store.sql import account_reads, credentials, people
from posthouse.store.sqlite.backup import BLOBS, DATABASE
from posthouse.store.sqlite.connection import Connection, open_copy
from posthouse.store.sqlite.emails import read_whole
from posthouse.store.sqlite.flag_log import FLAGS_NOW
from posthouse.store.sqlite.migrate import steps
from posthouse.store.sqlite.segments import SegmentFolder, SegmentReader

_UNKNOWN: Final = "there is no backup that this program can read"


class ArchivedFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox in a backup."""

    mailbox_id: int
    name: str
    role: str
    uid_validity: int
    uid_next: int
    messages: int


class ArchivedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a backup, without its bytes."""

    uid: int
    flags: tuple[str, ...]
    received_at: int
    prefix: bytes
    blob_id: int


class _Files:
    """What `read_blob` works with (as `readers.Reader`)."""

    def __init__(self, db: Connection, segments: SegmentReader) -> None:
        self.db = db
        self.segments = segments


class Archive:
    """An open backup. StoreUnavailable when there is none, or one of another schema."""

    def __init__(self, folder: Path) -> None:
        path = folder / DATABASE
        if not path.is_file() or not (folder / BLOBS).is_dir():
            raise StoreUnavailable(f"{folder}: {_UNKNOWN}")
        try:
            self._db = open_copy(path)
            ((schema,),) = self._db.rows("SELECT max(version) FROM schema_version")
        except apsw.Error as fault:
            raise StoreUnavailable(f"{folder}: {_UNKNOWN}: {fault}") from fault
        if schema != max(steps()):
            raise StoreUnavailable(
                f"{folder}: it has schema {schema}, this program reads {max(steps())}; restore it whole, then start"
            )
        self._segments = SegmentReader(SegmentFolder(folder / BLOBS))
        self._files = _Files(self._db, self._segments)

    def accounts(self) -> tuple[Account, ...]:
        """Everybody in it, by address."""
        return people.read_accounts(self._db, "")

    def account(self, address: str) -> Account | None:
        """One by address in lower case."""
        return people.read_account(self._db, address)

    def app_passwords(self, account_id: int) -> tuple[AppPassword, ...]:
        """An account's app passwords."""
        return people.read_app_passwords(self._db, account_id)

    def credentials(self, account_id: int) -> tuple[Credential, ...]:
        """An account's second factors, passkeys, tokens and sessions."""
        return credentials.read_of_account(self._db, account_id)

    def items(self, account_id: int, kind: str) -> list[Item]:
        """An account's items of a kind."""
        return account_reads.items(self._db, account_id, kind, None)

    def folders(self, account_id: int) -> list[ArchivedFolder]:
        """The mailboxes of an account, by name."""
        rows = self._db.rows(
            "SELECT mailbox_id, name, coalesce(role, ''), uid_validity, max(uid_next, coalesce((SELECT max(uid) + 1"
            " FROM placement p WHERE p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id), 1)),"
            " (SELECT count(*) FROM placement p WHERE p.account_id = m.account_id AND p.mailbox_id = m.mailbox_id)"
            " FROM mailbox m WHERE account_id = ? ORDER BY name",
            (account_id,),
        )
        return [
            ArchivedFolder(
                mailbox_id=mailbox_id,
                name=name,
                role=role,
                uid_validity=uid_validity,
                uid_next=uid_next,
                messages=messages,
            )
            for mailbox_id, name, role, uid_validity, uid_next, messages in rows
        ]

    def messages(self, account_id: int, mailbox_id: int, after: int, limit: int) -> list[ArchivedMessage]:
        """Messages with UIDs above `after`, at most so many."""
        keywords = self._db.rows("SELECT bit, name FROM keyword WHERE account_id = ?", (account_id,))
        names = dict(enumerate(SYSTEM_FLAGS)) | {bit: name for bit, name in keywords if bit >= KEYWORD_SHIFT}
        rows = self._db.rows(
            f"SELECT p.uid, {FLAGS_NOW}, p.received_at, e.prefix, e.blob_id FROM placement p"
            " JOIN email e ON e.email_id = p.email_id"
            " WHERE p.account_id = ? AND p.mailbox_id = ? AND p.uid > ? ORDER BY p.uid LIMIT ?",
            (account_id, mailbox_id, after, limit),
        )
        return [
            ArchivedMessage(
                uid=uid,
                flags=tuple(name for bit, name in names.items() if flags >> bit & 1),
                received_at=received_at,
                prefix=prefix,
                blob_id=blob_id,
            )
            for uid, flags, received_at, prefix, blob_id in rows
        ]

    def read(self, message: ArchivedMessage) -> bytes:
        """A whole message. Damaged, NotFound when its bytes are missing."""
        return message.prefix + self.blob(message.blob_id)

    def blobs(self) -> Iterator[int]:
        """Every blob's number."""
        last = 0
        while rows := self._db.rows(
            "SELECT blob_id FROM blob WHERE blob_id > ? ORDER BY blob_id LIMIT 1000", (last,)
        ):
            last = rows[-1][0]
            yield from (blob_id for (blob_id,) in rows)

    def blob(self, blob_id: int) -> bytes:
        """A blob's octets. Damaged, NotFound."""
        return read_whole(self._files, blob_id)

    def close(self) -> None:
        """Let go of the files."""
        self._segments.close()
        self._db.close()
