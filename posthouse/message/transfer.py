"""Content transfer encodings (RFC 2045 §6): octets of a part's body to what they stand for.

Tolerant as readers must be: base64 with stray characters or without padding, quoted-printable with loose
equals signs. An encoding that we do not know is the caller's to report (IMAP UNKNOWN-CTE).
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from posthouse.message.mime import IDENTITY_ENCODINGS

_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_SOFT_BREAK: Final = re.compile(rb"=[ \t]++(?=\r?\n)")


def decode_transfer(body: bytes, encoding: str) -> bytes | None:
    """The decoded octets; None when the encoding is unknown (RFC 2045 §6.4: then nothing may be decoded)."""
    if encoding in IDENTITY_ENCODINGS:
        return body
    if encoding == "base64":
        return _base64(body)
    if encoding == "quoted-printable":
        return quoted_printable(body)
    return None


def quoted_printable(body: bytes) -> bytes:
    """Whole lines, decoded. White space that came behind a soft line break is no text (RFC 2045 §6.7 rule 3)."""
    return binascii.a2b_qp(_SOFT_BREAK.sub(b"=", body))


def _base64(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(body)
    except binascii.Error:
        letters = _NOT_BASE64.sub(b"", body.partition(b"=")[0])
        if len(letters) % 4 == 1:
            letters = letters[:-1]
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
