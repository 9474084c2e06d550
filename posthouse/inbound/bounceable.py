"""Whether a notice about a stranger's message would reach whoever sent it.

The reverse-path of junk is mostly somebody else's, and a notice that goes there is junk itself. What is refused while
the peer is there needs no notice; this is for what can no longer be refused: a dead end behind an alias, a recipient
beside others, another host that does not take it.
"""

from __future__ import annotations

import enum

from posthouse.inbound.checks import Examination
from posthouse.inbound.policy import normal_domain
from posthouse.msgauth.results import Authentication, Result


class Standing(enum.Enum):
    """What is known of a reverse-path."""

    PROVED = "proved"
    """Its domain let the message be sent, or signed it; or it came from our people or hosts."""
    UNKNOWN = "unknown"
    DOUBTFUL = "doubtful"
    """Something speaks against it, and nothing for it."""


def standing_of(examination: Examination) -> Standing:
    """The standing of a stranger's reverse-path."""
    found = examination.authentication
    if found is not None and _is_proved(found, examination.mail.reverse_path):
        return Standing.PROVED
    if examination.junk or (found is not None and _is_denied(found)):
        return Standing.DOUBTFUL
    return Standing.UNKNOWN


def _is_proved(found: Authentication, reverse_path: str) -> bool:
    if found.spf.scope == "mailfrom" and found.spf.result is Result.PASS:
        return True
    domain = normal_domain(reverse_path.rpartition("@")[2])
    return any(one.passed and f".{domain}".endswith(f".{one.domain}") for one in found.dkim)


def _is_denied(found: Authentication) -> bool:
    """A forwarder that keeps the reverse-path fails SPF too; then the signature mostly still proves it.

    RFC 7208 §8.5: softfail is weak, and a notice too many is better than mail that vanishes.
    """
    by_spf = found.spf.scope == "mailfrom" and found.spf.result is Result.FAIL
    return by_spf or any(one.result is Result.FAIL for one in found.dmarc)
