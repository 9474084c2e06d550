"""XCLIENT: a filter or relay before us tells whose mail it hands on (Postfix's extension, by its XCLIENT_README).

Only the grammar: names and values as they are written, and what several commands of a session come to together. Who
is believed is the listener's decision (`net.listener`), what follows from it the session's (`smtp.fronted`). A value
that is not as it should be is a 501, and nothing of its command counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from posthouse.ip_addresses import read_ip
from posthouse.smtp import grammar
from posthouse.smtp.replies import CommandError

UNKNOWN: Final = ""
"""What stands for [UNAVAILABLE], [TEMPUNAVAIL] and nothing at all: the peer does not know it either."""
_UNKNOWN: Final = frozenset({"", "[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_LOGIN: Final = 320
"""Characters of a login: 64 before the @, 255 behind it (RFC 5321 §4.5.3.1)."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What was told of a client; None: nothing was, empty: that it is not known."""

    name: str | None = None
    """Its name in the DNS. Ours to look up where it matters, so this is for the log."""
    address: str | None = None
    port: str | None = None
    protocol: str | None = None
    """"SMTP" or "ESMTP"."""
    helo: str | None = None
    login: str | None = None
    """By which name it has logged in there."""
    local_address: str | None = None
    """Where it connected to."""
    local_port: str | None = None

    def after(self, before: Told) -> Told:
        """The same with what commands before it told: a session's commands add up."""
        mine = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}
        return msgspec.structs.replace(before, **mine)


def parse(argument: bytes, attributes: tuple[str, ...]) -> Told:
    """XCLIENT's argument: 1*(SP name=xtext), of the names that are offered. Raises CommandError."""
    values: dict[str, str] = {}
    words = grammar.decode(argument).split()
    if not words:
        raise CommandError(501, "5.5.4", "Syntax: XCLIENT name=value ...")
    for word in words:
        name, equals, value = word.partition("=")
        name = name.upper()
        if not equals or name not in attributes:
            raise CommandError(501, "5.5.4", f"XCLIENT takes {' '.join(attributes)}, each with = and a value")
        field, read = _ATTRIBUTES[name]
        if field in values:
            raise CommandError(501, "5.5.4", f"Attribute given twice: {name}")
        values[field] = _value(name, value, read)
    return msgspec.convert(values, Told)


def _value(name: str, value: str, read: Callable[[str], str]) -> str:
    if value.upper() in _UNKNOWN:
        return UNKNOWN
    try:
        # Octets of xtext (RFC 3461 §4) are UTF-8 here.
        return read(grammar.decode_xtext(value).encode("latin-1").decode())
    except (ValueError, CommandError):
        raise CommandError(501, "5.5.4", f"The value of {name} is not as it should be") from None


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(text)
    return text


def _address(text: str) -> str:
    plain = text[5:] if text[:5].upper() == "IPV6:" else text
    found = read_ip(plain)
    if "%" in plain or (plain is not text and found.version != 6):
        raise ValueError(text)
    # RFC 4291 §2.5.5.2: an IPv4 peer on an IPv6 socket.
    return str(getattr(found, "ipv4_mapped", None) or found)


def _port(text: str) -> str:
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise ValueError(text)
    return str(int(text))


def _protocol(text: str) -> str:
    if text.upper() not in ("SMTP", "ESMTP"):
        raise ValueError(text)
    return text.upper()


def _helo(text: str) -> str:
    return grammar.parse_helo(text.encode())


def _login(text: str) -> str:
    if len(text) > _LOGIN or not text.isprintable():
        raise ValueError(text)
    return text


_ATTRIBUTES: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = MappingProxyType(
    {
        "NAME": ("name", _name),
        "ADDR": ("address", _address),
        "PORT": ("port", _port),
        "PROTO": ("protocol", _protocol),
        "HELO": ("helo", _helo),
        "LOGIN": ("login", _login),
        "DESTADDR": ("local_address", _address),
        "DESTPORT": ("local_port", _port),
    }
)
WITH_LOGIN: Final = tuple(_ATTRIBUTES)
"""The attributes where people log in."""
WITHOUT_LOGIN: Final = tuple(name for name in _ATTRIBUTES if name != "LOGIN")
"""Those where nobody does."""
