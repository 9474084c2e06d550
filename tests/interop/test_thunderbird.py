"""Thunderbird itself: Debian's package, without a screen, told by an AutoConfig script what a person would do.

alice ──IMAP, submission── Thunderbird ; imaplib looks at what it left on the server.
"""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.interop.conftest import absent
from tests.interop.local import LocalHouse

pytestmark = [pytest.mark.interop, pytest.mark.slow]
INSTALLED = Path("/usr/lib/thunderbird")
SCRIPT = Path(__file__).with_name("thunderbird.cfg")
PREFERENCES = """\
// Read the script, unrestricted; ask nobody outside: whatever is no mail goes to a port where nobody listens.
pref("general.config.filename", "mail.cfg");
pref("general.config.obscure_value", 0);
pref("general.config.sandbox_enabled", false);
pref("network.proxy.type", 1);
pref("network.proxy.http", "127.0.0.1");
pref("network.proxy.http_port", 9);
pref("network.proxy.ssl", "127.0.0.1");
pref("network.proxy.ssl_port", 9);
pref("network.dns.disabled", true);
pref("app.update.enabled", false);
pref("datareporting.policy.dataSubmissionEnabled", false);
pref("mail.imap.use_status_for_biff", false);
"""


@pytest.fixture
def thunderbird(tmp_path: Path, house: LocalHouse) -> Iterator[Callable[[], list[str]]]:
    """Runs the script in a copy of the program (links, but for what holds settings) until it is done."""
    if not (INSTALLED / "thunderbird").exists():
        absent("Thunderbird")
    program, profile, out = tmp_path / "program", tmp_path / "profile", tmp_path / "said"
    profile.mkdir()
    shutil.copytree(
        INSTALLED, program, copy_function=os.symlink, ignore=lambda *_: {"defaults", "dictionaries"}
    )
    shutil.copytree(INSTALLED / "defaults", program / "defaults")
    for name in ("thunderbird", "thunderbird-bin"):
        (program / name).unlink()
        shutil.copy2(INSTALLED / name, program / name)
    (program / "defaults" / "pref" / "autoconfig.js").write_text(PREFERENCES)
    values = {"OUT": str(out), "IMAP": str(house.ports["imap"]), "SUBMISSION": str(house.ports["submission"])}
    text = SCRIPT.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (program / "mail.cfg").write_text(text)
    running: list[subprocess.Popen[bytes]] = []

    def run() -> list[str]:
        command = [program / "thunderbird", "--headless", "--no-remote", "--profile", profile]
        running.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        )
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and running[0].poll() is None:
            said = out.read_text().splitlines() if out.exists() else []
            if said and (said[-1] == "done" or said[-1].startswith("FAULT")):
                return said
            time.sleep(0.1)
        return out.read_text().splitlines() if out.exists() else ["it said nothing"]

    yield run
    for process in running:
        process.kill()
        process.wait(10)


def flags(house: LocalHouse, mailbox: str) -> dict[str, set[str]]:
    """Subject → flags, as another client sees them."""
    client = house.imap("alice@example.test")
    try:
        count = int(client.select(mailbox, readonly=True)[1][0] or 0)
        found = {}
        for number in range(1, count + 1):
            line, header = client.fetch(str(number), "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0]  # type: ignore[misc]
            words = line.decode().partition("FLAGS (")[2].partition(")")[0]
            found[header.decode().strip().removeprefix("Subject: ")] = set(words.split())
        return found
    finally:
        client.logout()


def test_thunderbird_reads_flags_moves_deletes_and_sends(
    house: LocalHouse, thunderbird: Callable[[], list[str]]
) -> None:
    with smtplib.SMTP("127.0.0.1", house.ports["submission"]) as sender:
        sender.login("bob@example.test", "builder")
        for number in range(5):
            text = f"From: bob@example.test\r\nTo: alice@example.test\r\nSubject: n{number}\r\n\r\ntext {number}\r\n"
            sender.sendmail("bob@example.test", ["alice@example.test"], text)
    said = thunderbird()
    assert said == [
        "folders Archive Drafts INBOX Junk Sent Trash",
        "subjects n0|n1|n2|n3|n4",
        "body text 4",
        "sent",
        "done",
    ]
    inbox = flags(house, "INBOX")
    assert set(inbox) == {"n0", "n1", "n4"}
    assert "\\Seen" in inbox["n0"]
    assert {"\\Flagged", "$label1"} <= inbox["n1"]
    assert set(flags(house, "Junk")) == {"n2"}
    assert set(flags(house, "Trash")) == {"n3"}
    assert house.subjects("bob@example.test") == ["from thunderbird"]
    assert set(flags(house, "Sent")) == {"from thunderbird"}
