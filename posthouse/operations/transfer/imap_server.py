"""Another IMAP server as source or target, through the standard library's client.

`imaps://user@host` or `imap://user@host` (then STARTTLS is used where it is offered, and demanded unless the host
is this machine). A mailbox behind it, `imaps://user@host/Archive`, means that one alone. Certificates are checked
unless told otherwise.
"""

from __future__ import annotations

import imaplib
import ipaddress
import re
import ssl
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

from posthouse import limits
from posthouse.imap import mailbox_name
from posthouse.message.date import format_internal_date, parse_internal_date
from posthouse.net.tls import client_context
from posthouse.operations.transfer.model import FolderInfo, Known, Message, TransferFault

T = TypeVar("T")
SCHEMES: Final = ("imap", "imaps")
_LIST: Final = re.compile(rb'\(([^)]*)\) (NIL|"(?:[^"\\]|\\.)") (.*)', re.DOTALL)
_NAMESPACES: Final = re.compile(rb"(?:NIL|\(\(.*?\)\)) (NIL|\(\(.*?\)\)) ", re.DOTALL)
_PREFIX: Final = re.compile(rb'\("((?:[^"\\]|\\.)*)" ')
_ROLES: Final = {name: name[1:] for name in ("\\drafts", "\\sent", "\\junk", "\\trash", "\\archive")}
# RFC 6154 §2: these show what other mailboxes hold.
_VIRTUAL: Final = {"\\all", "\\flagged", "\\noselect", "\\nonexistent"}
_FACTS: Final = re.compile(
    rb'UID (?P<uid>\d+)|FLAGS \((?P<flags>[^)]*)\)|INTERNALDATE "(?P<date>[^"]+)"|RFC822\.SIZE (?P<size>\d+)'
)


def is_address(text: str) -> bool:
    """Whether this names an IMAP server."""
    return text.partition("://")[0].lower() in SCHEMES


def _words(fault: Exception) -> str:
    """What went wrong; imaplib gives a server's NO as octets."""
    said = fault.args[0] if fault.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(fault)


class _Server:
    """A logged-in connection."""

    def __init__(self, url: str, password: str, *, verify: bool) -> None:
        parts = urlsplit(url)
        if not parts.hostname or not parts.username:
            raise TransferFault(f"{url}: write imaps://user@host")
        user = unquote(parts.username)
        self.only = unquote(parts.path.lstrip("/"))
        self.separator = "/"
        self.name = f"imap:{user}@{parts.hostname.lower()}"
        self._client = self._do("connect", lambda: _connect(parts, verify=verify))
        if not any(word in self._client.capabilities for word in ("IMAP4REV1", "IMAP4REV2")):
            raise TransferFault(f"{parts.hostname}: it does not speak IMAP4rev1")
        self.ask("log in", lambda: self._client.login(user, password))

    def _do(self, what: str, work: Callable[[], T]) -> T:
        try:
            return work()
        except (imaplib.IMAP4.error, OSError, ValueError) as fault:
            raise TransferFault(f"{self.name}: cannot {what}: {_words(fault)}") from fault

    def ask(self, what: str, work: Callable[[], tuple[str, Any]]) -> Any:
        """The data of an answer. TransferFault when it is not OK."""
        kind, data = self._do(what, work)
        if kind != "OK":
            text = data[-1].decode("utf-8", "replace") if data and isinstance(data[-1], bytes) else str(data)
            raise TransferFault(f"{self.name}: cannot {what}: {text}")
        return data

    @property
    def client(self) -> imaplib.IMAP4:
        """The connection."""
        return self._client

    def folders(self) -> list[FolderInfo]:
        """All mailboxes that can be selected, are no views of others and not other people's, unless it is named."""
        found = []
        others = () if self.only else self._others()
        for line in self.ask("list mailboxes", self._client.list):
            raw = b"".join(line) if isinstance(line, tuple) else line
            match = _LIST.match(raw or b"")
            if match is None:
                continue
            flags = {flag.lower() for flag in match[1].decode("ascii", "replace").split()}
            self.separator = "/" if match[2] == b"NIL" else match[2][1:-1].decode().lstrip("\\") or "\\"
            place = _unquoted(line, match[3])
            if flags & _VIRTUAL or (self.only and place != self.wire_name(self.only)):
                continue
            if place.startswith(others):
                continue
            role = next((_ROLES[flag] for flag in flags if flag in _ROLES), "")
            found.append(FolderInfo(name=self._our_name(place), place=place, role=role))
        if self.only and not found:
            raise TransferFault(f"{self.name}: no mailbox {self.only}")
        return found

    def _others(self) -> tuple[str, ...]:
        """The prefixes of what others share with this login (RFC 2342 §5); none from a server that does not say."""
        try:
            kind, data = self._client.namespace()
        except (imaplib.IMAP4.error, OSError):
            return ()
        match = _NAMESPACES.match(data[0] or b"") if kind == "OK" and data else None
        prefixes = _PREFIX.findall(match[1]) if match is not None else []
        # an empty prefix would be everything
        return tuple(re.sub(rb"\\(.)", rb"\1", each).decode("utf-8", "replace") for each in prefixes if each)

    def _our_name(self, place: str) -> str:
        levels = place.split(self.separator)
        levels = [level.replace("/", "_") for level in levels]
        return mailbox_name.decode("/".join(levels).encode(), utf8=False)

    def wire_name(self, name: str) -> str:
        """Our name of a mailbox as the server calls it."""
        encoded = mailbox_name.encode(name, utf8=False).decode()
        return self.separator.join(level.replace(self.separator, "_") for level in encoded.split("/"))

    def close(self) -> None:
        """Log out."""
        try:
            self._client.logout()
        except (imaplib.IMAP4.error, OSError):
            pass


def _connect(parts: SplitResult, *, verify: bool) -> imaplib.IMAP4:
    host = parts.hostname or ""
    context = client_context(verify)
    if parts.scheme == "imaps":
        return imaplib.IMAP4_SSL(
            host, parts.port or 993, ssl_context=context, timeout=limits.TRANSFER_IMAP_TIMEOUT
        )
    client = imaplib.IMAP4(host, parts.port or 143, timeout=limits.TRANSFER_IMAP_TIMEOUT)
    if "STARTTLS" in client.capabilities:
        client.starttls(ssl_context=context)
    elif not _is_here(host):
        client.shutdown()
        raise ssl.SSLError("no STARTTLS there, and a password does not go over the network in clear")
    return client


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _unquoted(line: object, name: bytes) -> str:
    if isinstance(line, tuple):  # a literal: the name as it is
        return bytes(line[1]).decode("utf-8", "replace")
    if name.startswith(b'"'):
        name = re.sub(rb"\\(.)", rb"\1", name[1:-1])
    return name.decode("utf-8", "replace")


def _quoted(place: str) -> str:
    return '"' + place.replace("\\", "\\\\").replace('"', '\\"') + '"'


class ImapSource(_Server):
    """A server to import from. Nothing is changed there: mailboxes are opened with EXAMINE, bodies read with PEEK."""

    def __init__(self, url: str, password: str, *, verify: bool) -> None:
        super().__init__(url, password, verify=verify)
        self.unread: list[str] = []

    def messages(self, folder: FolderInfo, known: Known) -> Iterator[Message]:
        """The messages of a mailbox, by UID."""
        self.ask(f"open {folder.name}", lambda: self.client.select(_quoted(folder.place), readonly=True))
        validity = int(self.client.response("UIDVALIDITY")[1][0] or 0)
        (listed,) = self.ask("search", lambda: self.client.uid("SEARCH", "ALL")) or [b""]
        uids = sorted(map(int, (listed or b"").split()))
        for start in range(0, len(uids), limits.TRANSFER_BATCH):
            some = uids[start : start + limits.TRANSFER_BATCH]
            keys = {f"{validity}.{uid}": uid for uid in some}
            there = known(folder, list(keys))
            wanted = [uid for key, uid in keys.items() if key not in there]
            for batch in self._batches(wanted):
                given: set[int] = set()
                for message in self._fetch(batch, validity):
                    given.add(message.uid)
                    yield message
                # A server that cannot read a message says NIL, or nothing: that is no reason to believe it was taken.
                missing = [uid for uid in batch if uid not in given]
                self.unread += [f"{folder.name} uid {uid}: the server does not give it" for uid in missing]

    def _batches(self, uids: list[int]) -> Iterator[list[int]]:
        """Portions whose sizes together stay within TRANSFER_OCTETS."""
        if not uids:
            return
        sizes: dict[int, int] = {}
        for facts, _ in self._answers(uids, "(UID RFC822.SIZE)"):
            sizes[int(facts["uid"])] = int(facts.get("size", 0))
        batch: list[int] = []
        octets = 0
        for uid in uids:
            if uid not in sizes:
                continue  # expunged meanwhile
            if batch and octets + sizes[uid] > limits.TRANSFER_OCTETS:
                yield batch
                batch, octets = [], 0
            batch.append(uid)
            octets += sizes[uid]
        if batch:
            yield batch

    def _fetch(self, uids: list[int], validity: int) -> Iterator[Message]:
        for facts, raw in self._answers(uids, "(UID FLAGS INTERNALDATE BODY.PEEK[])"):
            if raw is None:
                continue
            date = parse_internal_date(facts.get("date", b"").decode("ascii", "replace"))
            uid = int(facts["uid"])
            yield Message(
                raw=raw,
                received_at=0 if date is None else date.seconds,
                flags=tuple(facts.get("flags", b"").decode("utf-8", "replace").split()),
                key=f"{validity}.{uid}",
                uid=uid,
                uid_validity=validity,
            )

    def _answers(self, uids: list[int], items: str) -> Iterator[tuple[dict[str, bytes], bytes | None]]:
        listed = ",".join(map(str, uids))
        data = self.ask("fetch", lambda: self.client.uid("FETCH", listed, items)) or []
        pending: tuple[bytes, bytes | None] | None = None
        for part in data:
            if isinstance(part, tuple):
                pending = part[0], part[1]
                continue
            if part is None:
                continue
            text, raw = (pending[0] + part, pending[1]) if pending is not None else (part, None)
            pending = None
            facts = {
                name: value
                for match in _FACTS.finditer(text)
                for name, value in match.groupdict().items()
                if value is not None
            }
            if "uid" in facts:
                yield facts, raw


class ImapTarget(_Server):
    """A server to export to. What was appended in earlier runs the store remembers by marks, not the server."""

    remembers = False

    def __init__(self, url: str, password: str, *, verify: bool) -> None:
        super().__init__(url, password, verify=verify)
        self._places = {folder.name: folder.place for folder in self.folders()}
        self._by_role = {folder.role: folder.place for folder in self.folders() if folder.role}

    def open(self, folder: FolderInfo) -> int:
        """Make the mailbox when it is missing; 0: ask the marks."""
        place = self._by_role.get(folder.role) or self._places.get(folder.name)
        if place is None:
            place = self.wire_name(folder.name)
            self.ask(f"make {folder.name}", lambda: self.client.create(_quoted(place)))
            self.client.subscribe(_quoted(place))
        self._places[folder.name] = place
        return 0

    def put(self, folder: FolderInfo, message: Message) -> None:
        """APPEND it with flags and date."""
        flags = " ".join(flag for flag in message.flags if flag.lower() != "\\recent")
        date = f'"{format_internal_date(message.received_at)}"'
        place = _quoted(self._places[folder.name])
        self.ask("append", lambda: self.client.append(place, f"({flags})", date, message.raw))

    def done(self, folder: FolderInfo) -> None:
        """Each APPEND was answered."""
