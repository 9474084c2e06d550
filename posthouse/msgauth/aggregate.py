"""DMARC aggregate reports as values, and as the XML that we send (RFC 9990)."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

import msgspec

NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"


class DkimSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A signature, uninterpreted."""

    domain: str
    selector: str = ""
    result: str


class SpfSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An SPF result, uninterpreted."""

    domain: str
    result: str


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a policy was not applied as published."""

    type: str
    comment: str = ""


class AggregateRow(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one address that came to the same."""

    source_ip: str
    count: int
    disposition: str
    dkim: str
    """Whether DKIM was aligned: "pass" or "fail"."""
    spf: str
    reasons: tuple[Reason, ...] = ()
    header_from: str
    envelope_from: str = ""
    envelope_to: str = ""
    dkim_seen: tuple[DkimSeen, ...] = ()
    spf_seen: tuple[SpfSeen, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether DMARC did."""
        return "pass" in (self.dkim, self.spf)


class PolicyPublished(msgspec.Struct, frozen=True, kw_only=True):
    """The record as the reporter saw it."""

    domain: str
    p: str = ""
    sp: str = ""
    np: str = ""
    adkim: str = ""
    aspf: str = ""
    fo: str = ""
    testing: str = ""


class AggregateReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report about one policy domain."""

    organization: str
    email: str = ""
    report_id: str
    begin: int
    """POSIX seconds."""
    end: int
    policy: PolicyPublished
    rows: tuple[AggregateRow, ...]
    errors: tuple[str, ...] = ()
    generator: str = ""

    @property
    def messages(self) -> int:
        """How many it speaks of."""
        return sum(row.count for row in self.rows)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(row.count for row in self.rows if not row.passed)


def write_aggregate(report: AggregateReport) -> bytes:
    """The XML document, its elements in the order of the schema."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<feedback xmlns="{NAMESPACE}">']
    lines.append("  <version>1.0</version>")
    lines.append("  <report_metadata>")
    lines += _elements(4, org_name=report.organization, email=report.email, report_id=report.report_id)
    lines.append(f"    <date_range><begin>{report.begin}</begin><end>{report.end}</end></date_range>")
    # RFC 9990 §3.1.1.3: at most one "error".
    lines += _elements(4, error="; ".join(report.errors), generator=report.generator)
    lines.append("  </report_metadata>")
    policy = report.policy
    lines.append("  <policy_published>")
    lines += _elements(4, domain=policy.domain, discovery_method="treewalk", p=policy.p, sp=policy.sp)
    lines += _elements(4, np=policy.np, fo=policy.fo, adkim=policy.adkim, aspf=policy.aspf)
    lines += _elements(4, testing=policy.testing)
    lines.append("  </policy_published>")
    for row in report.rows:
        lines += _row(row)
    lines.append("</feedback>\n")
    return "\n".join(lines).encode()


def _row(row: AggregateRow) -> list[str]:
    lines = ["  <record>", "    <row>"]
    lines += _elements(6, source_ip=row.source_ip, count=str(row.count))
    lines.append("      <policy_evaluated>")
    lines += _elements(8, disposition=row.disposition, dkim=row.dkim, spf=row.spf)
    for reason in row.reasons:
        lines += [
            "        <reason>",
            *_elements(10, type=reason.type, comment=reason.comment),
            "        </reason>",
        ]
    lines += ["      </policy_evaluated>", "    </row>", "    <identifiers>"]
    lines += _elements(6, header_from=row.header_from)
    lines.append(f"      <envelope_from>{_text(row.envelope_from)}</envelope_from>")
    lines += ["    </identifiers>", "    <auth_results>"]
    for signature in row.dkim_seen:
        # RFC 9990 §3.1.1.12: the selector is required, also of a signature that names none.
        selector = f"        <selector>{_text(signature.selector)}</selector>"
        domain, result = _elements(8, domain=signature.domain, result=signature.result)
        lines += ["      <dkim>", domain, selector, result, "      </dkim>"]
    for spf in row.spf_seen:
        lines += [
            "      <spf>",
            *_elements(8, domain=spf.domain, scope="mfrom", result=spf.result),
            "      </spf>",
        ]
    return [*lines, "    </auth_results>", "  </record>"]


def _elements(indent: int, **values: str) -> list[str]:
    """One line each, those without text left out."""
    space = " " * indent
    return [f"{space}<{name}>{_text(value)}</{name}>" for name, value in values.items() if value]


def _text(value: str) -> str:
    # XML 1.0 §2.2: control characters cannot stand in a document at all.
    return escape("".join(one if one.isprintable() else "?" for one in value))
