"""DMARC aggregate reports as others write them: RFC 9990, RFC 7489, drafts, and what their authors made of those.

Elements are taken wherever their parents are right, in any order, case or name space. A document type declaration is
refused (entities are how XML becomes a bomb), and depth, elements and texts are bounded.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final
from xml.parsers import expat

from posthouse.limits import REPORT_COUNT, REPORT_DEPTH, REPORT_ELEMENTS, REPORT_ROWS_KEPT, REPORT_TEXT
from posthouse.msgauth.aggregate import (
    AggregateReport,
    AggregateRow,
    DkimSeen,
    PolicyPublished,
    Reason,
    SpfSeen,
)
from posthouse.msgauth.report_unpack import ReportError

_LATEST: Final = 1 << 40  # POSIX seconds: nobody means later


class _Node:
    """An element with its children in order."""

    __slots__ = ("children", "name", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = ""
        self.children: list[_Node] = []

    def first(self, name: str) -> _Node:
        return next((child for child in self.children if child.name == name), _NOTHING)

    def all(self, name: str) -> list[_Node]:
        return [child for child in self.children if child.name == name]

    def value(self, name: str) -> str:
        return " ".join(self.first(name).text.split())

    def word(self, name: str) -> str:
        return self.value(name).lower()


_NOTHING: Final = _Node("")


def read_aggregate(octets: bytes) -> AggregateReport:
    """Read a document. Raises ReportError."""
    root = _parse(octets)
    if root.name != "feedback":
        raise ReportError(f"not a DMARC report but <{root.name[:40]}>")
    metadata, policy = root.first("report_metadata"), root.first("policy_published")
    dates = metadata.first("date_range")
    rows = [row for node in root.all("record")[:REPORT_ROWS_KEPT] if (row := _row(node)) is not None]
    report = AggregateReport(
        organization=metadata.value("org_name"),
        email=metadata.value("email"),
        report_id=metadata.value("report_id").strip("<>"),
        begin=_number(dates.value("begin"), _LATEST),
        end=_number(dates.value("end"), _LATEST),
        policy=PolicyPublished(
            domain=policy.word("domain"),
            p=policy.word("p"),
            sp=policy.word("sp"),
            np=policy.word("np"),
            adkim=policy.word("adkim"),
            aspf=policy.word("aspf"),
            fo=policy.word("fo"),
            testing=policy.word("testing"),
        ),
        rows=tuple(rows),
        errors=tuple(" ".join(node.text.split()) for node in metadata.all("error") if node.text.strip()),
        generator=metadata.value("generator"),
    )
    if not (report.organization or report.email) or not report.report_id or not report.policy.domain:
        raise ReportError("the report does not say who made it, its number, or whom it is about")
    return report


def _row(node: _Node) -> AggregateRow | None:
    row, results = node.first("row"), node.first("auth_results")
    evaluated = row.first("policy_evaluated")
    identifiers = (
        node.first("identifiers") if node.first("identifiers") is not _NOTHING else node.first("identities")
    )
    try:
        address = str(ipaddress.ip_address(row.value("source_ip")))
    except ValueError:
        return None
    return AggregateRow(
        source_ip=address,
        count=_number(row.value("count"), REPORT_COUNT),
        disposition=evaluated.word("disposition"),
        dkim=evaluated.word("dkim") or "fail",
        spf=evaluated.word("spf") or "fail",
        reasons=tuple(
            Reason(type=one.word("type"), comment=one.value("comment"))
            for one in evaluated.all("reason")[:10]
        ),
        header_from=identifiers.word("header_from"),
        envelope_from=identifiers.word("envelope_from"),
        envelope_to=identifiers.word("envelope_to"),
        dkim_seen=tuple(
            DkimSeen(domain=one.word("domain"), selector=one.word("selector"), result=one.word("result"))
            for one in results.all("dkim")[:100]
        ),
        spf_seen=tuple(
            SpfSeen(domain=one.word("domain"), result=one.word("result")) for one in results.all("spf")[:10]
        ),
    )


def _number(text: str, most: int) -> int:
    digits = text.partition(".")[0]  # some write seconds with a fraction
    return min(int(digits), most) if digits.isascii() and digits.isdigit() and len(digits) < 20 else 0


# --- XML ------------------------------------------------------------------------------------------------------


def _parse(octets: bytes) -> _Node:
    builder = _Builder()
    parser = expat.ParserCreate("utf-8", namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(_as_utf8(octets), True)
    except expat.ExpatError as fault:
        raise ReportError(f"broken XML: {fault}") from None
    if builder.root is None:
        raise ReportError("empty")
    return builder.root


def _as_utf8(octets: bytes) -> bytes:
    if octets[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return octets.decode("utf-16", "replace").encode()
    return octets.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").strip().encode()


class _Builder:
    """Makes nodes of what the parser meets."""

    def __init__(self) -> None:
        self.root: _Node | None = None
        self._open: list[_Node] = []
        self._elements = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > REPORT_ELEMENTS or len(self._open) >= REPORT_DEPTH:
            raise ReportError("more elements than a report has")
        node = _Node(name.rpartition(" ")[2].lower())
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        self._open.append(node)

    def end(self, name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        node = self._open[-1]
        if len(node.text) < REPORT_TEXT:
            node.text += text[:REPORT_TEXT]

    def doctype(self, *arguments: Any) -> None:
        raise ReportError("a document type declaration has no business in a report")
