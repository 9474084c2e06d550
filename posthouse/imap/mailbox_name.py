"""Mailbox names on the wire and inside: modified UTF-7 (RFC 3501 §5.1.3), UTF-8 (RFC 9051 §5.1), NFC.

Inside the program a name is text in NFC, its levels parted by `/`, and INBOX always in capitals. On the
wire it is UTF-8 once the client enabled IMAP4rev2 or UTF8=ACCEPT, and modified UTF-7 before. `decode` never
fails: what is not good modified UTF-7 is kept as it stands, so that such a name simply is not found;
`check_new` judges names to be made.
"""

from __future__ import annotations

import binascii
import re
import unicodedata
from typing import Final

from posthouse import limits

SEPARATOR: Final = "/"
"""Between the levels of a name, on the wire as in the store (a test holds them together)."""
OTHERS: Final = f"Other Users{SEPARATOR}"
"""The prefix of the Other Users' namespace (RFC 2342 §3)."""

_ENCODED = re.compile(rb"&([^-]*)-")
_NOT_PRINTABLE = re.compile(r"[^\x20-\x7e]+")
_CONTROL = re.compile("[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]")


class BadName(ValueError):
    """A name that must not be made; the text says why."""


def above(name: str) -> list[str]:
    """All levels above a name, the nearest last."""
    levels = name.split(SEPARATOR)
    return [SEPARATOR.join(levels[:i]) for i in range(1, len(levels))]


def encode(name: str, *, utf8: bool) -> bytes:
    """A name as octets for the wire, not yet quoted."""
    if name.isascii() and "&" not in name:
        return name.encode("ascii")
    if utf8:
        return name.encode("utf-8")
    return _NOT_PRINTABLE.sub(_shift, name.replace("&", "&-")).encode("ascii")


def decode(raw: bytes, *, utf8: bool) -> str:
    """A name from the wire: NFC, INBOX (or a first level INBOX) in capitals; U+FFFD for what is not UTF-8."""
    return canonical(decode_as_given(raw, utf8=utf8))


def decode_as_given(raw: bytes, *, utf8: bool) -> str:
    """A name from the wire as text, not made canonical."""
    if utf8 or b"&" not in raw:
        # RFC 3501 §5.1.3 knows no 8-bit names, but clients that forget the encoding send UTF-8.
        return raw.decode("utf-8", "replace")
    return _ENCODED.sub(_unshift, raw).decode("utf-8", "replace")


def canonical(name: str) -> str:
    """NFC, with INBOX in capitals: it is the same mailbox in any case (RFC 9051 §5.1)."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if name[:5].upper() == "INBOX" and (len(name) == 5 or name[5] == SEPARATOR):
        return "INBOX" + name[5:]
    return name


def check_new(name: str) -> str:
    """The name under which a mailbox is made. Raises BadName when it is not fit to be shown and stored.

    A final separator only declares that there will be names below (RFC 9051 §6.3.4): it is cut off.
    """
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if not all(levels):
        raise BadName("An empty level is not allowed in a mailbox name")
    if len(levels) > limits.MAILBOX_LEVELS:
        raise BadName(f"A mailbox name may have at most {limits.MAILBOX_LEVELS} levels")
    if "\ufffd" in name:
        raise BadName("The mailbox name is not valid UTF-8")
    if len(name.encode("utf-8")) > limits.MAILBOX_NAME:
        raise BadName(f"A mailbox name may have at most {limits.MAILBOX_NAME} octets")
    # RFC 9051 §5.1, RFC 5198 §2: names keep to Net-Unicode: no control characters; wildcards could not be listed.
    if _CONTROL.search(name) or "*" in name or "%" in name:
        raise BadName("The mailbox name contains a character that is not allowed")
    return name


def _shift(match: re.Match[str]) -> str:
    text = match.group().encode("utf-16-be", "surrogatepass")
    # RFC 3501 §5.1.3: base64 with "," for "/" and without padding
    encoded = binascii.b2a_base64(text, newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{encoded.decode('ascii')}-"


def _unshift(match: re.Match[bytes]) -> bytes:
    encoded = match.group(1)
    if not encoded:
        return b"&"
    try:
        padded = encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4)
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be").encode("utf-8")
    except ValueError:
        return match.group()
