"""The grammar of SMTP commands (RFC 5321 §4.1.2): octets of one line in, values out.

Strict, with two leniencies that cannot be misread: white space at the end of a line (§4.1.1 asks for it) and
spaces behind "FROM:" and "TO:". Paths are read by `message.address`. Everything here is pure; what does not match
raises CommandError with the reply for the peer.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from typing import Final

import msgspec

from posthouse.limits import SMTP_PARAMETERS
from posthouse.message.address import AddressError, parse_address, parse_path
from posthouse.smtp.replies import CommandError

_WIDE: Final = "\u00a0-\ud7ff\ue000-\U0010fffd"
_HELO: Final = 255
_HELO_ODD: Final = re.compile(r"[^A-Za-z0-9_.:+%~/\[\]-]")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
HELO_ODD: Final = "?"
"""Stands in a peer's name for what no host's name has."""
_PARAMETER: Final = re.compile(rf"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~{_WIDE}]+))?")
_XTEXT: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_XTEXT_PAIR: Final = re.compile(r"\+([0-9A-F]{2})")
_BASE64: Final = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_KEYWORD: Final = re.compile(r"[A-Za-z0-9_-]{1,20}")


class Path(msgspec.Struct, frozen=True):
    """A path with what stood behind it."""

    address: str
    """"local@domain"; empty for the null reverse-path; "postmaster" for the one name that needs no domain."""
    parameters: tuple[tuple[str, str | None], ...]
    """ESMTP parameters in order: keyword in upper case, value or None."""


class Chunk(msgspec.Struct, frozen=True):
    """The argument of BDAT (RFC 3030 §2)."""

    size: int
    last: bool


def split_command(line: bytes) -> tuple[bytes, bytes]:
    """The verb in upper case and its argument, without the white space around them."""
    verb, _, argument = line.partition(b" ")
    # RFC 5321 §4.1.1: servers SHOULD tolerate trailing white space before the CRLF.
    return verb.rstrip().upper(), argument.strip(b" \t")


def no_argument(argument: bytes) -> None:
    """RFC 5321 §4.3.2: 501 for arguments where none are defined. Raises CommandError."""
    if argument:
        raise CommandError(501, "5.5.4", "This command takes no argument")


def decode(argument: bytes) -> str:
    """Argument octets as text. Raises CommandError on controls and on broken UTF-8."""
    try:
        text = argument.decode("utf-8")
    except UnicodeDecodeError:
        raise CommandError(501, "5.5.2", "The argument is not valid UTF-8") from None
    if not text.isprintable():
        raise CommandError(501, "5.5.2", "The argument has a control character")
    return text


def parse_reverse_path(argument: bytes) -> Path:
    """MAIL's argument: "FROM:" Reverse-path [SP Mail-parameters] (RFC 5321 §4.1.1.2)."""
    text = _after(argument, "FROM:", "MAIL FROM:<address>")
    if text.startswith("<>"):
        return Path("", _parameters(text[2:]))
    return _path(text, "5.1.7", "the sender address")


def parse_forward_path(argument: bytes) -> Path:
    """RCPT's argument: "TO:" ( "<Postmaster>" / Forward-path ) [SP Rcpt-parameters] (RFC 5321 §4.1.1.3)."""
    text = _after(argument, "TO:", "RCPT TO:<address>")
    # RFC 5321 §4.5.1: postmaster without a domain, in any case.
    if text[:12].lower() == "<postmaster>":
        return Path("postmaster", _parameters(text[12:]))
    return _path(text, "5.1.3", "the recipient address")


def parse_mailbox(text: str) -> str:
    """A bare Mailbox in its normal spelling (AUTH= of RFC 4954 §5). Raises ValueError."""
    return str(parse_address(text))


def _after(argument: bytes, prefix: str, usage: str) -> str:
    text = decode(argument)
    if text[: len(prefix)].upper() != prefix:
        raise CommandError(501, "5.5.4", f"Syntax: {usage}")
    return text[len(prefix) :].lstrip(" ")


def _path(text: str, enhanced: str, what: str) -> Path:
    # Whether a path beyond ASCII is allowed shows in the parameters behind it: the core asks there.
    try:
        path = parse_path(text, utf8=True)
    except AddressError:
        raise CommandError(501, enhanced, f"Syntax error in {what}") from None
    if path.address is None or not path.address.domain:
        raise CommandError(501, enhanced, f"A domain is missing in {what}")
    return Path(str(path.address), _parameters(text[path.end :]))


def parse_helo(argument: bytes) -> str:
    """The name behind HELO, EHLO or LHLO, with "?" for each character that no host's name has.

    RFC 5321 §4.1.4: the server must not refuse mail because the name is not the peer's. Printers, cameras and
    computers named by their owners say "(none)", "Anna's laptop" or something beyond ASCII, and have never heard of
    501. So only what is no name at all is refused, and what is left can stand in Received as one atom (RFC 5322
    §3.2.3), in logs and in questions to the DNS: no space, quote, parenthesis or line end.
    """
    if not argument or len(argument) > _HELO or _CONTROL.search(argument):
        raise CommandError(501, "5.5.4", "Syntax: a domain name or an address literal is needed")
    return _HELO_ODD.sub(HELO_ODD, argument.decode("utf-8", "replace"))


def _parameters(text: str) -> tuple[tuple[str, str | None], ...]:
    """RFC 5321 §4.1.2: *(SP esmtp-param); each keyword once."""
    if not text:
        return ()
    if not text.startswith(" "):
        raise CommandError(501, "5.5.2", "A space must stand between the path and its parameters")
    words = text.split()
    if len(words) > SMTP_PARAMETERS:
        raise CommandError(501, "5.5.4", "Too many parameters")
    found: list[tuple[str, str | None]] = []
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise CommandError(501, "5.5.4", "Syntax error in a parameter")
        keyword = match[1].upper()
        if any(keyword == other for other, _ in found):
            raise CommandError(501, "5.5.4", f"Parameter given twice: {keyword}")
        found.append((keyword, match[2]))
    return tuple(found)


def parse_chunk(argument: bytes) -> Chunk:
    """BDAT's argument: chunk-size [SP "LAST"] (RFC 3030 §2)."""
    words = decode(argument).split(" ")
    if not _DIGITS.fullmatch(words[0]) or len(words) > 2 or (len(words) == 2 and words[1].upper() != "LAST"):
        raise CommandError(501, "5.5.4", "Syntax: BDAT size [LAST]")
    return Chunk(int(words[0]), len(words) == 2)


def parse_auth(argument: bytes) -> tuple[str, bytes | None]:
    """AUTH's argument: mechanism [SP initial-response] (RFC 4954 §4); None when there is no response yet."""
    name, _, initial = decode(argument).partition(" ")
    if not _KEYWORD.fullmatch(name):
        raise CommandError(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
    if not initial:
        return name.upper(), None
    # RFC 4954 §4: "=" is an initial response without octets.
    return name.upper(), b"" if initial == "=" else decode_base64(initial.encode())


def decode_base64(text: bytes) -> bytes:
    """RFC 4954 §4: base64 of RFC 4648 §4, without anything else in it. Raises CommandError."""
    if not _BASE64.fullmatch(text):
        raise CommandError(501, "5.5.2", "Cannot decode that base64")
    return a2b_base64(text)


def is_xtext(text: str) -> bool:
    """Whether text is xtext (RFC 3461 §4)."""
    return _XTEXT.fullmatch(text) is not None


def decode_xtext(text: str) -> str:
    """What xtext stands for (RFC 3461 §4). Raises ValueError when it is no xtext."""
    if not is_xtext(text):
        raise ValueError(text)
    return _XTEXT_PAIR.sub(lambda pair: chr(int(pair[1], 16)), text)


def original_recipient(orcpt: str) -> str:
    """ORCPT as the field shows it: `type; address`, decoded (RFC 3464 §2.3.1, RFC 6533 §3); empty: none."""
    kind, semicolon, address = orcpt.partition(";")
    if not semicolon:
        return ""
    if kind.lower() == "utf-8":
        plain = _UNITEXT.sub(_unescape, address)
        # RFC 6533 §3: what does not conform is copied without alteration.
        return f"{kind}; {plain if plain.isprintable() else address}"
    return f"{kind}; {decode_xtext(address) if is_xtext(address) else address}"


_UNITEXT: Final = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")


def _unescape(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else match[0]
