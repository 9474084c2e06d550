"""The text of a message on its way through filters: a header section that changes, and a body that is replaced whole.

Short ones stay in memory; long ones are read from their staging, and what a filter gives in their place goes to a
staging of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from posthouse.errors import RemoteProtocolError
from posthouse.limits import MILTER_CHUNK, SMTP_MEMORY_MESSAGE, STAGE_BLOCK
from posthouse.message.compose import crlf
from posthouse.message.headers import Headers
from posthouse.milter.section import Section
from posthouse.store.interface import Staging, Store
from posthouse.store.model import Content


class MilterText:
    """One message's text. `section` is changed in place, `body` by assignment."""

    def __init__(self, section: Section, content: Content, body_at: int) -> None:
        """`body_at`: where in `content` the body begins."""
        self.section = section
        self._content = content
        self._body_at = body_at

    @classmethod
    def of(cls, content: Content, headers: Headers, fields: bytes, *, headless: bool) -> MilterText:
        """The text as it came. `fields`: of ours, that belong on top of its header."""
        if headless:
            section, body_at = Section([]), 0
        else:
            section, body_at = Section.read(headers.raw, headers), headers.end
        section.put_first(fields)
        return cls(section, content, body_at)

    def replace_body(self, body: Content) -> None:
        """The body that a filter gives."""
        self._content, self._body_at = body, 0

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces as filters take them; those of a staged message are read in a thread."""
        left = self._body_at
        async for block in _blocks(self._content):
            piece = block[left:] if left else block
            left = max(0, left - len(block))
            for start in range(0, len(piece), MILTER_CHUNK):
                yield piece[start : start + MILTER_CHUNK]

    async def content(self, store: Store) -> Content:
        """The whole as it is now."""
        head = self.section.encode()
        if self._content.path is None:
            body = self._content.beginning()
            return Content([head, body[self._body_at :]])
        staging = store.stage()
        try:
            left = self._body_at
            async for block in _blocks(self._content):
                # The first piece of what is staged must hold the whole header.
                await staging.write(head + block[left:])
                head, left = b"", max(0, left - len(block))
            return await staging.finish()
        except BaseException:
            await staging.discard()
            raise


class NewBody:
    """A body that a filter gives piece by piece. `finish` or `discard` ends it."""

    def __init__(self, store: Store, most: int) -> None:
        """`most`: octets that a message may have."""
        self._store = store
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []
        self._held = b""
        self._staging: Staging | None = None
        self.is_ascii = True

    async def add(self, octets: bytes) -> None:
        """The next piece. Raises RemoteProtocolError when it becomes longer than messages may be."""
        octets = self._held + octets
        # RFC 5321 §2.3.8: CR and LF only together; a CR at the end may have its LF in the next piece.
        self._held = octets[-1:] if octets.endswith(b"\r") else b""
        await self._add(crlf(octets.removesuffix(b"\r") if self._held else octets))

    async def _add(self, octets: bytes) -> None:
        self._size += len(octets)
        self.is_ascii = self.is_ascii and octets.isascii()
        if self._size > self._most:
            raise RemoteProtocolError("a body longer than messages may be")
        if self._staging is None and self._size > SMTP_MEMORY_MESSAGE:
            self._staging = self._store.stage()
            pieces, self._pieces = self._pieces, []
            await self._staging.write(b"".join(pieces))
        if self._staging is None:
            self._pieces.append(octets)
        else:
            await self._staging.write(octets)

    async def finish(self) -> Content:
        """The body, whole."""
        if self._held:
            self._held = b""
            await self._add(b"\r\n")
        if self._staging is not None:
            return await self._staging.finish()
        return Content.of(b"".join(self._pieces))

    async def discard(self) -> None:
        """Forget it."""
        if self._staging is not None:
            await self._staging.discard()


async def _blocks(content: Content) -> AsyncIterator[bytes]:
    blocks = content.blocks(STAGE_BLOCK)
    end = object()
    while True:
        block = next(blocks, end) if content.path is None else await asyncio.to_thread(next, blocks, end)
        if not isinstance(block, bytes):
            return
        yield block
