"""The cryptography of Web Push: messages for one device (RFC 8291, RFC 8188) and proof of who sends (RFC 8292).

Pure but for chance: octets in, octets out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

_RECORD: Final = 4096
"""RFC 8188 §2.1: the record size; every message here is one record."""
_TOKEN_SECONDS: Final = 12 * 3600
"""RFC 8292 §2: at most 24 hours."""


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def _expand(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF (RFC 5869) for at most one block."""
    key = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(key, info + b"\1", hashlib.sha256).digest()[:length]


def encrypt(
    message: bytes,
    device: bytes,
    auth: bytes,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """An aes128gcm body for a device's public point and secret (RFC 8291 §3). ValueError: no point of the curve.

    `key` and `salt` are made anew for each message; only test vectors give them.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), device)
    shared = key.exchange(ec.ECDH(), theirs)
    ours = _point(key.public_key())
    secret = _expand(shared, auth, b"WebPush: info\0" + device + ours, 32)
    content_key = _expand(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _expand(secret, salt, b"Content-Encoding: nonce\0", 12)
    sealed = AESGCM(content_key).encrypt(nonce, message + b"\2", None)
    return salt + struct.pack(">IB", _RECORD, len(ours)) + ours + sealed


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


class VapidKey:
    """The house's key (RFC 8292 §3.2); its public half stands in the Session object (RFC 9749 §3)."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        self.public = _text(_point(key.public_key()))

    @classmethod
    def from_secret(cls, secret: bytes) -> VapidKey:
        """The key that follows from the house's secret: the same on every node and after every start."""
        number = int.from_bytes(hashlib.sha512(b"vapid\0" + secret).digest(), "big")
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        return cls(ec.derive_private_key(number % (order - 1) + 1, ec.SECP256R1()))

    def authorization(self, url: str, contact: str, now: float) -> str:
        """The Authorization field for a push service (RFC 8292 §3)."""
        parts = urlsplit(url)
        claims = {"aud": f"{parts.scheme}://{parts.netloc}", "exp": int(now) + _TOKEN_SECONDS, "sub": contact}
        head = _text(msgspec.json.encode({"typ": "JWT", "alg": "ES256"}))
        signed = f"{head}.{_text(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(SHA256())))
        signature = _text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={signed}.{signature}, k={self.public}"
