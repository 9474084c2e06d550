"""The service extensions that we offer, and the parameters they bring: tables, and what computes from them.

EHLO's answer (RFC 5321 §4.1.1.1) is computed from EXTENSIONS for the listener and the present state, so
nothing is advertised that isn't there; MAIL and RCPT parameters are known only while their extension is
offered, else they are refused with 555 (§4.1.1.11).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from posthouse.limits import DELIVERBY_LEAST, SMTP_TRANSACTIONS
from posthouse.smtp.grammar import decode_xtext, is_xtext, parse_mailbox
from posthouse.smtp.replies import CommandError


class Role(enum.StrEnum):
    """What a listener is for."""

    MX = "mx"
    """Port 25: mail from anyone for our recipients."""
    SUBMISSION = "submission"
    """Ports 587 and 465: mail from logins for anyone (RFC 6409, RFC 8314)."""
    LMTP = "lmtp"
    """Final delivery with one reply for each recipient (RFC 2033)."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What decides which extensions are there at a moment of a session."""

    role: Role
    size: int
    """Octets of the largest message (RFC 1870)."""
    recipients: int
    starttls: bool
    """A certificate is there, and TLS is not yet on."""
    mechanisms: tuple[str, ...]
    """SASL mechanisms for this session now; empty: no AUTH, or logged in already."""
    xclient: tuple[str, ...] = ()
    """What this peer may tell of clients (`smtp.xclient`); empty: nothing."""


def _always(_: Offer) -> str:
    return ""


def _size(offer: Offer) -> str:
    # RFC 1870 §4: the number is the fixed maximum in octets.
    return str(offer.size)


def _starttls(offer: Offer) -> str | None:
    # RFC 3207 §4.2: it must not be advertised once TLS is on.
    return "" if offer.starttls else None


def _auth(offer: Offer) -> str | None:
    return " ".join(offer.mechanisms) or None


def _limits(offer: Offer) -> str:
    # RFC 9422 §4.1, §4.2: transactions of a connection and recipients of a transaction; how many domains they are in
    # (§4.3) is all the same here, so that is not told. A value has at most six digits.
    return f"MAILMAX={SMTP_TRANSACTIONS} RCPTMAX={min(offer.recipients, 999_999)}"


def _deliver_by(_: Offer) -> str:
    # RFC 2852 §2: the least time within which we may be asked to deliver a message or return it.
    return str(DELIVERBY_LEAST)


def _xclient(offer: Offer) -> str | None:
    return " ".join(offer.xclient) or None


def _help(offer: Offer) -> str | None:
    # RFC 2033 §4: LMTP needs no HELP.
    return None if offer.role is Role.LMTP else ""


EXTENSIONS: Final[tuple[tuple[str, Callable[[Offer], str | None]], ...]] = (
    # keyword, what stands behind it (None: not offered now)
    ("PIPELINING", _always),  # RFC 2920
    ("SIZE", _size),  # RFC 1870
    ("8BITMIME", _always),  # RFC 6152
    ("SMTPUTF8", _always),  # RFC 6531
    ("ENHANCEDSTATUSCODES", _always),  # RFC 2034
    ("CHUNKING", _always),  # RFC 3030
    ("BINARYMIME", _always),  # RFC 3030
    ("DSN", _always),  # RFC 3461
    ("DELIVERBY", _deliver_by),  # RFC 2852
    ("STARTTLS", _starttls),  # RFC 3207
    ("AUTH", _auth),  # RFC 4954
    ("LIMITS", _limits),  # RFC 9422
    ("XCLIENT", _xclient),  # Postfix's XCLIENT_README
    ("HELP", _help),  # RFC 5321 §4.1.1.8
)


def offered(offer: Offer) -> tuple[str, ...]:
    """The EHLO lines behind the first one."""
    lines = []
    for keyword, argument in EXTENSIONS:
        text = argument(offer)
        if text is not None:
            lines.append(f"{keyword} {text}" if text else keyword)
    return tuple(lines)


# --- parameters ---------------------------------------------------------------------------------------


class MailParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What the parameters of MAIL came to."""

    size: int | None = None
    body: str = "7BIT"
    """"7BIT", "8BITMIME" or "BINARYMIME"."""
    smtputf8: bool = False
    ret: str = ""
    """"FULL", "HDRS" or empty."""
    envid: str = ""
    """As sent, in xtext."""
    auth: str = ""
    """Who the message is from, by word of the peer (RFC 4954 §5); "<>" when it doesn't know."""
    by: str = ""
    """Within how many seconds it is to be delivered, and what else (RFC 2852 §4): "120;RT"."""


class RcptParameters(msgspec.Struct, frozen=True, kw_only=True):
    """What the parameters of RCPT came to, as `store.model.NewRecipient` keeps them."""

    notify: str = ""
    orcpt: str = ""


def _needed(keyword: str, value: str | None) -> str:
    if value is None:
        raise CommandError(501, "5.5.4", f"{keyword} needs a value")
    return value


def _parse_size(keyword: str, value: str | None) -> int:
    text = _needed(keyword, value)
    # RFC 1870 §3: size-value = 1*20DIGIT.
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise CommandError(501, "5.5.4", "SIZE needs a number")
    return int(text)


def _parse_body(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value).upper()
    if text not in ("7BIT", "8BITMIME", "BINARYMIME"):
        raise CommandError(501, "5.5.4", "BODY is 7BIT, 8BITMIME or BINARYMIME")
    return text


def _parse_smtputf8(keyword: str, value: str | None) -> bool:
    if value is not None:
        raise CommandError(501, "5.5.4", "SMTPUTF8 takes no value")  # RFC 6531 §3.4
    return True


def _parse_ret(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value).upper()
    if text not in ("FULL", "HDRS"):
        raise CommandError(501, "5.5.4", "RET is FULL or HDRS")  # RFC 3461 §4.3
    return text


def _parse_envid(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value)
    # RFC 3461 §4.4: xtext of printable characters, at most 100 of them.
    if len(text) > 100 or not is_xtext(text) or not decode_xtext(text).isprintable():
        raise CommandError(501, "5.5.4", "ENVID is at most 100 characters of xtext")
    return text


def _parse_auth(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value)
    if text == "<>":
        return text
    try:
        return parse_mailbox(decode_xtext(text))
    except ValueError:
        raise CommandError(501, "5.5.4", "AUTH is <> or an address in xtext") from None


_BY: Final = re.compile(r"([-+]?[0-9]{1,9});([RN]T?)", re.IGNORECASE)


def _parse_by(keyword: str, value: str | None) -> str:
    found = _BY.fullmatch(_needed(keyword, value))
    if found is None:
        raise CommandError(501, "5.5.4", "BY is seconds, a semicolon, R or N, and T behind it for a trace")
    seconds, mode = int(found[1]), found[2].upper()
    if mode[0] == "R" and seconds <= 0:
        # RFC 2852 §4: what is to come back in time must still have some.
        raise CommandError(501, "5.5.4", "BY with R needs a time that is not over")
    if mode[0] == "R" and seconds < DELIVERBY_LEAST:
        raise CommandError(550, "5.4.7", f"BY with R needs {DELIVERBY_LEAST} seconds here")
    return f"{seconds};{mode}"


_NOTIFY: Final = frozenset({"SUCCESS", "FAILURE", "DELAY"})


def _parse_notify(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value).upper()
    if text == "NEVER":
        return text
    # RFC 3461 §4.1: NEVER stands alone; the others may be combined.
    words = text.split(",")
    if not _NOTIFY.issuperset(words) or len(set(words)) != len(words):
        raise CommandError(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE, DELAY")
    return text


_ORCPT: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/?^_`{|}~.-]+;(.+)")


def _parse_orcpt(keyword: str, value: str | None) -> str:
    text = _needed(keyword, value)
    found = _ORCPT.fullmatch(text)
    # RFC 3461 §4.2: addr-type ";" xtext, at most 500 characters; RFC 6533 §3: "utf-8" has its own escapes.
    if found is None or len(text) > 500 or not (text[:6].lower() == "utf-8;" or is_xtext(found[1])):
        raise CommandError(501, "5.5.4", "ORCPT is a type, a semicolon and an address in xtext")
    return text


class Parameter(msgspec.Struct, frozen=True):
    """A parameter of MAIL or RCPT."""

    extension: str
    field: str
    """Where its value goes in MailParameters or RcptParameters."""
    parse: Callable[[str, str | None], object]


MAIL_PARAMETERS: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        "SIZE": Parameter("SIZE", "size", _parse_size),  # RFC 1870 §6
        "BODY": Parameter("8BITMIME", "body", _parse_body),  # RFC 6152 §2, RFC 3030 §3
        "SMTPUTF8": Parameter("SMTPUTF8", "smtputf8", _parse_smtputf8),  # RFC 6531 §3.4
        "RET": Parameter("DSN", "ret", _parse_ret),
        "ENVID": Parameter("DSN", "envid", _parse_envid),
        "AUTH": Parameter("AUTH", "auth", _parse_auth),  # RFC 4954 §5
        "BY": Parameter("DELIVERBY", "by", _parse_by),  # RFC 2852 §4
    }
)

RCPT_PARAMETERS: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        "NOTIFY": Parameter("DSN", "notify", _parse_notify),
        "ORCPT": Parameter("DSN", "orcpt", _parse_orcpt),
    }
)


def mail_parameters(given: tuple[tuple[str, str | None], ...], known: frozenset[str]) -> MailParameters:
    """MAIL's parameters; `known` are the extension keywords offered in this session. Raises CommandError."""
    if not given:
        return _NO_MAIL_PARAMETERS
    return msgspec.convert(_values(given, MAIL_PARAMETERS, known), MailParameters)


def rcpt_parameters(given: tuple[tuple[str, str | None], ...], known: frozenset[str]) -> RcptParameters:
    """RCPT's parameters; `known` are the extension keywords offered in this session. Raises CommandError."""
    if not given:
        return _NO_RCPT_PARAMETERS
    return msgspec.convert(_values(given, RCPT_PARAMETERS, known), RcptParameters)


_NO_MAIL_PARAMETERS: Final = MailParameters()
_NO_RCPT_PARAMETERS: Final = RcptParameters()


def _values(
    given: tuple[tuple[str, str | None], ...], table: Mapping[str, Parameter], known: frozenset[str]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for keyword, value in given:
        row = table.get(keyword)
        if row is None or row.extension not in known:
            # RFC 5321 §4.1.1.11: 555 for a parameter that is not recognised or not implemented.
            raise CommandError(555, "5.5.4", f"Parameter not known here: {keyword}")
        values[row.field] = row.parse(keyword, value)
    return values
