"""Header fields that must not go on: Bcc of what our people send, and forged Authentication-Results.

The text is copied only where such a field is in it; a large one is rewritten through staging, never held whole in
memory. Signatures are checked before this, over the message as it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.limits import STAGE_BLOCK
from posthouse.msgauth.authres import NAME, forged
from posthouse.store.interface import Store
from posthouse.store.model import Content

# RFC 6409 §8: Bcc never leaves; RFC 5321 §4.4: nor does a Return-Path from the one who writes.
_OF_OURS: Final = ("bcc", "resent-bcc", "return-path")

_VERDICT: Final = "x-posthouse-verdict"

Span = tuple[int, int]


def spans_to_leave_out(examination: Examination, our_names: Iterable[str]) -> list[Span]:
    """Where the fields lie that must go, ascending. `our_names`: of all hosts of the house."""
    headers, via = examination.headers, examination.mail.via
    spans = headers.spans(_OF_OURS) if via in (Via.SUBMISSION, Via.LOCAL) else []
    if _VERDICT in headers and via is not Via.LMTP:
        spans = sorted([*spans, *headers.spans([_VERDICT])])  # ours alone to say
    if NAME in headers and via is not Via.LMTP:
        # RFC 8601 §5: a field in our name that we did not write is a forgery. (LMTP comes from a host of ours.)
        fields = zip(headers.all(NAME), headers.spans([NAME]), strict=True)
        spans += [span for value, span in fields if forged(value, our_names)]
        spans.sort()
    return spans


async def without_spans(content: Content, spans: Sequence[Span], store: Store) -> Content:
    """The content without these octets."""
    if content.path is None:
        return Content(list(_outside(content.beginning(), spans)))
    staging = store.stage()
    try:
        offset = 0
        blocks = content.blocks(STAGE_BLOCK)
        while block := await asyncio.to_thread(next, blocks, b""):
            for piece in _outside(block, [(a - offset, b - offset) for a, b in spans]):
                await staging.write(piece)
            offset += len(block)
        return await staging.finish()
    except BaseException:
        await staging.discard()
        raise


def _outside(block: bytes, spans: Sequence[Span]) -> Iterator[bytes]:
    """The pieces of a block that lie in none of the spans (ascending; they may reach beyond the block)."""
    position = 0
    for start, end in spans:
        if start > position:
            yield block[position : min(start, len(block))]
        position = max(position, end)
        if position >= len(block):
            return
    yield block[position:] if position else block
