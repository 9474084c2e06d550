"""Uploading and downloading octets (RFC 8620 §6.1, §6.2), both as streams.

Whatever is downloaded is for saving, never for showing: it comes as an attachment, in a sandbox without scripts, and
its type is not guessed. So no message can bring a page to our own origin.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from posthouse import limits
from posthouse.errors import OverQuota
from posthouse.jmap import blobs, ids
from posthouse.jmap.blobs import Blob
from posthouse.jmap.context import Context, Opened, Services
from posthouse.jmap.errors import MethodError, RequestError
from posthouse.store.account_model import Upload
from posthouse.store.interface import AddUpload
from posthouse.store.model import Account, Content
from posthouse.web.busy import Busy, TooBusy
from posthouse.web.jmap import refusal
from posthouse.web.login import Gate
from posthouse.web.problems import problem

_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+-]{1,100}"
_TYPE: Final = re.compile(
    rf"{_TOKEN}/{_TOKEN}(?:; ?[A-Za-z0-9-]{{1,40}}=\"?[A-Za-z0-9_.:-]{{1,100}}\"?){{0,4}}"
)
SANDBOX: Final = "sandbox; default-src 'none'; frame-ancestors 'none'"
KEPT: Final = "private, immutable, max-age=31536000"
"""RFC 8620 §6.2: a blob id names the same octets for ever."""
_UNKNOWN: Final = "application/octet-stream"


class UploadAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8620 §6.1."""

    account_id: str
    blob_id: str
    type: str
    size: int


class BlobPages:
    """The two endpoints."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self._services = services
        self._gate = gate
        self._busy = Busy(limits.JMAP_UPLOADS)

    def routes(self) -> list[BaseRoute]:
        """What is answered here."""
        return [
            Route("/jmap/upload/{account_id}/", self.upload, methods=["POST"]),
            Route("/jmap/upload/{account_id}", self.upload, methods=["POST"]),
            Route("/jmap/download/{account_id}/{blob_id}/{name:path}", self.download, methods=["GET"]),
        ]

    def _context(self, account: Account) -> Context:
        return Context(self._services, account, using=frozenset(), created={})

    async def upload(self, request: Request) -> Response:
        """Keep what comes (RFC 8620 §6.1)."""
        caller = await self._gate.caller(request)
        try:
            account_id = self._context(caller.account).account_number(request.path_params["account_id"])
        except MethodError:
            return problem(HTTPStatus.NOT_FOUND, "about:blank", "there is no such account")
        kind = request.headers.get("content-type", "")
        media_type = kind if _TYPE.fullmatch(kind) else _UNKNOWN
        try:
            with self._busy.one(account_id):
                content = await self._received(request)
                made = await self._kept(account_id, content, media_type)
        except RequestError as fault:
            return refusal(fault)
        except TooBusy:
            return refusal(RequestError("limit", "too many uploads at once", limit="maxConcurrentUpload"))
        except OverQuota as fault:
            return problem(HTTPStatus.INSUFFICIENT_STORAGE, "about:blank", fault.public)
        answer = UploadAnswer(
            account_id=ids.encode(ids.ACCOUNT, account_id),
            blob_id=ids.encode(blobs.UPLOAD, made.upload_id),
            type=media_type,
            size=made.stored.size,
        )
        return Response(msgspec.json.encode(answer), HTTPStatus.CREATED, media_type="application/json")

    async def _kept(self, account_id: int, content: Content, media_type: str) -> Upload:
        return await self._services.store.apply(
            AddUpload(
                account_id=account_id,
                content=content,
                media_type=media_type,
                created_at=int(self._services.now()),
            )
        )

    async def _received(self, request: Request) -> Content:
        """The body, in memory while it is small, else staged. RequestError when it is too large or stops halfway."""
        most = self._services.message_size
        too_large = RequestError("limit", "the upload is too large", limit="maxSizeUpload")
        length = request.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            raise too_large
        pieces: list[bytes] = []
        octets = 0
        staging = None
        try:
            async for piece in request.stream():
                octets += len(piece)
                if octets > most:
                    raise too_large
                pieces.append(piece)
                if octets > limits.JMAP_IN_MEMORY:
                    staging = staging or self._services.store.stage()
                    await staging.write(b"".join(pieces))
                    pieces.clear()
            if staging is None:
                return Content.of(b"".join(pieces))
            return await staging.finish()
        except ClientDisconnect as fault:
            if staging is not None:
                await staging.discard()
            raise RequestError("notRequest", "the upload stopped halfway") from fault
        except BaseException:
            if staging is not None:
                await staging.discard()
            raise

    async def download(self, request: Request) -> Response:
        """A blob (RFC 8620 §6.2)."""
        caller = await self._gate.caller(request)
        context = self._context(caller.account)
        missing = problem(HTTPStatus.NOT_FOUND, "about:blank", "there is no such blob")
        await context.learn(request.path_params["account_id"])
        try:
            account_id = context.account_number(request.path_params["account_id"], opened=Opened.EITHER)
        except MethodError:
            return missing
        blob = await blobs.find(context, account_id, request.path_params["blob_id"])
        if blob is None:
            return missing
        kind = request.query_params.get("type") or blob.media_type
        headers = {
            "content-type": kind if _TYPE.fullmatch(kind) else _UNKNOWN,
            "content-disposition": attachment(request.path_params["name"]),
            "content-length": str(blob.size),
            "content-security-policy": SANDBOX,
            "cache-control": KEPT,
        }
        return StreamingResponse(self._pieces(blob), HTTPStatus.OK, headers)

    async def _pieces(self, blob: Blob) -> AsyncIterator[bytes]:
        if blob.stored is not None:
            async for chunk in self._services.store.chunks(blob.stored):
                yield chunk
            return
        for start in range(0, len(blob.octets), limits.BLOB_CHUNK):
            yield blob.octets[start : start + limits.BLOB_CHUNK]


def attachment(name: str) -> str:
    """A Content-Disposition for saving under a name (RFC 6266 §4)."""
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", name)[:100] or "download"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name[:200], safe='')}"
