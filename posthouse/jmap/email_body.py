"""Body parts and body values of an email (RFC 8621 §4.1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import blobs
from posthouse.jmap.errors import MethodError
from posthouse.jmap.header_forms import HeaderProperty, all_headers, parse_property, read
from posthouse.message.body_parts import Leaf, body_parts, numbered
from posthouse.message.charsets import codec_for
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mime import IDENTITY_ENCODINGS, Part
from posthouse.message.parameters import parameter
from posthouse.message.text import part_text
from posthouse.message.transfer import decode_transfer

DEFAULT: Final = (
    *("partId", "blobId", "size", "name", "type", "charset"),
    *("disposition", "cid", "language", "location"),
)
"""RFC 8621 §4.2: bodyProperties when they are not given."""
KNOWN: Final = frozenset({*DEFAULT, "headers", "subParts"})


class EmailBodyValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §4.1.4."""

    value: str
    is_encoding_problem: bool = False
    is_truncated: bool = False


class BodyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which body properties and values were asked for."""

    properties: tuple[str, ...] = DEFAULT
    headers: dict[str, HeaderProperty] = {}
    text_values: bool = False
    html_values: bool = False
    all_values: bool = False
    most_octets: int = 0

    @property
    def any_values(self) -> bool:
        """Whether any text is wanted."""
        return self.text_values or self.html_values or self.all_values


def body_request(properties: Sequence[str] | None, **values: Any) -> BodyRequest:
    """From arguments. MethodError invalidArguments."""
    wanted = DEFAULT if properties is None else tuple(properties)
    headers = {}
    for name in wanted:
        if name.startswith("header:"):
            try:
                headers[name] = parse_property(name)
            except ValueError as fault:
                raise MethodError("invalidArguments", str(fault)) from fault
        elif name not in KNOWN:
            raise MethodError("invalidArguments", f"no such body property: {name}")
    return BodyRequest(properties=wanted, headers=headers, **values)


class BodyReader:
    """The body of one message. `raw` is the whole message, or its header section when no more is needed."""

    def __init__(self, raw: bytes, root: Part, blob_id: str, request: BodyRequest) -> None:
        self._raw = raw
        self._root = root
        self._blob_id = blob_id
        self._request = request
        self._parts = body_parts(root)

    @property
    def has_attachment(self) -> bool:
        """RFC 8621 §4.1.4."""
        return self._parts.has_attachment

    def text_body(self) -> list[dict[str, Any]]:
        """textBody."""
        return [self._object(leaf) for leaf in self._parts.text]

    def html_body(self) -> list[dict[str, Any]]:
        """htmlBody."""
        return [self._object(leaf) for leaf in self._parts.html]

    def attachments(self) -> list[dict[str, Any]]:
        """attachments."""
        return [self._object(leaf) for leaf in self._parts.attachments]

    def structure(self) -> dict[str, Any]:
        """bodyStructure."""
        return self._object(Leaf("1" if not self._root.children else "", self._root), deep=True)

    def values(self) -> dict[str, EmailBodyValue]:
        """bodyValues."""
        request = self._request
        wanted: list[Leaf] = []
        if request.all_values:
            wanted = self._leaves(Leaf("", self._root))
        else:
            wanted += self._parts.text if request.text_values else []
            wanted += self._parts.html if request.html_values else []
        return {leaf.number: self._value(leaf.part) for leaf in wanted if leaf.part.type == "text"}

    def _leaves(self, leaf: Leaf) -> list[Leaf]:
        found: list[Leaf] = []
        for each in numbered(leaf.part, leaf.number):
            found += self._leaves(each) if each.part.children else [each]
        return found

    # --- one part ------------------------------------------------------------------------------------

    def _object(self, leaf: Leaf, *, deep: bool = False) -> dict[str, Any]:
        request = self._request
        headers: Headers | None = None
        found: dict[str, Any] = {}
        for name in request.properties:
            if name == "headers" or name in request.headers:
                headers = headers or Headers(self._raw, leaf.part.header_start, leaf.part.body_start)
                found[name] = (
                    all_headers(headers) if name == "headers" else read(headers, request.headers[name])
                )
            elif name != "subParts":
                found[name] = self._property(leaf, name)
        if leaf.part.children and deep:
            # RFC 8621 §4.1.4: without its children a structure would say nothing.
            found["subParts"] = [self._object(each, deep=True) for each in numbered(leaf.part, leaf.number)]
        elif "subParts" in request.properties:
            found["subParts"] = None
        return found

    def _property(self, leaf: Leaf, name: str) -> Any:
        part = leaf.part
        if name == "partId":
            return None if part.children else leaf.number
        if name == "blobId":
            return None if part.children else blobs.of_part(self._blob_id, leaf.number)
        if name == "size":
            return self._size(part)
        if name == "type":
            return f"{part.type}/{part.subtype}"
        return _PROPERTIES[name](part)

    def _size(self, part: Part) -> int:
        """Octets after decoding; of base64 computed from the length unless the part is small."""
        if part.children or part.encoding in IDENTITY_ENCODINGS or part.encoding not in _CODED:
            return part.size
        body = self._raw[part.body_start : part.body_end]
        if len(body) == part.size:
            if part.encoding == "base64" and part.size > limits.JMAP_DECODE:
                return _base64_size(body)
            decoded = decode_transfer(body, part.encoding)
            return part.size if decoded is None else len(decoded)
        return part.size

    def _value(self, part: Part) -> EmailBodyValue:
        text = part_text(self._raw, part).replace("\r\n", "\n")
        label = parameter(part.parameters, "charset")
        unknown = label is not None and codec_for(label) is None
        problem = unknown or "\ufffd" in text or part.encoding not in IDENTITY_ENCODINGS | _CODED
        most = self._request.most_octets
        cut = truncated(text, most, html=part.subtype == "html") if most else text
        return EmailBodyValue(value=cut, is_encoding_problem=problem, is_truncated=len(cut) < len(text))


_CODED: Final = frozenset({"base64", "quoted-printable"})


def _base64_size(body: bytes) -> int:
    letters = len(body) - body.count(b"\r") - body.count(b"\n") - body.count(b"=")
    return letters * 3 // 4


def truncated(text: str, octets: int, *, html: bool) -> str:
    """At most so many octets of UTF-8; HTML is not cut within a tag."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= octets:
        return text
    cut = encoded[:octets].decode("utf-8", "ignore")
    if html:
        opened = cut.rfind("<")
        if opened > cut.rfind(">"):
            cut = cut[:opened]
    return cut


def _name(part: Part) -> str | None:
    name = part.file_name
    return decode_value(name.encode("utf-8", "surrogateescape")) if name else None


def _charset(part: Part) -> str | None:
    if part.type != "text":
        return None
    return parameter(part.parameters, "charset") or "us-ascii"


def _cid(part: Part) -> str | None:
    return part.id.strip().strip(b"<>").decode("utf-8", "replace") if part.id else None


def _location(part: Part) -> str | None:
    return part.location.decode("utf-8", "replace") if part.location else None


_PROPERTIES: Final = {
    "name": _name,
    "charset": _charset,
    "disposition": lambda part: part.disposition or None,
    "cid": _cid,
    "language": lambda part: list(part.languages) or None,
    "location": _location,
}
