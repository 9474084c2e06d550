"""How tests read and sign a message held in one piece."""

from __future__ import annotations

from posthouse.message.headers import Headers
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, BodyHashes, RawField, raw_fields
from posthouse.msgauth.dkim_sign import FORM, SigningKey, sign
from posthouse.msgauth.dkim_verify import Signatures
from posthouse.msgauth.results import Dkim
from posthouse.resolver import Resolver

NOW = 1_700_000_000


def crlf(raw: bytes) -> bytes:
    """Line ends as SMTP has them."""
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def split(raw: bytes) -> tuple[list[RawField], bytes]:
    """Header fields and body."""
    headers = Headers.scan(raw)
    return raw_fields(headers), raw[headers.end :]


def hashed(body: bytes, forms: frozenset[BodyForm]) -> dict[BodyForm, BodyDigest]:
    hashes = BodyHashes(forms)
    hashes.feed(body)
    return hashes.finish()


async def verified(raw: bytes, resolver: Resolver, now: int = NOW) -> tuple[Dkim, ...]:
    """What DKIM says about a message."""
    fields, body = split(raw)
    signatures = Signatures.of(fields)
    return await signatures.verify(hashed(body, signatures.forms), resolver, now)


def signed(raw: bytes, *keys: SigningKey, now: int = NOW) -> bytes:
    """The message with our signatures before it."""
    fields, body = split(raw)
    return b"".join(sign(fields, hashed(body, frozenset({FORM}))[FORM], keys, now)) + raw
