"""FETCH's arguments (RFC 9051 §6.4.5, §9 fetch-att; RFC 7162 §3.1.4.1, §3.2.6; RFC 8474; RFC 8970), parsed and pure.

An item is either an Attribute, whose value is a number, a text or a ready structure, or a Section, whose
value is octets of the message. `label` is how the response names a section: RFC822.HEADER answers by its
own name, and a partial fetch names its first octet.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from posthouse import limits
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.partial_range import PartialRange, parse_partial_range
from posthouse.imap.sequence import SequenceSet, parse_sequence_set


class Attribute(enum.Enum):
    """An item whose value is kept ready."""

    FLAGS = b"FLAGS"
    UID = b"UID"
    INTERNALDATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    MODSEQ = b"MODSEQ"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    ENVELOPE = b"ENVELOPE"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"
    PREVIEW = b"PREVIEW"
    SAVEDATE = b"SAVEDATE"


class Text(enum.Enum):
    """Which octets of a message or part (section-text, section-msgtext)."""

    CONTENT = b""
    HEADER = b"HEADER"
    FIELDS = b"HEADER.FIELDS"
    FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


class Decoding(enum.Enum):
    """BODY, BINARY or BINARY.SIZE."""

    NONE = "none"
    BINARY = "binary"
    SIZE = "size"


class Partial(msgspec.Struct, frozen=True):
    """`<offset.length>`, in octets."""

    offset: int
    length: int


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A section of a message: `BODY[1.2.HEADER.FIELDS (DATE)]<0.100>`."""

    part: tuple[int, ...] = ()
    text: Text = Text.CONTENT
    fields: tuple[bytes, ...] = ()
    """Header field names in lower case, for FIELDS and FIELDS_NOT."""
    partial: Partial | None = None
    decoding: Decoding = Decoding.NONE
    label: bytes
    """The item's name in the response, without the value."""


Item = Attribute | Section


class FetchArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What a FETCH or UID FETCH asks for."""

    messages: SequenceSet
    uid: bool
    items: tuple[Item, ...]
    """Without repetitions, in the order asked."""
    sets_seen: bool
    r"""An item without PEEK is among them, so `\Seen` is set."""
    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None
    """Only this part of the set's messages (RFC 9394 §3.3)."""


FAST: Final = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.SIZE)
MACROS: Final[dict[bytes, tuple[Attribute, ...]]] = {
    b"ALL": (*FAST, Attribute.ENVELOPE),
    b"FAST": FAST,
    b"FULL": (*FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_RFC822: Final = {  # RFC 3501 §6.4.5: the old names, each with its own label; only RFC822.HEADER is a PEEK
    b"RFC822": (Section(label=b"RFC822"), True),
    b"RFC822.HEADER": (Section(text=Text.HEADER, label=b"RFC822.HEADER"), False),
    b"RFC822.TEXT": (Section(text=Text.TEXT, label=b"RFC822.TEXT"), True),
}
_SECTION_NAMES: Final = {
    b"BODY": (Decoding.NONE, False),
    b"BODY.PEEK": (Decoding.NONE, True),
    b"BINARY": (Decoding.BINARY, False),
    b"BINARY.PEEK": (Decoding.BINARY, True),
    b"BINARY.SIZE": (Decoding.SIZE, True),
}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PART = re.compile(rb"[1-9][0-9]{0,9}")
_FIELDS = (Text.FIELDS, Text.FIELDS_NOT)
_PLAIN_FIELD = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')


class Modifiers(msgspec.Struct, frozen=True, kw_only=True):
    """fetch-modifiers (RFC 4466 §2.4)."""

    changed_since: int | None = None
    vanished: bool = False
    partial: PartialRange | None = None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a FETCH asks for of each message."""

    items: tuple[Item, ...]
    sets_seen: bool
    modifiers: Modifiers


def parse_fetch(reader: Reader, uid: bool) -> FetchArgs:
    """Everything behind `FETCH`. Raises BadSyntax."""
    reader.sp()
    messages = _messages(reader)
    reader.sp()
    raw = reader.raw[reader.pos :]
    try:
        wanted = (_wanted if len(raw) > limits.IMAP_FETCH_REMEMBERED else _remembered)(raw, uid)
    except BadSyntax as error:
        raise BadSyntax(error.public, reader.pos + error.offset) from None
    return FetchArgs(
        messages=messages,
        uid=uid,
        items=wanted.items,
        sets_seen=wanted.sets_seen,
        changed_since=wanted.modifiers.changed_since,
        vanished=wanted.modifiers.vanished,
        partial=wanted.modifiers.partial,
    )


def _wanted(raw: bytes, uid: bool) -> Wanted:
    """Everything behind the message set."""
    reader = Reader(raw)
    found: dict[Item, bool] = {}
    if reader.peek(b"("):
        reader.parenthesized(lambda: _item(reader, found))
    elif (macro := _macro(reader)) is not None:
        found.update(dict.fromkeys(macro, False))
    else:
        _item(reader, found)
    if len(found) > limits.IMAP_FETCH_ITEMS:
        raise reader.fail("Too many data items")
    modifiers = _modifiers(reader, uid)
    reader.end()
    if modifiers.changed_since is not None:  # RFC 7162 §3.1.4.1: it implicitly adds the MODSEQ item
        found.setdefault(Attribute.MODSEQ, False)
    if uid and Attribute.UID not in found:  # RFC 9051 §6.4.9: UID is implicitly included
        found = {Attribute.UID: False, **found}
    return Wanted(
        items=tuple(found),
        sets_seen=any(found.values()),
        modifiers=modifiers,
    )


_remembered: Final = lru_cache(limits.IMAP_FETCHES_REMEMBERED)(_wanted)
"""A client asks in the same few words all day, and parsing them is a sixth of a small FETCH."""


def parse_items(reader: Reader) -> dict[Item, bool]:
    r"""`"(" fetch-att *(SP fetch-att) ")"` outside of a FETCH (RFC 5465 §5.2); of each, whether it sets `\Seen`."""
    found: dict[Item, bool] = {}
    reader.parenthesized(lambda: _item(reader, found))
    if len(found) > limits.IMAP_FETCH_ITEMS:
        raise reader.fail("Too many data items")
    return found


def _messages(reader: Reader) -> SequenceSet:
    try:
        return parse_sequence_set(reader.sequence_set())
    except ValueError as error:
        raise reader.fail(str(error)) from None


def _macro(reader: Reader) -> tuple[Attribute, ...] | None:
    for name, items in MACROS.items():
        after = reader.raw[reader.pos + len(name) : reader.pos + len(name) + 1]
        if reader.peek(name) and after in (b"", b" "):
            reader.expect(name)
            return items
    return None


def _item(reader: Reader, found: dict[Item, bool]) -> None:
    """fetch-att. Notes the item, and whether it sets \\Seen."""
    start = reader.pos
    name = reader.match(_NAME, "A data item").group().upper()
    if reader.peek(b"[") and name in _SECTION_NAMES:
        decoding, peek = _SECTION_NAMES[name]
        section = _section(reader, name.removesuffix(b".PEEK"), decoding)
        found[section] = found.get(section, False) or not peek
        return
    if name in _RFC822:
        item, sets_seen = _RFC822[name]
        found[item] = found.get(item, False) or sets_seen
        return
    if name in MACROS or name not in _ATTRIBUTES:
        reader.pos = start
        raise reader.fail("Unknown data item")
    attribute = _ATTRIBUTES[name]
    if attribute is Attribute.PREVIEW and reader.peek(b" (LAZY)"):
        # RFC 8970 §4.1: LAZY allows NIL; a preview is kept ready here, so it changes nothing.
        reader.expect(b" (LAZY)")
    found.setdefault(attribute, False)


_ATTRIBUTES: Final = {attribute.value: attribute for attribute in Attribute}


def parse_section(specifier: bytes) -> Section:
    """What stands within BODY[…], by itself. Raises BadSyntax."""
    reader = Reader(b"[%b]" % specifier)
    section = _section(reader, b"BODY", Decoding.NONE)
    reader.end()
    return section


def _section(reader: Reader, name: bytes, decoding: Decoding) -> Section:
    """section or section-binary, with partial."""
    reader.expect(b"[")
    part: list[int] = []
    text = Text.CONTENT
    fields: tuple[bytes, ...] = ()
    while not reader.peek(b"]"):
        if (number := _PART.match(reader.raw, reader.pos)) is not None:
            reader.pos = number.end()
            part.append(int(number.group()))
            if len(part) > limits.IMAP_PART_DEPTH:
                raise reader.fail("The part number is too deep")
            if reader.accept(b"."):
                if reader.peek(b"]"):
                    raise reader.fail("A part specifier expected")
                continue
            break
        if decoding is not Decoding.NONE:
            raise reader.fail("A part number expected")
        text = _section_text(reader, bool(part))
        if text in _FIELDS:
            reader.sp()
            fields = tuple(reader.parenthesized(reader.astring))
            if len(fields) > limits.IMAP_FETCH_FIELDS:
                raise reader.fail("Too many header fields")
        break
    reader.expect(b"]")
    partial = _partial(reader) if decoding is not Decoding.SIZE else None
    label = name + b"[" + _specifier(part, text, fields) + b"]"
    if partial is not None:
        label += b"<%d>" % partial.offset  # RFC 9051 §7.5.2: the response gives the origin octet only
    lowered = tuple(dict.fromkeys(field.lower() for field in fields))
    return Section(
        part=tuple(part), text=text, fields=lowered, partial=partial, decoding=decoding, label=label
    )


def _section_text(reader: Reader, inside_part: bool) -> Text:
    """section-text or section-msgtext."""
    start = reader.pos
    name = reader.match(_NAME, "A part specifier").group().upper()
    try:
        text = Text(name)
    except ValueError:
        text = Text.CONTENT
    # RFC 9051 §6.4.5.1: MIME must be prefixed by a part number.
    if text is Text.CONTENT or (text is Text.MIME and not inside_part):
        reader.pos = start
        raise reader.fail("Unknown part specifier")
    return text


def _specifier(part: list[int], text: Text, fields: tuple[bytes, ...]) -> bytes:
    words = [b"%d" % number for number in part]
    if text is not Text.CONTENT:
        words.append(text.value)
    specifier = b".".join(words)
    if fields:
        specifier += b" (" + b" ".join(map(_field_name, fields)) + b")"
    return specifier


def _field_name(name: bytes) -> bytes:
    """header-fld-name as an astring of the response."""
    if _PLAIN_FIELD.fullmatch(name):
        return name
    if name.isascii() and not re.search(rb"[\x00\r\n]", name):
        return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return b"{%d}\r\n%b" % (len(name), name)


def _partial(reader: Reader) -> Partial | None:
    if not reader.accept(b"<"):
        return None
    offset = reader.number64()
    reader.expect(b".")
    length = reader.number64()
    if not length:
        raise reader.fail("The length of a partial fetch cannot be 0")
    reader.expect(b">")
    return Partial(offset, length)


def _modifiers(reader: Reader, uid: bool) -> Modifiers:
    """fetch-modifiers: CHANGEDSINCE, VANISHED and PARTIAL, in whatever order, each once."""
    found = Modifiers()
    if reader.accept(b" ("):
        while True:
            name = reader.keyword()
            if name == b"CHANGEDSINCE" and found.changed_since is None:
                reader.sp()
                # RFC 7162 §7 asks for a positive value; 0 is what a client without a cache sends, and means all.
                found = replace(found, changed_since=reader.mod_sequence_valzer())
            elif name == b"VANISHED" and uid and not found.vanished:
                found = replace(found, vanished=True)  # RFC 7162 §3.2.6: not allowed with FETCH
            elif name == b"PARTIAL" and uid and found.partial is None:
                found = replace(found, partial=parse_partial_range(reader))  # RFC 9394 §3.3: of UID FETCH
            else:
                raise reader.fail("Unknown fetch modifier")
            if not reader.accept(b" "):
                break
        reader.expect(b")")
    if found.vanished and found.changed_since is None:
        # RFC 7162 §3.2.6: VANISHED must come with CHANGEDSINCE.
        raise reader.fail("VANISHED needs CHANGEDSINCE")
    return found
