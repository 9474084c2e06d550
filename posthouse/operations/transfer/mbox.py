"""mbox files (RFC 4155): messages one behind the other, each begun by a line `From sender date`.

Read in all their dialects: `>From ` is unquoted by one `>` (mboxrd; mboxo quotes no deeper). What other programs keep
in the header is understood and taken out: Status and X-Status (flags), X-Keywords, X-UID, X-IMAPbase and X-IMAP
(UIDVALIDITY). Written so that an import gives the same mailbox again. A file that is no mbox is an error, not a guess.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from posthouse import limits
from posthouse.message.date import parse_date
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

SUFFIX: Final = ".mbox"
STATE: Final = ".posthouse-export.json"
"""Beside the files of an export: how far each has come."""
_FROM: Final = re.compile(rb"From (\S+) +(.*\d\d?:\d\d.*)")
"""RFC 4155 §A: a sender and a date; a line of text that only begins so has no time of day in it."""
_QUOTED: Final = re.compile(rb"^>(>*From )", re.MULTILINE)
_TO_QUOTE: Final = re.compile(rb"^(>*From )", re.MULTILINE)
_OURS: Final = re.compile(
    rb"^(Status|X-Status|X-Keywords|X-UID|X-IMAPbase|X-IMAP|Content-Length):[ \t]*(.*)\n(?:[ \t].*\n)*",
    re.MULTILINE | re.IGNORECASE,
)
_FLAGS: Final = {"R": "\\Seen", "A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft"}


class MboxSource:
    """One mbox file, or a folder with several: each is a mailbox named by its path."""

    def __init__(self, place: Path, folder: str = "INBOX") -> None:
        """`folder`: the mailbox that a single file goes to. TransferFault when there is nothing."""
        self._place = place.resolve()
        self._folder = folder
        self.name = f"mbox:{self._place}"
        self.unread: list[str] = []

    def folders(self) -> list[FolderInfo]:
        """The files."""
        if self._place.is_file():
            return [FolderInfo(name=self._folder, place=str(self._place))]
        files = sorted(path for path in self._place.rglob("*") if path.is_file() and _is_mbox(path))
        if not files:
            raise TransferFault(f"{self._place}: no mbox file there")
        return [FolderInfo(name=self._named(path), place=str(path)) for path in files]

    def _named(self, path: Path) -> str:
        name = readable(path.relative_to(self._place).as_posix())
        name = name.removesuffix(SUFFIX)
        return "INBOX" if name.lower() == "inbox" else name

    def messages(self, folder: FolderInfo, known: Known) -> Iterator[Message]:
        """The messages of a file, in order."""
        try:
            with open_plain(Path(folder.place)) as file:
                yield from _unknown(folder, _read(file, folder.place), known)
        except OSError as fault:
            raise TransferFault(f"{folder.place}: {fault.strerror or fault}") from fault

    def close(self) -> None:
        """Nothing is open."""


def _unknown(folder: FolderInfo, found: Iterator[Message], known: Known) -> Iterator[Message]:
    waiting: list[Message] = []
    octets = 0
    for message in found:
        waiting.append(message)
        octets += len(message.raw)
        if len(waiting) >= limits.TRANSFER_BATCH or octets >= limits.TRANSFER_OCTETS:
            yield from _sift(folder, waiting, known)
            waiting, octets = [], 0
    yield from _sift(folder, waiting, known)


def _sift(folder: FolderInfo, messages: list[Message], known: Known) -> Iterator[Message]:
    there = known(folder, [message.key for message in messages])
    yield from (message for message in messages if message.key not in there)


def _is_mbox(path: Path) -> bool:
    try:
        with open_plain(path) as file:
            return file.read(5) == b"From " or (path.suffix == SUFFIX and path.stat().st_size == 0)
    except OSError:
        return False


# --- reading ------------------------------------------------------------------------------------------------


def _read(file: BinaryIO, place: str) -> Iterator[Message]:
    seen: Counter[str] = Counter()
    uid_validity = 0
    for first, text in _split(file, place):
        message = _message(first, text, uid_validity, seen)
        uid_validity = message.uid_validity
        yield message


def _split(file: BinaryIO, place: str) -> Iterator[tuple[bytes, bytes]]:
    """(the From line, the lines behind it) of each message."""
    first = b""
    lines: list[bytes] = []
    blank = True
    for number, line in enumerate(_lines(file)):
        if blank and line.startswith(b"From ") and _FROM.match(line):
            if first:
                yield first, b"".join(_without_last_blank(lines))
            first, lines = line, []
        elif number == 0:
            raise TransferFault(f"{place}: no mbox file: it does not begin with a From line")
        else:
            lines.append(line)
        blank = not line.strip()
    if first:
        yield first, b"".join(_without_last_blank(lines))


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(limits.TRANSFER_LINE):
        yield line


def _without_last_blank(lines: list[bytes]) -> list[bytes]:
    return lines[:-1] if lines and not lines[-1].strip() else lines


def _message(first: bytes, text: bytes, uid_validity: int, seen: Counter[str]) -> Message:
    text = with_lf(text)
    head, gap, body = text.partition(b"\n\n")
    facts: dict[str, str] = {}
    for name, value in _OURS.findall(head + b"\n"):
        facts.setdefault(name.decode().lower(), value.decode("ascii", "replace").strip())
    head = _OURS.sub(b"", head + b"\n")
    raw = with_crlf(_QUOTED.sub(rb"\1", head + gap[1:] + body if gap else head))
    digest = hashlib.sha256(raw).hexdigest()
    seen[digest] += 1
    base = (facts.get("x-imapbase") or facts.get("x-imap") or "").split()
    uid = facts.get("x-uid", "")
    letters = facts.get("status", "") + facts.get("x-status", "")
    keywords = facts.get("x-keywords", "").split()
    return Message(
        raw=raw,
        received_at=_from_date(first),
        flags=(*(flag for letter, flag in _FLAGS.items() if letter in letters), *keywords),
        key=f"{digest}.{seen[digest]}",
        uid=int(uid) if uid.isdigit() else 0,
        uid_validity=int(base[0]) if base and base[0].isdigit() else uid_validity,
    )


def _from_date(line: bytes) -> int:
    """The date of a From line, as asctime writes it (RFC 4155 §A) or nearly; 0: none to be had."""
    match = _FROM.match(line)
    text = match[2].decode("ascii", "replace").strip() if match is not None else ""
    for form in ("%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M %Y"):
        try:
            return timegm(time.strptime(text, form))
        except ValueError:
            continue
    found = parse_date(text)
    return 0 if found is None else found.seconds


# --- writing ------------------------------------------------------------------------------------------------


class MboxTarget:
    """A folder of mbox files. How far each has come stands beside them, so that an export can go on."""

    remembers = True

    def __init__(self, place: Path) -> None:
        self._place = place
        self.name = f"mbox:{place.resolve()}"
        self._file: BinaryIO | None = None
        self._names = Names()
        self._state: dict[str, tuple[int, int, int]] = {}
        """Mailbox → UIDVALIDITY, last UID, octets."""
        self._uid = 0
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (place / STATE).exists():
                known = (place / STATE).read_bytes()
                self._state = msgspec.json.decode(known, type=dict[str, tuple[int, int, int]])
        except (OSError, msgspec.MsgspecError) as fault:
            raise TransferFault(f"{place / STATE}: {fault}; without it all is exported again") from fault

    def open(self, folder: FolderInfo) -> int:
        """Open a file where the last finished batch ended."""
        self.close()
        path = self._place / f"{safe_path(folder.name)}{SUFFIX}"
        self._names.give(str(path), folder.name)
        validity, uid, octets = self._state.get(folder.name, (0, 0, 0))
        if validity != folder.uid_validity:
            uid = octets = 0
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._file = os.fdopen(descriptor, "r+b")
            if os.fstat(descriptor).st_size < octets:
                uid = octets = 0  # what an earlier run wrote is not there any more: it is written again
            self._file.truncate(octets)
            self._file.seek(octets)
        except OSError as fault:
            raise TransferFault(f"{path}: {fault.strerror or fault}") from fault
        self._uid = uid
        return uid

    def put(self, folder: FolderInfo, message: Message) -> None:
        """Append a message."""
        assert self._file is not None
        first = self._file.tell() == 0
        try:
            self._file.write(_written(folder, message, first=first))
        except OSError as fault:
            raise TransferFault(f"{folder.name}: {fault.strerror or fault}") from fault
        self._uid = message.uid

    def done(self, folder: FolderInfo) -> None:
        """Make it durable and note how far it has come."""
        assert self._file is not None
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._state[folder.name] = (folder.uid_validity, self._uid, self._file.tell())
            unfinished = self._place / f"{STATE}.part"
            unfinished.write_text(json.dumps(self._state))
            unfinished.replace(self._place / STATE)
        except OSError as fault:
            raise TransferFault(f"{folder.name}: {fault.strerror or fault}") from fault

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None


def _written(folder: FolderInfo, message: Message, *, first: bool) -> bytes:
    date = time.asctime(time.gmtime(message.received_at))
    letters = {letter for letter, flag in _FLAGS.items() if flag in message.flags}
    status = "R" if "R" in letters else ""
    keywords = [flag for flag in message.flags if not flag.startswith("\\")]
    lines = [f"From posthouse {date}"]
    if first:
        lines.append(f"X-IMAPbase: {folder.uid_validity} {folder.uid_next}")
    lines += [f"X-UID: {message.uid}", f"Status: {status}O", f"X-Status: {''.join(sorted(letters - {'R'}))}"]
    if keywords:
        lines.append(f"X-Keywords: {' '.join(keywords)}")
    text = _TO_QUOTE.sub(rb">\1", with_lf(message.raw))
    return "\n".join(lines).encode() + b"\n" + text + (b"\n" if text.endswith(b"\n") else b"\n\n")


def safe_path(name: str) -> str:
    """A mailbox name as a relative path that stays below its folder."""
    parts = [part.replace("\0", "_") for part in name.split("/")]
    return "/".join(f"_{part}" if part in ("", ".", "..") or part.startswith(".") else part for part in parts)
