"""Reports of others: 34 files from the wild are read or refused in words; bombs and rubbish are bounded."""

from __future__ import annotations

import gzip
import io
import pkgutil
import re
import time
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest
import xmlschema
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.limits import REPORT_UNPACKED
from posthouse.msgauth.aggregate import (
    AggregateReport,
    AggregateRow,
    DkimSeen,
    PolicyPublished,
    Reason,
    SpfSeen,
    write_aggregate,
)
from posthouse.msgauth.aggregate_reader import read_aggregate
from posthouse.msgauth.report_reader import AnyReport, FailureReport, read_document, read_report
from posthouse.msgauth.report_unpack import ReportError, unpack
from posthouse.msgauth.tls_report import TlsReport, read_tls_report
from tests.msgauth.vectors import folder

SAMPLES = folder("dmarc-reports") / "samples"
FILES = sorted(path for path in SAMPLES.rglob("*") if path.is_file())

REFUSED = {
    "empty.xml": "broken XML",
    "invalid_xml.xml": "broken XML",
    "ikea.com!example.de!1538690400!1538776800.xml": "broken XML",  # cut off in the middle
    "exim_plain_text_only_no_arf_part.eml": "no report in this message",
}
"""What cannot be read, and the word that says why."""


def read(path: Path) -> AnyReport:
    octets = path.read_bytes()
    return read_report(octets) if path.suffix == ".eml" else read_document(unpack(octets))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reports_from_the_wild(path: Path) -> None:
    try:
        report = read(path)
    except ReportError as fault:
        assert path.name in REFUSED, fault
        assert REFUSED[path.name] in str(fault)
        return
    assert path.name not in REFUSED
    if isinstance(report, AggregateReport):
        assert report.rows or "empty" in path.name
        assert 0 < report.begin <= report.end
        assert report.messages == sum(int(n) for n in re.findall(r"<count>(\d+)</count>", text_of(path)))
    elif isinstance(report, TlsReport):
        assert report.domain
        assert report.sessions > 0
        assert report.period[0] < report.period[1]
    else:
        assert isinstance(report, FailureReport)
        assert "." in report.domain
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report


def text_of(path: Path) -> str:
    """The XML of a sample, found without our MIME reader."""
    octets = path.read_bytes()
    if path.suffix == ".eml":
        import email

        for part in email.message_from_bytes(octets).walk():
            payload = part.get_payload(decode=True)
            if isinstance(payload, bytes) and payload[:2] in (b"\x1f\x8b", b"PK"):
                octets = payload
    if octets[:2] == b"\x1f\x8b":
        octets = zlib.decompressobj(31).decompress(octets)
    elif octets[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(octets))
        octets = archive.read(archive.namelist()[0])
    return octets.decode("utf-8", "replace")


def test_the_sample_of_the_standard() -> None:
    report = read(SAMPLES / "aggregate" / "rfc9990-sample.xml")
    assert isinstance(report, AggregateReport)
    assert (report.organization, report.policy.domain, report.policy.p) == (
        "Sample Reporter",
        "example.com",
        "quarantine",
    )
    [row] = report.rows
    assert (row.source_ip, row.count, row.dkim, row.spf) == ("192.0.2.123", 123, "pass", "fail")
    assert row.dkim_seen == (DkimSeen(domain="example.com", selector="abc123", result="pass"),)
    assert (report.messages, report.failures) == (123, 0)


def test_extensions_are_passed_over() -> None:
    """RFC 9990 §3.2, §5: at both places, in a namespace of their own, whatever they are called."""
    text = (SAMPLES / "aggregate" / "rfc9990-sample.xml").read_text()
    plain = read_document(text.encode())
    strange = '<e:record xmlns:e="urn:x"><e:row><e:count>7</e:count></e:row></e:record>'
    for end, within in (
        ("</policy_published>", f"<extension>{strange}</extension>"),
        ("</auth_results>", strange),
    ):
        assert text.count(end) == 1
        text = text.replace(end, end + within)
    assert read_document(text.encode()) == plain


# --- bombs and rubbish ---------------------------------------------------------------------------------------


def zipped(octets: bytes, name: str = "a.xml", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr(name, octets)
    return out.getvalue()


BOMB = b"<feedback>" + b" " * (REPORT_UNPACKED + 10)


@pytest.mark.parametrize(
    "octets",
    [
        gzip.compress(BOMB),
        gzip.compress(b" " * 9_000_000) + gzip.compress(b" " * 9_000_000),
        zipped(BOMB),
        zipped(b"x", "a.exe"),
        b"PK\x03\x04 not really",
        zipped(b"<feedback/>", "\u00fc.xml").replace("\u00fc".encode(), b"\xff\xff"),
        zipped(b"<feedback/>", method=zipfile.ZIP_LZMA).replace(b"]\0\0", b"\xff\0\0"),
        zipped(b"<feedback/>")[:-3] + b"\xff\0\0",
        b"\x1f\x8b not really",
        b" " * (REPORT_UNPACKED + 1),
    ],
    ids=[
        *("gzip", "two members", "zip", "no report inside", "broken zip", "broken name", "broken LZMA"),
        *("no directory", "broken gzip", "plain"),
    ],
)
def test_unpacking_is_bounded(octets: bytes) -> None:
    with pytest.raises(ReportError):
        unpack(octets)


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE f [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><feedback>&b;</feedback>',
        '<!DOCTYPE f SYSTEM "file:///etc/passwd"><feedback/>',
        "<a>" * 100_000,
        "<feedback>" + "<record/>" * 31_000 + "</feedback>",
        "<html/>",
        "<feedback/>",
        "",
        "{}",
        '{"report-id": "x", "policies": []}',
        "{" + '"policies":' + "[" * 100_000,
    ],
    ids=[
        "billion laughs",
        "external",
        "deep",
        "many",
        "html",
        "nothing said",
        "empty",
        "no tls report",
        "no policy",
        "deep json",
    ],
)
def test_documents_are_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.msgauth.aggregate_reader.REPORT_ELEMENTS", 30_000)
    with pytest.raises(ReportError):
        read_document(text.encode())


TLS_REPORT = (
    '{"report-id":"1","date-range":{"start-datetime":"2026-01-02T00:00:00%s"},"policies":['
    '{"policy":{"policy-domain":"a.test"},"summary":{"total-failure-session-count":%s},'
    '"failure-details":[{"failed-session-count":%s}]}]}'
)


@pytest.mark.parametrize("count", ["-1", "1000000000001", "9" * 25, '"' + "9" * 25 + '"'])
def test_counts_that_the_store_could_not_hold_are_refused(count: str) -> None:
    with pytest.raises(ReportError):
        read_tls_report((TLS_REPORT % ("Z", count, "0")).encode())
    with pytest.raises(ReportError):
        read_tls_report((TLS_REPORT % ("Z", "0", count)).encode())
    assert read_tls_report((TLS_REPORT % ("Z", "1000000000000", "7")).encode()).failures == 10**12


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_times_are_utc_wherever_we_are(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        report = read_tls_report((TLS_REPORT % (zone, "1", "1")).encode())
        assert report.period[0] == 1_767_312_000  # 2026-01-02T00:00:00Z
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.slow
def test_a_flood_of_rows_and_long_texts_are_cut() -> None:
    row = "<record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record>"
    head = (
        f"<report_metadata><org_name>{'x' * 100_000}</org_name><report_id>1</report_id></report_metadata>"
        "<policy_published><domain>a.test</domain></policy_published>"
    )
    report = read_aggregate(f"<feedback>{head}{row * 20_000}</feedback>".encode())
    assert len(report.rows) == 5000
    assert len(report.organization) < 100_000


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_rubbish_is_refused_with_our_own_error(octets: bytes) -> None:
    for wrapped in (
        octets,
        b"\x1f\x8b" + octets,
        b"PK\x03\x04" + octets,
        b"{" + octets,
        b"<feedback>" + octets,
    ):
        for reader in (read_report, lambda octets: read_document(unpack(octets)), read_tls_report):
            try:
                reader(wrapped)
            except ReportError:
                pass


# --- what we send --------------------------------------------------------------------------------------------

OURS = AggregateReport(
    organization="mx.example.test",
    email="postmaster@example.test",
    report_id="20231114.1@mx.example.test",
    begin=1_699_920_000,
    end=1_700_006_399,
    policy=PolicyPublished(
        domain="bank.test", p="reject", sp="quarantine", np="none", adkim="r", aspf="s", fo="0", testing="n"
    ),
    rows=(
        AggregateRow(
            source_ip="192.0.2.1",
            count=3,
            disposition="none",
            dkim="pass",
            spf="fail",
            header_from="bank.test",
            envelope_from="bounce.test",
            dkim_seen=(DkimSeen(domain="bank.test", selector="s1", result="pass"),),
            spf_seen=(SpfSeen(domain="bounce.test", result="softfail"),),
        ),
        AggregateRow(
            source_ip="2001:db8::1",
            count=1,
            disposition="none",
            dkim="fail",
            spf="fail",
            reasons=(Reason(type="local_policy", comment='a <b> & "c"'),),
            header_from="sub.bank.test",
        ),
    ),
    generator="Posthouse",
)


def test_what_we_write_we_can_read() -> None:
    assert read_aggregate(write_aggregate(OURS)) == OURS
    assert (OURS.messages, OURS.failures) == (4, 1)


@given(st.text(max_size=60))
def test_any_text_leaves_a_well_formed_document(text: str) -> None:
    report = msgspec.structs.replace(OURS, organization=f"x{text}", errors=(text,))
    read_aggregate(write_aggregate(report))


@pytest.mark.slow
def test_what_we_write_keeps_to_the_schema_of_the_standard() -> None:
    """RFC 9990 appendix A, as the `dmarc` package carries it."""
    schema = xmlschema.XMLSchema(pkgutil.get_data("dmarc", "report/schemas/dmarc-2.0.xsd"))
    schema.validate(write_aggregate(OURS).decode())
    bare = msgspec.structs.replace(
        OURS, policy=PolicyPublished(domain="bank.test", p="none"), errors=("two records",), generator=""
    )
    schema.validate(write_aggregate(bare).decode())
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(write_aggregate(OURS).decode().replace("<p>reject</p>", "<p>maybe</p>"))
