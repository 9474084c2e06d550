"""Pictures and sounds of a card: kept in it as `data:` URIs, shown as blobs (RFC 9610 §3).

`K12-m1-0123456789ab` is the medium `m1` of card 12 with those octets; when the picture is another one, so is the id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any, Final

import msgspec

from posthouse.jmap import ids

Object = dict[str, Any]

CARD: Final = "K"
BLOB: Final = re.compile(r"(K\d{1,19})-([A-Za-z0-9_-]{1,200})-([0-9a-f]{12})")
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[\w.+-]+)*;base64,([A-Za-z0-9+/=]*)")
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_PICTURES: Final = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftyp(?:avif|avis)", re.DOTALL), "image/avif"),
    (re.compile(rb"....ftyp(?:heic|heix|mif1)", re.DOTALL), "image/heic"),
)


class Medium(msgspec.Struct, frozen=True):
    """Octets of a card."""

    octets: bytes
    media_type: str


def picture_type(octets: bytes) -> str | None:
    """The media type of a picture by its first octets; None: it is none that is known."""
    return next((kind for mark, kind in _PICTURES if mark.match(octets)), None)


def data_uri(octets: bytes, media_type: str) -> str:
    """RFC 2397."""
    return f"data:{media_type};base64,{base64.b64encode(octets).decode('ascii')}"


def read_data_uri(uri: object) -> Medium | None:
    """What a `data:` URI holds; None: it is none, or not in base64."""
    match = _DATA.fullmatch(uri) if isinstance(uri, str) else None
    if match is None:
        return None
    try:
        return Medium(base64.b64decode(match[2], validate=True), match[1] or "application/octet-stream")
    except (binascii.Error, ValueError):
        return None


def shown(card: Object) -> Object:
    """The card with blobs in place of `data:` URIs."""
    media = card.get("media")
    if not isinstance(media, dict):
        return card
    entries: Object = {}
    for key, entry in media.items():
        held = read_data_uri(entry.get("uri")) if _KEY.fullmatch(key) and isinstance(entry, dict) else None
        if held is None:
            entries[key] = entry
            continue
        rest = {name: value for name, value in entry.items() if name != "uri"}
        blob_id = f"{card['id']}-{key}-{_digest(held.octets)}"
        entries[key] = rest | {"blobId": blob_id, "mediaType": held.media_type}
    return card | {"media": entries}


def find(data: bytes, key: str, digest: str) -> Medium | None:
    """One medium of a kept card."""
    card = msgspec.json.decode(data)
    entry = (card.get("media") or {}).get(key)
    held = read_data_uri(entry.get("uri")) if isinstance(entry, dict) else None
    return held if held is not None and _digest(held.octets) == digest else None


def number_of(name: str) -> int | None:
    """The card's number in a blob id."""
    return ids.decode(CARD, name)


def _digest(octets: bytes) -> str:
    return hashlib.blake2b(octets, digest_size=6).hexdigest()
