"""ENVELOPE as ready IMAP text, and the quoting of IMAP strings that it needs (RFC 9051 §7.5.2, §9).

Header values stay as they were sent (encoded words are the client's to decode). A value goes out as a quoted
string when it is printable ASCII, else as a literal; NUL, which IMAP strings cannot hold, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from posthouse.message.headers import Headers
from posthouse.message.mailboxes import Group, Mailbox, parse_mailbox_list

_PRINTABLE: Final = re.compile(r"[ -~\t]*+")
_SPECIAL: Final = re.compile(r'[\\"]')


def nstring(value: str | None) -> str:
    """A text as IMAP `nstring` (RFC 9051 §9): `NIL`, quoted, or a literal whose size is that of the text in
    UTF-8.

    The result is to be encoded with `utf-8` and `surrogateescape`.
    """
    if value is None:
        return "NIL"
    if _PRINTABLE.fullmatch(value):
        if '"' in value or "\\" in value:
            value = _SPECIAL.sub(r"\\\g<0>", value)
        return f'"{value}"'
    # RFC 9051 §9: QUOTED-CHAR has no CR and LF, and 8-bit only as UTF-8 for those who said so: a literal
    # suits all.
    value = value.replace("\0", "")
    return f"{{{len(value.encode('utf-8', 'surrogateescape'))}}}\r\n{value}"


def envelope(headers: Headers) -> bytes:
    """The ENVELOPE of a message, with its parentheses."""
    sender_default = _addresses(headers, b"from")
    fields = (
        _text(headers, b"date"),
        _text(headers, b"subject"),
        sender_default,
        # RFC 9051 §7.5.2: an absent or empty Sender or Reply-To is the same as From.
        _addresses(headers, b"sender", sender_default),
        _addresses(headers, b"reply-to", sender_default),
        _addresses(headers, b"to"),
        _addresses(headers, b"cc"),
        _addresses(headers, b"bcc"),
        _text(headers, b"in-reply-to"),
        _text(headers, b"message-id"),
    )
    return f"({' '.join(fields)})".encode("utf-8", "surrogateescape")


def _text(headers: Headers, name: bytes) -> str:
    # RFC 8621 §4.1.3: the last of several, so that mail programs and the webmail show the same.
    value = headers.last(name)
    return "NIL" if value is None else nstring(value.decode("utf-8", "surrogateescape"))


def _addresses(headers: Headers, name: bytes, default: str = "NIL") -> str:
    """The address list of a field; one that stands twice counts as one, so that no address can hide."""
    values = headers.all(name)
    if not values:
        return default
    found = parse_mailbox_list(values[0] if len(values) == 1 else b", ".join(values))
    return f"({''.join(_address_structures(found))})" if found else default


def _address_structures(items: Iterable[Mailbox | Group]) -> Iterable[str]:
    for item in items:
        if isinstance(item, Mailbox):
            yield _address(item)
            continue
        # RFC 9051 §7.5.2: a group opens with a NIL host and its name, and closes with both NIL.
        yield f"(NIL NIL {nstring(item.name)} NIL)"
        for member in item.members:
            yield _address(member)
        yield "(NIL NIL NIL NIL)"


def _address(mailbox: Mailbox) -> str:
    # A missing local part or domain is an empty string: NIL would make it a group.
    fields = (mailbox.name, mailbox.route, mailbox.local, mailbox.domain)
    return f"({' '.join([nstring(field) for field in fields])})"
