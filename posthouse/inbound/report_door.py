"""Mail to the addresses that our domains publish for reports (`dmarc-reports@`, `tls-reports@`): read, and kept.

A message that cannot be read as a report, or is too large for one, goes to the postmaster instead: nothing is lost.
What it says is a stranger's word; whether the stranger was authentic is kept beside it.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from posthouse.inbound.mail import Mail
from posthouse.limits import REPORT_MESSAGE, STAGE_BLOCK
from posthouse.msgauth.aggregate import AggregateReport
from posthouse.msgauth.report_reader import AnyReport, FailureReport, read_report
from posthouse.msgauth.report_unpack import ReportError
from posthouse.store.trust import Report

_KINDS: Final = {"AggregateReport": "aggregate", "FailureReport": "failure", "TlsReport": "tls"}


async def report_in(mail: Mail) -> Report:
    """The report that a message brings, ready to be kept. Raises ReportError."""
    if mail.content.size > REPORT_MESSAGE:
        raise ReportError("too large for a report")
    return await asyncio.to_thread(_read, mail)


def _read(mail: Mail) -> Report:
    report = read_report(b"".join(mail.content.blocks(STAGE_BLOCK)))
    kept = _row(report, mail)
    return msgspec.structs.replace(kept, content=msgspec.json.encode(report).decode())


def _row(report: AnyReport, mail: Mail) -> Report:
    kind = _KINDS[type(report).__name__]
    at = int(mail.received_at)
    if isinstance(report, AggregateReport):
        return Report(
            sent=False,
            kind=kind,
            domain=report.policy.domain,
            organization=report.organization or report.email,
            name=report.report_id,
            begin=report.begin,
            end=report.end,
            at=at,
            messages=report.messages,
            failures=report.failures,
            content="",
        )
    if isinstance(report, FailureReport):
        return Report(
            sent=False,
            kind=kind,
            domain=report.domain,
            organization=mail.reverse_path.rpartition("@")[2].lower() or mail.helo.lower(),
            name=mail.trace_id,
            begin=at,
            end=at,
            at=at,
            messages=1,
            failures=1,
            content="",
        )
    begin, end = report.period
    return Report(
        sent=False,
        kind=kind,
        domain=report.domain,
        organization=report.organization_name,
        name=report.report_id,
        begin=begin,
        end=end,
        at=at,
        messages=report.sessions,
        failures=report.failures,
        content="",
    )


def in_words(report: Report) -> str:
    """For the timeline."""
    of = f" of {report.organization}" if report.organization else ""
    return f"{report.kind} report{of} about {report.domain}: {report.messages}, {report.failures} failed"
