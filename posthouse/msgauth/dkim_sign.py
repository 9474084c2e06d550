"""DKIM signing: RSA-SHA256 and Ed25519-SHA256 side by side (RFC 6376 §5, RFC 8463 §3), relaxed/relaxed.

What a forger would add is signed as absent (RFC 6376 §5.4.2): a second From or Subject breaks the signature. `l=` is
never written. Signing costs a millisecond of RSA: callers keep it off the event loop.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, RawField
from posthouse.msgauth.dkim_signature import header_digest

PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

FORM: Final = BodyForm(relaxed=True)
"""The only form of a body that we sign."""

ALWAYS: Final = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding"),
)
"""Signed once more than present, so that none can be added."""

WHEN_PRESENT: Final = (
    *(b"sender", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post", b"list-post", b"list-help"),
    b"content-disposition",
)
"""Signed where they are: mailing lists may add their own."""

RSA_BITS: Final = 2048
"""RFC 8301 §3.2: at least 2048 for signers."""

_LINE: Final = 70


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A private key with the name it is published under."""

    domain: str
    selector: str
    algorithm: str
    """"rsa-sha256" or "ed25519-sha256"."""
    key: PrivateKey


def make_private_key(algorithm: str) -> PrivateKey:
    """A new key. Takes up to a second for RSA."""
    if algorithm == "ed25519-sha256":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def private_pem(key: PrivateKey) -> str:
    """A private key as it is kept."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def load_private_key(pem: str) -> PrivateKey:
    """A kept key. Raises ValueError."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (UnsupportedAlgorithm, TypeError) as fault:
        raise ValueError(f"no usable key: {fault}") from fault
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("neither an RSA nor an Ed25519 key")
    return key


def key_record(key: PrivateKey) -> str:
    """The TXT record to publish (RFC 6376 §3.6.1, RFC 8463 §4)."""
    public = key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        kind = "rsa"
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}"


def sign(fields: Sequence[RawField], body: BodyDigest, keys: Sequence[SigningKey], now: int) -> list[bytes]:
    """One DKIM-Signature field for each key, CRLF-ended, to stand before the message."""
    names = signed_names(fields)
    return [_signature(fields, names, body, key, now) for key in keys]


def signed_names(fields: Sequence[RawField]) -> list[bytes]:
    """h= for these fields."""
    present = [field.name for field in fields]
    names = [name for name in ALWAYS for _ in range(present.count(name) + 1)]
    return names + [name for name in WHEN_PRESENT for _ in range(present.count(name))]


def _signature(
    fields: Sequence[RawField],
    names: Sequence[bytes],
    body: BodyDigest,
    key: SigningKey,
    now: int,
) -> bytes:
    about = [
        f"v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};",
        f"s={key.selector}; t={now};",
        *folded(names),
        f"bh={base64.b64encode(body.digest).decode()};",
        "b=",
    ]
    head = ("DKIM-Signature: " + "\r\n\t".join(about)).encode()
    digest = header_digest(fields, names, RawField(b"dkim-signature", head), relaxed=True)
    return head + signed_value(key.key, digest).encode() + b"\r\n"


def folded(names: Sequence[bytes]) -> list[str]:
    """h= in lines."""
    lines, line = [], "h="
    for number, name in enumerate(names):
        word = name.decode() + (";" if number == len(names) - 1 else ":")
        if len(line) + len(word) > _LINE:
            lines.append(line)
            line = ""
        line += word
    return [*lines, line]


def signed_value(key: PrivateKey, digest: bytes) -> str:
    """b= for a SHA-256 digest, in lines."""
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(digest, padding.PKCS1v15(), utils.Prehashed(SHA256()))
    else:
        signature = key.sign(digest)
    value = base64.b64encode(signature).decode()
    return "\r\n\t ".join(value[start : start + _LINE] for start in range(0, len(value), _LINE))
