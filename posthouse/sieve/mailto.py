"""`mailto:` URIs as ways to tell somebody (RFC 6068, RFC 5436): `parse_mailto`."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from posthouse.limits import SIEVE_MAILTO, SIEVE_MAILTO_RECIPIENTS
from posthouse.message.address import AddressError, parse_address

_ESCAPED: Final = r"%[0-9A-Fa-f]{2}"
_PLAIN: Final = r"A-Za-z0-9\-._~!$'()*+,;:@/"
_TO: Final = rf"(?:[{_PLAIN}]|{_ESCAPED})*+"
_FIELD: Final = rf"(?:[{_PLAIN}?]|{_ESCAPED})++=(?:[{_PLAIN}?=]|{_ESCAPED})*+"
_URI: Final = re.compile(rf"mailto:({_TO})(?:\?({_FIELD}(?:&{_FIELD})*+)?)?", re.IGNORECASE)


class MailTo(msgspec.Struct, frozen=True):
    """What such a URI says."""

    recipients: tuple[str, ...]
    fields: tuple[tuple[str, str], ...] = ()
    """Name in lower case and text of all but the recipients; the body is `body` (RFC 6068 §2)."""


def parse_mailto(uri: str) -> MailTo | None:
    """Read one; None: it breaks the grammar, is too long, or names nobody, too many, or what is no address."""
    match = _URI.fullmatch(uri) if len(uri) <= SIEVE_MAILTO else None
    if match is None:
        return None
    named = [_text(word) for word in match[1].split(",") if word]
    fields: list[tuple[str, str]] = []
    for pair in (match[2] or "").split("&") if match[2] else ():
        name, _, value = pair.partition("=")
        name = _text(name).lower()
        if name in {"to", "cc", "bcc"}:
            named += [text for text in _text(value).split(",") if text.strip()]
        else:
            fields.append((name, _text(value)))
    recipients = [_address(text) for text in named]
    found = tuple(dict.fromkeys(address for address in recipients if address is not None))
    if None in recipients or not 0 < len(found) <= SIEVE_MAILTO_RECIPIENTS:
        return None
    return MailTo(found, tuple(fields))


def _address(text: str) -> str | None:
    """RFC 6068 §2: an addr-spec and nothing else, so that what is escaped in it begins no field of its own."""
    try:
        return str(parse_address(text.strip(" ")))
    except AddressError:
        return None


def _text(escaped: str) -> str:
    return unquote_to_bytes(escaped).decode("utf-8", "replace")
