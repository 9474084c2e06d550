"""Addresses as tests compare them and as actions send to them (RFC 5228 §2.4.2.3, §2.7.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from posthouse.message.address import AddressError, normalize_domain, parse_address
from posthouse.message.mailboxes import Group, Mailbox, flat, parse_mailbox_list, quote_local_part, readable
from posthouse.sieve.tables import AddressPart

ADDRESS_FIELDS: Final = frozenset(
    [
        "from",
        "to",
        "cc",
        "bcc",
        "sender",
        "reply-to",
        "resent-from",
        "resent-to",
        "resent-cc",
        "resent-bcc",
        "resent-sender",
        "resent-reply-to",
        "return-path",
        "delivered-to",
        "x-original-to",
        "envelope-to",
        "x-envelope-to",
        "x-envelope-from",
        "errors-to",
        "apparently-to",
        "disposition-notification-to",
        "mail-followup-to",
        "mail-reply-to",
        "return-receipt-to",
        "x-forwarded-to",
        "x-forwarded-for",
        "x-sender",
        "x-beenthere",
        "x-mailing-list",
        "mailing-list",
        "list-post",
        "approved-by",
        "original-recipient",
        "original-from",
        "x-original-from",
        "author",
    ]
)
"""RFC 5228 §5.1: the fields that hold addresses; `address` looks at no others."""

_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def _all(local: str, domain: str) -> str:
    return f"{quote_local_part(local)}@{domain}" if domain else local


def _localpart(local: str, domain: str) -> str | None:
    return local if domain else None


def _domain(local: str, domain: str) -> str | None:
    return domain or None


ALL: Final = AddressPart("all", _all)
ADDRESS_PARTS: Final = (ALL, AddressPart("localpart", _localpart), AddressPart("domain", _domain))


def mailboxes_in(value: bytes) -> list[Mailbox]:
    """The mailboxes of a field's value; of groups those in them, never the names (RFC 5228 §5.1)."""
    return flat(parse_mailbox_list(value))


def parts_of(mailboxes: Iterable[Mailbox], part: AddressPart) -> list[str]:
    """The wanted part of each address."""
    found = [part.get(readable(mailbox.local), readable(mailbox.domain)) for mailbox in mailboxes]
    return [text for text in found if text is not None]


def part_of_path(path: str, part: AddressPart) -> str | None:
    """The wanted part of an envelope address; of `<>` any part is empty (RFC 5228 §5.4)."""
    if not path:
        return ""
    local, at, domain = path.rpartition("@")
    if not at:
        local, domain = path, ""
    if len(local) > 1 and local.startswith('"') and local.endswith('"'):
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    return part.get(local, domain)


def outbound_address(text: str) -> str | None:
    """The address of a sieve-address, `name <local@domain>` or `local@domain`; None: it is none (RFC 5228 §2.4.2.3)."""
    found = parse_mailbox_list(text.encode("utf-8", "replace"))
    if len(found) != 1 or isinstance(found[0], Group) or not _is_sound(found[0]):
        return None
    return str(parse_address(found[0].address))


def is_mailbox_list(text: str) -> bool:
    """Whether it is what may stand in From: one mailbox or more, all with a domain (RFC 5322 §3.4)."""
    found = parse_mailbox_list(text.encode("utf-8", "replace"))
    return bool(found) and all(isinstance(one, Mailbox) and _is_sound(one) for one in found)


def _is_sound(mailbox: Mailbox) -> bool:
    if mailbox.route is not None:
        return False
    try:
        normalize_domain(parse_address(mailbox.address).domain)
    except AddressError:
        return False
    return True
