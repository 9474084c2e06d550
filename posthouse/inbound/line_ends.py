"""Line ends of what did not come by SMTP, where CR LF ends a line and neither stands by itself (RFC 5321 §2.3.8)."""

from __future__ import annotations

import asyncio

from posthouse.limits import SENDMAIL_PIECE
from posthouse.message.compose import crlf


async def with_crlf(octets: bytes) -> bytes:
    """Lines ended by CR LF, whatever they were; many octets in a thread."""
    return await asyncio.to_thread(_converted, octets) if len(octets) > SENDMAIL_PIECE else crlf(octets)


def _converted(octets: bytes) -> bytes:
    """Piece by piece, between which other threads have their turn."""
    pieces = []
    start = 0
    while start < len(octets):
        end = start + SENDMAIL_PIECE
        if octets[end - 1 : end + 1] == b"\r\n":
            end += 1
        pieces.append(crlf(octets[start:end]))
        start = end
    return b"".join(pieces)
