"""Remote pictures of HTML mail, fetched by us so that the sender learns neither who reads nor where or with what.

Only addresses that we signed while making a mail safe are fetched, so this is nobody's open proxy, and only from hosts
on the internet (`outside`). One name for all readers. The answer must be a raster picture, is bounded in size and
time, and is kept for a while: reading again asks nobody.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, urljoin

import httpx2
import msgspec

from posthouse.errors import PosthouseError, Temporary
from posthouse.ip_addresses import is_public
from posthouse.limits import (
    IMAGE_REDIRECTS,
    IMAGE_SIZE,
    IMAGE_TIME,
    IMAGES_AT_ONCE,
    IMAGES_KEPT,
)
from posthouse.resolver import Resolver
from posthouse.web.outside import NotOutside, Outside

PATH: Final = "/mail/image"
_FIELDS: Final = {
    "user-agent": "Mozilla/5.0 (compatible; mail image proxy)",
    "accept": "image/avif,image/webp,image/png,image/jpeg,image/gif",
    "accept-encoding": "identity",
}
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"\x00\x00\x01\x00", "image/x-icon"),
)


class NoPicture(PosthouseError):
    """The address gives no picture that could be shown."""


class Picture(msgspec.Struct, frozen=True):
    """A raster picture and what it is, by its own octets."""

    media_type: str
    content: bytes


class ImageProxy:
    """Signs addresses, and fetches what it signed. One per process."""

    def __init__(
        self,
        secret: bytes,
        resolver: Resolver,
        *,
        allowed: Callable[[str], bool] = is_public,
        verify: bool = True,
    ) -> None:
        """`allowed` judges IP addresses; `verify`: certificates must be good (only tests say otherwise)."""
        self._secret = hashlib.sha256(b"image proxy\0" + secret).digest()
        self._outside = Outside(
            resolver, connections=IMAGES_AT_ONCE, seconds=IMAGE_TIME, allowed=allowed, verify=verify
        )
        self._slots = asyncio.Semaphore(IMAGES_AT_ONCE)
        self._kept: OrderedDict[str, Picture] = OrderedDict()
        self._octets = 0

    # --- addresses ------------------------------------------------------------------------------------

    def proxied(self, address: str) -> str:
        """Our own address for a picture's."""
        return f"{PATH}?url={quote(address, safe='')}&key={self._key(address)}"

    def _key(self, address: str) -> str:
        digest = hmac.digest(self._secret, address.encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:18]).decode()

    def is_ours(self, address: str, key: str) -> bool:
        """Whether we signed the address."""
        return hmac.compare_digest(self._key(address).encode(), key.encode())

    # --- fetching -------------------------------------------------------------------------------------

    async def fetch(self, address: str) -> Picture:
        """The picture. NoPicture: there is none to be shown; Temporary: too busy, or the other side is away."""
        if (kept := self._kept.get(address)) is not None:
            self._kept.move_to_end(address)
            return kept
        try:
            async with asyncio.timeout(IMAGE_TIME), self._slots:
                picture = await self._follow(address)
        except TimeoutError as fault:
            raise Temporary("the picture takes too long") from fault
        except httpx2.HTTPError as fault:
            raise Temporary("the picture's host cannot be reached") from fault
        self._keep(address, picture)
        return picture

    async def _follow(self, address: str) -> Picture:
        for _ in range(IMAGE_REDIRECTS + 1):
            response = await self._ask(address)
            try:
                if response.is_redirect:
                    address = urljoin(address, response.headers.get("location", ""))
                    continue
                if response.status_code != 200:
                    raise NoPicture(f"the picture's host answers {response.status_code}")
                return await _read(response)
            finally:
                await response.aclose()
        raise NoPicture("too many redirects")

    async def _ask(self, address: str) -> httpx2.Response:
        try:
            return await self._outside.send("GET", address, _FIELDS)
        except NotOutside as fault:
            raise NoPicture(f"there is no such picture: {fault.public}") from fault

    def _keep(self, address: str, picture: Picture) -> None:
        before = self._kept.pop(address, None)  # of somebody who asked for it at the same time
        self._kept[address] = picture
        self._octets += len(picture.content) - (len(before.content) if before is not None else 0)
        while self._octets > IMAGES_KEPT:
            _, gone = self._kept.popitem(last=False)
            self._octets -= len(gone.content)

    async def close(self) -> None:
        """Let go of connections."""
        await self._outside.close()


async def _read(response: httpx2.Response) -> Picture:
    """The body, judged by its own beginning: what the host calls it is not believed."""
    pieces: list[bytes] = []
    octets = 0
    async for piece in response.aiter_raw():
        octets += len(piece)
        if octets > IMAGE_SIZE:
            raise NoPicture("the picture is too large")
        pieces.append(piece)
    content = b"".join(pieces)
    kind = media_type_of(content)
    if kind is None:
        raise NoPicture("what the host sends is no picture")
    return Picture(kind, content)


def media_type_of(content: bytes) -> str | None:
    """The type of a raster picture by its first octets; None for anything else, SVG above all."""
    for beginning, kind in _BEGINNINGS:
        if content.startswith(beginning):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content[4:12] in {b"ftypavif", b"ftypavis"}:
        return "image/avif"
    return None
