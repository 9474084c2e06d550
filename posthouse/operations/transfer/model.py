"""What an import reads and an export writes, whatever the form."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import msgspec

from posthouse.errors import PosthouseError

NUMBER_MAX: Final = (1 << 32) - 1
"""RFC 9051 §9: numbers have 32 bits; so have UIDs, and dates as they are kept."""


class TransferFault(PosthouseError):
    """The other side cannot be read or written; the text says where and why."""


class NameTaken(TransferFault):
    """Another mailbox of the same export has this name on the other side."""


class Names:
    """Which mailbox each name of the other side was given to."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def give(self, there: str, folder: str) -> None:
        """Raise NameTaken when the name belongs to another mailbox: neither must overwrite the other."""
        other = self._given.setdefault(there, folder)
        if other != folder:
            raise NameTaken(f"{folder}: {other} has the same name there; export it elsewhere with --folder")


class FolderInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A mailbox of the other side."""

    name: str
    """As ours: Unicode, levels parted by `/`, INBOX in capitals."""
    place: str
    """As the other side calls it: a path, or a name on the wire."""
    role: str = ""
    """RFC 6154's special use as `store.model.Role` spells it; empty: none known."""
    messages: int = 0
    """For the progress bar; 0: not known."""
    uid_validity: int = 0
    uid_next: int = 0


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way, with all that is not in its octets."""

    raw: bytes
    """CRLF-ended lines."""
    received_at: int
    flags: tuple[str, ...] = ()
    """IMAP's spelling."""
    key: str
    """What tells it from the others of its folder, for good."""
    uid: int = 0
    """0: the form has none."""
    uid_validity: int = 0


class Source(Protocol):
    """Something to import from."""

    name: str
    """What tells it from other sources, for good."""
    unread: list[str]
    """Messages that are there and could not be had, each with why; whoever tells of them empties it."""

    def folders(self) -> list[FolderInfo]:
        """All mailboxes. TransferFault."""
        ...

    def messages(self, folder: FolderInfo, known: Known) -> Iterator[Message]:
        """Those of a mailbox whose key is not known. TransferFault."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Known(Protocol):
    """Tells which keys of a folder were transferred already."""

    def __call__(self, folder: FolderInfo, keys: list[str]) -> set[str]:
        """The known ones among these."""
        ...


class Target(Protocol):
    """Something to export to."""

    name: str
    remembers: bool
    """It can tell itself how far earlier runs came; else the store's marks do."""

    def open(self, folder: FolderInfo) -> int:
        """Make a mailbox ready; the highest UID that it has already from an earlier run (0: none). TransferFault."""
        ...

    def put(self, folder: FolderInfo, message: Message) -> None:
        """Write a message; durable after `done`. TransferFault."""
        ...

    def done(self, folder: FolderInfo) -> None:
        """All messages so far are to be kept. TransferFault."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def mark(source: str, folder: str, key: str) -> str:
    """The mark of a message, by which the store remembers that it was transferred."""
    return hashlib.sha256("\0".join((source, folder, key)).encode("utf-8", "surrogateescape")).hexdigest()[
        :32
    ]


def readable(name: str) -> str:
    """A file's name as text: octets in it that are no UTF-8 are shown as such."""
    return os.fsencode(name).decode("utf-8", "replace")


def open_plain(path: Path) -> BinaryIO:
    """A file to be read. OSError for others: a link may lead to what its owner may not read, a pipe never ends."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no ordinary file")
    return os.fdopen(descriptor, "rb")


def with_crlf(raw: bytes) -> bytes:
    """Lines ended as the internet ends them (RFC 5322 §2.3), whatever they were."""
    if b"\n" not in raw and b"\r" not in raw:
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def with_lf(raw: bytes) -> bytes:
    """Lines ended as Unix ends them."""
    return raw.replace(b"\r\n", b"\n")
