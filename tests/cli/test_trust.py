"""Keys, DNS records, muted findings and reports on the command line, without a server."""

from __future__ import annotations

import asyncio
import json
from email.message import EmailMessage
from pathlib import Path

import pytest

from posthouse.config import Config
from posthouse.house import House
from posthouse.msgauth.tls_report_writer import TlsPeriod, TlsSeen, write_tls_report
from posthouse.store.trust import AddReport, Report
from tests.cli.test_commands import Shell, shell  # noqa: F401  # a fixture
from tests.msgauth.vectors import folder

pytestmark = pytest.mark.slow

SAMPLES = folder("dmarc-reports") / "samples"


@pytest.fixture
def office(shell: Shell) -> Shell:  # noqa: F811
    shell("domain", "add", "north.test")
    shell("account", "add", "admin@north.test", "--password", "secret", "--admin")
    return shell


def test_keys_are_shown_rotated_and_forgotten(office: Shell) -> None:
    rows = office.json("domain", "dkim", "north.test")
    assert [row["state"] for row in rows] == ["active", "active"]  # type: ignore[attr-defined]
    zone = office("domain", "dns", "north.test", "--zone")
    for row in rows:  # type: ignore[attr-defined]
        assert f"{row['name']}." in zone
        assert row["record"][:60] in zone
    fresh = office.json("domain", "rotate", "north.test")
    assert [row["state"] for row in fresh] == ["next", "next"]  # type: ignore[attr-defined]
    assert "does not show" in office("domain", "rotate", "north.test", code=1)
    states = office.json("domain", "rotate", "north.test", "--now")
    assert sorted(row["state"] for row in states) == ["active", "active", "retired", "retired"]  # type: ignore[attr-defined]
    old = rows[0]["selector"]  # type: ignore[index]
    assert office("domain", "forget-key", "north.test", old) == f"forgot {old} of north.test\n"
    assert "has no key" in office("domain", "forget-key", "north.test", old, code=1)


def test_findings_are_muted_with_a_reason(office: Shell) -> None:
    assert "DMARC" in office("domain", "check", "north.test")
    office("domain", "mute", "north.test", "dmarc", "--reason", "not ours to publish")
    findings = office.json("domain", "check", "north.test")
    [finding] = [one for one in findings if one["subject"].startswith("DMARC")]  # type: ignore[attr-defined]
    assert finding["text"] == "not looked at: not ours to publish"
    office("domain", "unmute", "north.test", "DMARC")
    office("domain", "mute", "north.test", "weather", "--reason", "rain", code=2)


@pytest.mark.parametrize(
    ("sample", "to", "words"),
    [
        (
            "aggregate/estadocuenta1.infonacot.gob.mx!example.com!1536853302!1536939702!2940.xml.zip",
            "dmarc-reports",
            ("aggregate report of", "about example.com, received"),
        ),
        ("smtp_tls/google.com_smtp_tls_report.eml", "tls-reports", ("tls report of Google Inc.", "received")),
        (
            "failure/dmarc_ruf_report_linkedin.eml",
            "dmarc-reports",
            ("failure report of", "source-ip: 10.10.10.10"),
        ),
    ],
)
def test_reports_are_listed_and_shown(office: Shell, sample: str, to: str, words: tuple[str, ...]) -> None:
    path = SAMPLES / sample
    octets = path.read_bytes() if path.suffix == ".eml" else wrapped(path)
    octets = octets[octets.index(b"\n") + 1 :] if octets.startswith(b"From ") else octets
    office("sendmail", f"{to}@north.test", text=octets.decode("latin-1"))
    [row] = office.json("reports", "list")  # type: ignore[misc]
    assert row["direction"] == "received"
    shown = office("reports", "show", str(row["id"]))
    assert all(word in shown for word in words), shown
    assert office.json("reports", "show", str(row["id"]))["content"]  # type: ignore[index]
    assert office.json("reports", "list", "--domain", "nobody.test") == []
    assert "no report 99" in office("reports", "show", "99", code=1)


def wrapped(path: Path) -> bytes:
    """A message as receivers send it, with the sample attached."""
    message = EmailMessage()
    message["From"] = "reports@far.test"
    message["Subject"] = "Report Domain: example.com"
    message.set_content("a report")
    message.add_attachment(path.read_bytes(), maintype="application", subtype="zip", filename=path.name)
    return message.as_bytes()


def test_sending_now(office: Shell) -> None:
    assert office("reports", "send") == "sent 0 reports\n"


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        (TlsSeen(mx="mx.far.test"), ""),
        (TlsSeen(result="certificate-expired", reason="long ago"), "certificate-expired"),
    ],
)
def test_a_tls_report_of_ours_is_shown(office: Shell, seen: TlsSeen, shown: str) -> None:
    """Also where nothing failed, or nothing is known of the hosts (RFC 8460 §4.4: then it is left out)."""
    period = TlsPeriod(
        hostname="mx.north.test", domain="far.test", report_id="1@mx.north.test", begin=1, end=86_400
    )
    report = Report(
        sent=True,
        kind="tls",
        domain="far.test",
        organization="tls@far.test",
        name=period.report_id,
        begin=period.begin,
        end=period.end,
        at=period.end,
        messages=7,
        failures=7 if shown else 0,
        content=json.dumps(write_tls_report(period, [(7, seen)])),
    )

    async def keep() -> None:
        house = await House.open(Config(hostname="mx.north.test", data=office.file.parent / "data"))
        try:
            await house.store.apply(AddReport(report=report))
        finally:
            await house.close()

    asyncio.run(keep())
    [row] = office.json("reports", "list")  # type: ignore[misc]
    text = office("reports", "show", str(row["id"]))
    assert "tls report of tls@far.test about far.test, sent" in text
    assert shown in text


STEERING = "\x1b]0;owned\x07\x9b2J"
"""What gives a terminal another title and empties it."""


def test_what_strangers_write_does_not_steer_the_terminal(office: Shell) -> None:
    report = {
        "organization-name": f"Far {STEERING}",
        "date-range": {"start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-01T23:59:59Z"},
        "report-id": "1",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": "north.test"},
                "failure-details": [{"result-type": STEERING, "failed-session-count": 1}],
            }
        ],
    }
    message = EmailMessage()
    message["From"] = "reports@far.test"
    message["Subject"] = "Report"
    message.set_content("a report")
    message.add_attachment(
        json.dumps(report).encode(), maintype="application", subtype="tlsrpt+json", filename="r.json"
    )
    office("sendmail", "tls-reports@north.test", text=message.as_bytes().decode())
    [row] = office.json("reports", "list")  # type: ignore[misc]
    assert row["organization"] == f"Far {STEERING}", "whoever asks for JSON has it as it came"
    for words in (
        ("reports", "list"),
        ("reports", "show", str(row["id"])),
        ("message", "log", "tls-reports@north.test"),
    ):
        text = office(*words)
        assert "\\x1b]0;owned" in text, words
        assert all(character.isprintable() or character == "\n" for character in text), words
