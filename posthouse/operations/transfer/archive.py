"""An account in a backup as the source of an import: its mailboxes, or one message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from posthouse import limits
from posthouse.errors import Damaged, NotFound
from posthouse.message.headers import Headers
from posthouse.operations.transfer.model import FolderInfo, Known, Message
from posthouse.store import metadata
from posthouse.store.account_model import Item
from posthouse.store.model import Account
from posthouse.store.sqlite.archive import Archive


class ArchiveSource:
    """One account of one backup. StoreUnavailable: no backup; NotFound: nobody of that address in it."""

    def __init__(self, backup: Path, address: str, *, message_id: str = "") -> None:
        """`message_id`: only messages with this Message-ID."""
        self._archive = Archive(backup)
        account = self._archive.account(address)
        if account is None:
            self._archive.close()
            raise NotFound(f"{backup}: no account {address} in it")
        self.account: Account = account
        self.app_passwords = self._archive.app_passwords(account.account_id)
        self.credentials = self._archive.credentials(account.account_id)
        self.name = f"backup:{backup.resolve()}:{address}"
        self._wanted = message_id.strip("<>").encode() if message_id else None
        self._folders = {
            str(folder.mailbox_id): folder for folder in self._archive.folders(account.account_id)
        }
        self.unread: list[str] = []

    def items(self, kind: str) -> Iterator[list[Item]]:
        """The account's items of a kind, some at a time."""
        some: list[Item] = []
        octets = 0
        for item in self._archive.items(self.account.account_id, kind):
            if some and octets + len(item.data) > limits.ITEMS_RETURNED:
                yield some
                some, octets = [], 0
            some.append(item)
            octets += len(item.data)
        if some:
            yield some

    def annotations(self) -> Iterator[tuple[str, str, bytes]]:
        """What programs noted (RFC 5464): (mailbox, or empty for the account; entry; value)."""
        for item in self._archive.items(self.account.account_id, metadata.KIND):
            folder = self._folders.get(str(item.item_id))
            if folder is None and item.item_id != metadata.ACCOUNT_WIDE:
                continue
            for name, entry in metadata.decode(item.data).items():
                if entry.value is not None:
                    yield "" if folder is None else folder.name, name, entry.value

    def folders(self) -> list[FolderInfo]:
        """The account's mailboxes as they were."""
        return [
            FolderInfo(
                name=folder.name,
                place=place,
                role="" if folder.role == "inbox" else folder.role,
                messages=folder.messages,
                uid_validity=folder.uid_validity,
                uid_next=folder.uid_next,
            )
            for place, folder in self._folders.items()
        ]

    def messages(self, folder: FolderInfo, known: Known) -> Iterator[Message]:
        """The messages of a mailbox, by UID."""
        after = 0
        while some := self._archive.messages(
            self.account.account_id, int(folder.place), after, limits.TRANSFER_BATCH
        ):
            after = some[-1].uid
            there = known(folder, [f"{folder.uid_validity}.{one.uid}" for one in some])
            for one in some:
                key = f"{folder.uid_validity}.{one.uid}"
                if key in there:
                    continue
                try:
                    raw = self._archive.read(one)
                except (Damaged, NotFound) as fault:
                    self.unread.append(f"{folder.name} uid {one.uid}: {fault}")
                    continue
                if self._wanted is not None and not _has_id(raw, self._wanted):
                    continue
                yield Message(
                    raw=raw,
                    received_at=one.received_at,
                    flags=one.flags,
                    key=key,
                    uid=one.uid,
                    uid_validity=folder.uid_validity,
                )

    def close(self) -> None:
        """Close the backup."""
        self._archive.close()


def _has_id(raw: bytes, wanted: bytes) -> bool:
    value = Headers.scan(raw).first("message-id")
    return value is not None and wanted == value.strip().strip(b"<>")
