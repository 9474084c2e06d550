"""Email/get and Email/parse (RFC 8621 §4.2, §4.9): only what was asked for is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.jmap import blobs, ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.dates import utc_date
from posthouse.jmap.email_body import BodyReader, BodyRequest, body_request
from posthouse.jmap.errors import MethodError
from posthouse.jmap.header_forms import SHORT, HeaderProperty, all_headers, parse_property, read
from posthouse.jmap.ids import UnsignedInt
from posthouse.jmap.mail import Standing
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer, GetAnswer, wanted_ids
from posthouse.message.headers import Headers
from posthouse.message.mime import Part, decode_parts, scan
from posthouse.message.text import preview
from posthouse.store.model import Stored

METADATA: Final = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
BODY: Final = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments")
KNOWN: Final = frozenset({*METADATA, *SHORT, *BODY, "headers", "hasAttachment", "preview"})
PARSED: Final = (*SHORT, "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments")
"""RFC 8621 §4.9: the default of Email/parse."""
DEFAULT: Final = (*METADATA, *PARSED)
"""RFC 8621 §4.2: the default of Email/get."""


class BodyArguments(Arguments, kw_only=True):
    """What Email/get and Email/parse share."""

    properties: list[str] | None = None
    body_properties: list[str] | None = None
    fetch_text_body_values: bool = False
    fetch_html_body_values: bool = msgspec.field(default=False, name="fetchHTMLBodyValues")
    fetch_all_body_values: bool = False
    max_body_value_bytes: UnsignedInt = 0


class EmailGetArguments(BodyArguments, kw_only=True):
    """RFC 8621 §4.2."""

    ids: list[str] | None = None


class EmailParseArguments(BodyArguments, kw_only=True):
    """RFC 8621 §4.9."""

    blob_ids: list[str]


class EmailParseAnswer(Answer, kw_only=True):
    """RFC 8621 §4.9."""

    parsed: dict[str, Any] | None
    not_parsable: list[str] | None
    not_found: list[str] | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be read of each message."""

    properties: tuple[str, ...]
    headers: dict[str, HeaderProperty]
    body: BodyRequest

    @property
    def needs_parts(self) -> bool:
        """Whether the part tree is needed."""
        return self.needs_header or "hasAttachment" in self.properties or self.needs_body

    @property
    def needs_header(self) -> bool:
        """Whether the header section must be read."""
        return bool(self.headers) or "headers" in self.properties

    @property
    def needs_body(self) -> bool:
        """Whether the parts are looked at."""
        return any(name in self.properties for name in BODY)

    @property
    def needs_whole(self) -> bool:
        """Whether the octets of the parts are needed, not only where they are."""
        if not self.needs_body:
            return False
        asks_values = self.body.any_values and "bodyValues" in self.properties
        asks_parts = any(name in self.properties for name in BODY if name != "bodyValues")
        octets = {"size", "headers"} & set(self.body.properties) or self.body.headers
        return asks_values or bool(asks_parts and octets)


def is_property(name: str, extra: frozenset[str] = frozenset()) -> bool:
    """Whether emails have a property of this name."""
    return name in KNOWN or name in extra or name.startswith("header:")


def wanted_of(
    arguments: BodyArguments, default: Sequence[str], extra: frozenset[str] = frozenset()
) -> Wanted:
    """From arguments. MethodError invalidArguments for unknown properties and unsuitable forms."""
    names = default if arguments.properties is None else tuple(dict.fromkeys(arguments.properties))
    headers = {}
    for name in names:
        if name.startswith("header:") or name in SHORT:
            try:
                headers[name] = parse_property(name)
            except ValueError as fault:
                raise MethodError("invalidArguments", str(fault)) from fault
        elif not is_property(name, extra):
            raise MethodError("invalidArguments", f"no such property: {name}")
    body = body_request(
        arguments.body_properties,
        text_values=arguments.fetch_text_body_values,
        html_values=arguments.fetch_html_body_values,
        all_values=arguments.fetch_all_body_values,
        most_octets=arguments.max_body_value_bytes,
    )
    return Wanted(properties=tuple(names), headers=headers, body=body)


def message_properties(raw: bytes, root: Part, blob_id: str, wanted: Wanted, shown: str) -> dict[str, Any]:
    """All properties that come from the message itself. `raw`: it, or its header section; `shown`: the preview."""
    found: dict[str, Any] = {}
    headers = Headers(raw, root.header_start, root.body_start) if wanted.needs_header else None
    body = BodyReader(raw, root, blob_id, wanted.body) if wanted.needs_parts else None
    for name in wanted.properties:
        if name in wanted.headers and headers is not None:
            found[name] = read(headers, wanted.headers[name])
        elif name == "headers" and headers is not None:
            found[name] = all_headers(headers)
        elif name == "preview":
            found[name] = shown
        elif body is not None and name in _OF_BODY:
            found[name] = _OF_BODY[name](body)
    return found


_OF_BODY: Final = {
    "hasAttachment": lambda body: body.has_attachment,
    "bodyStructure": BodyReader.structure,
    "bodyValues": BodyReader.values,
    "textBody": BodyReader.text_body,
    "htmlBody": BodyReader.html_body,
    "attachments": BodyReader.attachments,
}


# --- Email/get ----------------------------------------------------------------------------------------------


async def get(context: Context, arguments: EmailGetArguments) -> GetAnswer:
    """Email/get."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    wanted = wanted_of(arguments, DEFAULT, context.services.email_extras.names)
    asked = wanted_ids(arguments.ids)
    mail = context.mail(account_id)
    state = await mail.state()
    if asked is None:
        # RFC 8620 §5.1: all of them, unless there are too many.
        present = await mail.everything(limits.JMAP_GET)
        if present is None:
            raise MethodError("requestTooLarge", "ask for ids, there are too many emails")
        asked = [ids.encode(ids.EMAIL, number) for number in present]
    numbers = [number for name in asked if (number := ids.decode(ids.EMAIL, name)) is not None]
    found = await read_emails(context, account_id, numbers, wanted)
    names = [ids.encode(ids.EMAIL, number) for number in found]
    there = set(names)
    return GetAnswer(
        account_id=arguments.account_id,
        state=str(state),
        list_=list(found.values()),
        not_found=[name for name in asked if name not in there],
    )


async def read_emails(
    context: Context, account_id: int, numbers: Sequence[int], wanted: Wanted
) -> dict[int, dict[str, Any]]:
    """The objects of these emails that are there, in order."""
    mail = context.mail(account_id)
    standings = await mail.find(numbers)
    there = [number for number in numbers if number in standings]
    threads = await mail.threads(there) if "threadId" in wanted.properties else {}
    keywords = await mail.keyword_names() if "keywords" in wanted.properties else []
    contents = await _contents(context, account_id, there, wanted)
    extras = await _extras(context, account_id, there, wanted)
    objects: dict[int, dict[str, Any]] = {}
    for number in there:
        content = contents.get(number)
        if content is None:
            continue  # it went away between the two looks
        metadata = metadata_of(number, standings[number], threads.get(number, number), keywords)
        whole = {"id": metadata["id"]} | {n: metadata[n] for n in wanted.properties if n in metadata}
        objects[number] = whole | content | extras.get(number, {})
    return objects


async def _extras(
    context: Context, account_id: int, numbers: list[int], wanted: Wanted
) -> dict[int, dict[str, Any]]:
    """Properties that are our own. What the house tells an owner is nobody else's: null."""
    known = context.services.email_extras
    if context.is_own(account_id):
        return await known.read(context, account_id, numbers, wanted.properties)
    return {number: {name: None for name in wanted.properties if name in known.names} for number in numbers}


def metadata_of(
    number: int, standing: Standing, thread_id: int, keywords: list[tuple[int, str]]
) -> dict[str, Any]:
    """RFC 8621 §4.1.1."""
    return {
        "id": ids.encode(ids.EMAIL, number),
        "blobId": blobs.of_email(number),
        "threadId": ids.encode(ids.THREAD, thread_id),
        "mailboxIds": {ids.encode(ids.MAILBOX, mailbox): True for mailbox, _ in standing.places},
        "keywords": {name: True for bit, name in keywords if standing.flags & bit},
        "size": standing.size,
        "receivedAt": utc_date(standing.received_at),
    }


async def _contents(
    context: Context, account_id: int, numbers: list[int], wanted: Wanted
) -> dict[int, dict[str, Any]]:
    """What comes from the messages themselves, read in batches that bound the memory."""
    if not numbers:
        return {}
    if not wanted.needs_parts and "preview" not in wanted.properties:
        return {number: {} for number in numbers}
    fields = ["parts", "preview"]
    rows = await context.store.emails(account_id, numbers, fields)
    stored = (
        await context.store.stored(account_id, numbers) if wanted.needs_header or wanted.needs_whole else []
    )
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(numbers), limits.JMAP_BATCH):
        batch = range(start, min(start + limits.JMAP_BATCH, len(numbers)))
        roots = {i: decode_parts(row[0]) for i in batch if (row := rows[i]) is not None}
        raws = await _raws(
            context, account_id, {i: (numbers[i], stored[i]) for i in roots if stored}, roots, wanted
        )
        work = [
            (numbers[i], raws.get(i, b""), roots[i], rows[i][1])  # type: ignore[index]
            for i in roots
            if not stored or i in raws
        ]
        found |= await _described(work, wanted)
    return found


async def _raws(
    context: Context,
    account_id: int,
    places: dict[int, tuple[int, Stored | None]],
    roots: dict[int, Part],
    wanted: Wanted,
) -> dict[int, bytes]:
    """Whole messages, or header sections where they suffice; small messages come in one read."""
    whole = wanted.needs_whole
    small = [i for i, (_, place) in places.items() if place and place.size <= limits.MESSAGE_CACHE_ITEM]
    numbers = [places[i][0] for i in small]
    raws = {
        i: raw
        for i, raw in zip(small, await context.store.messages(account_id, numbers), strict=True)
        if raw is not None
    }
    for i, (_, place) in places.items():
        if place is None or i in raws:
            continue
        try:
            raws[i] = await context.store.read(place, 0, None if whole else roots[i].body_start)
        except NotFound:
            continue
    return raws


async def _described(work: list[tuple[int, bytes, Part, str]], wanted: Wanted) -> dict[int, dict[str, Any]]:
    def describe() -> dict[int, dict[str, Any]]:
        return {
            number: message_properties(raw, root, blobs.of_email(number), wanted, shown)
            for number, raw, root, shown in work
        }

    if wanted.needs_whole and sum(len(raw) for _, raw, _, _ in work) > limits.JMAP_ON_LOOP_OCTETS:
        return await asyncio.to_thread(describe)
    return describe()


# --- Email/parse --------------------------------------------------------------------------------------------


async def parse(context: Context, arguments: EmailParseArguments) -> EmailParseAnswer:
    """Email/parse."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    wanted = wanted_of(arguments, PARSED)
    if len(arguments.blob_ids) > limits.JMAP_PARSE:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_PARSE} blobs")
    parsed: dict[str, Any] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    for blob_id in dict.fromkeys(arguments.blob_ids):
        blob = await blobs.find(context, account_id, blob_id)
        if blob is None:
            not_found.append(blob_id)
        elif blob.size > context.services.message_size:
            not_parsable.append(blob_id)
        else:
            octets = await blobs.octets_of(context, blob)
            found = await asyncio.to_thread(_parsed, octets, blob_id, wanted)
            if found is None:
                not_parsable.append(blob_id)
            else:
                parsed[blob_id] = found
    return EmailParseAnswer(
        account_id=arguments.account_id,
        parsed=parsed or None,
        not_parsable=not_parsable or None,
        not_found=not_found or None,
    )


def _parsed(octets: bytes, blob_id: str, wanted: Wanted) -> dict[str, Any] | None:
    headers = Headers.scan(octets)
    if not len(headers):
        return None  # what has no header field is no message
    root = scan(octets, headers)
    # RFC 8621 §4.9: what only the mail store knows is null.
    unknown = dict.fromkeys(("id", "threadId", "mailboxIds", "keywords", "receivedAt"))
    metadata: dict[str, Any] = unknown | {"blobId": blob_id, "size": len(octets)}
    found = {name: metadata[name] for name in wanted.properties if name in metadata}
    return found | message_properties(octets, root, blob_id, wanted, preview(octets, root))
