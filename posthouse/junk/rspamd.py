"""Asking rspamd about a message over HTTP (its /checkv2, protocol documentation of rspamd).

Its opinion becomes one weight among ours; "reject" refuses when `junk.refuse_at` allows refusing at all. When it cannot
be asked the message is judged without it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.errors import Temporary
from posthouse.limits import RSPAMD_ANSWER, RSPAMD_TIMEOUT, RSPAMD_TOTAL, STAGE_BLOCK
from posthouse.store.model import Content

if TYPE_CHECKING:
    import httpx2


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What rspamd thinks."""

    action: str
    score: float
    required: float
    symbols: tuple[str, ...] = ()
    """The heaviest of its rules."""


class _Symbol(msgspec.Struct):
    score: float = 0.0


class _Answer(msgspec.Struct):
    action: str = "no action"
    score: float = 0.0
    required_score: float = 15.0
    symbols: dict[str, _Symbol] = {}


_SYMBOLS_SHOWN: Final = 6


class Rspamd:
    """A client. `url`: "http://host:11333"."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/") + "/checkv2"
        self._client: httpx2.AsyncClient | None = None

    async def ask(
        self, content: Content, envelope: Mapping[str, str], recipients: tuple[str, ...]
    ) -> Opinion:
        """Ask. `envelope`: IP, Helo, From, Queue-Id, … Raises Temporary when it cannot say."""
        import httpx2  # takes a while to import, and most houses have no rspamd

        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=RSPAMD_TIMEOUT, trust_env=False)
        headers = [(name.encode(), _plain(value)) for name, value in envelope.items() if value]
        headers += [(b"Rcpt", _plain(address)) for address in recipients[:100]]
        headers.append((b"Content-Length", b"%d" % content.size))
        headers.append((b"Accept-Encoding", b"identity"))  # the limit holds for what is read, unpacked
        try:
            async with (
                asyncio.timeout(RSPAMD_TOTAL),
                self._client.stream("POST", self._url, headers=headers, content=_octets(content)) as response,
            ):
                body = b""
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > RSPAMD_ANSWER:
                        raise Temporary("rspamd's answer is too long")
            if response.status_code != 200:
                raise Temporary(f"rspamd answered {response.status_code}")
            answer = msgspec.json.decode(body, type=_Answer)
        except (httpx2.HTTPError, msgspec.MsgspecError, TimeoutError) as fault:
            raise Temporary(f"rspamd cannot be asked: {type(fault).__name__}") from fault
        heaviest = sorted(answer.symbols.items(), key=lambda pair: -abs(pair[1].score))[:_SYMBOLS_SHOWN]
        return Opinion(
            action=answer.action,
            score=answer.score,
            required=answer.required_score,
            symbols=tuple(name for name, _ in heaviest),
        )

    async def close(self) -> None:
        """Let go of its connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _plain(value: str) -> bytes:
    """A field's value: UTF-8, which text would not be allowed to be, and no line end."""
    return "".join(c for c in value if c.isprintable()).encode("utf-8", "replace")[:500]


async def _octets(content: Content) -> AsyncIterator[bytes]:
    blocks = content.blocks(STAGE_BLOCK)
    while block := (
        next(blocks, b"") if content.path is None else await asyncio.to_thread(next, blocks, b"")
    ):
        yield block
