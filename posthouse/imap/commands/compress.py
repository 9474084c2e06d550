"""COMPRESS=DEFLATE (RFC 4978): after its tagged OK both sides of the connection are compressed.

The work is done in `net.deflate_layer`. Only after login: a stranger gets no memory for windows.
"""

from __future__ import annotations

from typing import Final

from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, Completion
from posthouse.imap.grammar import Reader
from posthouse.imap.session import Session


def parse_compress(reader: Reader, uid: bool) -> bytes:
    """`SP algorithm`, an atom in whatever case (RFC 4978 §5)."""
    reader.sp()
    algorithm = reader.atom().upper()
    reader.end()
    return algorithm


async def run_compress(session: Session, algorithm: bytes) -> Completion:
    """Agree; the first compressed octet follows the tagged OK."""
    if algorithm != b"DEFLATE":
        # RFC 4978 §3: BAD for an unknown argument, and for compression that is active already
        raise Bad("Only DEFLATE is known")
    if session.connection.deflated:
        raise Bad("DEFLATE is active already", b"COMPRESSIONACTIVE")
    return Completion(text="DEFLATE active", then=_compress)


async def _compress(session: Session) -> None:
    # RFC 4978 §3: our side begins directly behind the CRLF of the tagged OK, the client's behind its command's.
    session.connection.start_deflate(_ends_compression if session.services.unauthenticate else None)


def _ends_compression(said: bytes) -> bool:
    """RFC 8437 §4.1: behind UNAUTHENTICATE the client compresses no more, and may have sent more already."""
    return said.endswith(b"\n") and said.rstrip(b"\r\n").upper().endswith(b" UNAUTHENTICATE")


COMPRESS: Final = Command(
    name=b"COMPRESS",
    states=AUTHENTICATED,
    parse=parse_compress,
    run=run_compress,
    capabilities=(b"COMPRESS=DEFLATE",),
    rfc="RFC 4978 §3",
)
ROWS: Final = (COMPRESS,)
