"""How tests read and sign a message held in one piece."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

from posthouse.message.headers import Headers
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, BodyHashes, RawField, raw_fields
from posthouse.msgauth.dkim_sign import FORM, SigningKey, sign
from posthouse.msgauth.dkim_signature import header_digest
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


def crafted(raw: bytes, key: SigningKey, *, covered: int | None = None, **tags: str | None) -> bytes:
    """The message with a signature whose tags are as one likes (None: left out), right for what they say.

    `covered`: only so many octets of the body are hashed.
    """
    fields, body = split(raw)
    form = BodyForm(relaxed=True, length=covered)
    values: dict[str, str | None] = {
        "v": "1",
        "a": key.algorithm,
        "c": "relaxed/relaxed",
        "d": key.domain,
        "s": key.selector,
        "h": "from:to:subject",
        "bh": base64.b64encode(hashed(body, frozenset({form}))[form].digest).decode(),
        **({} if covered is None else {"l": str(covered)}),
    }
    values |= tags
    text = "; ".join(f"{name}={value}" for name, value in values.items() if value is not None)
    head = f"DKIM-Signature: {text}; b=".encode()
    names = [name.strip().encode() for name in (values["h"] or "").lower().split(":")]
    digest = header_digest(fields, names, RawField(b"dkim-signature", head), relaxed=True)
    if isinstance(key.key, rsa.RSAPrivateKey):
        value = key.key.sign(digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))
    else:
        value = key.key.sign(digest)
    return head + base64.b64encode(value) + b"\r\n" + raw
