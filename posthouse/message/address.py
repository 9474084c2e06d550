"""Mail addresses as SMTP knows them: paths, local parts, domains (RFC 5321 §4.1.2, RFC 6531 §3.3, RFC 5890).

Strict: what the grammar does not allow is an `AddressError`, but for what the DNS has and other mail hosts take: `_` in
a domain, and in paths the dot at its end. Address lists of header fields are another, far more tolerant grammar:
`message.mailboxes`, whose names are offered here too. Of address literals only the IPv4 and IPv6 forms are known, since
nothing else can be delivered to.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import idna
import msgspec

from posthouse.limits import DOMAIN, LOCAL_PART
from posthouse.message.mailboxes import Group, Mailbox, parse_mailbox_list, quote_local_part

__all__ = [
    "Address",
    "AddressError",
    "Group",
    "Mailbox",
    "Path",
    "ascii_domain",
    "found_as",
    "normalize_domain",
    "parse_address",
    "parse_mailbox_list",
    "parse_path",
    "spellings",
]

# RFC 5321 §4.1.2 sub-domain, and "_": such names are in the DNS, and people have addresses there.
_LABEL: Final = r"\w(?:[\w-]{0,61}\w)?"
_DOMAIN_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*+", re.ASCII)
_ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_WIDE: Final = r"\u0080-\U0010ffff"
_DOT_STRING: Final = re.compile(rf"[{_ATEXT}]++(?:\.[{_ATEXT}]++)*+")
_DOT_STRING_UTF8: Final = re.compile(rf"[{_ATEXT}{_WIDE}]++(?:\.[{_ATEXT}{_WIDE}]++)*+")
# RFC 5321 §4.1.2 qtextSMTP, quoted-pairSMTP; RFC 6531 §3.3 adds non-ASCII.
_QUOTED_STRING: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*+)"')
_QUOTED_STRING_UTF8: Final = re.compile(rf'"((?:[ !#-\[\]-~{_WIDE}]|\\[ -~])*+)"')
_QUOTED_PAIR: Final = re.compile(r"\\(.)")
_LITERAL: Final = re.compile(r"\[([!-Z^-~]++)\]")
_DOMAIN_TEXT: Final = re.compile(r"[^\s<>()\[\]\\,;:@\"]++")
# RFC 5321 §4.1.2 A-d-l: source routes are read and ignored (Appendix C).
_SOURCE_ROUTE: Final = re.compile(r"@[^\s<>:,@]++(?:,@[^\s<>:,@]++)*+:")
_POSTMASTER: Final = re.compile(r"postmaster(?=>)", re.IGNORECASE)


class AddressError(ValueError):
    """A text is no address. The message is safe to show; `offset` is where the grammar was left."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.offset = offset


class Address(msgspec.Struct, frozen=True):
    """A mailbox of RFC 5321: a local part (quoting removed) at a domain or an address literal."""

    local: str
    domain: str
    """As written; `[…]` for an address literal; empty only for the `<postmaster>` of RFC 5321 §4.1.1.3."""

    def __str__(self) -> str:
        local = quote_local_part(self.local)
        return f"{local}@{self.domain}" if self.domain else local

    def normalized(self) -> str:
        """The form that addresses are compared and looked up by: lower case, the domain in A-label form."""
        local = quote_local_part(self.local.lower())
        return f"{local}@{normalize_domain(self.domain)}" if self.domain else local


class Path(msgspec.Struct, frozen=True):
    """What stands between `<` and `>` in MAIL and RCPT."""

    address: Address | None
    """None: the null reverse-path `<>`."""
    end: int
    """Offset behind the `>`."""


def normalize_domain(domain: str) -> str:
    """A domain in lower case A-label form; an address literal in its usual spelling. ValueError when it is
    none.

    RFC 5890 §2.3.2.1; non-ASCII names are mapped by UTS 46 (case, width) first.
    """
    if domain.isascii() and "xn--" not in (lower := domain.lower()):
        if _DOMAIN_NAME.fullmatch(lower) and len(lower) <= DOMAIN:
            return lower
        if lower.startswith("["):
            return _normal_literal(domain)
        raise AddressError("not a domain name")
    if len(domain) > DOMAIN:
        raise AddressError("domain name too long")
    try:
        name = idna.encode(domain, uts46=True).decode("ascii").lower()
    except (UnicodeError, ValueError, IndexError) as error:  # idna's own errors are UnicodeErrors
        raise AddressError("not a domain name") from error
    if not _DOMAIN_NAME.fullmatch(name) or len(name) > DOMAIN:
        raise AddressError("not a domain name")
    return name


def ascii_domain(address: str) -> str:
    """An address with its domain in A-labels, when that makes it ASCII (RFC 6531 §3.2); else as it is."""
    if address.isascii():
        return address
    local, _, domain = address.rpartition("@")
    if not local.isascii():
        return address
    try:
        return f"{local}@{normalize_domain(domain)}"
    except ValueError:
        return address


def found_as(address: str) -> str:
    """The spelling by which notes about an address are found, however it was written: no case, A-labels.

    What is no address has a spelling too.
    """
    lower = address.lower()
    local, at, domain = lower.rpartition("@")
    if domain.isascii():
        return lower
    try:
        return f"{local}{at}{normalize_domain(domain)}"
    except ValueError:
        return lower


def spellings(domain: str) -> frozenset[str]:
    """A domain as written, in A-labels and in U-labels, in lower case; what is none has one spelling."""
    lower = domain.lower().rstrip(".")
    if lower.isascii() and "xn--" not in lower:
        return frozenset({lower})
    try:
        name = normalize_domain(lower)
        return frozenset({lower, name, idna.decode(name)})
    except ValueError:  # AddressError, or one of idna's, which are UnicodeErrors
        return frozenset({lower})


def _normal_literal(literal: str) -> str:
    """An address literal (RFC 5321 §4.1.3) in its usual spelling."""
    content = literal[1:-1] if literal.endswith("]") else ""
    try:
        if content[:5].lower() == "ipv6:":
            return f"[IPv6:{ipaddress.IPv6Address(content[5:])}]"
        return f"[{ipaddress.IPv4Address(content)}]"
    except ValueError as error:
        raise AddressError("not an address literal") from error


def parse_address(text: str, *, utf8: bool = True) -> Address:
    """A whole text as one address `local@domain`. AddressError when it is none."""
    address, end = _mailbox(text, 0, utf8)
    if end != len(text):
        raise AddressError("unexpected text after the address", end)
    return address


def parse_path(text: str, start: int = 0, *, utf8: bool = False) -> Path:
    """The path that begins with `<` at an offset (RFC 5321 §4.1.2). AddressError when there is none.

    `utf8`: non-ASCII is allowed, because the command said SMTPUTF8 (RFC 6531 §3.3).
    """
    if not text.startswith("<", start):
        raise AddressError("path must begin with <", start)
    position = start + 1
    if text.startswith(">", position):
        return Path(None, position + 1)
    route = _SOURCE_ROUTE.match(text, position)
    if route is not None:
        position = route.end()
    postmaster = _POSTMASTER.match(text, position)
    if postmaster is not None:  # RFC 5321 §4.1.1.3: RCPT TO:<Postmaster> stands without a domain.
        return Path(Address(postmaster[0], ""), postmaster.end() + 1)
    address, end = _mailbox(text, position, utf8, final_dot=True)
    if not text.startswith(">", end):
        raise AddressError("path must end with >", end)
    return Path(address, end + 1)


def _mailbox(text: str, start: int, utf8: bool, *, final_dot: bool = False) -> tuple[Address, int]:
    """RFC 5321 §4.1.2 Mailbox at an offset."""
    local, position = _local_part(text, start, utf8)
    if not text.startswith("@", position):
        raise AddressError("@ and a domain are missing", position)
    domain, end = _domain(text, position + 1, utf8, final_dot)
    return Address(local, domain), end


def _local_part(text: str, start: int, utf8: bool) -> tuple[str, int]:
    match = (_DOT_STRING_UTF8 if utf8 else _DOT_STRING).match(text, start)
    if match is not None:
        local = match[0]
    else:
        match = (_QUOTED_STRING_UTF8 if utf8 else _QUOTED_STRING).match(text, start)
        if match is None:
            raise AddressError("not a local part", start)
        local = _QUOTED_PAIR.sub(r"\1", match[1])
    size = len(local) if local.isascii() else len(local.encode("utf-8", "surrogatepass"))
    if size > LOCAL_PART:
        raise AddressError("local part too long", start)
    return local, match.end()


def _domain(text: str, start: int, utf8: bool, final_dot: bool) -> tuple[str, int]:
    """`final_dot`: it may end with the dot of the root (RFC 1034 §3.1), which is left out."""
    match = _LITERAL.match(text, start) or _DOMAIN_TEXT.match(text, start)
    if match is None:
        raise AddressError("not a domain name", start)
    if not utf8 and not match[0].isascii():
        raise AddressError("non-ASCII domain without SMTPUTF8", start)
    domain = match[0].removesuffix(".") if final_dot else match[0]
    try:
        normalize_domain(domain)
    except AddressError as error:
        raise AddressError(str(error), start) from error.__cause__
    return domain, match.end()
