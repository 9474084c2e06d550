"""Keys, DNS records, muted findings and reports on the command line, without a server."""

from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest

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
