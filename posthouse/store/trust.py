"""What the store keeps about trust: keys we sign with, what to report to whom, reports, and findings that are muted.

Values and operations together, as one small family of the contract in `interface`.
"""

from __future__ import annotations

import enum
from typing import Protocol

from posthouse.store.model import Frozen
from posthouse.store.operations import Op


class KeyState(enum.Enum):
    """Where a DKIM key stands on its way."""

    NEXT = "next"
    """To be published; signs nothing yet."""
    ACTIVE = "active"
    """Signs."""
    RETIRED = "retired"
    """Signs no more; stays published while its last mail is on the way."""


class DkimKey(Frozen, frozen=True, kw_only=True):
    """A key that signs in the name of a domain (RFC 6376)."""

    domain: str
    selector: str
    algorithm: str
    """"rsa-sha256" or "ed25519-sha256"."""
    private_key: str
    """PEM, PKCS #8."""
    state: KeyState = KeyState.ACTIVE
    created_at: int
    changed_at: int
    """When it came into this state."""


class PutDkimKey(Op[None], frozen=True, kw_only=True):
    """Add a key or change its state. NotFound when the domain is not here."""

    key: DkimKey


class RemoveDkimKey(Op[None], frozen=True, kw_only=True):
    """Forget a key for good. NotFound."""

    domain: str
    selector: str


class DmarcTally(Frozen, frozen=True, kw_only=True):
    """Messages of one day that came to the same for DMARC: a row of an aggregate report to be (RFC 9990)."""

    policy_domain: str
    day: int
    """POSIX seconds of its midnight, UTC."""
    row: str
    """JSON: what they came to."""
    count: int


class TallyDmarc(Op[None], frozen=True, kw_only=True):
    """Add to the counts. Left out while the disk is full."""

    tallies: tuple[DmarcTally, ...]


class ForgetTallies(Op[None], frozen=True, kw_only=True):
    """The report of a domain's day is made; or nobody wants it. NotFound when there are none: with it in the same
    commit, of several nodes one sends the report."""

    policy_domain: str
    day: int


class Report(Frozen, frozen=True, kw_only=True):
    """A report about mail, received or sent."""

    report_id: int = 0
    sent: bool
    """False: somebody told us; True: we told them."""
    kind: str
    """"aggregate" (RFC 9990), "failure" (RFC 9991), "tls" (RFC 8460)."""
    domain: str
    """Whom it is about."""
    organization: str
    """Who made it; of one sent: to whom."""
    name: str
    """The report's own id."""
    begin: int
    end: int
    at: int
    """When it came or went."""
    messages: int
    """How many messages it speaks of."""
    failures: int
    """How many of them failed."""
    content: str
    """JSON: the whole report, read."""


class AddReport(Op[int], frozen=True, kw_only=True):
    """Keep a report; its number, or 0 when it is here already (same kind, domain, organization and name)."""

    report: Report


class PruneReports(Op[int], frozen=True, kw_only=True):
    """Forget reports that came or went before a time; how many."""

    before: float


class Mute(Frozen, frozen=True, kw_only=True):
    """A finding of `domain check` that an administrator does not want to hear of."""

    domain: str
    subject: str
    """The record's kind: "DMARC", "PTR", …"""
    reason: str
    at: int


class PutMute(Op[None], frozen=True, kw_only=True):
    """Mute a finding, or change why."""

    mute: Mute


class RemoveMute(Op[None], frozen=True, kw_only=True):
    """Hear of it again. NotFound."""

    domain: str
    subject: str


class TrustStore(Protocol):
    """What `interface.Store` offers of this."""

    async def dkim_keys(self, domain: str = "") -> tuple[DkimKey, ...]:
        """The DKIM keys of a domain (of all), oldest first."""
        ...

    async def dmarc_tallies(self, before: int) -> tuple[DmarcTally, ...]:
        """What is to be reported of days before a time, by domain and day."""
        ...

    async def reports(self, domain: str = "", limit: int = 100) -> tuple[Report, ...]:
        """Reports received and sent (about a domain), the newest first."""
        ...

    async def report(self, report_id: int) -> Report | None:
        """One report."""
        ...

    async def mutes(self, domain: str) -> tuple[Mute, ...]:
        """The findings about a domain that nobody wants to hear of."""
        ...
