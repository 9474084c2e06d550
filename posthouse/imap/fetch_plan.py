"""How a FETCH is rendered: one template and a list of columns, chosen once per command from its items.

A batch of messages is first taken from the mailbox's arrays (`take`, without an await), then filled with what must be
read from the store (`fill`), and then rendered: every item of the plan gives the columns that its part of the template
needs. Nothing branches per message, save for a section that a message does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, cast

import msgspec

from posthouse import limits
from posthouse.imap import encode
from posthouse.imap.binary import UnknownEncoding, decode
from posthouse.imap.fetch_args import Attribute, Decoding, Item, Section, Text
from posthouse.imap.refusal import No
from posthouse.imap.rows import DateTexts, FlagTexts, Rows, lines
from posthouse.imap.section import cutter, field_filter, find_span
from posthouse.message.mime import Part, decode_parts
from posthouse.message.section import find_part
from posthouse.message.structure import body
from posthouse.store.interface import Store
from posthouse.store.mailbox_index import MailboxIndex

Column = Iterable[object]


class Batch:
    """Some messages with what the plan needs of them. All columns are equally long."""

    __slots__ = (
        "dates", "email_ids", "emails", "flags", "mailbox_id", "modseqs", "numbers", "origins", "parts", "raws",
        "received", "saved", "sizes", "texts", "threads", "uids", "utf8",
    )  # fmt: skip

    def __init__(self, rows: Rows, index: MailboxIndex, texts: FlagTexts, *, utf8: bool) -> None:
        """Takes the arrays' columns: no await may stand between the making of `rows` and this."""
        self.numbers: Sequence[int] = rows.numbers
        self.uids = rows.column(index.uids)
        self.flags = rows.column(index.flags)
        self.modseqs = rows.column(index.modseqs)
        self.sizes = rows.column(index.sizes)
        self.received = rows.column(index.received)
        self.email_ids = rows.column(index.email_ids)
        self.mailbox_id = index.mailbox_id
        self.saved: Sequence[int | None] = ()
        self.texts = texts
        self.dates = DateTexts()
        self.utf8 = utf8
        self.emails: dict[str, Sequence[Any]] = {}
        self.raws: Sequence[bytes] = ()
        self.origins: Sequence[int] = ()
        self.threads: Sequence[int] = ()
        self.parts: list[Part] = []

    def __len__(self) -> int:
        return len(self.uids)

    def part(self, first: int, last: int) -> Batch:
        """The messages from `first` to before `last`; only before `fill`."""
        return self._keep(lambda column: column[first:last])

    def _keep(self, keep: Callable[[Sequence[Any]], Sequence[Any]]) -> Batch:
        kept = Batch.__new__(Batch)
        for name in ("numbers", "uids", "flags", "modseqs", "sizes", "received", "email_ids"):
            setattr(kept, name, keep(getattr(self, name)))
        kept.mailbox_id, kept.saved = self.mailbox_id, keep(self.saved)
        kept.texts, kept.dates, kept.utf8 = self.texts, self.dates, self.utf8
        kept.raws, kept.parts = keep(self.raws), list(keep(self.parts))
        kept.origins, kept.threads = keep(self.origins), keep(self.threads)
        kept.emails = {name: keep(column) for name, column in self.emails.items()}
        return kept

    def only(self, places: Sequence[int]) -> Batch:
        """The messages at these places."""
        return self._keep(lambda column: [column[i] for i in places] if len(column) else column)


class Piece(msgspec.Struct, frozen=True):
    """An item's part of the template, and the columns that fill it."""

    template: bytes
    columns: Callable[[Batch], tuple[Column, ...]]
    octets: bool = False
    """The last column is text of the messages and follows the template: it is joined as it is, not copied into it."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan must have read."""

    fields: tuple[str, ...]
    raw: bool
    origins: bool
    threads: bool
    saved: bool
    parts: bool
    header_only: bool
    """Of the raw message only the header is looked at."""

    @property
    def reads(self) -> bool:
        """Whether the store is asked at all."""
        return bool(self.fields) or self.raw or self.origins or self.threads or self.saved


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A rendering of some items."""

    items: tuple[Item, ...]
    pieces: tuple[Piece, ...]
    templates: tuple[bytes, ...]
    """One, and one more behind each piece that ends with octets."""
    needs: Needs

    def render(self, batch: Batch) -> bytes:
        """The FETCH responses of a filled batch."""
        columns: list[Column] = [batch.numbers]
        templates = iter(self.templates)
        strands: list[Iterable[bytes]] = []
        for piece in self.pieces:
            columns.extend(piece.columns(batch))
            if piece.octets:
                octets = columns.pop()
                strands += (lines(next(templates), columns), cast(Iterable[bytes], octets))
                columns = []
        strands.append(lines(next(templates), columns))
        return b"".join(strands[0] if len(strands) == 1 else chain.from_iterable(zip(*strands, strict=False)))


def plan_of(items: tuple[Item, ...]) -> Plan:
    """The plan for the items; plans of short lists are remembered."""
    octets = sum([len(item.label) for item in items if isinstance(item, Section)])
    return (make_plan if octets > limits.IMAP_FETCH_REMEMBERED else _remembered)(items)


def make_plan(items: tuple[Item, ...]) -> Plan:
    """Choose the columns for the items."""
    pieces = tuple(map(_piece, items))
    return Plan(items=items, pieces=pieces, templates=_templates(pieces), needs=_needs(items))


_remembered: Final = lru_cache(limits.IMAP_FETCHES_REMEMBERED)(make_plan)


def _templates(pieces: tuple[Piece, ...]) -> tuple[bytes, ...]:
    done: list[bytes] = []
    template = b"* %d FETCH ("
    for place, piece in enumerate(pieces):
        template += b" " + piece.template if place else piece.template
        if piece.octets:
            done.append(template)
            template = b""
    return (*done, template + b")\r\n")


def _needs(items: tuple[Item, ...]) -> Needs:
    sections = [item for item in items if isinstance(item, Section)]
    parts = any(section.part or section.decoding is not Decoding.NONE for section in sections)
    fields = dict.fromkeys(_FIELDS[item] for item in items if item in _FIELDS)
    if parts:
        fields["parts"] = None
    header_only = all(
        not section.part and section.text in (Text.HEADER, Text.FIELDS, Text.FIELDS_NOT)
        for section in sections
    )
    return Needs(
        fields=tuple(fields),
        raw=bool(sections),
        origins=Attribute.EMAILID in items,
        threads=Attribute.THREADID in items,
        saved=Attribute.SAVEDATE in items,
        parts=parts,
        header_only=header_only,
    )


async def fill(batch: Batch, needs: Needs, store: Store, account_id: int) -> Batch:
    """Read what the plan needs; messages that are gone meanwhile are left out."""
    ids = batch.email_ids
    gone: set[int] = set()
    if needs.fields:
        rows = await store.emails(account_id, ids, needs.fields)
        gone.update(i for i, row in enumerate(rows) if row is None)
        nothing = (None,) * len(needs.fields)
        columns = zip(*(row or nothing for row in rows), strict=True) if rows else ()
        batch.emails = dict(zip(needs.fields, columns, strict=False))
    if needs.origins:
        batch.origins = await store.origins(account_id, ids)
    if needs.saved:
        batch.saved = await store.saved_dates(account_id, batch.mailbox_id, batch.uids)
    # A None among the next two is dropped just below, with its whole row.
    if needs.threads:
        threads = await store.threads(account_id, ids)
        gone.update(i for i, one in enumerate(threads) if one is None)
        batch.threads = threads  # type: ignore[assignment]
    if needs.raw:
        raws = await store.messages(account_id, ids)
        gone.update(i for i, raw in enumerate(raws) if raw is None)
        batch.raws = raws  # type: ignore[assignment]
    if gone:
        batch = batch.only([i for i in range(len(batch)) if i not in gone])
    if needs.parts:
        batch.parts = [decode_parts(kept) for kept in batch.emails["parts"]]
    return batch


# --- the items --------------------------------------------------------------------------------------------


_FIELDS: Final[dict[Item, str]] = {
    Attribute.ENVELOPE: "envelope",
    Attribute.BODYSTRUCTURE: "body_structure",
    Attribute.BODY: "parts",
    Attribute.PREVIEW: "preview",
}


def _dates(batch: Batch) -> tuple[Column, ...]:
    return (map(batch.dates.date_time, batch.received),)


def _saved(batch: Batch) -> tuple[Column, ...]:
    # Of a message that was removed meanwhile nobody knows it: RFC 8514 §4.2 has NIL.
    return ([b"NIL" if each is None else batch.dates.date_time(each) for each in batch.saved],)


def _bodies(batch: Batch) -> tuple[Column, ...]:
    return ([body(decode_parts(kept)) for kept in batch.emails["parts"]],)


def _previews(batch: Batch) -> tuple[Column, ...]:
    return ([encode.string(text.encode("utf-8"), utf8=batch.utf8) for text in batch.emails["preview"]],)


_ATTRIBUTES: Final[dict[Attribute, Piece]] = {
    Attribute.FLAGS: Piece(b"FLAGS (%b)", lambda batch: (map(batch.texts.__getitem__, batch.flags),)),
    Attribute.UID: Piece(b"UID %d", lambda batch: (batch.uids,)),
    Attribute.INTERNALDATE: Piece(b"INTERNALDATE %b", _dates),
    Attribute.SAVEDATE: Piece(b"SAVEDATE %b", _saved),
    Attribute.SIZE: Piece(b"RFC822.SIZE %d", lambda batch: (batch.sizes,)),
    Attribute.MODSEQ: Piece(b"MODSEQ (%d)", lambda batch: (batch.modseqs,)),
    # RFC 8474 §5.1, §5.2: the ids of JMAP; a copy has that of what it was copied from.
    Attribute.EMAILID: Piece(b"EMAILID (M%d)", lambda batch: (batch.origins,)),
    Attribute.THREADID: Piece(b"THREADID (T%d)", lambda batch: (batch.threads,)),
    Attribute.ENVELOPE: Piece(b"ENVELOPE %b", lambda batch: (batch.emails["envelope"],)),
    Attribute.BODYSTRUCTURE: Piece(b"BODYSTRUCTURE %b", lambda batch: (batch.emails["body_structure"],)),
    Attribute.BODY: Piece(b"BODY %b", _bodies),
    Attribute.PREVIEW: Piece(b"PREVIEW %b", _previews),
}


def _piece(item: Item) -> Piece:
    if isinstance(item, Attribute):
        return _ATTRIBUTES[item]
    label = item.label.replace(b"%", b"%%")
    if item.decoding is not Decoding.NONE:
        return Piece(label + b" ", _decoded(item), octets=True)
    cut = cutter(item)
    if cut is None:
        return Piece(label + b" ", _of_part(item), octets=True)

    def columns(batch: Batch) -> tuple[Column, ...]:
        texts = [cut(raw) for raw in batch.raws]
        return map(len, texts), texts

    return Piece(label + b" {%d}\r\n", columns, octets=True)


def _literal(octets: bytes) -> bytes:
    return b"{%d}\r\n%b" % (len(octets), octets)


def _of_part(section: Section) -> Callable[[Batch], tuple[Column, ...]]:
    """A section that is found by part number; NIL where the message has none."""
    wanted = field_filter(section.text, section.fields) if section.fields else None
    partial = section.partial

    def value(raw: bytes, root: Part) -> bytes:
        span = find_span(section, root, len(raw))
        if span is None:
            return b"NIL"
        octets = raw[span.start : span.end]
        if wanted is not None:
            octets = wanted(octets)
        if partial is not None:
            octets = octets[partial.offset : partial.offset + partial.length]
        return _literal(octets)

    return lambda batch: (map(value, batch.raws, batch.parts),)


def leaf(section: Section, root: Part) -> Part | None:
    """The part of a BINARY section; None when there is none. No: it is not a leaf (RFC 9051 §6.4.5)."""
    part = find_part(root, section.part)
    if part is not None and section.part and (part.children or part.message is not None):
        raise No(b"CANNOT", "BINARY is for single parts, not for multiparts or messages")
    return part


def unknown_encoding(part: Part) -> No:
    """RFC 9051 §7.5.2: what cannot be decoded fails the command."""
    return No(b"UNKNOWN-CTE", "The content transfer encoding is unknown")


def _decoded(section: Section) -> Callable[[Batch], tuple[Column, ...]]:
    """BINARY and BINARY.SIZE."""
    partial = section.partial

    def value(raw: bytes, root: Part) -> bytes:
        part = leaf(section, root)
        if part is None:
            return b"0" if section.decoding is Decoding.SIZE else b"NIL"
        octets = raw
        if section.part:
            try:
                octets = decode(raw[part.body_start : part.body_end], part.encoding, text=part.type == "text")
            except UnknownEncoding:
                raise unknown_encoding(part) from None
        if section.decoding is Decoding.SIZE:
            return b"%d" % len(octets)
        if partial is not None:
            octets = octets[partial.offset : partial.offset + partial.length]
        # RFC 9051 §4.3.1: NUL is for literal8 only.
        return encode.literal(octets)

    return lambda batch: (map(value, batch.raws, batch.parts),)
