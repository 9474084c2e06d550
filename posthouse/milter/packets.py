"""Packets between a mail server and its filters: four octets of length, one of command, then its data.

There is no RFC: this is what Sendmail's libmilter speaks, version 6 (its mfdef.h and the milter documentation that
came with Sendmail 8.14 and later). Text in packets ends with NUL and has no encoding of its own; it is taken as UTF-8.
A length beyond `MILTER_PACKET` is refused before anything of it is read.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from posthouse.errors import RemoteProtocolError
from posthouse.limits import MILTER_PACKET

VERSION: Final = 6
VERSION_LEAST: Final = 2
"""The oldest version of a filter that is understood: Sendmail 8.12's."""

LENGTH: Final = 4
"""Octets before a packet that tell how long it is."""


class Ask(bytes, enum.Enum):
    """What the server says."""

    NEGOTIATE = b"O"
    MACRO = b"D"
    CONNECT = b"C"
    HELO = b"H"
    MAIL = b"M"
    RCPT = b"R"
    DATA = b"T"
    HEADER = b"L"
    END_OF_HEADER = b"N"
    BODY = b"B"
    END_OF_BODY = b"E"
    ABORT = b"A"
    QUIT = b"Q"


class Action(enum.IntFlag):
    """What a filter may do to a message."""

    ADD_HEADER = 0x1
    CHANGE_BODY = 0x2
    ADD_RECIPIENT = 0x4
    DELETE_RECIPIENT = 0x8
    CHANGE_HEADER = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENT_WITH_PARAMETERS = 0x80
    CHOOSE_MACROS = 0x100


class Steps(enum.IntFlag):
    """What a filter need not be told (NO_…), what it does not answer (SILENT_…), and how some things are said."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RCPT = 0x8
    NO_BODY = 0x10
    NO_HEADERS = 0x20
    NO_END_OF_HEADER = 0x40
    SILENT_HEADERS = 0x80
    NO_DATA = 0x200
    SKIP = 0x400
    """It may have heard enough of a body."""
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000
    """Values of header fields are said, and meant, with the space behind the colon."""
    NO_UNKNOWN = 0x100
    SILENT_UNKNOWN = 0x20000
    """Of commands that no server knows, which nobody is told of here anyway."""


class Packet(msgspec.Struct, frozen=True):
    """One packet of a filter."""

    code: bytes
    """One octet."""
    data: bytes


def packet(ask: Ask, data: bytes = b"") -> bytes:
    """The octets of one packet."""
    return (len(data) + 1).to_bytes(LENGTH, "big") + ask.value + data


def read_length(octets: bytes) -> int:
    """How many octets follow. Raises RemoteProtocolError when they are none or too many."""
    length = int.from_bytes(octets, "big")
    if not 1 <= length <= MILTER_PACKET:
        raise RemoteProtocolError(f"a packet of {length} octets")
    return length


def read_packet(octets: bytes) -> Packet:
    """The packet, without its length."""
    return Packet(octets[:1], octets[1:])


def text(*words: str) -> bytes:
    """Words, each closed by NUL; a NUL within one would begin another."""
    return b"".join(word.replace("\0", "").encode("utf-8", "surrogateescape") + b"\0" for word in words)


def split(data: bytes) -> list[bytes]:
    """Words that are each closed by NUL. Raises RemoteProtocolError when the last one is not."""
    if data[-1:] != b"\0":
        raise RemoteProtocolError("text without its end")
    return data[:-1].split(b"\0")
