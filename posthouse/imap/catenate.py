"""A message put together of pieces (CATENATE, RFC 4469): what the client sends, and what other messages already hold.

A piece is copied as FETCH BODY.PEEK[…] would give it, from any mailbox that the login may read, its own or another's;
what it may not read is a bad URL like what is not there. Little is kept in memory; more goes to staging as it comes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.imap.fetch_args import Section
from posthouse.imap.fetch_large import Large
from posthouse.imap.mailboxes_seen import find
from posthouse.imap.refusal import No
from posthouse.imap.session import Session
from posthouse.imap.url import BadUrl, MessageUrl, Server, parse_message_url
from posthouse.message.mime import decode_parts
from posthouse.store.interface import Staging
from posthouse.store.model import Content

if TYPE_CHECKING:
    from posthouse.store.interface import Store


class Assembly:
    """The octets of one message as they come in."""

    def __init__(self, store: Store, memory: int, staged: list[Staging]) -> None:
        """`memory`: octets that may be held; `staged`: where what is staged is noted, to be discarded."""
        self._store = store
        self._memory = memory
        self._staged = staged
        self._staging: Staging | None = None
        self._held: list[bytes] = []
        self.size = 0

    @property
    def held(self) -> int:
        """Octets in memory."""
        return 0 if self._staging is not None else self.size

    def takes(self, size: int) -> bool:
        """Whether so many octets that are to come may be held in memory; if not, they will be staged."""
        if self._staging is None and self.size + size > self._memory:
            self._staging = self._store.stage()
            self._staged.append(self._staging)
        return self._staging is None

    async def write(self, octets: bytes) -> None:
        """Append octets. No: they cannot be stored."""
        check_octets(octets)
        if self.takes(len(octets)):
            self._held.append(octets)
        elif self._staging is not None:
            held, self._held = self._held, []
            for each in held:
                await self._staging.write(each)
            await self._staging.write(octets)
        self.size += len(octets)

    async def finish(self) -> Content:
        """The whole message."""
        if self._staging is not None:
            return await self._staging.finish()
        return Content.of(b"".join(self._held))


def check_octets(raw: bytes) -> None:
    """Raises No for what no message may hold."""
    if b"\0" in raw:
        # RFC 3516 §4.4: NUL needs the binary transfer encoding, which the mailboxes here do not store.
        raise No(b"UNKNOWN-CTE", "A message with NUL octets cannot be stored")


class Piece:
    """What a URL means: so many octets, to be read."""

    def __init__(self, size: int, octets: AsyncIterator[bytes]) -> None:
        self.size = size
        self.octets = octets


async def piece_of(session: Session, url: bytes) -> Piece:
    """What a URL points to. No [BADURL]."""
    try:
        # RFC 4469 §3: relative to the user's root, or to the selected mailbox
        server = Server(
            frozenset(name.lower() for name in session.services.names()),
            session.account.address,
            "" if session.view is None else session.view.mailbox_name,
        )
        return await _find(session, parse_message_url(url, server))
    except (BadUrl, NotFound) as error:
        raise bad_url(url, str(error)) from None


def bad_url(url: bytes, words: str) -> No:
    """RFC 4469 §4.1. What may not stand in a response code is percent-encoded."""
    safe = b"".join(
        b"%c" % octet if 0x20 < octet < 0x7F and octet != 0x5D else b"%%%02X" % octet for octet in url
    )
    return No(b"BADURL " + safe, words or "No such message")


async def _find(session: Session, url: MessageUrl) -> Piece:
    seen = await find(session, url.mailbox)
    if seen is None or "r" not in seen.rights:
        raise BadUrl("No such mailbox")
    account_id = seen.mailbox.account_id
    index = await session.store.index(account_id, seen.mailbox.mailbox_id)
    if url.uid_validity not in (None, index.uid_validity):
        raise BadUrl("The mailbox has another UIDVALIDITY")
    place = index.position(url.uid)
    if place is None:
        raise BadUrl("No such message")
    email_id = index.email_ids[place]
    (stored,) = await session.store.stored(account_id, [email_id])
    (row,) = await session.store.emails(account_id, [email_id], ["parts"])
    if stored is None or row is None:
        raise BadUrl("No such message")
    return await _piece(Large(session.store, stored, decode_parts(row[0])), url.section)


async def _piece(large: Large, section: Section) -> Piece:
    span = large.span(section)
    if span is None:
        raise BadUrl("The message has no such part")
    if section.fields:
        octets = await large.fields(section, span)
        return Piece(len(octets), _once(octets))
    return Piece(span.end - span.start, large.read(span))


async def _once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def check_url_size(size: int) -> None:
    """Raises No for a URL that is announced as a literal too long for one."""
    if size > limits.IMAP_URL:
        raise No(b"TOOBIG", "The URL is too long")
