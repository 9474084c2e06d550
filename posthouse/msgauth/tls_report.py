"""Reports of others about TLS to our hosts (RFC 8460 §4): JSON, read tolerantly and within bounds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from posthouse.limits import REPORT_COUNT, TLS_REPORT_POLICIES
from posthouse.msgauth.report_unpack import ReportError

Count = Annotated[int, msgspec.Meta(ge=0, le=REPORT_COUNT)]


class TlsFailure(msgspec.Struct, frozen=True, rename="kebab"):
    """One kind of failure."""

    result_type: str = ""
    sending_mta_ip: str = ""
    receiving_mx_hostname: str = ""
    receiving_ip: str = ""
    failed_session_count: Count = 0
    failure_reason_code: str = ""
    additional_information: str = ""


class _Policy(msgspec.Struct, frozen=True, rename="kebab"):
    policy_type: str = ""
    policy_string: list[str] | str = []
    policy_domain: str = ""
    mx_host: list[str] | str = []


class _Summary(msgspec.Struct, frozen=True, rename="kebab"):
    total_successful_session_count: Count = 0
    total_failure_session_count: Count = 0


class TlsPolicy(msgspec.Struct, frozen=True, rename="kebab"):
    """What happened under one policy."""

    policy: _Policy = _Policy()
    summary: _Summary = _Summary()
    failure_details: list[TlsFailure] = []


class _DateRange(msgspec.Struct, frozen=True, rename="kebab"):
    start_datetime: str = ""
    end_datetime: str = ""


class TlsReport(msgspec.Struct, frozen=True, rename="kebab"):
    """A report about one domain."""

    organization_name: str = ""
    date_range: _DateRange = _DateRange()
    contact_info: str = ""
    report_id: str = ""
    policies: list[TlsPolicy] = []

    @property
    def domain(self) -> str:
        """Whom it is about."""
        return self.policies[0].policy.policy_domain.lower().rstrip(".")

    @property
    def period(self) -> tuple[int, int]:
        """(begin, end) in POSIX seconds."""
        return _seconds(self.date_range.start_datetime), _seconds(self.date_range.end_datetime)

    @property
    def sessions(self) -> int:
        """How many it speaks of."""
        return self.failures + sum(one.summary.total_successful_session_count for one in self.policies)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(one.summary.total_failure_session_count for one in self.policies)


def read_tls_report(octets: bytes) -> TlsReport:
    """Read a document. Raises ReportError."""
    try:
        report = msgspec.json.decode(octets.removeprefix(b"\xef\xbb\xbf"), type=TlsReport, strict=False)
    except (msgspec.MsgspecError, RecursionError) as fault:
        raise ReportError(f"not a TLS report: {fault}") from None
    if not report.report_id or not report.policies or not report.domain:
        raise ReportError("the report does not say its number or whom it is about")
    if len(report.policies) > TLS_REPORT_POLICIES:
        raise ReportError("more policies than a report has")
    return report


def _seconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        # RFC 8460 §4.4: date-time of RFC 3339; some leave out the zone, which is UTC then and not ours.
        return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return 0
