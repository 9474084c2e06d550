"""A message that brings a report: which of its parts is it, and what does it say?

DMARC aggregate (RFC 9990), DMARC failure (RFC 9991, RFC 6591: a multipart/report with message/feedback-report), and TLS
reports (RFC 8460). Pure; bounded by the message's size, the MIME limits and those of each kind.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from posthouse.limits import FAILURE_REPORT_FIELDS, REPORT_TEXT
from posthouse.message.headers import Headers
from posthouse.message.mime import Part, scan
from posthouse.message.transfer import decode_transfer
from posthouse.msgauth.aggregate import AggregateReport
from posthouse.msgauth.aggregate_reader import read_aggregate
from posthouse.msgauth.report_unpack import ReportError, unpack
from posthouse.msgauth.tls_report import TlsReport, read_tls_report

_ARCHIVES = frozenset({"gzip", "x-gzip", "zip", "x-zip", "x-zip-compressed", "xml", "octet-stream", "json"})
_TLS = frozenset({"tlsrpt+gzip", "tlsrpt+json"})


class FailureReport(msgspec.Struct, frozen=True, kw_only=True):
    """One message that failed, as its receiver tells it."""

    domain: str
    source_ip: str
    arrived: str
    delivery_result: str
    fields: dict[str, str]
    """Fields of the report, names in lower case."""
    subject: str
    """Of the message reported."""


AnyReport = AggregateReport | FailureReport | TlsReport


def read_report(raw: bytes) -> AnyReport:
    """Read the report in a message. Raises ReportError, with the last reason when several parts were tried."""
    problem = ReportError("no report in this message")
    root = scan(raw)
    parts = list(_leaves(root))
    for part in parts:
        if (part.type, part.subtype) == ("message", "feedback-report"):
            return _failure(raw, part, parts)
    for part in parts:
        try:
            if part.type == "application" and part.subtype in _TLS:
                return read_tls_report(unpack(_octets(raw, part)))
            if part.subtype in _ARCHIVES:
                return read_document(unpack(_octets(raw, part)))
        except ReportError as fault:
            problem = fault
    raise problem


def read_document(octets: bytes) -> AggregateReport | TlsReport:
    """A report that is out of its wrapping. Raises ReportError."""
    return read_tls_report(octets) if octets.lstrip()[:1] == b"{" else read_aggregate(octets)


def _leaves(part: Part) -> Iterator[Part]:
    yield part
    for child in part.children:
        yield from _leaves(child)


def _octets(raw: bytes, part: Part) -> bytes:
    octets = raw[part.body_start : part.body_end]
    decoded = decode_transfer(octets, part.encoding)
    return octets if decoded is None else decoded


def _failure(raw: bytes, report: Part, parts: list[Part]) -> FailureReport:
    text = _octets(raw, report)
    fields: dict[str, str] = {}
    for name, value in Headers(text, 0, len(text)).items():
        if len(fields) >= FAILURE_REPORT_FIELDS:
            break
        fields.setdefault(
            name.decode("ascii", "replace").lower(), value.decode("utf-8", "replace")[:REPORT_TEXT]
        )
    domain = fields.get("reported-domain", "").lower()
    if fields.get("feedback-type", "").lower() != "auth-failure" or not domain:
        raise ReportError("not a report of failed authentication")
    return FailureReport(
        domain=domain,
        source_ip=fields.get("source-ip", ""),
        arrived=fields.get("arrival-date", ""),
        delivery_result=fields.get("delivery-result", ""),
        fields=fields,
        subject=_subject(raw, parts),
    )


def _subject(raw: bytes, parts: list[Part]) -> str:
    for part in parts:
        if (part.type, part.subtype) in (("message", "rfc822"), ("text", "rfc822-headers")):
            octets = _octets(raw, part)
            return (Headers.scan(octets).text("subject") or "")[:REPORT_TEXT]
    return ""
