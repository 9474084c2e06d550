"""The arguments of APPEND, line by line around its literals (RFC 9051 §9, 3502, 4466 §3, 4469, 6855 §4). Pure."""

from __future__ import annotations

import enum
import re
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap.grammar import Reader

_LITERAL_HEADER: Final = re.compile(rb"~?\{[0-9]{1,20}\+?\}\Z")


class Awaited(enum.Enum):
    """What the literal is that ends a line."""

    MESSAGE = "message"
    """A whole message."""
    TEXT = "text"
    """A piece of a message that is put together."""
    URL = "url"
    """Where a piece is to be copied from."""


class Pieces(msgspec.Struct, frozen=True, kw_only=True):
    """What one line says of a message: a literal to come, and with CATENATE the URLs before it."""

    urls: tuple[bytes, ...] = ()
    awaited: Awaited | None
    """None: the message ends with the URLs."""
    utf8: bool = False
    """The literal comes as `UTF8 (~{…}…)`."""

    @property
    def count(self) -> int:
        """How many pieces these are."""
        return len(self.urls) + (self.awaited is not None)


class MessageHead(msgspec.Struct, frozen=True):
    """What stands before one message, and its first pieces."""

    flags: frozenset[str]
    received_at: int | None
    """The date-time given, or None."""
    pieces: Pieces


class AppendArgs(msgspec.Struct, frozen=True):
    """APPEND up to its first literal, or all of it."""

    mailbox: str
    heads: tuple[MessageHead, ...]


def parse_append(reader: Reader, uid: bool) -> AppendArgs:
    """`SP mailbox` and the messages that begin on this line."""
    reader.sp()
    mailbox = reader.mailbox()
    return AppendArgs(mailbox, message_heads(reader))


def message_heads(reader: Reader) -> tuple[MessageHead, ...]:
    """append-message (RFC 4466 §3) until a literal is awaited or the command ends."""
    heads = [_head(reader)]
    while heads[-1].pieces.awaited is None and not reader.at_end():
        if len(heads) > limits.IMAP_APPEND_MESSAGES:
            raise reader.fail("Too many messages in one APPEND")
        heads.append(_head(reader))
    return tuple(heads)


def pieces_after(reader: Reader, before: Pieces) -> Pieces | None:
    """What follows a literal: further pieces of the message, or None where it is complete."""
    if before.utf8:
        reader.expect(b")")
    if before.awaited is Awaited.MESSAGE or reader.accept(b")"):
        return None
    reader.sp()
    return _pieces(reader)


def _head(reader: Reader) -> MessageHead:
    reader.sp()
    flags: frozenset[str] = frozenset()
    received_at = None
    if reader.peek(b"("):
        flags = reader.flag_list()
        reader.sp()
    if reader.peek(b'"'):
        received_at = reader.date_time()
        reader.sp()
    if reader.accept(b"CATENATE ("):  # RFC 4469 §5
        return MessageHead(flags, received_at, _pieces(reader))
    utf8 = reader.accept(b"UTF8 (")
    reader.match(_LITERAL_HEADER, "A message literal")
    return MessageHead(flags, received_at, Pieces(awaited=Awaited.MESSAGE, utf8=utf8))


def _pieces(reader: Reader) -> Pieces:
    """`cat-part *(SP cat-part)` up to a literal, or with the parenthesis at the end."""
    urls: list[bytes] = []
    while True:
        utf8 = reader.accept(b"UTF8 (")  # RFC 6855 §4
        if utf8 or reader.accept(b"TEXT "):
            reader.match(_LITERAL_HEADER, "A literal")
            return Pieces(urls=tuple(urls), awaited=Awaited.TEXT, utf8=utf8)
        reader.expect(b"URL ")
        if _LITERAL_HEADER.match(reader.raw, reader.pos):
            return Pieces(urls=tuple(urls), awaited=Awaited.URL)
        urls.append(reader.astring())
        if reader.accept(b")"):
            return Pieces(urls=tuple(urls), awaited=None)
        reader.sp()
