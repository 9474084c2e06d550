"""Header fields in parsed forms, both ways (RFC 8621 §4.1.2, §4.1.3): which form suits which field, reading, writing.

A property is `header:NAME[:asFORM][:all]`; the well-known ones (`from`, `subject`, …) are short for such.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from posthouse.jmap import dates
from posthouse.jmap.errors import invalid
from posthouse.message.address import AddressError, normalize_domain
from posthouse.message.compose import LONGEST_WORD, format_mailbox, format_phrase
from posthouse.message.date import format_date, parse_date
from posthouse.message.headers import Headers, decode_value, unfold
from posthouse.message.mailboxes import Group, Mailbox, flat, parse_mailbox_list
from posthouse.message.threading import message_ids


class Form(enum.Enum):
    """RFC 8621 §4.1.2."""

    RAW = "Raw"
    TEXT = "Text"
    ADDRESSES = "Addresses"
    GROUPED = "GroupedAddresses"
    MESSAGE_IDS = "MessageIds"
    DATE = "Date"
    URLS = "URLs"


class EmailAddress(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8621 §4.1.2.3."""

    name: str | None = None
    email: str


class EmailAddressGroup(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8621 §4.1.2.4."""

    name: str | None = None
    addresses: list[EmailAddress]


class EmailHeader(msgspec.Struct, frozen=True, kw_only=True):
    """RFC 8621 §4.1.3."""

    name: str
    value: str


class HeaderProperty(msgspec.Struct, frozen=True, kw_only=True):
    """What a `header:…` property asks for."""

    field: str
    """The field's name in lower case."""
    spelt: str
    """As the client wrote it."""
    form: Form
    all: bool = False


_TEXT: Final = {"subject", "comments", "keywords", "list-id"}
_ADDRESSES: Final = {"from", "sender", "reply-to", "to", "cc", "bcc"} | {
    f"resent-{name}" for name in ("from", "sender", "reply-to", "to", "cc", "bcc")
}
_MESSAGE_IDS: Final = {"message-id", "in-reply-to", "references", "resent-message-id"}
_DATES: Final = {"date", "resent-date"}
_URLS: Final = {f"list-{name}" for name in ("help", "unsubscribe", "subscribe", "post", "owner", "archive")}
_DEFINED: Final = (
    _TEXT - {"list-id"} | _ADDRESSES | _MESSAGE_IDS | _DATES | _URLS | {"return-path", "received"}
)
"""Fields of RFC 5322 and RFC 2369; any other may be read in any form."""
_SUITABLE: Final = {
    Form.TEXT: _TEXT,
    Form.ADDRESSES: _ADDRESSES,
    Form.GROUPED: _ADDRESSES,
    Form.MESSAGE_IDS: _MESSAGE_IDS,
    Form.DATE: _DATES,
    Form.URLS: _URLS,
}
_NAME: Final = re.compile(r"header:([!-9;-~]+)(?::as([A-Za-z]+))?(:all)?")
_URL: Final = re.compile(r"\([^()]*\)|<([^<>]+)>")
"""A comment, or a URL, in which parentheses are none."""

_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What the Text form drops (RFC 8621 §4.1.2.2): control characters, also those that end lines or turn text round."""

LONGEST_NAME: Final = 76
"""Characters of a field's name that we write: RFC 5322 §2.1.1 leaves no more on a line that should have 78."""

SHORT: Final = {
    "messageId": "header:Message-ID:asMessageIds",
    "inReplyTo": "header:In-Reply-To:asMessageIds",
    "references": "header:References:asMessageIds",
    "sender": "header:Sender:asAddresses",
    "from": "header:From:asAddresses",
    "to": "header:To:asAddresses",
    "cc": "header:Cc:asAddresses",
    "bcc": "header:Bcc:asAddresses",
    "replyTo": "header:Reply-To:asAddresses",
    "subject": "header:Subject:asText",
    "sentAt": "header:Date:asDate",
}
"""RFC 8621 §4.1.3: convenience properties."""


def parse_property(name: str) -> HeaderProperty:
    """What a header property means. ValueError when it is none, or its form does not suit the field."""
    match = _NAME.fullmatch(SHORT.get(name, name))
    if match is None:
        raise ValueError(f"{name} is no header property")
    try:
        form = Form(match[2]) if match[2] else Form.RAW
    except ValueError:
        raise ValueError(f"{name}: there is no such form") from None
    field = match[1].lower()
    suitable = _SUITABLE.get(form)
    if suitable is not None and field in _DEFINED and field not in suitable:
        raise ValueError(f"{name}: {match[1]} may not be had in that form")
    return HeaderProperty(field=field, spelt=match[1], form=form, all=match[3] is not None)


# --- reading ------------------------------------------------------------------------------------------------


def raw_values(headers: Headers, field: str) -> list[bytes]:
    """The values of all fields of that name, from behind the colon to before the line end."""
    wanted = field.encode()
    return [_raw(headers, each.value_start, each.end) for each in headers if each.name.lower() == wanted]


def _raw(headers: Headers, start: int, end: int) -> bytes:
    value = headers.raw[start:end]
    return value.removesuffix(b"\r")


def raw_text(value: bytes) -> str:
    """The Raw form: NULs dropped, what is no UTF-8 replaced (RFC 8621 §4.1.2.1)."""
    return value.replace(b"\0", b"").decode("utf-8", "replace")


def all_headers(headers: Headers) -> list[EmailHeader]:
    """Every field in order, in Raw form."""
    return [
        EmailHeader(name=raw_text(each.name), value=raw_text(_raw(headers, each.value_start, each.end)))
        for each in headers
    ]


def text(value: bytes) -> str:
    """The Text form."""
    decoded = decode_value(unfold(value))
    if not decoded.isprintable():
        decoded = _CONTROLS.sub("", decoded)
    return unicodedata.normalize("NFC", decoded.lstrip(" "))


def _address(mailbox: Mailbox) -> EmailAddress:
    name = unicodedata.normalize("NFC", mailbox.display_name.strip())
    return EmailAddress(name=name or None, email=mailbox.readable_address)


def addresses(value: bytes) -> list[EmailAddress]:
    """The Addresses form."""
    return [_address(mailbox) for mailbox in flat(parse_mailbox_list(unfold(value)))]


def grouped(value: bytes) -> list[EmailAddressGroup]:
    """The GroupedAddresses form: neighbours outside of groups are a group without name."""
    found: list[EmailAddressGroup] = []
    alone: list[EmailAddress] = []
    for item in parse_mailbox_list(unfold(value)):
        if isinstance(item, Group):
            if alone:
                found.append(EmailAddressGroup(addresses=alone))
                alone = []
            name = decode_value(item.name.encode("utf-8", "surrogateescape"))
            found.append(EmailAddressGroup(name=name or None, addresses=[_address(m) for m in item.members]))
        else:
            alone.append(_address(item))
    if alone:
        found.append(EmailAddressGroup(addresses=alone))
    return found


def ids_of(value: bytes) -> list[str] | None:
    """The MessageIds form; None when there are none."""
    found = [each.decode("utf-8", "replace") for each in message_ids(unfold(value))]
    return found or None


def date_of(value: bytes) -> str | None:
    """The Date form; None when it cannot be read."""
    moment = parse_date(unfold(value))
    try:
        return dates.date(moment.seconds, moment.offset) if moment is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def urls(value: bytes) -> list[str] | None:
    """The URLs form (RFC 2369 §2); None when there are none."""
    found = _URL.findall(unfold(value).decode("utf-8", "replace"))
    # RFC 2369 §2: white space within the brackets comes from folding.
    return [url for each in found if (url := "".join(each.split()))] or None


_READERS: Final[dict[Form, Callable[[bytes], Any]]] = {
    Form.RAW: raw_text,
    Form.TEXT: text,
    Form.ADDRESSES: addresses,
    Form.GROUPED: grouped,
    Form.MESSAGE_IDS: ids_of,
    Form.DATE: date_of,
    Form.URLS: urls,
}


def read(headers: Headers, wanted: HeaderProperty) -> Any:
    """A header property's value: of the last field of the name, or a list of all."""
    values = raw_values(headers, wanted.field)
    reader = _READERS[wanted.form]
    if wanted.all:
        return [reader(value) for value in values]
    return reader(values[-1]) if values else None


# --- writing ------------------------------------------------------------------------------------------------


def write(wanted: HeaderProperty, name: str, value: Any) -> list[str]:
    """The values of the fields to write for a property. Rejected invalidProperties."""
    if value is None:
        return []
    values = value if wanted.all else [value]
    if not isinstance(values, list):
        raise invalid("an array is wanted", name)
    if len(wanted.spelt) > LONGEST_NAME:
        raise invalid("the field's name is too long", name)
    return [_line(_WRITERS[wanted.form](each, name), wanted.form, name) for each in values]


def _line(written: str, form: Form, name: str) -> str:
    """What may stand in a header: texts are encoded where a word is longer than a line, the rest cannot be."""
    if form is not Form.TEXT:
        check_words(written, name)
    return written


def check_words(written: str, name: str) -> None:
    """Raise invalidProperties for a value with a word that fits on no line (RFC 5322 §2.1.1)."""
    if len(written) > LONGEST_WORD and max(map(len, written.split(" "))) > LONGEST_WORD:
        raise invalid("a part of it is too long for a line", name)


def _write_raw(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid("a string is wanted", name)
    if re.search(r"[\r\n](?![ \t])|\0", value.replace("\r\n", "\n")):
        raise invalid("a line end may not begin another field", name)
    return " ".join(value.split())


def _write_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise invalid("a string is wanted", name)
    return value


def _converted(value: Any, kind: Any, name: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as fault:
        raise invalid(str(fault), name) from fault


def _written(each: EmailAddress, name: str) -> str:
    local, at, domain = each.email.rpartition("@")
    if not at:
        local, domain = each.email, ""
    if any(c in each.email for c in "\r\n\0<>"):
        raise invalid(f"{each.email!r} is no address", name)
    if not domain:  # a half-written draft: kept as it is
        return f"{format_phrase(each.name)} <{local}>" if each.name else local
    if local.isascii() and not domain.isascii():
        with suppress(AddressError):  # such mail needs no SMTPUTF8, and every program can answer it
            domain = normalize_domain(domain)
    return format_mailbox(each.name or "", local.removeprefix('"').removesuffix('"'), domain)


def _write_addresses(value: Any, name: str) -> str:
    found: Sequence[EmailAddress] = _converted(value, list[EmailAddress], name)
    return ", ".join(_written(each, name) for each in found)


def _write_groups(value: Any, name: str) -> str:
    pieces = []
    for group in _converted(value, list[EmailAddressGroup], name):
        members = ", ".join(_written(each, name) for each in group.addresses)
        if group.name is None:
            pieces.append(members)
        else:
            pieces.append(f"{format_phrase(group.name)}: {members};")
    return ", ".join(piece for piece in pieces if piece)


def _write_ids(value: Any, name: str) -> str:
    found: list[str] = _converted(value, list[str], name)
    if not all(re.fullmatch(r"[^<>\s]+", each) for each in found):
        raise invalid("this is no message id", name)
    return " ".join(f"<{each}>" for each in found)


def _write_date(value: Any, name: str) -> str:
    return format_date(*dates.parse(value, name))


def _write_urls(value: Any, name: str) -> str:
    found: list[str] = _converted(value, list[str], name)
    if not all(re.fullmatch(r"[!-;=?-~]+", each) for each in found):
        raise invalid("this is no URL", name)
    return ", ".join(f"<{each}>" for each in found)


_WRITERS: Final[dict[Form, Callable[[Any, str], str]]] = {
    Form.RAW: _write_raw,
    Form.TEXT: _write_text,
    Form.ADDRESSES: _write_addresses,
    Form.GROUPED: _write_groups,
    Form.MESSAGE_IDS: _write_ids,
    Form.DATE: _write_date,
    Form.URLS: _write_urls,
}
