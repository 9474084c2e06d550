"""Blob/upload, Blob/get, Blob/lookup (RFC 9404) and Blob/copy (RFC 8620 §6.3)."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import OverQuota
from posthouse.jmap import blobs, ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.ids import CreationId, Id, UnsignedInt
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer, GetAnswer, GetArguments
from posthouse.store.interface import AddUpload
from posthouse.store.model import Content

Object = dict[str, Any]
DIGESTS: Final = ("sha-256", "sha-512", "sha")
"""RFC 9404 §4: names of the registry of HTTP digest algorithms."""
_HASHES: Final = {"sha": "sha1", "sha-256": "sha256", "sha-512": "sha512"}
_DATA: Final = frozenset({"data", "data:asText", "data:asBase64"})
_DEFAULT: Final = ("data", "size")
TYPES: Final = ("Email", "Mailbox", "Thread", "SieveScript")


class DataSource(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """RFC 9404 §4.1: text, base64, or a part of another blob."""

    as_text: str | None = msgspec.field(default=None, name="data:asText")
    as_base64: str | None = msgspec.field(default=None, name="data:asBase64")
    blob_id: str | None = msgspec.field(default=None, name="blobId")
    offset: UnsignedInt | None = None
    length: UnsignedInt | None = None


class UploadObject(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """RFC 9404 §4.1."""

    data: list[DataSource]
    type: str | None = None


class BlobUploadArguments(Arguments, kw_only=True):
    """RFC 9404 §4.1."""

    create: dict[CreationId, Object]


class BlobUploadAnswer(Answer, kw_only=True):
    """RFC 9404 §4.1."""

    created: Object | None
    not_created: Object | None


async def upload(context: Context, arguments: BlobUploadArguments) -> BlobUploadAnswer:
    """Blob/upload."""
    account_id = context.account_number(arguments.account_id)
    if len(arguments.create) > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} blobs")
    made: Object = {}
    refused: Object = {}
    for creation_id, given in arguments.create.items():
        try:
            made[creation_id] = await _upload(context, account_id, given)
            context.created[creation_id] = made[creation_id]["id"]
        except Rejected as fault:
            refused[creation_id] = fault.error()
        except OverQuota as fault:
            refused[creation_id] = {"type": "overQuota", "description": fault.public}
    return BlobUploadAnswer(
        account_id=arguments.account_id, created=made or None, not_created=refused or None
    )


async def _upload(context: Context, account_id: int, given: Object) -> Object:
    try:
        wanted = msgspec.convert(given, UploadObject)
    except msgspec.ValidationError as fault:
        raise invalid(str(fault), "data") from fault
    if len(wanted.data) > limits.JMAP_BLOB_SOURCES:
        raise invalid(f"at most {limits.JMAP_BLOB_SOURCES} sources", "data")
    octets = b"".join([await _source(context, account_id, each) for each in wanted.data])
    most = context.services.message_size
    if len(octets) > most:
        raise Rejected("tooLarge", maxSize=most)
    media_type = wanted.type or "application/octet-stream"
    if not re.fullmatch(r"[\w!#$&^.+-]{1,100}/[\w!#$&^.+-]{1,100}", media_type):
        raise invalid("this is no media type", "type")
    found = await context.store.apply(
        AddUpload(
            account_id=account_id,
            content=Content.of(octets),
            media_type=media_type,
            created_at=int(context.services.now()),
        )
    )
    return {"id": ids.encode(blobs.UPLOAD, found.upload_id), "type": media_type, "size": len(octets)}


async def _source(context: Context, account_id: int, source: DataSource) -> bytes:
    given = [each for each in (source.as_text, source.as_base64, source.blob_id) if each is not None]
    if len(given) != 1:
        raise invalid("text, base64 or a blob, one of them", "data")
    if source.as_text is not None:
        return source.as_text.encode("utf-8", "surrogatepass")
    if source.as_base64 is not None:
        try:
            return base64.b64decode(source.as_base64, validate=True)
        except (binascii.Error, ValueError) as fault:
            raise invalid("this is no base64", "data") from fault
    name = context.resolve_id(source.blob_id or "") or ""
    blob = await blobs.find(context, account_id, name)
    if blob is None:
        raise Rejected("blobNotFound", notFound=[source.blob_id])
    start = source.offset or 0
    end = blob.size if source.length is None else start + source.length
    if end > blob.size or start > blob.size:
        raise invalid("the blob is not so long", "data")
    if end - start > context.services.message_size:
        raise Rejected("tooLarge", maxSize=context.services.message_size)
    if blob.stored is not None:
        return await context.store.read(blob.stored, start, end - start)
    return blob.octets[start:end]


class BlobGetArguments(GetArguments, kw_only=True):
    """RFC 9404 §4.2."""

    offset: UnsignedInt | None = None
    length: UnsignedInt | None = None


class BlobGetAnswer(Answer, kw_only=True):
    """RFC 9404 §4.2."""

    list_: list[Object] = msgspec.field(name="list")
    not_found: list[str]


async def get(context: Context, arguments: BlobGetArguments) -> BlobGetAnswer:
    """Blob/get."""
    account_id = context.account_number(arguments.account_id, opened=Opened.EITHER)
    properties = tuple(arguments.properties) if arguments.properties is not None else _DEFAULT
    known = _DATA | {"id", "size"} | {f"digest:{name}" for name in DIGESTS}
    if unknown := sorted(set(properties) - known):
        raise MethodError("invalidArguments", f"no such property: {', '.join(unknown)}")
    if arguments.ids is None or len(arguments.ids) > limits.JMAP_BLOBS:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_BLOBS} blobs")
    found: list[Object] = []
    missing: list[str] = []
    room = context.services.message_size
    for name in dict.fromkeys(arguments.ids):
        blob = await blobs.find(context, account_id, context.resolve_id(name) or "")
        if blob is None:
            missing.append(name)
            continue
        start = arguments.offset or 0
        length = blob.size if arguments.length is None else arguments.length
        needs = any(each in _DATA or each.startswith("digest:") for each in properties)
        room -= min(length, blob.size) if needs else 0
        if room < 0:
            raise MethodError("requestTooLarge", "ask for fewer octets")
        octets = await blobs.octets_of(context, blob) if needs else b""
        some = octets[start : start + length]
        shown = await asyncio.to_thread(_described, properties, some, blob.size)
        if (
            needs
            and start + length > blob.size
            and (arguments.offset is not None or arguments.length is not None)
        ):
            shown["isTruncated"] = True
        found.append({"id": name} | shown)
    return BlobGetAnswer(account_id=arguments.account_id, list_=found, not_found=missing)


def _described(properties: tuple[str, ...], octets: bytes, size: int) -> Object:
    shown: Object = {}
    for name in properties:
        if name == "size":
            shown["size"] = size
        elif name.startswith("digest:"):
            digest = hashlib.new(_HASHES[name.removeprefix("digest:")], octets, usedforsecurity=False)
            shown[name] = base64.b64encode(digest.digest()).decode("ascii")
        elif name in _DATA:
            shown |= _data(name, octets)
    return shown


def _data(name: str, octets: bytes) -> Object:
    """RFC 9404 §4.2: text where it is UTF-8, base64 else."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        encoded = {"data:asBase64": base64.b64encode(octets).decode("ascii"), "isEncodingProblem": True}
        if name == "data:asText":
            return {"data:asText": None, "isEncodingProblem": True}
        return encoded if name == "data" else {"data:asBase64": encoded["data:asBase64"]}
    if name == "data:asBase64":
        return {"data:asBase64": base64.b64encode(octets).decode("ascii")}
    return {"data:asText": text}


# --- lookup and copy ----------------------------------------------------------------------------------------


class BlobLookupArguments(Arguments, kw_only=True):
    """RFC 9404 §4.3."""

    type_names: list[str]
    ids: list[str]


class BlobLookupAnswer(Answer, kw_only=True):
    """RFC 9404 §4.3."""

    list_: list[Object] = msgspec.field(name="list")
    not_found: list[str]


async def lookup(context: Context, arguments: BlobLookupArguments) -> BlobLookupAnswer:
    """Blob/lookup: which objects a blob belongs to."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    if unknown := sorted(set(arguments.type_names) - set(TYPES)):
        raise MethodError("unknownDataType", f"no such type here: {', '.join(unknown)}")
    if len(arguments.ids) > limits.JMAP_BLOBS:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_BLOBS} blobs")
    mail = context.mail(account_id)
    found: list[Object] = []
    missing: list[str] = []
    for name in dict.fromkeys(arguments.ids):
        if await blobs.find(context, account_id, name) is None:
            missing.append(name)
            continue
        number = ids.decode(blobs.MESSAGE, name.partition("-")[0])
        standings = await mail.find([number]) if number is not None else {}
        threads = await mail.threads(list(standings))
        matched = {
            "Email": [ids.encode(ids.EMAIL, each) for each in standings],
            "Mailbox": [ids.encode(ids.MAILBOX, box) for s in standings.values() for box, _ in s.places],
            "Thread": [ids.encode(ids.THREAD, threads[each]) for each in standings],
            "SieveScript": [script[1]] if (script := blobs.SCRIPT.fullmatch(name)) is not None else [],
        }
        found.append({"id": name, "matchedIds": {each: matched[each] for each in arguments.type_names}})
    return BlobLookupAnswer(account_id=arguments.account_id, list_=found, not_found=missing)


class BlobCopyArguments(Arguments, kw_only=True):
    """RFC 8620 §6.3."""

    from_account_id: Id
    blob_ids: list[str]


async def copy(context: Context, arguments: BlobCopyArguments) -> Object:
    """Blob/copy."""
    account_id = context.account_number(arguments.account_id)
    source_id = context.account_number(
        arguments.from_account_id, "fromAccountNotFound", opened=Opened.MAILBOXES
    )
    copied: Object = {}
    refused: Object = {}
    for name in dict.fromkeys(arguments.blob_ids):
        blob = await blobs.find(context, source_id, name)
        if blob is None:
            refused[name] = {"type": "notFound"}
            continue
        made = await context.store.apply(
            AddUpload(
                account_id=account_id,
                content=Content.of(await blobs.octets_of(context, blob)),
                media_type=blob.media_type,
                created_at=int(context.services.now()),
            )
        )
        copied[name] = ids.encode(blobs.UPLOAD, made.upload_id)
    return {
        "fromAccountId": arguments.from_account_id,
        "accountId": arguments.account_id,
        "copied": copied or None,
        "notCopied": refused or None,
    }


__all__ = ["DIGESTS", "TYPES", "GetAnswer", "copy", "get", "lookup", "upload"]
