"""Reports are made and sent: each day one to every domain that asked and whose mail came (RFC 9990), at once about
single failures where configured (RFC 9991).

A report, the note that it was sent, and the end of its counts are one commit: none is sent twice or lost. An address
in another organization must have agreed to take DMARC reports (RFC 8460 asks no such thing of TLS reports); when the
DNS cannot be asked for that, the report waits.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from posthouse.errors import NotFound, Temporary
from posthouse.inbound.mail import Mail, new_trace_id, our_mail
from posthouse.inbound.received import received_field
from posthouse.inbound.report_consent import agreed
from posthouse.inbound.report_letters import (
    GENERATOR,
    Letterhead,
    OwnFailures,
    aggregate_letter,
    failure_letter,
    tls_letter,
)
from posthouse.inbound.tally import DAY, TLS, Failure, Tallies, TallyRow
from posthouse.limits import FAILURES_AN_HOUR, REPORT_SETTLED, REPORT_WAIT, REPORTS_KEPT, TLS_REPORT_RETRIED
from posthouse.msgauth.aggregate import AggregateReport
from posthouse.msgauth.dmarc import DnsTemporary, aligned, walk
from posthouse.msgauth.spf_record import is_spf
from posthouse.msgauth.tls_report_writer import TlsPeriod, TlsSeen, Wanted, reports_wanted, write_tls_report
from posthouse.resolver import Resolver, Status
from posthouse.store.interface import Op, Store
from posthouse.store.model import DomainKind
from posthouse.store.trust import AddReport, DmarcTally, ForgetTallies, PruneReports, Report

log: Final = logging.getLogger(__name__)

Operations = Callable[[Mail, bytes], Awaitable[list[Op[Any]]]]
"""`Deliverer.operations`."""
PostReport = Callable[[str, bytes], Awaitable[bool]]
"""Posts a TLS report, packed by gzip, to an https URL: whether it was taken. Temporary: ask again later."""


class ReportSender:
    """`round` from time to time; `send` by command."""

    def __init__(
        self,
        store: Store,
        resolver: Resolver,
        tallies: Tallies,
        operations: Operations,
        *,
        post: PostReport,
        hostname: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._resolver = resolver
        self._tallies = tallies
        self._operations = operations
        self._post_report = post
        self._posted: set[tuple[str, int, str]] = set()
        """(domain, day, URL) of reports that wait for another host to take them too."""
        self._hostname = hostname
        self._now = now
        self._told: dict[str, list[float]] = {}

    async def round(self) -> None:
        """Send the reports of days that are over, and what waits of failures; forget old reports."""
        await self.reports_send()
        await self._store.apply(PruneReports(before=self._now() - REPORTS_KEPT))

    async def reports_send(self) -> int:
        """Send what waits of days that are over; how many reports. A day is told of once, when it is over for all."""
        await self.send_failures()
        # RFC 8460 §4.1: a report is of a whole day. Periods of reports do not overlap.
        return await self.send_due(int(self._now() - REPORT_SETTLED) // DAY * DAY)

    async def send_due(self, before: int) -> int:
        """Send the reports of days that began before a time; how many."""
        await self._tallies.flush()
        found = await self._store.dmarc_tallies(before)
        waiting = {(one.policy_domain, one.day) for one in found}
        # Also what another node has sent in the meantime is no longer waited for.
        self._posted = {one for one in self._posted if one[:2] in waiting}
        sent = 0
        for (domain, day), rows in itertools.groupby(found, key=lambda one: (one.policy_domain, one.day)):
            send = self._send_tls if domain.startswith(TLS) else self._send
            sent += await send(domain, day, list(rows))
        return sent

    async def _send_tls(self, key: str, day: int, tallies: Sequence[DmarcTally]) -> int:
        """The TLS report of one domain and day, if it asks for one (RFC 8460 §3)."""
        domain = key.removeprefix(TLS)
        answer = await self._resolver.txt(f"_smtp._tls.{domain}")
        if answer.status is Status.TEMPORARY and self._now() - day < REPORT_WAIT:
            log.info("tls report domain=%s put off: %s", domain, answer.reason)
            return 0
        wanted = reports_wanted(answer.records)
        ops: list[Op[Any]] = [ForgetTallies(policy_domain=key, day=day)]
        if wanted:
            rows = [(one.count, msgspec.json.decode(one.row, type=TlsSeen)) for one in tallies]
            made = await self._tls_report(domain, day, rows, wanted)
            if made is None:
                return 0
            ops += made
        try:
            await self._store.commit(*ops)
        except NotFound:
            return 0  # another node was first
        self._posted = {one for one in self._posted if one[:2] != (key, day)}
        return 1 if len(ops) > 1 else 0

    async def _tls_report(
        self, domain: str, day: int, rows: Sequence[tuple[int, TlsSeen]], wanted: Wanted
    ) -> list[Op[Any]] | None:
        """Post a report, and the operations that send it by mail and keep it; None: a host is away, later then."""
        period = TlsPeriod(
            hostname=self._hostname,
            domain=domain,
            report_id=await self._tls_report_id(domain, day),
            begin=day,
            end=day + DAY - 1,
        )
        document = msgspec.json.encode(write_tls_report(period, rows))
        late = self._now() - period.end > TLS_REPORT_RETRIED
        taken, away = await self._posted_to(wanted.pages, (TLS + domain, day), document)
        if away and not late:
            log.info("tls report domain=%s put off: a host that takes it is away", domain)
            return None
        to = (*wanted.addresses, *taken)
        if not to:
            return []
        ops: list[Op[Any]] = []
        for address in wanted.addresses:
            head = await self._head(address)
            ops += await self._post(tls_letter(document, period, head), head)
        kept = Report(
            sent=True,
            kind="tls",
            domain=domain,
            organization=", ".join(to),
            name=period.report_id,
            begin=period.begin,
            end=period.end,
            at=int(self._now()),
            messages=sum(count for count, _ in rows),
            failures=sum(count for count, one in rows if one.result),
            content=document.decode(),
        )
        return [*ops, AddReport(report=kept)]

    async def _tls_report_id(self, domain: str, day: int) -> str:
        """Of the next report about a day: the same until that is sent, whoever posts it.

        There is a second one where counts of a node came late; by the id of the first it would be thrown away.
        """
        sent = {one.name for one in await self._store.reports(domain) if one.sent}
        ids = (_report_id(TLS + domain, day, number, self._hostname) for number in itertools.count(1))
        return next(one for one in ids if one not in sent)

    async def _posted_to(
        self, pages: Sequence[str], report: tuple[str, int], document: bytes
    ) -> tuple[tuple[str, ...], bool]:
        """(URLs that took the report of a domain and day, whether one is to be asked again) (RFC 8460 §5.4, §5.5).

        A report that is posted twice, by two nodes or after a crash, has the same id.
        """
        packed = await asyncio.to_thread(gzip.compress, document) if pages else b""
        away = False
        for page in pages:
            if (*report, page) in self._posted:
                continue
            try:
                if await self._post_report(page, packed):
                    self._posted.add((*report, page))
            except Temporary as fault:
                log.info("tls report to=%s: %s", page, fault.public)
                away = True
        return tuple(page for page in pages if (*report, page) in self._posted), away

    async def _send(self, domain: str, day: int, tallies: Sequence[DmarcTally]) -> int:
        rows = [(one.count, msgspec.json.decode(one.row, type=TallyRow)) for one in tallies]
        try:
            to = await agreed(domain, rows[-1][1].to, self._resolver)
        except DnsTemporary as fault:
            if self._now() - day < REPORT_WAIT:
                log.info("report domain=%s put off: %s", domain, fault)
                return 0
            to = []
        ops: list[Op[Any]] = [ForgetTallies(policy_domain=domain, day=day)]
        for report in self._reports(day, rows) if to else []:
            ops += await self._letters(report, to)
        try:
            await self._store.commit(*ops)
        except NotFound:
            return 0  # another node was first
        log.info("report domain=%s day=%d to=%s", domain, day, ",".join(to) or "nobody")
        return 1 if to else 0

    def _reports(self, day: int, rows: Sequence[tuple[int, TallyRow]]) -> Iterable[AggregateReport]:
        """One for each policy that the domain had on that day."""
        policies = list(dict.fromkeys(row.policy for _, row in rows))
        for policy in policies:
            yield AggregateReport(
                organization=self._hostname,
                email=f"postmaster@{self._hostname}",
                # RFC 9990 §3.5.1: another report of one day, of a node that was late, is not the same.
                # What is sent again is the letter in the queue, so its name and id do not change (§3.5.2).
                report_id=new_trace_id(self._now()),
                begin=day,
                end=day + DAY - 1,
                policy=policy,
                rows=tuple(
                    msgspec.structs.replace(row.row, count=count)
                    for count, row in rows
                    if row.policy == policy
                ),
                generator=GENERATOR,
            )

    async def _letters(self, report: AggregateReport, to: Sequence[str]) -> list[Op[Any]]:
        ops: list[Op[Any]] = []
        for address in to:
            head = await self._head(address)
            letter = await asyncio.to_thread(aggregate_letter, report, head)
            ops += await self._post(letter, head)
        kept = Report(
            sent=True,
            kind="aggregate",
            domain=report.policy.domain,
            organization=", ".join(to),
            name=report.report_id,
            begin=report.begin,
            end=report.end,
            at=int(self._now()),
            messages=report.messages,
            failures=report.failures,
            content=msgspec.json.encode(report).decode(),
        )
        return [*ops, AddReport(report=kept)]

    async def _post(self, raw: bytes, head: Letterhead) -> list[Op[Any]]:
        """The operations that deliver a letter, from the null reverse-path: nobody need hear that it failed."""
        mail = our_mail(raw, head.to, trace_id=new_trace_id(head.at), at=head.at)
        return await self._operations(mail, received_field(mail, self._hostname, show_client=False))

    async def _head(self, to: str) -> Letterhead:
        now = self._now()
        return Letterhead(
            hostname=self._hostname,
            domain=await self._own_domain(),
            to=to,
            at=now,
            unique=new_trace_id(now),
        )

    async def _own_domain(self) -> str:
        """RFC 9990: reports must pass DMARC themselves; a domain of ours has keys to sign with."""
        ours = [domain.name for domain in await self._store.domains() if domain.kind is DomainKind.LOCAL]
        above = [name for name in ours if self._hostname == name or self._hostname.endswith(f".{name}")]
        return next(iter(above or ours), self._hostname)

    # --- single failures -----------------------------------------------------------------------------

    async def send_failures(self) -> int:
        """Tell of the failures that wait; how many letters."""
        sent = 0
        for failure in self._tallies.take_failures():
            if not self._may_tell(failure.policy_domain):
                continue
            try:
                to = await agreed(failure.policy_domain, failure.to, self._resolver, failures=True)
                own = await self._own(failure) if to else OwnFailures()
            except DnsTemporary:
                continue
            for address in to:
                # RFC 9991 §5.1: whoever takes them for many domains is not flooded by all of these together.
                if self._may_tell(address.lower()):
                    await self._tell(failure, address, own)
                    sent += 1
        return sent

    async def _own(self, failure: Failure) -> OwnFailures:
        """What of the author's organization failed (RFC 9991 §4). Raises DnsTemporary."""
        author = await walk(failure.domain, self._resolver)
        signature = None
        for one in failure.signatures:
            if signature is None and await aligned(one[0], failure.strict_dkim, author, self._resolver):
                signature = one
        domain, published = failure.spf_domain, ""
        if domain and await aligned(domain, failure.strict_spf, author, self._resolver):
            answer = await self._resolver.txt(domain)
            published = next(filter(is_spf, answer.records), "")
        return OwnFailures(signature=signature, spf_domain=domain, spf_record=published)

    async def _tell(self, failure: Failure, address: str, own: OwnFailures) -> None:
        head = await self._head(address)
        ops = await self._post(failure_letter(failure, head, own), head)
        kept = Report(
            sent=True,
            kind="failure",
            domain=failure.domain,
            organization=address,
            name=head.unique,
            begin=int(failure.at),
            end=int(failure.at),
            at=int(head.at),
            messages=1,
            failures=1,
            content="{}",
        )
        await self._store.commit(*ops, AddReport(report=kept))

    def _may_tell(self, whom: str) -> bool:
        """Of a policy domain's failures, or to an address."""
        now = self._now()
        recent = [at for at in self._told.get(whom, []) if now - at < 3600]
        if len(recent) >= FAILURES_AN_HOUR:
            self._told[whom] = recent
            return False
        self._told = {name: times for name, times in self._told.items() if now - times[-1] < 3600}
        self._told[whom] = [*recent, now]
        return True


def _report_id(domain: str, day: int, number: int, hostname: str) -> str:
    """The same for the same TLS report, whoever posts it; of letters and digits, for it is part of a file name."""
    return hashlib.sha256(f"{domain}!{day}!{number}!{hostname}".encode()).hexdigest()[:32]
