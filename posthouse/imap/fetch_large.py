"""FETCH of one large message: its sections stream by offsets and are never in memory as a whole.

First every length is found (a decoded section is decoded once just to count), and whatever can be refused is refused;
only then does the response begin, since a literal that has been announced must be kept. Whatever fails in the middle
of one leaves nothing to say: LocalProtocolError ends the connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.errors import LocalProtocolError
from posthouse.imap.binary import Decoder, UnknownEncoding, decoder
from posthouse.imap.fetch_args import Attribute, Decoding, Partial, Section
from posthouse.imap.fetch_plan import Batch, Plan, leaf, unknown_encoding
from posthouse.imap.section import field_filter, find_span
from posthouse.imap.session import Session
from posthouse.message.mime import Part
from posthouse.message.section import Span
from posthouse.net.faults import ConnectionFault
from posthouse.store.interface import Store
from posthouse.store.model import Stored


class Value(msgspec.Struct, frozen=True):
    """A section's value: a ready text, or a literal whose octets come later."""

    head: bytes
    length: int = 0
    octets: Callable[[], AsyncIterator[bytes]] | None = None


NIL: Final = Value(b" NIL")


class Large:
    """One message that streams."""

    __slots__ = ("_root", "_size", "_store", "_stored")

    def __init__(self, store: Store, stored: Stored, root: Part) -> None:
        self._store = store
        self._stored = stored
        self._root = root
        self._size = stored.size

    async def value(self, section: Section) -> Value:
        """What to answer for a section. No: it cannot be given."""
        if section.decoding is not Decoding.NONE:
            return await self._decoded(section)
        span = self.span(section)
        if span is None:
            return NIL
        if section.fields:
            octets = await self.fields(section, span)
            return Value(b" {%d}\r\n%b" % (len(octets), octets))
        return Value(b" {%d}\r\n" % (span.end - span.start), span.end - span.start, lambda: self.read(span))

    def span(self, section: Section) -> Span | None:
        """Where a section lies: for header fields the whole header, else what is asked for of it. None: nowhere."""
        span = find_span(section, self._root, self._size)
        if span is None or section.fields or section.partial is None:
            return span
        return span.partial(section.partial.offset, section.partial.length)

    async def fields(self, section: Section, span: Span) -> bytes:
        """The header fields of a section."""
        length = min(span.end - span.start, limits.IMAP_HEADER_READ)
        header = await self._store.read(self._stored, span.start, length)
        octets = field_filter(section.text, section.fields)(header)
        if section.partial is not None:
            octets = octets[section.partial.offset :][: section.partial.length]
        return octets

    async def read(self, span: Span) -> AsyncIterator[bytes]:
        """The octets, in pieces."""
        start = span.start
        while start < span.end:
            length = min(limits.IMAP_WHOLE, span.end - start)
            yield await self._store.read(self._stored, start, length)
            start += length

    async def _decoded(self, section: Section) -> Value:
        part = leaf(section, self._root)
        if part is None:
            return Value(b" 0") if section.decoding is Decoding.SIZE else NIL
        span = Span(part.body_start, part.body_end) if section.part else Span(0, self._size)
        encoding, text = (part.encoding, part.type == "text") if section.part else ("binary", False)

        def make() -> Decoder:
            return decoder(encoding, text=text)

        try:
            make()
        except UnknownEncoding:
            raise unknown_encoding(part) from None
        length, nul = 0, False
        async for octets in self._decode(span, make()):
            length += len(octets)
            nul = nul or b"\0" in octets
        if section.decoding is Decoding.SIZE:
            return Value(b" %d" % length)
        window = section.partial or Partial(0, length)
        wanted = max(min(window.length, length - window.offset), 0)
        # RFC 9051 §4.3.1: octets with NUL are a literal8.
        head = b" %b{%d}\r\n" % (b"~" if nul else b"", wanted)
        return Value(head, wanted, lambda: _window(self._decode(span, make()), window.offset, wanted))

    async def _decode(self, span: Span, one: Decoder) -> AsyncIterator[bytes]:
        async for octets in self.read(span):
            yield one.feed(octets)
        yield one.finish()


async def _window(source: AsyncIterator[bytes], offset: int, length: int) -> AsyncIterator[bytes]:
    """`length` octets of a stream from `offset` on."""
    async for octets in source:
        kept = octets[offset : offset + length]
        offset = max(offset - len(octets), 0)
        length -= len(kept)
        yield kept
        if not length:
            return


async def send_large(session: Session, account_id: int, plan: Plan, batch: Batch) -> int:
    """Answer for the one message of the batch; 0 when it is gone, else 1."""
    stored = (await session.store.stored(account_id, batch.email_ids))[0]
    if stored is None:
        return 0
    large = Large(session.store, stored, batch.parts[0])
    values = [await large.value(item) for item in plan.items if isinstance(item, Section)]
    session.send(b"* %d FETCH (" % batch.numbers[0])
    following = iter(values)
    for place, (item, piece) in enumerate(zip(plan.items, plan.pieces, strict=True)):
        if place:
            session.send(b" ")
        if isinstance(item, Attribute):
            session.send(piece.template % tuple(next(iter(column)) for column in piece.columns(batch)))
        else:
            await _send_value(session, item, next(following))
    session.send(b")\r\n")
    return 1


async def _send_value(session: Session, section: Section, value: Value) -> None:
    session.send(section.label + value.head)
    if value.octets is None:
        return
    left = value.length
    try:
        async for octets in value.octets():
            left -= len(octets)
            session.send(octets)
            await session.flush()
    except ConnectionFault:
        raise
    except Exception as error:  # a reply to it would be taken for text of the message
        raise LocalProtocolError("The message could not be read to its end") from error
    if left:
        raise LocalProtocolError("The message is shorter than was announced")
