"""What strangers' mail came to for DMARC, counted for the reports that its domains ask for (RFC 9990).

Counts gather in memory and go to the store every minute, so that an accepted message costs no commit of its own; a
crash loses a minute of statistics and no mail. How TLS with other mail hosts went is counted beside it (RFC 8460). Of
DMARC only domains whose record has `rua=` are counted. Failures that a domain wants to hear of one by one (`ruf=`,
RFC 9991) wait here too, a few an hour for each, and only when configured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from posthouse.config import MsgAuth
from posthouse.inbound.checks import Examination
from posthouse.inbound.policy import normal_domain
from posthouse.limits import FAILURE_HEADER, FAILURES_WAITING, TALLY_ROWS
from posthouse.msgauth.aggregate import AggregateRow, DkimSeen, PolicyPublished, Reason, SpfSeen
from posthouse.msgauth.dmarc import DmarcFound
from posthouse.msgauth.dmarc_record import DmarcRecord, Psd
from posthouse.msgauth.results import Authentication, Disposition, Dmarc, Result
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.store.interface import Store
from posthouse.store.trust import DmarcTally, TallyDmarc

DAY: Final = 86400


TLS: Final = "tls!"
"""Stands before a domain whose row is of TLS, not of DMARC: no name of a domain begins so."""


class TallyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a report to be, as JSON in the store; its count is kept beside."""

    policy: PolicyPublished
    to: tuple[str, ...]
    """Addresses of rua=."""
    row: AggregateRow


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A message that failed, for those who asked to hear of each."""

    domain: str
    policy_domain: str
    to: tuple[str, ...]
    """Addresses of ruf=."""
    peer: str
    reverse_path: str
    at: float
    results: str
    """As in Authentication-Results."""
    delivered: str
    """RFC 9991: "delivered", "spam", "reject"."""
    failed: str
    """RFC 6591 Auth-Failure: "dmarc"."""
    result: str
    """Of DMARC, as in Authentication-Results."""
    unaligned: tuple[str, ...]
    """Which of "dkim" and "spf" proved no aligned domain."""
    signatures: tuple[tuple[str, str, str], ...]
    """d=, i= and s= of those that failed, whoever's they are."""
    strict_dkim: bool
    spf_domain: str
    """Whose SPF record did not pass; empty: none."""
    strict_spf: bool
    header: bytes
    """The header of the message."""


class Tallies:
    """Counts. `note` is `authenticate.Tell`; `flush` from time to time and at the end."""

    def __init__(
        self, store: Store, settings: Callable[[], MsgAuth], now: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._settings = settings
        self._now = now
        self._counts: Counter[tuple[str, int, bytes]] = Counter()
        self._failures: list[Failure] = []
        self._flushing = asyncio.Lock()
        self._on_their_way = 0
        """Rows that the store is taking; when it does not, they come back."""

    def note(self, examination: Examination, found: Authentication, judged: tuple[DmarcFound, ...]) -> None:
        """Count one message, once for each author domain."""
        settings = self._settings()
        for one in judged:
            if one.record is None or one.result.result is Result.TEMPERROR:
                continue
            if settings.reports and one.record.aggregate_to:
                self._count(examination, found, one.result, one.record)
            if settings.failure_reports and one.record.failures_to and len(self._failures) < FAILURES_WAITING:
                self._note_failure(examination, found, one.result, one.record)

    def note_session(self, domain: str, seen: TlsSeen) -> None:
        """Count one session with a mail host of a domain."""
        if self._settings().tls_reports:
            self._add(TLS + domain, seen)

    def _add(self, key: str, row: TlsSeen | TallyRow) -> None:
        """One more; a flood of different rows keeps those that are there already from nothing."""
        whole = key, int(self._now()) // DAY * DAY, msgspec.json.encode(row)
        if whole in self._counts or len(self._counts) + self._on_their_way < TALLY_ROWS:
            self._counts[whole] += 1

    def _count(
        self, examination: Examination, found: Authentication, dmarc: Dmarc, record: DmarcRecord
    ) -> None:
        applied, reasons = self._applied(examination, dmarc)
        envelope = examination.mail.reverse_path.rpartition("@")[2]
        row = AggregateRow(
            source_ip=examination.mail.peer,
            count=1,
            disposition=applied,
            dkim="pass" if dmarc.dkim_aligned else "fail",
            spf="pass" if dmarc.spf_aligned else "fail",
            reasons=reasons,
            header_from=dmarc.domain,
            envelope_from=normal_domain(envelope) or envelope.lower(),
            dkim_seen=tuple(
                DkimSeen(domain=one.domain, selector=one.selector, result=one.result)
                for one in found.dkim
                if one.domain
            ),
            spf_seen=(SpfSeen(domain=found.spf.domain, result=found.spf.result),) if found.spf.domain else (),
        )
        tally = TallyRow(policy=_published(dmarc, record), to=record.aggregate_to, row=row)
        self._add(dmarc.policy_domain, tally)

    def _applied(self, examination: Examination, dmarc: Dmarc) -> tuple[str, tuple[Reason, ...]]:
        """What was done, and why that is not what was asked for (RFC 9990 §3.1.1.9)."""
        if dmarc.result is not Result.FAIL:
            # RFC 9990 appendix A, ActionDispositionType: "pass" where the policy would have asked for more.
            return ("none" if dmarc.policy is Disposition.NONE else "pass"), ()
        if self._settings().verify != "enforce" and dmarc.disposition is not Disposition.NONE:
            return "none", (Reason(type="local_policy", comment="policies are only noted here"),)
        if dmarc.disposition is Disposition.REJECT and examination.spared is not None:
            return Disposition.QUARANTINE, (examination.spared,)
        if dmarc.testing and dmarc.disposition is not dmarc.policy:
            return dmarc.disposition, (Reason(type="policy_test_mode"),)
        return dmarc.disposition, ()

    def _note_failure(
        self, examination: Examination, found: Authentication, dmarc: Dmarc, record: DmarcRecord
    ) -> None:
        # RFC 9989 §4.7, fo=: 1 wants whatever is not an aligned pass, 0 only what fails altogether. Who asks for d or s
        # alone wants reports of DKIM or SPF by itself, which are not made here.
        any_failure = "1" in record.failure_options and not (dmarc.spf_aligned and dmarc.dkim_aligned)
        whole_failure = "0" in record.failure_options and dmarc.result is Result.FAIL
        if not (any_failure or whole_failure):
            return
        if record.psd is Psd.YES:
            return  # RFC 9991 §2: a public suffix does not hear of single messages of those below it
        if b"feedback-report" in (examination.headers.first("content-type") or b"").lower():
            return  # RFC 9991 §5.1: a report that fails is not told of, or two houses could go on for ever
        applied, _ = self._applied(examination, dmarc)
        headers = examination.headers
        self._failures.append(
            Failure(
                domain=dmarc.domain,
                policy_domain=dmarc.policy_domain,
                to=record.failures_to,
                peer=examination.mail.peer,
                reverse_path=examination.mail.reverse_path,
                at=examination.mail.received_at,
                results=found.in_words(),
                delivered={"reject": "reject", "quarantine": "spam"}.get(applied, "delivered"),
                failed="dmarc",
                result=dmarc.result,
                unaligned=tuple(
                    name
                    for name, aligned in (("dkim", dmarc.dkim_aligned), ("spf", dmarc.spf_aligned))
                    if not aligned
                ),
                signatures=tuple(
                    (one.domain, one.identity, one.selector)
                    for one in found.dkim
                    if one.domain and not one.passed
                ),
                strict_dkim=record.strict_dkim,
                spf_domain=found.spf.domain if found.spf.result is not Result.PASS else "",
                strict_spf=record.strict_spf,
                header=headers.raw[headers.start : headers.end][:FAILURE_HEADER],
            )
        )

    def take_failures(self) -> list[Failure]:
        """The failures that wait to be told; they are the caller's from now on."""
        taken, self._failures = self._failures, []
        return taken

    async def flush(self) -> None:
        """Bring the counts to the store; what cannot be kept now is tried again at the next flush."""
        async with self._flushing:
            counts, self._counts = self._counts, Counter()
            if not counts:
                return
            self._on_their_way = len(counts)
            tallies = tuple(
                DmarcTally(policy_domain=domain, day=day, row=row.decode(), count=count)
                for (domain, day, row), count in counts.items()
            )
            try:
                await self._store.apply(TallyDmarc(tallies=tallies))
            except BaseException:
                self._counts.update(counts)
                raise
            finally:
                self._on_their_way = 0


def _published(dmarc: Dmarc, record: DmarcRecord) -> PolicyPublished:
    return PolicyPublished(
        domain=dmarc.policy_domain,
        p=record.policy,
        sp=record.subdomain_policy or record.policy,
        np=record.nonexistent_policy or record.subdomain_policy or record.policy,
        adkim="s" if record.strict_dkim else "r",
        aspf="s" if record.strict_spf else "r",
        fo=":".join(sorted(record.failure_options)),
        testing="y" if record.testing else "n",
    )
