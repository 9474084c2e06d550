"""The letters that carry our reports: DMARC aggregate (RFC 9990) and failure (RFC 9991, RFC 6591). Pure."""

from __future__ import annotations

import base64
import gzip
from typing import Final

import msgspec

from posthouse.inbound.tally import Failure
from posthouse.message.compose import Body, compose, format_mailbox, multipart, text_body
from posthouse.message.date import format_date
from posthouse.msgauth.aggregate import AggregateReport, write_aggregate
from posthouse.msgauth.tls_report_writer import TlsPeriod

GENERATOR: Final = "Posthouse"


class Letterhead(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes, to whom, when."""

    hostname: str
    domain: str
    """Our domain that the letter is from: it signs."""
    to: str
    at: float
    unique: str
    """For Message-ID and boundary: letters and digits."""


def _fields(head: Letterhead, subject: str) -> list[tuple[str, str]]:
    return [
        ("Date", format_date(int(head.at))),
        ("From", format_mailbox(f"Reports of {head.hostname}", "postmaster", head.domain)),
        ("To", f"<{head.to}>"),
        ("Subject", subject),
        ("Message-ID", f"<{head.unique}@{head.hostname}>"),
        # RFC 3834 §5: so that no automatic reply is made to it.
        ("Auto-Submitted", "auto-generated"),
    ]


def aggregate_letter(report: AggregateReport, head: Letterhead) -> bytes:
    """RFC 9990 §3.5.2: subject, file name and media type are prescribed."""
    packed = gzip.compress(write_aggregate(report), mtime=int(head.at))
    domain = report.policy.domain
    # RFC 9990 §3.1.4: the unique-id of the name and the Report-ID are the same.
    name = f"{head.hostname}!{domain}!{report.begin}!{report.end}!{report.report_id}.xml.gz"
    attachment = Body(
        "application/gzip",
        "base64",
        base64.encodebytes(packed).replace(b"\n", b"\r\n"),
        (("Content-Disposition", f'attachment; filename="{name}"'),),
    )
    text = (
        f"DMARC report of {head.hostname} about {domain},\n"
        f"{format_date(report.begin)} to {format_date(report.end)}:\n"
        f"{report.messages} messages, of which {report.failures} failed.\n"
    )
    subject = f"Report Domain: {domain} Submitter: {head.hostname} Report-ID: <{report.report_id}>"
    return compose(
        _fields(head, subject), multipart("mixed", [text_body(text), attachment], f"=_{head.unique}")
    )


def tls_letter(document: bytes, period: TlsPeriod, head: Letterhead) -> bytes:
    """RFC 8460 §5.3: the media types, the subject and the two fields are prescribed."""
    name = f"{head.hostname}!{period.domain}!{period.begin}!{period.end}!{period.report_id}.json.gz"
    attachment = Body(
        "application/tlsrpt+gzip",
        "base64",
        base64.encodebytes(gzip.compress(document, mtime=int(head.at))).replace(b"\n", b"\r\n"),
        (("Content-Disposition", f'attachment; filename="{name}"'),),
    )
    text = text_body(f"TLS report of {head.hostname} about the mail hosts of {period.domain}.\n")
    number = f"<{period.report_id}@{head.hostname}>"
    subject = f"Report Domain: {period.domain} Submitter: {head.hostname} Report-ID: {number}"
    fields = [
        *_fields(head, subject),
        ("TLS-Report-Domain", period.domain),
        ("TLS-Report-Submitter", head.hostname),
        # RFC 8460 §3: it must reach those whose TLS it says is broken; RFC 8689 §3 is how a message asks for that.
        ("TLS-Required", "No"),
    ]
    body = multipart("report", [text, attachment], f"=_{head.unique}", '; report-type="tlsrpt"')
    return compose(fields, body)


class OwnFailures(msgspec.Struct, frozen=True, kw_only=True):
    """What failed of the author domain or its organization, aligned had it not (RFC 9991 §4)."""

    signature: tuple[str, str, str] | None = None
    """d=, i= and s=."""
    spf_domain: str = ""
    spf_record: str = ""
    """What it published; empty: nothing, or it did not fail."""


def failure_letter(failure: Failure, head: Letterhead, own: OwnFailures) -> bytes:
    """RFC 9991: what was found, and the header of the message, never its text."""
    about = [
        "Feedback-Type: auth-failure",
        f"User-Agent: {GENERATOR}/1.0",
        "Version: 1",
        f"Original-Mail-From: <{failure.reverse_path}>",
        f"Arrival-Date: {format_date(int(failure.at))}",
        f"Source-IP: {failure.peer}",
        f"Reported-Domain: {failure.domain}",
        f"Auth-Failure: {failure.failed}",
        f"Delivery-Result: {failure.delivered}",
        f"Authentication-Results: {head.hostname}; dmarc={failure.result} header.from={failure.domain}",
        # RFC 9991 §4: the mechanisms that failed to prove an aligned identity.
        f"Identity-Alignment: {', '.join(failure.unaligned) or 'none'}",
    ]
    if own.signature is not None:
        domain, identity, selector = own.signature
        about += [f"DKIM-Domain: {domain}", f"DKIM-Identity: {identity}", f"DKIM-Selector: {selector}"]
    if own.spf_record:
        # RFC 6591 §3.2.6: the kind of record, where it was found, and its text quoted.
        about.append(f"SPF-DNS: txt : {own.spf_domain} : {_quoted(own.spf_record)}")
    report = Body("message/feedback-report", "7bit", ("\r\n".join(about) + "\r\n").encode("ascii", "replace"))
    text = (
        f"A message in the name of {failure.domain} came to {head.hostname}\n"
        f"from {failure.peer} and could not be proved:\n{failure.results}.\nIts header is below.\n"
    )
    encoding = "7bit" if failure.header.isascii() else "8bit"
    header = Body("text/rfc822-headers", encoding, failure.header)
    body = multipart(
        "report", [text_body(text), report, header], f"=_{head.unique}", "; report-type=feedback-report"
    )
    return compose(_fields(head, f"DMARC failure of {failure.domain}"), body)


def _quoted(text: str) -> str:
    plain = "".join(one if " " <= one <= "~" else "?" for one in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
