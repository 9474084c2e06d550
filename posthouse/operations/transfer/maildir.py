"""Maildir folders: a file per message, flags in its name, INTERNALDATE its time of change.

Read in both layouts: Maildir++ (subfolders `.Archive.2020`, names in modified UTF-7) and plain folders below each
other. Dovecot's `dovecot-uidlist` gives UIDs and UIDVALIDITY, its `dovecot-keywords` the names of the keywords a to z.
Written as Maildir++ with both files, so that Dovecot and an import of ours find the same mailbox again.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from posthouse import limits
from posthouse.imap import mailbox_name
from posthouse.operations.transfer.model import (
    FolderInfo,
    Known,
    Message,
    Names,
    TransferFault,
    open_plain,
    readable,
    with_crlf,
    with_lf,
)

UID_LIST: Final = "dovecot-uidlist"
KEYWORDS: Final = "dovecot-keywords"
_FLAGS: Final = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
_LETTERS: Final = {flag: letter for letter, flag in _FLAGS.items()}
_INFO: Final = ":2,"
_HEAD: Final = re.compile(r"3 .*?V(\d+)")
_OURS: Final = re.compile(r"\d+\.V(\d+)U(\d+)\.posthouse$")


def is_maildir(place: Path) -> bool:
    """Whether a folder is a Maildir."""
    return (place / "cur").is_dir() and (place / "new").is_dir()


class MaildirSource:
    """A Maildir with its subfolders, or a folder of Maildirs."""

    def __init__(self, place: Path) -> None:
        self._place = place.resolve()
        self.name = f"maildir:{self._place}"
        self.unread: list[str] = []

    def folders(self) -> list[FolderInfo]:
        """INBOX is the Maildir itself."""
        found = [path for path in self._walk(self._place) if is_maildir(path)]
        if not found:
            raise TransferFault(f"{self._place}: no Maildir there")
        return [self._info(path) for path in found]

    def _walk(self, place: Path) -> Iterator[Path]:
        yield place
        try:
            below = sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink())
        except OSError as fault:
            raise TransferFault(f"{place}: {fault.strerror or fault}") from fault
        for path in below:
            if path.name not in ("cur", "new", "tmp"):
                yield from self._walk(path)

    def _info(self, path: Path) -> FolderInfo:
        parts = map(readable, path.relative_to(self._place).parts)
        levels: list[str] = []
        for part in parts:
            if part.startswith("."):  # Maildir++: the whole path in one name
                levels += [mailbox_name.decode(level.encode(), utf8=False) for level in part[1:].split(".")]
            else:
                levels.append(mailbox_name.decode(part.encode(), utf8=True))
        name = "/".join(levels) or "INBOX"
        validity, _ = _uid_list(path)
        count = sum(1 for _ in _files(path))
        name = "INBOX" if name.upper() == "INBOX" else name
        return FolderInfo(name=name, place=str(path), messages=count, uid_validity=validity)

    def messages(self, folder: FolderInfo, known: Known) -> Iterator[Message]:
        """The messages of a folder, by UID where they have one, else by time."""
        place = Path(folder.place)
        validity, uids = _uid_list(place)
        keywords = _keywords(place)
        found = sorted(
            ((path.name.partition(_INFO)[0], path) for path in _files(place)),
            key=lambda one: (uids.get(one[0], 1 << 32), one[0]),
        )
        for start in range(0, len(found), limits.TRANSFER_BATCH):
            some = found[start : start + limits.TRANSFER_BATCH]
            there = known(folder, [key for key, _ in some])
            for key, path in some:
                if key not in there:
                    message = _read(path, key, uids.get(key, 0), validity, keywords)
                    if message is not None:
                        yield message

    def close(self) -> None:
        """Nothing is open."""


def _files(place: Path) -> Iterator[Path]:
    for part in ("new", "cur"):
        try:
            yield from (path for path in (place / part).iterdir() if not path.name.startswith("."))
        except OSError as fault:
            raise TransferFault(f"{place / part}: {fault.strerror or fault}") from fault


def _read(path: Path, key: str, uid: int, validity: int, keywords: dict[str, str]) -> Message | None:
    try:
        with open_plain(path) as file:
            raw = file.read()
            received_at = int(os.fstat(file.fileno()).st_mtime)
    except FileNotFoundError:
        return None  # somebody renamed or deleted it meanwhile: the next run sees it under its new name
    except OSError as fault:
        if fault.errno in (errno.ELOOP, errno.EINVAL, errno.ENXIO):
            return None  # a link, a pipe, a folder: no message
        raise TransferFault(f"{path}: {fault.strerror or fault}") from fault
    letters = path.name.partition(_INFO)[2]
    flags = [_FLAGS.get(letter) or keywords.get(letter) for letter in letters]
    return Message(
        raw=with_crlf(raw),
        received_at=received_at,
        flags=tuple(flag for flag in flags if flag),
        key=key,
        uid=uid,
        uid_validity=validity if uid else 0,
    )


def _uid_list(place: Path) -> tuple[int, dict[str, int]]:
    """(UIDVALIDITY, base name → UID) of Dovecot's list, version 3; (0, {}) without one."""
    try:
        lines = (place / UID_LIST).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return 0, {}
    head = _HEAD.match(lines[0]) if lines else None
    if head is None:
        return 0, {}
    uids: dict[str, int] = {}
    for line in lines[1:]:
        number, _, rest = line.partition(" ")
        name = rest.partition(":")[2]
        if number.isdigit() and name:
            uids[name.partition(_INFO)[0]] = int(number)
    return int(head[1]), uids


def _keywords(place: Path) -> dict[str, str]:
    """Letter → keyword, by Dovecot's list."""
    try:
        lines = (place / KEYWORDS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        number, _, name = line.partition(" ")
        if number.isdigit() and int(number) < 26 and name:
            found[chr(ord("a") + int(number))] = name
    return found


# --- writing ------------------------------------------------------------------------------------------------


class MaildirTarget:
    """A Maildir++. Its file names hold UIDVALIDITY and UID, so an export goes on where it was."""

    remembers = True

    def __init__(self, place: Path) -> None:
        self._place = place
        self.name = f"maildir:{place.resolve()}"
        self._names = Names()
        self._keywords: list[str] = []
        self._new: list[Path] = []

    def _path(self, folder: FolderInfo) -> Path:
        if folder.name == "INBOX":
            return self._place
        levels = [level.replace(".", "_") for level in folder.name.split("/")]
        encoded = [mailbox_name.encode(level, utf8=False).decode() for level in levels]
        return self._place / f".{'.'.join(encoded)}".replace("\0", "_")

    def open(self, folder: FolderInfo) -> int:
        """Make the folders."""
        path = self._path(folder)
        self._names.give(str(path), folder.name)
        try:
            for part in ("tmp", "new", "cur"):
                (path / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as fault:
            raise TransferFault(f"{path}: {fault.strerror or fault}") from fault
        self._keywords = [name for _, name in sorted(_keywords(path).items())]
        ours = (_OURS.match(one.name.partition(_INFO)[0]) for one in _files(path))
        there = [int(match[2]) for match in ours if match and int(match[1]) == folder.uid_validity]
        return max(there, default=0)

    def put(self, folder: FolderInfo, message: Message) -> None:
        """Write a message to tmp, whole; `done` puts it in place."""
        name = f"{message.received_at}.V{folder.uid_validity}U{message.uid}.posthouse"
        path = self._path(folder) / "tmp" / (name + _INFO + self._letters(message))
        try:
            descriptor = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "wb") as file:
                file.write(with_lf(message.raw))
                file.flush()
                os.fsync(file.fileno())
            os.utime(path, (message.received_at, message.received_at))
        except OSError as fault:
            raise TransferFault(f"{path}: {fault.strerror or fault}") from fault
        self._new.append(path)

    def _letters(self, message: Message) -> str:
        letters = [_LETTERS[flag] for flag in message.flags if flag in _LETTERS]
        for flag in message.flags:
            if flag.startswith("\\"):
                continue
            if flag not in self._keywords and len(self._keywords) < 26:
                self._keywords.append(flag)
            if flag in self._keywords:
                letters.append(chr(ord("a") + self._keywords.index(flag)))
        return "".join(sorted(letters))

    def done(self, folder: FolderInfo) -> None:
        """Put what was written in place, in order, so that whatever is there has all before it."""
        path = self._path(folder)
        try:
            for one in self._new:
                one.rename(path / "cur" / one.name)
            self._new = []
            self._write_lists(path, folder)
            descriptor = os.open(path / "cur", os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as fault:
            raise TransferFault(f"{path}: {fault.strerror or fault}") from fault

    def _write_lists(self, path: Path, folder: FolderInfo) -> None:
        uids = sorted(
            (int(match[2]), one.name.partition(_INFO)[0])
            for one in _files(path)
            if (match := _OURS.match(one.name.partition(_INFO)[0]))
        )
        lines = [f"3 V{folder.uid_validity} N{folder.uid_next}", *(f"{uid} :{name}" for uid, name in uids)]
        (path / UID_LIST).write_text("\n".join(lines) + "\n")
        if self._keywords:
            listed = "".join(f"{number} {name}\n" for number, name in enumerate(self._keywords))
            (path / KEYWORDS).write_text(listed)

    def close(self) -> None:
        """Nothing is open."""
