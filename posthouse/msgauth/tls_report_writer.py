"""TLS reports that we send (RFC 8460 §4): what our sessions with a domain's mail hosts came to, as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from posthouse.limits import TLS_REPORT_URIS

NOT_OFFERED: Final = "starttls-not-supported"
TLSA_INVALID: Final = "tlsa-invalid"
DNSSEC_INVALID: Final = "dnssec-invalid"
FAILED: Final = "validation-failure"
"""RFC 8460 §4.3: the words for what went wrong; `FAILED` where none fits better."""
_WORDS: Final = (
    ("hostname mismatch", "certificate-host-mismatch"),
    ("ip address mismatch", "certificate-host-mismatch"),
    ("has expired", "certificate-expired"),
    ("certificate verify failed", "certificate-not-trusted"),
)
"""What the TLS library says, and the standard's word for it; the first that fits counts."""
_VERSION: Final = "v=TLSRPTv1"


class TlsSeen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one session came to. Sessions that are equal are counted together."""

    policy: tuple[str, ...] = ()
    """The lines of the MTA-STS policy in force (also one that is only tested), or the TLSA records; empty: neither."""
    dane: bool = False
    """They are TLSA records, or those could not be looked up."""
    result: str = ""
    """One of the standard's words; empty: it was encrypted as the policy asks."""
    mx: str = ""
    """The mail host; with its addresses told of failures only."""
    receiving_ip: str = ""
    sending_ip: str = ""
    reason: str = ""
    """In the words of whoever failed."""


def failure_word(problem: str) -> str:
    """The standard's word for what kept TLS from coming about."""
    lower = problem.lower()
    return next((word for said, word in _WORDS if said in lower), FAILED)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Where a domain wants its TLS reports."""

    addresses: tuple[str, ...] = ()
    """By mail."""
    pages: tuple[str, ...] = ()
    """By POST to these https URLs."""

    def __bool__(self) -> bool:
        return bool(self.addresses or self.pages)


def reports_wanted(texts: Iterable[str]) -> Wanted:
    """What the texts of `_smtp._tls.DOMAIN` ask for (RFC 8460 §3). Of several records none counts."""
    found = [text for text in texts if text.partition(";")[0].strip() == _VERSION]
    if len(found) != 1:
        return Wanted()
    for item in found[0].split(";")[1:]:
        name, _, value = item.partition("=")
        if name.strip() == "rua":
            uris = [uri.strip() for uri in value.split(",")[:TLS_REPORT_URIS]]
            sound = [uri for uri in uris if uri.isascii() and uri.isprintable()]
            mail = [uri[7:] for uri in sound if uri[:7].lower() == "mailto:"]
            return Wanted(
                addresses=tuple(one for one in mail if one.count("@") == 1),
                pages=tuple(uri for uri in sound if uri[:8].lower() == "https://"),
            )
    return Wanted()


class TlsPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """One report's frame."""

    hostname: str
    domain: str
    report_id: str
    begin: int
    """POSIX seconds."""
    end: int


def write_tls_report(period: TlsPeriod, seen: Sequence[tuple[int, TlsSeen]]) -> dict[str, Any]:
    """The document; `seen`: (sessions, what they came to)."""
    policies = dict.fromkeys((one.policy, one.dane) for _, one in seen)
    return {
        "organization-name": period.hostname,
        "date-range": {"start-datetime": _time(period.begin), "end-datetime": _time(period.end)},
        "contact-info": f"postmaster@{period.hostname}",
        "report-id": period.report_id,
        "policies": [
            _policy(
                period.domain,
                lines,
                dane,
                [(count, one) for count, one in seen if (one.policy, one.dane) == (lines, dane)],
            )
            for lines, dane in policies
        ],
    }


def _policy(
    domain: str, lines: tuple[str, ...], dane: bool, seen: Sequence[tuple[int, TlsSeen]]
) -> dict[str, Any]:
    failed = [(count, one) for count, one in seen if one.result]
    failures = sum(count for count, _ in failed)
    about: dict[str, Any] = {
        "policy-type": "tlsa" if dane else "sts" if lines else "no-policy-found",
        "policy-domain": domain,
    }
    if lines:
        about["policy-string"] = list(lines)
    if lines and not dane:
        about["mx-host"] = [line.removeprefix("mx: ") for line in lines if line.startswith("mx: ")]
    policy: dict[str, Any] = {
        "policy": about,
        "summary": {
            "total-successful-session-count": sum(count for count, _ in seen) - failures,
            "total-failure-session-count": failures,
        },
    }
    if failed:
        policy["failure-details"] = [_failure(count, one) for count, one in failed]
    return policy


def _failure(count: int, one: TlsSeen) -> dict[str, Any]:
    details: dict[str, Any] = {
        "result-type": one.result,
        "sending-mta-ip": one.sending_ip,
        "receiving-mx-hostname": one.mx,
        "receiving-ip": one.receiving_ip,
        "failed-session-count": count,
        "failure-reason-code": one.reason,
    }
    return {name: value for name, value in details.items() if value}


def _time(seconds: int) -> str:
    # RFC 3339, in UTC.
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
