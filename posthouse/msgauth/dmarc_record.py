"""A DMARC record as a value (RFC 9989 §4.7), the older ones of RFC 7489 included.

Unknown tags are passed over, broken values fall back to their defaults (§4.8); only a list that does not begin with
`v=DMARC1` is no record. Of what RFC 7489 had, `pct=0` is read as the `t=y` that took its place (appendix A.6) where
there is no `t`; other percentages, `rf`, `ri` and the sizes behind URIs mean nothing.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import msgspec

from posthouse.limits import DMARC_RECORD, DMARC_RECORDS_KEPT, DMARC_REPORT_URIS
from posthouse.msgauth.results import Disposition

_VERSION: Final = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]+")
_SIZE: Final = re.compile(r"!\d{1,12}[kmgt]?\Z", re.IGNORECASE)
_DISPOSITIONS: Final = {one.value: one for one in Disposition}
_POLICIES: Final = ("p", "sp", "np")
_WHEN: Final = frozenset({"0", "1"})
_OF_ONE: Final = frozenset({"d", "s"})


class Psd(enum.StrEnum):
    """psd=: what the domain is (RFC 9989 §4.7)."""

    YES = "y"
    NO = "n"
    UNKNOWN = "u"


class DmarcRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One record."""

    text: str
    readable: bool = True
    """False: nobody can tell its policy, and it asks for no reports: no message is judged by it (RFC 9989 §4.10.1)."""
    policy: Disposition = Disposition.NONE
    subdomain_policy: Disposition | None = None
    nonexistent_policy: Disposition | None = None
    strict_dkim: bool = False
    strict_spf: bool = False
    psd: Psd = Psd.UNKNOWN
    testing: bool = False
    aggregate_to: tuple[str, ...] = ()
    """Addresses of rua=."""
    failures_to: tuple[str, ...] = ()
    """Addresses of ruf=."""
    failure_options: frozenset[str] = frozenset({"0"})
    """Of fo=: "0" or "1" (failures of DMARC), "d" and "s" (of DKIM, of SPF)."""

    def for_subdomain(self, *, exists: bool) -> Disposition:
        """What it asks for a domain below its own: np, then sp, then p (RFC 9989 §4.7)."""
        if not exists and self.nonexistent_policy is not None:
            return self.nonexistent_policy
        return self.policy if self.subdomain_policy is None else self.subdomain_policy


def parse_dmarc(text: str) -> DmarcRecord | None:
    """The record of a TXT text, or None when that is none."""
    if len(text) > DMARC_RECORD or _VERSION.match(text) is None:
        return None
    return _parse(text)


@lru_cache(DMARC_RECORDS_KEPT)
def _parse(text: str) -> DmarcRecord:
    tags: dict[str, str] = {}
    for item in text.split(";"):
        name, equals, value = item.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    readable = True
    if any(tags[name].lower() not in _DISPOSITIONS for name in _POLICIES if name in tags):
        # RFC 9989 §4.10.1: a policy that nobody can read is "none" where reports are wanted, of whatever URI.
        readable = any(map(_URI.fullmatch, (item.strip() for item in tags.get("rua", "").split(","))))
        tags = {name: value for name, value in tags.items() if name not in _POLICIES}
    return DmarcRecord(
        text=text,
        readable=readable,
        policy=Disposition(tags.get("p", "none").lower()),
        subdomain_policy=_DISPOSITIONS.get(tags.get("sp", "").lower()),
        nonexistent_policy=_DISPOSITIONS.get(tags.get("np", "").lower()),
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
        psd=_psd(tags.get("psd", "u").lower()),
        testing=tags["t"].lower() == "y" if "t" in tags else tags.get("pct") == "0",
        aggregate_to=_addresses(tags.get("rua", "")),
        failures_to=_addresses(tags.get("ruf", "")),
        failure_options=_failure_options(tags.get("fo", "0").replace(" ", "").lower().split(":")),
    )


def _psd(value: str) -> Psd:
    return Psd(value) if value in set(Psd) else Psd.UNKNOWN


def _failure_options(values: list[str]) -> frozenset[str]:
    """RFC 9989 §4.7, §4.8: "0" and "1" exclude each other; what is none of the four is the default."""
    found = frozenset(values)
    return frozenset({"0"}) if found - _WHEN - _OF_ONE or found >= _WHEN else found


def _addresses(value: str) -> tuple[str, ...]:
    """The addresses of a list of mailto: URIs; RFC 7489's size limits behind them are passed over."""
    found = []
    for item in value.split(",")[:DMARC_REPORT_URIS]:
        scheme, _, rest = _SIZE.sub("", item.strip()).partition(":")
        address = unquote(rest.partition("?")[0])
        # What an address is made of must not begin a line of a log, of a header or of an SMTP dialogue.
        sound = address.isascii() and address.isprintable() and address.count("@") == 1
        if scheme.lower() == "mailto" and sound:
            found.append(address)
    return tuple(found)
