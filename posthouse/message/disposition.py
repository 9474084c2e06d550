"""The part of a disposition notification that programs read (RFC 8098 §3.1; RFC 6533 with what is not ASCII)."""

from __future__ import annotations

from collections.abc import Iterable

from posthouse.message.compose import Body, format_field


def typed_address(address: str) -> str:
    """An address with its type (RFC 8098 §3.2.4, RFC 6533 §3)."""
    return f"rfc822; {address}" if address.isascii() else f"utf-8; {address}"


def disposition_body(fields: Iterable[tuple[str, str]]) -> Body:
    """The part; fields without a value are left out."""
    octets = b"".join(format_field(name, value, utf8=True) for name, value in fields if value)
    if octets.isascii():
        return Body("message/disposition-notification", "7bit", octets)
    # RFC 8098 §3.1: that type is ASCII. RFC 6533 §5: this is its form in UTF-8.
    return Body("message/global-disposition-notification", "8bit", octets)
