"""Messages that we write ourselves: delivery reports, notices, probes (RFC 5322, RFC 2045-2047, RFC 6522).

Everything comes from the caller, also Date, Message-ID and boundaries, so the same values give the same
octets. Lines end with CRLF. Control characters in header values become spaces: no value can begin a field of
its own; and no value makes a line longer than RFC 5322 allows.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.limits import COMPOSED_LINE
from posthouse.message.mailboxes import quote_local_part

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+")
_LONGEST_LINE: Final = 998
"""RFC 5322 §2.1.1: characters of a line without CRLF."""
LONGEST_WORD: Final = 900
"""Octets of a word in a header that stays as it is: with the field's name before it, it fits on a line."""
_WORD_OCTETS: Final = 36
"""Octets of UTF-8 in one encoded word: 60 characters with what is around them, so a field's name fits before it."""

_ADDRESSES: Final = frozenset({"From", "Sender", "Reply-To", "To", "Cc"})

Fields = Sequence[tuple[str, str]]
"""Header fields: (name, text)."""


class Body(msgspec.Struct, frozen=True):
    """A part's body in its transfer encoding, with what its header says about it."""

    content_type: str
    encoding: str
    octets: bytes
    fields: tuple[tuple[str, str], ...] = ()
    """More fields of its header: Content-Description and such."""


class Needs(msgspec.Struct, frozen=True):
    """What a message asks of the hosts on its way."""

    body: str
    """"7BIT" or "8BITMIME" (RFC 6152)."""
    smtputf8: bool
    """Its header is in UTF-8 (RFC 6531 §3.2)."""


def needs(raw: bytes) -> Needs:
    """What a whole message asks."""
    if raw.isascii():
        return Needs("7BIT", smtputf8=False)
    return Needs("8BITMIME", smtputf8=not raw.partition(b"\r\n\r\n")[0].isascii())


def compose(fields: Fields, body: Body) -> bytes:
    """A whole message: the fields as given, then the MIME fields, then the body.

    What is not ASCII stands in encoded words. RFC 2047 §5 forbids them in addresses: where one of those is not ASCII
    the header is in UTF-8 (RFC 6532).
    """
    utf8 = any(name in _ADDRESSES and not value.isascii() for name, value in fields)
    head = b"".join([format_field(name, value, utf8=utf8) for name, value in fields])
    return b"".join((head, b"MIME-Version: 1.0\r\n", _part(body)))


def _part(body: Body) -> bytes:
    fields = [("Content-Type", body.content_type), *body.fields]
    if body.encoding != "7bit":
        fields.append(("Content-Transfer-Encoding", body.encoding))
    return b"".join([*(format_field(name, value) for name, value in fields), b"\r\n", body.octets])


def text_body(text: str, content_type: str = "text/plain") -> Body:
    """A text part; the smallest encoding that is safe for it (RFC 2045 §6)."""
    octets = crlf(text.encode("utf-8", "replace"))
    short = max(map(len, octets.split(b"\r\n"))) <= _LONGEST_LINE
    if octets.isascii() and short and b"\0" not in octets:
        return Body(f"{content_type}; charset=us-ascii", "7bit", octets)
    high = len(octets) - len(octets.decode("ascii", "ignore"))
    if high * 6 > len(octets):  # quoted-printable would triple them
        encoded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
        return Body(f"{content_type}; charset=utf-8", "base64", encoded)
    encoded = binascii.b2a_qp(octets.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")
    return Body(f"{content_type}; charset=utf-8", "quoted-printable", encoded)


def message_body(raw: bytes, *, headers_only: bool = False) -> Body:
    """Another message, or only its header section (RFC 3462 §2), not re-encoded (RFC 2046 §5.2.1)."""
    if raw.partition(b"\r\n\r\n")[0].isascii():
        content_type = "text/rfc822-headers" if headers_only else "message/rfc822"
    else:  # RFC 6532 §3.7, RFC 6533 §4.3: with a header in UTF-8
        content_type = "message/global-headers" if headers_only else "message/global"
    return Body(content_type, "7bit" if raw.isascii() else "8bit", raw)


def multipart(subtype: str, bodies: Sequence[Body], boundary: str, parameters: str = "") -> Body:
    """Parts as one body. `boundary` must not occur in them; `parameters` follow it (`; report-type=…`)."""
    delimiter = b"--" + boundary.encode("ascii")
    pieces: list[bytes] = []
    for body in bodies:
        pieces += (delimiter, b"\r\n", _part(body), b"\r\n")
    pieces += (delimiter, b"--\r\n")
    octets = b"".join(pieces)
    content_type = f'multipart/{subtype}; boundary="{boundary}"{parameters}'
    return Body(content_type, "7bit" if octets.isascii() else "8bit", octets)


def format_mailbox(name: str, local: str, domain: str) -> str:
    """`Name <local@domain>` for an address field, the name quoted or in encoded words (RFC 5322 §3.4)."""
    address = f"{quote_local_part(local)}@{domain}"
    phrase = format_phrase(name)
    return f"{phrase} <{address}>" if phrase else address


def format_phrase(name: str) -> str:
    """A name as it stands before an address or the members of a group; empty when nothing is left of it."""
    name = _CONTROL.sub(" ", name).strip()
    if not name.isascii() or any(map(_too_long, name.split(" "))):
        return " ".join(encoded_words(name))
    if not name or _PHRASE.fullmatch(name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def format_field(name: str, value: str, *, utf8: bool = False) -> bytes:
    """One header field with its line end, folded at white space to COMPOSED_LINE (RFC 5322 §2.2.3)."""
    words = _words(value, utf8)
    lines: list[str] = []
    line = f"{name}:"
    for word in words:
        if (
            len(line) + 1 + len(word) > COMPOSED_LINE
            and word
            and not line.endswith(":")
            and not line.isspace()
        ):
            lines.append(line)
            line = ""
        line += " " + word
    lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode("utf-8", "replace")


def format_text(value: str) -> str:
    """A text as a header may have it: what is not ASCII in encoded words (RFC 2047 §5), on one line."""
    return " ".join(_words(value, utf8=False))


def _words(value: str, utf8: bool) -> list[str]:
    return _encode_words(_CONTROL.sub(" ", value).split(" "), utf8)


def _encode_words(words: list[str], utf8: bool) -> list[str]:
    """Replace what lies between the first and the last word that cannot stay by encoded words (RFC 2047 §5)."""
    wide = [i for i, word in enumerate(words) if not (utf8 or word.isascii()) or _too_long(word)]
    if not wide:
        return words
    first, last = wide[0], wide[-1]
    return [*words[:first], *encoded_words(" ".join(words[first : last + 1])), *words[last + 1 :]]


def _too_long(word: str) -> bool:
    return len(word) > LONGEST_WORD // 4 and len(word.encode("utf-8", "replace")) > LONGEST_WORD


def encoded_words(text: str) -> list[str]:
    """A text as RFC 2047 encoded words in UTF-8, none longer than 75 characters, no character cut in two."""
    words: list[str] = []
    piece = bytearray()
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > _WORD_OCTETS:
            words.append(_encoded_word(piece))
            piece.clear()
        piece += octets
    words.append(_encoded_word(piece))
    return words


def _encoded_word(octets: bytes | bytearray) -> str:
    return f"=?utf-8?B?{base64.b64encode(octets).decode('ascii')}?="


def crlf(octets: bytes) -> bytes:
    """The octets with every line end as CRLF (RFC 5322 §2.3)."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
