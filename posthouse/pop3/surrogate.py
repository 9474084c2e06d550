"""An ASCII header in place of a UTF-8 one, for clients that have not said UTF8 (RFC 6856 §2.1, RFC 6855 §7).

Pure. Only the header section of the message is made anew, and of it only the fields with UTF-8 in them: texts
become encoded words (RFC 2047), parameters RFC 2231 values, domains A-labels; a local part that ASCII cannot
express stays readable in the display name of an address that nobody can answer to. Bodies stay: 8-bit text in
a body is old practice and labelled. Headers that are 8-bit but not UTF-8 are no internationalized mail, and
stay too.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from posthouse.message.address import normalize_domain
from posthouse.message.compose import format_field, format_mailbox
from posthouse.message.headers import Field, Headers, decode_value, header_end, unfold
from posthouse.message.mailboxes import Group, Mailbox, parse_mailbox_list

ADDRESS_FIELDS: Final = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"return-path", b"delivered-to"}
    | {b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-bcc", b"resent-reply-to"}
)
PARAMETER_FIELDS: Final = frozenset({b"content-type", b"content-disposition"})
NOBODY: Final = ("invalid", "internationalized-address.invalid")
"""RFC 2606 §2: no domain under .invalid exists."""
_PARAMETER: Final = re.compile(r';\s*([A-Za-z0-9_.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^;\s]+))')


def surrogate(beginning: bytes) -> bytes:
    """The message, or its first part with the whole header, as it may be sent without UTF8."""
    end = header_end(beginning, 0, len(beginning))
    header = beginning[:end]
    if header.isascii():
        return beginning
    try:
        header.decode()
    except UnicodeDecodeError:
        return beginning
    pieces: list[bytes] = []
    done = 0
    for field in Headers(beginning, 0, end):
        if beginning[field.start : field.end].isascii():
            continue
        pieces += (beginning[done : field.start], _rewrite(field, beginning))
        done = beginning.find(b"\n", field.end, end) + 1 or end
    return b"".join((*pieces, beginning[done:]))


def _rewrite(field: Field, raw: bytes) -> bytes:
    name, value = field.name.decode("ascii", "replace"), unfold(raw[field.value_start : field.end])
    kind = field.name.lower()
    if kind in ADDRESS_FIELDS:
        text = ", ".join(_item(item) for item in parse_mailbox_list(value))
    elif kind in PARAMETER_FIELDS:
        text = _PARAMETER.sub(_parameter, value.decode())
    else:
        text = decode_value(value)
    return format_field(name, text)


def _item(item: Mailbox | Group) -> str:
    if isinstance(item, Group):
        members = ", ".join(_mailbox(member) for member in item.members)
        return f"{format_field('', decode_value(item.name.encode())).decode()[2:-2]}: {members};"
    return _mailbox(item)


def _mailbox(mailbox: Mailbox) -> str:
    name, domain = mailbox.display_name, mailbox.domain
    try:
        domain = normalize_domain(domain) if not domain.isascii() else domain
    except ValueError:
        return format_mailbox(f"{name} {mailbox.address}", *NOBODY)
    if mailbox.local.isascii():
        return format_mailbox(name, mailbox.local, domain)
    return format_mailbox(f"{name} {mailbox.address}", *NOBODY)


def _parameter(match: re.Match[str]) -> str:
    name, quoted, plain = match.groups()
    if match.group().isascii():
        return match.group()
    value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
    return f"; {name}*=utf-8''{quote(value, safe='')}"  # RFC 2231 §4
