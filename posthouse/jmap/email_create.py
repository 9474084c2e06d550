"""Emails from JMAP objects (RFC 8621 §4.6): checked strictly, composed, put into their mailboxes."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import NotFound
from posthouse.jmap import blobs, dates, ids
from posthouse.jmap.context import Context
from posthouse.jmap.email_body import EmailBodyValue
from posthouse.jmap.email_properties import flags_of, keywords_of, mailboxes_of
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.header_forms import SHORT, Form, check_words, parse_property, write
from posthouse.jmap.mail_rights import check_additions, check_flags, rights_of
from posthouse.jmap.mime_parts import Entity, Fields, disposition_field, render
from posthouse.message.compose import format_field, format_text
from posthouse.message.date import format_date
from posthouse.store.interface import AddEmail
from posthouse.store.model import Content

Object = dict[str, Any]
_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_TOP: Final = frozenset(
    {"mailboxIds", "keywords", "receivedAt", "bodyStructure", "bodyValues", "textBody", "htmlBody"}
    | {"attachments"}
)
_SERVER_SET: Final = frozenset({"id", "blobId", "threadId", "size", "hasAttachment", "preview"})
_PART: Final = frozenset(
    {"partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location"}
    | {"subParts"}
)


async def create_email(context: Context, account_id: int, given: Object) -> Object:
    """Make an email; what the client does not know of it. Rejected, OverQuota."""
    mail = context.mail(account_id)
    boxes = {box.mailbox_id for box in await mail.mailboxes()}
    mailboxes = mailboxes_of(context, given.get("mailboxIds"), boxes)
    flags = flags_of(keywords_of(given.get("keywords") or {}))
    rights = await rights_of(mail)
    check_additions(rights, mailboxes)
    check_flags(rights, mailboxes, flags)
    now = int(context.services.now())
    received_at = dates.parse_utc(given["receivedAt"], "receivedAt") if given.get("receivedAt") else now
    fields = _top_fields(given)
    entity = await _Body(context, account_id, given, {name.lower() for name, _ in fields}).entity()
    fields = _completed(fields, now, context.services.hostname)
    raw = await asyncio.to_thread(_composed, fields, entity)
    if len(raw) > context.services.message_size:
        raise Rejected("tooLarge", "the message is too large", maxSize=context.services.message_size)
    return await keep_email(context, account_id, raw, mailboxes, flags, received_at)


async def keep_email(
    context: Context,
    account_id: int,
    raw: bytes,
    mailboxes: frozenset[int],
    flags: frozenset[str],
    received_at: int,
) -> Object:
    """Put a message into mailboxes, all at once; what is told of a new email (RFC 8621 §4.6). Rejected, OverQuota."""
    first, *others = sorted(mailboxes)
    content = await _content(context, raw)
    op = AddEmail(
        account_id=account_id,
        mailbox_id=first,
        also=tuple(others),
        content=content,
        flags=flags,
        received_at=received_at,
    )
    try:
        added = await context.store.apply(op)
    except NotFound as fault:  # one of them went away meanwhile
        raise invalid("there is no such mailbox", "mailboxIds") from fault
    threads = await context.mail(account_id).threads([added.email_id])
    return {
        "id": ids.encode(ids.EMAIL, added.email_id),
        "blobId": blobs.of_email(added.email_id),
        "threadId": ids.encode(ids.THREAD, threads[added.email_id]),
        "size": len(raw),
    }


async def _content(context: Context, raw: bytes) -> Content:
    if len(raw) <= limits.JMAP_IN_MEMORY:
        return Content.of(raw)
    staging = context.store.stage()
    try:
        for start in range(0, len(raw), limits.BLOB_CHUNK):
            await staging.write(raw[start : start + limits.BLOB_CHUNK])
        return await staging.finish()
    except BaseException:
        await staging.discard()
        raise


def _top_fields(given: Object) -> Fields:
    """The message's own header fields. Rejected invalidProperties."""
    fields: Fields = []
    seen: set[str] = set()
    for name, value in given.items():
        if name in _SERVER_SET or name == "headers":
            raise invalid("this property is not yours to set", name)
        if name in _TOP:
            continue
        if name not in SHORT and not name.startswith("header:"):
            raise invalid("no such property", name)
        found = _field(name, value, seen)
        if found and found[0][0].lower().startswith("content-"):
            raise invalid("Content fields belong to a body part", name)
        fields += found
    return fields


def _field(name: str, value: Any, seen: set[str]) -> Fields:
    """The fields that one header property writes."""
    try:
        wanted = parse_property(name)
    except ValueError as fault:
        raise invalid(str(fault), name) from fault
    if wanted.field in seen:
        raise invalid("the field is given twice", name)
    seen.add(wanted.field)
    if wanted.field == "content-transfer-encoding":
        raise invalid("the encoding is chosen here", name)
    values = write(wanted, name, value)
    if wanted.form in {Form.TEXT, Form.RAW}:
        values = [format_text(each) for each in values]
    return [(wanted.spelt, each) for each in values]


def _completed(fields: Fields, now: int, hostname: str) -> Fields:
    """With Date and Message-ID, which no message lacks (RFC 5322 §3.6)."""
    names = {name.lower() for name, _ in fields}
    first: Fields = []
    if "date" not in names:
        first.append(("Date", format_date(now)))
    if "message-id" not in names:
        first.append(("Message-ID", f"<{secrets.token_hex(16)}@{hostname}>"))
    return first + [pair for pair in fields if pair[0].lower() != "mime-version"]


def _composed(fields: Fields, entity: Entity) -> bytes:
    # RFC 2047 §5: no encoded word stands within an address; one outside of ASCII is written as RFC 6532 has it.
    head = b"".join(format_field(name, value, utf8=True) for name, value in fields)
    return head + b"MIME-Version: 1.0\r\n" + render(entity)


class _Body:
    """The body of one message to be made."""

    def __init__(self, context: Context, account_id: int, given: Object, top: set[str]) -> None:
        self._context = context
        self._account_id = account_id
        self._given = given
        self._top = top
        self._values = self._body_values()
        self._missing: list[str] = []
        self._octets = 0
        self._parts = 0

    async def entity(self) -> Entity:
        """The whole body. Rejected invalidProperties, blobNotFound, tooLarge."""
        given = self._given
        flat = [name for name in ("textBody", "htmlBody", "attachments") if given.get(name)]
        if given.get("bodyStructure") is not None:
            if flat:
                raise invalid("bodyStructure or the others, not both", "bodyStructure", *flat)
            found = await self._part(given["bodyStructure"], "bodyStructure", root=True)
        else:
            found = await self._assembled()
        if self._missing:
            raise Rejected("blobNotFound", notFound=self._missing)
        return found

    def _body_values(self) -> dict[str, EmailBodyValue]:
        given = self._given.get("bodyValues")
        try:
            found = msgspec.convert(given or {}, dict[str, EmailBodyValue])
        except msgspec.ValidationError as fault:
            raise invalid(str(fault), "bodyValues") from fault
        if any(each.is_encoding_problem or each.is_truncated for each in found.values()):
            raise invalid("a value is whole and sound", "bodyValues")
        return found

    async def _assembled(self) -> Entity:
        """A usual message from texts and attachments."""
        text = await self._one("textBody", "text/plain")
        html = await self._one("htmlBody", "text/html")
        inline: list[Entity] = []
        others: list[Entity] = []
        attachments = self._given.get("attachments") or []
        if not isinstance(attachments, list):
            raise invalid("an array is wanted", "attachments")
        for each in attachments:
            part = await self._part(each, "attachments", disposition="attachment")
            related = html is not None and each.get("cid") and each.get("disposition") == "inline"
            (inline if related else others).append(part)
        if inline and html is not None:
            html = Entity(type="multipart/related", children=[html, *inline])
        bodies = [part for part in (text, html) if part is not None]
        if len(bodies) > 1:
            bodies = [Entity(type="multipart/alternative", children=bodies)]
        if not bodies and not others:
            return Entity(type="text/plain", text="")
        if not others:
            return bodies[0]
        return Entity(type="multipart/mixed", children=[*bodies, *others])

    async def _one(self, name: str, kind: str) -> Entity | None:
        given = self._given.get(name)
        if not given:
            return None
        if not isinstance(given, list) or len(given) != 1:
            raise invalid("exactly one part is wanted", name)
        part = await self._part(given[0], name, default=kind)
        if part.type != kind:
            raise invalid(f"its part is of type {kind}", name)
        return part

    async def _part(
        self,
        given: Any,
        where: str,
        *,
        default: str = "text/plain",
        disposition: str | None = None,
        root: bool = False,
        depth: int = 0,
    ) -> Entity:
        if not isinstance(given, dict):
            raise invalid("an EmailBodyPart is wanted", where)
        self._parts += 1
        if depth > limits.MIME_DEPTH or self._parts > limits.JMAP_BODY_PARTS:
            raise invalid("there are too many parts", where)
        kind = given.get("type") or (given.get("header:Content-Type") or default).partition(";")[0].strip()
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            raise invalid("this is no media type", f"{where}/type")
        entity = Entity(type=kind.lower(), fields=self._part_fields(given, where, disposition, root))
        if entity.type.startswith("multipart/"):
            await self._children(entity, given, where, depth)
        else:
            await self._leaf(entity, given, where)
        return entity

    async def _children(self, entity: Entity, given: Object, where: str, depth: int) -> None:
        children = given.get("subParts")
        if not isinstance(children, list) or not children:
            raise invalid("a multipart has parts", f"{where}/subParts")
        if given.get("partId") is not None or given.get("blobId") is not None:
            raise invalid("a multipart has no content of its own", where)
        entity.children = [await self._part(each, f"{where}/subParts", depth=depth + 1) for each in children]

    async def _leaf(self, entity: Entity, given: Object, where: str) -> None:
        part_id, blob_id = given.get("partId"), given.get("blobId")
        if given.get("subParts"):
            raise invalid("only a multipart has parts", f"{where}/subParts")
        if (part_id is None) == (blob_id is None):
            raise invalid("partId or blobId, one of them", f"{where}/partId", f"{where}/blobId")
        if part_id is not None:
            if given.get("charset") is not None or given.get("size") is not None:
                raise invalid("charset and size follow from the value", f"{where}/charset")
            value = self._values.get(part_id)
            if value is None:
                raise invalid("there is no such value", f"{where}/partId")
            if not entity.type.startswith("text/"):
                raise invalid("a value is text", f"{where}/type")
            entity.text = value.value
            self._count(len(value.value))
            return
        entity.charset = given.get("charset")
        if entity.charset is not None and not isinstance(entity.charset, str):
            raise invalid("a string is wanted", f"{where}/charset")
        await self._blob(entity, str(blob_id))

    async def _blob(self, entity: Entity, blob_id: str) -> None:
        name = self._context.resolve_id(blob_id) or blob_id
        blob = await blobs.find(self._context, self._account_id, name)
        if blob is None:
            self._missing.append(blob_id)
            return
        self._count(blob.size * 4 // 3)
        entity.octets = await blobs.octets_of(self._context, blob)

    def _count(self, octets: int) -> None:
        self._octets += octets
        most = self._context.services.message_size
        if self._octets > most:
            raise Rejected("tooLarge", "the message is too large", maxSize=most)

    def _part_fields(self, given: Object, where: str, disposition: str | None, root: bool) -> Fields:
        fields: Fields = []
        seen: set[str] = set()
        for name, value in given.items():
            if name in _PART:
                continue
            if not name.startswith("header:"):
                raise invalid("no such property of a part", f"{where}/{name}")
            found = _field(name, value, seen)
            if root and found and found[0][0].lower() in self._top:
                raise invalid("the message has this field already", f"{where}/{name}")
            fields += found
        for name, property_name, value in (
            ("Content-Disposition", "disposition", disposition_of(given, disposition)),
            ("Content-ID", "cid", f"<{given['cid']}>" if given.get("cid") else None),
            ("Content-Language", "language", ", ".join(given.get("language") or ()) or None),
            ("Content-Location", "location", given.get("location")),
        ):
            if value is None:
                continue
            if not isinstance(value, str):
                raise invalid("a string is wanted", f"{where}/{property_name}")
            if name.lower() in seen:
                raise invalid("the field is given twice", f"{where}/{property_name}")
            if property_name == "cid" and not re.fullmatch(r"<[^<>\s]+>", value):  # RFC 2045 §7: a msg-id
                raise invalid("this is no content id", f"{where}/cid")
            check_words(value, f"{where}/{property_name}")
            fields.append((name, value))
        return fields


def disposition_of(given: Object, default: str | None) -> str | None:
    """The Content-Disposition of a part, with its file name."""
    name, disposition = given.get("name"), given.get("disposition")
    if name is not None and not isinstance(name, str):
        raise invalid("a string is wanted", "name")
    if disposition is not None and not re.fullmatch(r"[A-Za-z0-9-]+", str(disposition)):
        raise invalid("this is no disposition", "disposition")
    return disposition_field(disposition or default, name)
