"""An SPF record as terms (RFC 7208 §4.6.1, §5, §6, §12): read wholly before anything is evaluated.

A record with any syntax error is no record (permerror), wherever in it the error stands.
"""

from __future__ import annotations

import enum
import ipaddress
import re
from functools import lru_cache
from typing import Final

import msgspec

from posthouse.limits import SPF_RECORD, SPF_RECORDS_KEPT
from posthouse.msgauth.results import Result

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_VERSION: Final = "v=spf1"
_TRANSFORMERS: Final = r"(?:0*+[1-9]\d*+)?r?[.\-+,/_=]*"
_MACRO_STRING: Final = re.compile(
    rf"(?:[\x21-\x24\x26-\x7e]|%[%_-]|%\{{[slodiphcrtv]{_TRANSFORMERS}\}})*+", re.IGNORECASE
)
# RFC 7208 §7.2: c, r and t only in the text that exp= leads to.
_DOMAIN_ITEM: Final = re.compile(
    rf"[\x21-\x24\x26-\x7e]|%[%_-]|%\{{[slodiphv]{_TRANSFORMERS}\}}", re.IGNORECASE
)
_DOMAIN_SPEC: Final = re.compile(rf"(?:{_DOMAIN_ITEM.pattern})++", re.IGNORECASE)
_TOP_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.IGNORECASE)
_MECHANISM: Final = re.compile(r"([+\-?~]?)([a-z][a-z0-9._-]*)([:/].*)?\Z", re.IGNORECASE | re.DOTALL)
_MODIFIER: Final = re.compile(r"([a-z][a-z0-9._-]*)=(.*)\Z", re.IGNORECASE | re.DOTALL)
_CIDR: Final = re.compile(r"(?:/(\d+))?(?://(\d+))?\Z")
_NUMBER: Final = re.compile(r"0|[1-9]\d{0,2}")
_CIDR_START: Final = re.compile(r"(?:/\d+)?(?://\d+)?\Z")

_QUALIFIERS: Final = {
    "": Result.PASS,
    "+": Result.PASS,
    "-": Result.FAIL,
    "~": Result.SOFTFAIL,
    "?": Result.NEUTRAL,
}


class SpfSyntaxError(ValueError):
    """The record cannot be used (permerror); the text names the term."""


class Kind(enum.Enum):
    """The mechanisms of RFC 7208 §5."""

    ALL = "all"
    INCLUDE = "include"
    A = "a"
    MX = "mx"
    PTR = "ptr"
    IP4 = "ip4"
    IP6 = "ip6"
    EXISTS = "exists"


ASKS: Final = frozenset({Kind.INCLUDE, Kind.A, Kind.MX, Kind.PTR, Kind.EXISTS})
"""Mechanisms that count against the limit of DNS look-ups (RFC 7208 §4.6.4)."""


class Directive(msgspec.Struct, frozen=True, kw_only=True):
    """A qualifier and a mechanism."""

    kind: Kind
    result: Result
    """What a match means."""
    text: str
    """As written."""
    domain: str = ""
    """A macro string; empty: the present domain."""
    prefix4: int = 32
    prefix6: int = 128
    network: Network | None = None


class SpfRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The terms of one record."""

    directives: tuple[Directive, ...]
    redirect: str = ""
    exp: str = ""


def is_spf(text: str) -> bool:
    """RFC 7208 §4.5: whether a TXT record is an SPF record at all."""
    return text[:6].lower() == _VERSION and (len(text) == 6 or text[6] == " ")


def parse_spf(text: str) -> SpfRecord:
    """The terms of a record. Raises SpfSyntaxError."""
    if len(text) > SPF_RECORD:
        raise SpfSyntaxError("the record is too long")
    return _parse(text)


@lru_cache(SPF_RECORDS_KEPT)
def _parse(text: str) -> SpfRecord:
    if not text.isascii():
        # RFC 7208 §3.1: the record is 7-bit ASCII.
        raise SpfSyntaxError("the record is not ASCII")
    directives: list[Directive] = []
    modifiers: dict[str, str] = {}
    for term in text[len(_VERSION) :].split(" "):
        if not term:
            continue
        modifier = _MODIFIER.match(term)
        if modifier is None:
            directives.append(_directive(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name not in ("redirect", "exp"):
            # RFC 7208 §6: unknown modifiers are passed over, their syntax is not.
            if _MACRO_STRING.fullmatch(value) is None:
                raise SpfSyntaxError(f"{term[:80]!a} is not well formed")
            continue
        if name in modifiers:
            raise SpfSyntaxError(f"{name}= stands twice")
        modifiers[name] = _domain_spec(value, term)
    return SpfRecord(
        directives=tuple(directives), redirect=modifiers.get("redirect", ""), exp=modifiers.get("exp", "")
    )


def _directive(term: str) -> Directive:
    match = _MECHANISM.match(term)
    if match is None:
        raise SpfSyntaxError(f"{term[:80]!a} is no term")
    try:
        kind = Kind(match[2].lower())
    except ValueError:
        raise SpfSyntaxError(f'unknown mechanism "{match[2][:80]}"') from None
    result, rest = _QUALIFIERS[match[1]], match[3] or ""
    match kind:
        case Kind.ALL:
            if rest:
                raise SpfSyntaxError('"all" has no argument')
            return Directive(kind=kind, result=result, text=term)
        case Kind.IP4 | Kind.IP6:
            return Directive(kind=kind, result=result, text=term, network=_network(kind, rest, term))
        case Kind.A | Kind.MX:
            start = _CIDR_START.search(rest)
            cidr = rest[start.start() :] if start is not None else ""
            prefix4, prefix6 = _dual_cidr(cidr, term)
            domain = _optional_domain(rest[: len(rest) - len(cidr)], term)
            return Directive(
                kind=kind, result=result, text=term, domain=domain, prefix4=prefix4, prefix6=prefix6
            )
        case Kind.PTR:
            return Directive(kind=kind, result=result, text=term, domain=_optional_domain(rest, term))
    if not rest.startswith(":"):
        raise SpfSyntaxError(f"{term[:80]!a} needs a domain")
    return Directive(kind=kind, result=result, text=term, domain=_domain_spec(rest[1:], term))


def _optional_domain(rest: str, term: str) -> str:
    if not rest:
        return ""
    if rest[0] != ":":
        raise SpfSyntaxError(f"{term[:80]!a} is not well formed")
    return _domain_spec(rest[1:], term)


def _domain_spec(text: str, term: str) -> str:
    if _DOMAIN_SPEC.fullmatch(text) is None or not _ends_as_domain(text):
        raise SpfSyntaxError(f"{term[:80]!a} has no well formed domain")
    return text


def _ends_as_domain(text: str) -> bool:
    """RFC 7208 §7.1 domain-end: a macro, or a dot and a top label that is not all digits."""
    if _DOMAIN_ITEM.findall(text)[-1][0] == "%":
        return True
    _, dot, label = text.removesuffix(".").rpartition(".")
    return bool(dot) and not label.isdigit() and _TOP_LABEL.fullmatch(label) is not None


def _dual_cidr(text: str, term: str) -> tuple[int, int]:
    match = _CIDR.match(text)
    if match is None:
        raise SpfSyntaxError(f"{term[:80]!a} has no well formed prefix length")
    return _prefix(match[1], 32, term), _prefix(match[2], 128, term)


def _prefix(digits: str | None, most: int, term: str) -> int:
    if digits is None:
        return most
    if _NUMBER.fullmatch(digits) is None or int(digits) > most:
        raise SpfSyntaxError(f"{term[:80]!a} has no well formed prefix length")
    return int(digits)


def _network(kind: Kind, rest: str, term: str) -> Network:
    address, slash, digits = rest[1:].partition("/")
    if not rest.startswith(":") or (slash and not digits):
        raise SpfSyntaxError(f"{term[:80]!a} is not well formed")
    length = _prefix(digits if slash else None, 32 if kind is Kind.IP4 else 128, term)
    if "%" in address:  # a zone, which RFC 4291 §2.2 does not have
        raise SpfSyntaxError(f"{term[:80]!a} is no address")
    make = ipaddress.IPv4Network if kind is Kind.IP4 else ipaddress.IPv6Network
    try:
        return make((address, length), strict=False)
    except ValueError:
        raise SpfSyntaxError(f"{term[:80]!a} is no address") from None
