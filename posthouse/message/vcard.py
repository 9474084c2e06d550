"""vCard's content lines: 4.0 (RFC 6350), 3.0 and what telephones still write of 2.1.

Reading is liberal: a line that is none is passed over, octets are taken as UTF-8 unless they say or show otherwise.
What a property means is for `jmap/card_from_vcard.py`; here are lines, parameters and values, and their limits.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from posthouse.errors import PosthouseError
from posthouse.limits import CONTACT_CARD, VCARD_PROPERTIES
from posthouse.message.charsets import decode, decode_unlabelled

Parameters = dict[str, list[str]]
"""Name in lower case → values."""

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_NAME: Final = re.compile(r"(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_-]+)")
_PARAMETER: Final = re.compile(
    r';\s*([A-Za-z0-9_-]+)(?:\s*=\s*((?:"[^"]*"|[^";:,])*(?:,(?:"[^"]*"|[^";:,])*)*))?'
)
_VALUE: Final = re.compile(r'"[^"]*"|[^",]+')
_QUOTED_PRINTABLE: Final = re.compile(rb"(?i)^[^:]*;(?:encoding=)?quoted-printable[;:]")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_CARET: Final = re.compile(r"\^([n'^])")
_CARETS: Final = {"n": "\n", "'": '"', "^": "^"}
"""RFC 6868 §3.1."""
_BARE: Final = {"quoted-printable": "encoding", "base64": "encoding", "8bit": "encoding", "inline": "value"}
"""What stands in a parameter's place without a name in vCard 2.1, and is no TYPE."""


class VCardError(PosthouseError):
    """The text is no vCard, or a card is larger than any may be."""


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One property of a card."""

    name: str
    """In upper case."""
    value: str
    """As it stands, unfolded; escapes are still in it."""
    parameters: Parameters = {}
    group: str = ""
    """What ties it to other properties of the card, such as Apple's labels."""

    def first(self, parameter: str) -> str:
        """A parameter's first value; empty: it is not there."""
        return next(iter(self.parameters.get(parameter, ())), "")


def read_cards(octets: bytes) -> Iterator[list[Property]]:
    """The properties of each card, without BEGIN and END. VCardError when there is no card at all."""
    card: list[Property] | None = None
    depth = found = 0
    for line in _lines(octets):
        read = _property(line)
        if read is None:
            continue
        marks = (read.name, read.value.strip().upper())
        if marks == ("BEGIN", "VCARD"):
            depth += 1
            card = [] if depth == 1 else card
        elif marks == ("END", "VCARD") and depth:
            depth -= 1
            if not depth and card is not None:
                found += 1
                yield card
                card = None
        elif card is not None and depth == 1:  # a card within a card (AGENT of vCard 2.1) is nobody's contact
            if len(card) >= VCARD_PROPERTIES:
                raise VCardError("a card has too many properties")
            card.append(read)
    if not found:
        raise VCardError("this is no vCard file")


def _lines(octets: bytes) -> Iterator[bytes]:
    """Logical lines: unfolded (RFC 6350 §3.2), and quoted-printable ones joined at their soft breaks."""
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        octets = octets.decode("utf-16", "replace").encode()
    octets = octets.removeprefix(b"\xef\xbb\xbf")
    pieces: list[bytes] = []
    size = 0
    soft = False
    for physical in _LINE_END.split(octets):
        if soft or (physical[:1] in (b" ", b"\t") and pieces):
            part = physical if soft else physical[1:]
        else:
            if pieces:
                yield b"".join(pieces)
            pieces, size, part = [], 0, physical
        size += len(part)
        if size > 2 * CONTACT_CARD:
            raise VCardError("a line is too long")
        pieces.append(part)
        soft = part.endswith(b"=") and _QUOTED_PRINTABLE.match(pieces[0]) is not None
        if soft:
            pieces[-1] = part + b"\r\n"
    if pieces:
        yield b"".join(pieces)


def _property(line: bytes) -> Property | None:
    """RFC 6350 §3.3 contentline."""
    text = decode_unlabelled(line)
    start = _NAME.match(text)
    if start is None:
        return None
    parameters: Parameters = {}
    at = start.end()
    while (match := _PARAMETER.match(text, at)) is not None:
        name, values = match[1].lower(), match[2]
        if values is None:
            name, values = _BARE.get(name, "type"), name
        parameters.setdefault(name, []).extend(_parameter_values(name, values))
        at = match.end()
    if text[at : at + 1] != ":":
        return None
    value = text[at + 1 :]
    charset = next(iter(parameters.get("charset", ())), "")
    quoted = next(iter(parameters.get("encoding", ())), "").lower() == "quoted-printable"
    if quoted or charset:
        raw = line[line.find(b":", len(text[:at].encode())) + 1 :]
        value = decode(quopri.decodestring(raw) if quoted else raw, charset or None)
    return Property(name=start[2].upper(), value=value, parameters=parameters, group=(start[1] or "").lower())


def _parameter_values(name: str, text: str) -> Iterator[str]:
    """What a parameter says, with RFC 6868's escapes undone."""
    for each in _VALUE.findall(text):
        value = _CARET.sub(lambda match: _CARETS[match[1]], each.strip().strip('"').strip())
        # RFC 6350 §5.6: TYPE="voice,home" is two types; its own examples write the list within one pair of quotes.
        yield from value.split(",") if name == "type" else [value]


# --- values -------------------------------------------------------------------------------------------------


def unescaped(value: str) -> str:
    """A text value (RFC 6350 §3.4)."""
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value)


def split(value: str, separator: str) -> list[str]:
    """The parts of a value at separators that are not escaped; escapes stay in them."""
    parts: list[str] = []
    start = at = 0
    while at < len(value):
        if value[at] == "\\":
            at += 2
            continue
        if value[at] == separator:
            parts.append(value[start:at])
            start = at + 1
        at += 1
    parts.append(value[start:])
    return parts


def components(value: str) -> list[list[str]]:
    """A structured value: components, each with its texts (RFC 6350 §6.2.2)."""
    return [
        [text for each in split(part, ",") if (text := unescaped(each).strip())] for part in split(value, ";")
    ]


# --- writing ------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """A text as a value (RFC 6350 §3.4)."""
    plain = text.replace("\\", "\\\\").replace(",", "\\,").replace(";", "\\;")
    return plain.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")


def structured(parts: Sequence[Sequence[str]]) -> str:
    """Components as a value."""
    return ";".join(",".join(map(escaped, part)) for part in parts)


def write_property(found: Property) -> bytes:
    """A content line, folded at 75 octets (RFC 6350 §3.2), with CRLF."""
    head = f"{found.group}.{found.name}" if found.group else found.name
    for name, values in found.parameters.items():
        head += f";{name.upper()}={','.join(map(_parameter_value, values))}"
    line = f"{head}:{found.value}".replace("\r", "").replace("\n", "\\n")
    raw = line.encode("utf-8", "replace")
    parts: list[bytes] = []
    start, room = 0, 75
    while len(raw) - start > room:
        end = start + room
        while raw[end] & 0xC0 == 0x80:  # never within a character
            end -= 1
        parts.append(raw[start:end])
        start, room = end, 74
    parts.append(raw[start:])
    return b"\r\n ".join(parts) + b"\r\n"


def _parameter_value(value: str) -> str:
    """RFC 6350 §3.3 param-value, with RFC 6868's escapes for what no quoted one may hold."""
    plain = value.replace("^", "^^").replace("\n", "^n").replace('"', "^'")
    return f'"{plain}"' if re.search(r"[,;:]", plain) else plain
