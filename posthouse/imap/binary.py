"""Content-Transfer-Encodings undone piece by piece, for BINARY and BINARY.SIZE (RFC 9051 §6.4.5, §7.5.2). Pure.

A decoder holds no more than one unfinished group or line. What is no base64 is passed over, as readers of
mail do. Text parts come out with CRLF line ends, whatever was encoded (RFC 9051 §7.5.2).
"""

from __future__ import annotations

import binascii
import re
from typing import Final, Protocol

from posthouse.message.transfer import quoted_printable

_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64: Final = bytes(octet for octet in range(256) if octet not in _BASE64)
_PADDING = re.compile(rb"=+")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_QP_LINE: Final = 64 * 1024
"""Octets of a quoted-printable line that are kept back at most; the encoding allows 76 (RFC 2045 §6.7)."""


class UnknownEncoding(ValueError):
    """A Content-Transfer-Encoding that we cannot undo."""


class Decoder(Protocol):
    """Encoded octets in, decoded octets out."""

    def feed(self, data: bytes) -> bytes:
        """What more can be decoded now."""
        ...

    def finish(self) -> bytes:
        """What is left."""
        ...


class Identity:
    """7bit, 8bit, binary."""

    def feed(self, data: bytes) -> bytes:
        """The data."""
        return data

    def finish(self) -> bytes:
        """Nothing."""
        return b""


class Base64:
    """RFC 2045 §6.8. Padding ends a group, wherever it stands."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> bytes:
        """Whole groups of four, decoded."""
        data = self._left + data.translate(None, _NOT_BASE64)
        if b"=" not in data:
            return self._groups(data)
        parts = _PADDING.split(data)
        decoded = [self._groups(part) + self.finish() for part in parts[:-1]]
        decoded.append(self._groups(parts[-1]))
        return b"".join(decoded)

    def _groups(self, data: bytes) -> bytes:
        whole = len(data) & ~3
        self._left = data[whole:]
        return binascii.a2b_base64(data[:whole])

    def finish(self) -> bytes:
        """The octets of an unfinished group."""
        left, self._left = self._left, b""
        if len(left) < 2:
            return b""
        return binascii.a2b_base64(left + b"=" * (4 - len(left)))


class QuotedPrintable:
    """RFC 2045 §6.7."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> bytes:
        """Whole lines, decoded."""
        data = self._left + data
        end = data.rfind(b"\n") + 1
        if not end and len(data) > _QP_LINE:
            end = len(data) - 3
            end = end if (escape := data.rfind(b"=", end - 2, end)) < 0 else escape
        self._left = data[end:]
        return quoted_printable(data[:end])

    def finish(self) -> bytes:
        """The last line."""
        left, self._left = self._left, b""
        return quoted_printable(left)


class CanonicalText:
    """Another decoder's octets, with each bare LF as CRLF."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self._after_cr = False

    def _canonical(self, data: bytes) -> bytes:
        if not data:
            return data
        after_cr, self._after_cr = self._after_cr, data.endswith(b"\r")
        if after_cr and data.startswith(b"\n"):
            return b"\n" + _BARE_LF.sub(b"\r\n", data[1:])
        return _BARE_LF.sub(b"\r\n", data)

    def feed(self, data: bytes) -> bytes:
        """What more can be decoded now."""
        return self._canonical(self._inner.feed(data))

    def finish(self) -> bytes:
        """What is left."""
        return self._canonical(self._inner.finish())


_DECODERS: Final[dict[str, type[Identity] | type[Base64] | type[QuotedPrintable]]] = {
    "": Identity,
    "7bit": Identity,
    "8bit": Identity,
    "binary": Identity,
    "base64": Base64,
    "quoted-printable": QuotedPrintable,
}


def decoder(encoding: str, *, text: bool) -> Decoder:
    """The decoder for a Content-Transfer-Encoding (in any case). Raises UnknownEncoding."""
    kind = _DECODERS.get(encoding.strip().lower())
    if kind is None:
        raise UnknownEncoding(encoding)
    return CanonicalText(kind()) if text else kind()


def decode(data: bytes, encoding: str, *, text: bool) -> bytes:
    """A whole part, decoded. Raises UnknownEncoding."""
    one = decoder(encoding, text=text)
    return one.feed(data) + one.finish()
