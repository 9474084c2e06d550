"""`posthouse reports`: what others reported about our mail, and what we reported about theirs."""

from __future__ import annotations

import msgspec

from posthouse.errors import NotFound
from posthouse.operations.administration import Method
from posthouse.store.interface import Store
from posthouse.store.trust import Report


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """A report as it is listed."""

    id: int
    direction: str
    """"received" or "sent"."""
    kind: str
    domain: str
    organization: str
    begin: int
    end: int
    messages: int
    failures: int


class ReportDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A report, whole."""

    row: ReportRow
    name: str
    at: int
    content: object
    """As it was read: plain JSON values."""


class Reports:
    """Commands on reports."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def commands(self) -> dict[str, Method]:
        """By their names."""
        return {"reports.list": self.reports_list, "reports.show": self.reports_show}

    async def reports_list(self, *, domain: str = "", limit: int = 100) -> list[ReportRow]:
        """Reports (about a domain), the newest first."""
        return [_row(report) for report in await self._store.reports(domain.lower().rstrip("."), limit)]

    async def reports_show(self, *, id: int) -> ReportDetail:
        """One report. NotFound."""
        report = await self._store.report(id)
        if report is None:
            raise NotFound(f"no report {id}; posthouse reports list shows what there is")
        content = msgspec.json.decode(report.content)
        return ReportDetail(row=_row(report), name=report.name, at=report.at, content=content)


def _row(report: Report) -> ReportRow:
    return ReportRow(
        id=report.report_id,
        direction="sent" if report.sent else "received",
        kind=report.kind,
        domain=report.domain,
        organization=report.organization,
        begin=report.begin,
        end=report.end,
        messages=report.messages,
        failures=report.failures,
    )
