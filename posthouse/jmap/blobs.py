"""Blobs as clients name them: messages, uploads, and parts within them (RFC 8620 §6, RFC 8621 §4.1.4).

`B12` is the message of email 12, `U5` an upload; `B12-1_2` is part 1.2 of it, decoded, and `B12-1_2-1` is part 1 of
the message within that part; `K…` is a contact's picture (`card_media`), `S…` a Sieve script's text. Everything is
looked up in the account that is named, and in another's only what is shared, so an id of anything else names nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts import sieve_shelf
from posthouse.errors import NotFound
from posthouse.jmap import card_media, card_shelf, ids
from posthouse.jmap.context import Context
from posthouse.message.mime import Part, decode_parts, scan
from posthouse.message.section import find_part
from posthouse.message.transfer import decode_transfer
from posthouse.store import grants
from posthouse.store.model import Stored

MESSAGE: Final = "B"
UPLOAD: Final = "U"
SCRIPT: Final = re.compile(r"(S\d{1,19})-([0-9a-f]{12})")
_BLOB: Final = re.compile(r"([BU]\d{1,19})((?:-\d{1,9}(?:_\d{1,9})*)*)")


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Octets that a client may read."""

    stored: Stored | None = None
    """Where they are, when they are whole in the store."""
    octets: bytes = b""
    """Themselves, when they are a part."""
    media_type: str = "application/octet-stream"

    @property
    def size(self) -> int:
        """How many."""
        return self.stored.size if self.stored is not None else len(self.octets)


def of_email(email_id: int) -> str:
    """The blob id of an email's message."""
    return ids.encode(MESSAGE, email_id)


def of_part(blob_id: str, number: str) -> str:
    """The blob id of a part of a message that has one itself."""
    return f"{blob_id}-{number.replace('.', '_')}"


def of_script(script_id: str, text: str) -> str:
    """The blob id of a Sieve script's text: another one when the text is another (RFC 8620 §6: blobs do not change)."""
    return f"{script_id}-{hashlib.blake2b(text.encode(), digest_size=6).hexdigest()}"


async def find(context: Context, account_id: int, blob_id: str) -> Blob | None:
    """A blob of an account; None when there is none."""
    if (medium := card_media.BLOB.fullmatch(blob_id)) is not None:
        return await _medium(context, account_id, *medium.groups())
    if (script := SCRIPT.fullmatch(blob_id)) is not None:
        return await _script(context, account_id, blob_id, script[1])
    match = _BLOB.fullmatch(blob_id)
    if match is None:
        return None
    whole = await _whole(context, account_id, match[1])
    steps = match[2].split("-")[1:]
    if whole is None or whole.stored is None or not steps:
        return whole
    if len(steps) > limits.JMAP_BLOB_DEPTH:
        return None
    try:
        first, part = await _first_part(context, account_id, match[1], whole.stored, steps[0])
    except NotFound:
        return None
    if part is None or first is None:
        return None
    return await asyncio.to_thread(_within, first, part, steps[1:])


async def _whole(context: Context, account_id: int, name: str) -> Blob | None:
    number = ids.decode(name[0], name)
    if number is None:
        return None
    if name[0] == UPLOAD:
        if not context.is_own(account_id):
            return None  # what somebody has brought is theirs until it is part of an email
        (upload,) = await context.store.uploads(account_id, [number])
        return Blob(stored=upload.stored, media_type=upload.media_type) if upload is not None else None
    if number not in await context.mail(account_id).find([number]):
        return None
    (stored,) = await context.store.stored(account_id, [number])
    return Blob(stored=stored, media_type="message/rfc822") if stored is not None else None


async def _first_part(
    context: Context, account_id: int, name: str, stored: Stored, step: str
) -> tuple[bytes | None, Part | None]:
    """The raw octets of a part of a stored message (only they are read), and the part."""
    if name[0] == MESSAGE:
        number = ids.decode(MESSAGE, name) or 0
        (row,) = await context.store.emails(account_id, [number], ["parts"])
        root = decode_parts(row[0]) if row is not None else None
    else:
        raw = await context.store.read(stored)
        root = await asyncio.to_thread(scan, raw)
    part = find_part(root, [int(each) for each in step.split("_")]) if root is not None else None
    if part is None:
        return None, None
    return await context.store.read(stored, part.body_start, part.size), part


def _within(octets: bytes, part: Part, steps: list[str]) -> Blob | None:
    """Decode a part, and go on into the message that it is."""
    while True:
        decoded = decode_transfer(octets, part.encoding)
        octets = octets if decoded is None else decoded
        if not steps:
            return Blob(octets=octets, media_type=f"{part.type}/{part.subtype}")
        root = scan(octets)
        inner = find_part(root, [int(each) for each in steps[0].split("_")])
        if inner is None:
            return None
        octets, part, steps = octets[inner.body_start : inner.body_end], inner, steps[1:]


async def _medium(context: Context, account_id: int, card: str, key: str, digest: str) -> Blob | None:
    """A picture of one of the account's contacts."""
    number = card_media.number_of(card)
    items = await context.store.items(account_id, card_shelf.KIND, [number] if number is not None else [])
    if not context.is_own(account_id):
        shown = grants.decode(context.grant(account_id).data).address_books
        names = {ids.encode("B", each) for each in shown}
        items = [each for each in items if names & msgspec.json.decode(each.data)["addressBookIds"].keys()]
    found = card_media.find(items[0].data, key, digest) if items else None
    return Blob(octets=found.octets, media_type=found.media_type) if found is not None else None


async def _script(context: Context, account_id: int, blob_id: str, name: str) -> Blob | None:
    """The text of one of the caller's own Sieve scripts."""
    number = ids.decode("S", name)
    if number is None or not context.is_own(account_id):
        return None
    for item in await context.store.items(account_id, sieve_shelf.KIND, [number]):
        text = sieve_shelf.script_of(item).text
        if of_script(name, text) == blob_id:
            return Blob(octets=text.encode(), media_type="application/sieve")  # RFC 5228 §6
    return None


async def octets_of(context: Context, blob: Blob) -> bytes:
    """All octets (the caller bounds the size)."""
    return await context.store.read(blob.stored) if blob.stored is not None else blob.octets
