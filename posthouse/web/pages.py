"""The built webmail as files in memory: read once in a thread, compressed once, served without touching the disk.

Files below `assets/` have their content's hash in their names and never change; everything else is asked for again
each time and answered 304 when it is the same. Any path that names no file is a page of the application.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from posthouse import limits

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}
"""The system's table of types differs from machine to machine."""
_COMPRESSED: Final = ("text/", "image/svg", "application/json", "application/manifest")
_UNBUILT: Final = "The pages are not built here. JMAP answers at /.well-known/jmap\n"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    body: bytes
    packed: bytes | None
    """gzip, when it is worth it."""
    media_type: str
    etag: str
    cache: str


class Pages:
    """All files of a folder. `load` once, then `answer`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self._pages: dict[str, Page] = {}

    def load(self) -> None:
        """Read the folder (blocks); an absent one is fine. Stops at HTTP_PAGES_SIZE octets."""
        pages: dict[str, Page] = {}
        room = limits.HTTP_PAGES_SIZE
        for path in sorted(self._folder.rglob("*")) if self._folder.is_dir() else ():
            if not path.is_file():
                continue
            body = path.read_bytes()
            room -= len(body)
            if room < 0:
                break
            name = path.relative_to(self._folder).as_posix()
            pages[name] = _page(name, body)
        self._pages = pages

    async def answer(self, request: Request) -> Response:
        """The file that the path names, or the application's page."""
        name = request.url.path.lstrip("/") or "index.html"
        page = self._pages.get(name)
        if page is None:
            if "." in name.rpartition("/")[2]:
                return PlainTextResponse("not found\n", HTTPStatus.NOT_FOUND)
            page = self._pages.get("index.html")
        if page is None:
            return PlainTextResponse(_UNBUILT, HTTPStatus.NOT_FOUND)
        headers = {"etag": page.etag, "cache-control": page.cache, "vary": "accept-encoding"}
        if page.etag in request.headers.get("if-none-match", ""):
            return Response(None, HTTPStatus.NOT_MODIFIED, headers)
        if page.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(page.packed, HTTPStatus.OK, headers, page.media_type)
        return Response(page.body, HTTPStatus.OK, headers, page.media_type)


def _page(name: str, body: bytes) -> Page:
    suffix = Path(name).suffix
    kind = _TYPES.get(suffix) or mimetypes.guess_type(name, strict=True)[0] or "application/octet-stream"
    packed = gzip.compress(body, 9, mtime=0) if kind.startswith(_COMPRESSED) else None
    return Page(
        body=body,
        packed=packed if packed is not None and len(packed) < len(body) * 0.9 else None,
        media_type=kind,
        etag=f'"{hashlib.sha256(body).hexdigest()[:24]}"',
        cache="public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache",
    )
