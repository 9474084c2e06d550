"""What a ManageSieve server says (RFC 5804 §1.3, §1.7, §4): strings, the three replies, capabilities.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.limits import SIEVE_QUOTED
from posthouse.managesieve.core import Refusal

_UNQUOTED: Final = re.compile(rb"[\r\n\0]")
_SPECIAL: Final = re.compile(rb'(["\\])')


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What is offered on a connection, as it is now."""

    extensions: Sequence[str]
    """Of Sieve."""
    redirects: int
    """How many redirects one run of a script may do."""
    notify: Sequence[str]
    """Schemes of URIs to which `notify` (RFC 5435) can send."""
    mechanisms: Sequence[str]
    starttls: bool
    unauthenticate: bool
    owner: str
    """Who is logged in; empty: nobody."""


def string(octets: bytes) -> bytes:
    """A string: quoted where that may be, else a literal (literal-s2c)."""
    if len(octets) <= SIEVE_QUOTED and not _UNQUOTED.search(octets) and _is_utf8(octets):
        return b'"%b"' % _SPECIAL.sub(rb"\\\1", octets)
    return literal(octets)


def literal(octets: bytes) -> bytes:
    """A string as a literal."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True


def ok(text: str = "", code: bytes = b"") -> bytes:
    """It is done."""
    return _reply(b"OK", text, code)


def no(refusal: Refusal) -> bytes:
    """It is not done."""
    return _reply(b"NO", refusal.text, refusal.code.encode())


def bye(text: str, code: bytes = b"") -> bytes:
    """The connection ends (RFC 5804 §1.2)."""
    return _reply(b"BYE", text, code)


def _reply(word: bytes, text: str, code: bytes) -> bytes:
    parts = [word]
    if code:
        parts.append(b"(%b)" % code)
    if text:
        parts.append(string(text.encode()))
    return b" ".join(parts) + b"\r\n"


def capabilities(offer: Capabilities) -> bytes:
    """The lines of CAPABILITY, without the reply behind them."""
    lines: list[tuple[str, str | None]] = [
        ("IMPLEMENTATION", "Posthouse"),
        ("SIEVE", " ".join(offer.extensions)),
        ("SASL", " ".join(offer.mechanisms)),
        ("MAXREDIRECTS", str(offer.redirects)),
        ("LANGUAGE", "en"),
    ]
    if offer.notify:
        lines.append(("NOTIFY", " ".join(offer.notify)))
    if offer.starttls:
        lines.append(("STARTTLS", None))
    if offer.unauthenticate:
        lines.append(("UNAUTHENTICATE", None))
    if offer.owner:
        lines.append(("OWNER", offer.owner))
    lines.append(("VERSION", "1.0"))
    return b"".join(
        string(name.encode()) + (b"" if value is None else b" " + string(value.encode())) + b"\r\n"
        for name, value in lines
    )


def listing(names: Sequence[tuple[str, bool]]) -> bytes:
    """The lines of LISTSCRIPTS: each name, and whether it is the active one (RFC 5804 §2.7)."""
    return b"".join(
        string(name.encode()) + (b" ACTIVE" if active else b"") + b"\r\n" for name, active in names
    )
