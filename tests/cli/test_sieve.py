"""`posthouse sieve`: scripts put, shown, chosen, checked and tried without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import Shell, shell

__all__ = ["shell"]

ALICE = "alice@north.test"
SCRIPT = """require ["fileinto", "imap4flags", "vacation", "editheader", "redirect-dsn", "mailbox", "copy",\
 "variables"];
if header :contains "subject" "list" { fileinto :flags "\\\\Seen" "Archive"; }
elsif header :is "subject" "new" { fileinto :create "New"; }
elsif header :is "subject" "lost" { fileinto "Nowhere"; }
elsif header :is "subject" "spam" { discard; }
elsif header :is "subject" "wrong" { set "x" "nobody"; redirect "${x}"; }
else { addheader "X-A" "b"; redirect :copy :notify "NEVER" "me@far.test"; vacation :days 3 "Away soon."; }
"""


@pytest.fixture
def folder(shell: Shell, tmp_path: Path) -> Path:
    shell("domain", "add", "north.test")
    shell("account", "add", ALICE, "--password", "wonderland")
    (tmp_path / "main.sieve").write_text(SCRIPT)
    return tmp_path


def message(folder: Path, subject: str) -> str:
    path = folder / f"{subject}.eml"
    path.write_bytes(f"From: eve@far.test\r\nTo: {ALICE}\r\nSubject: {subject}\r\n\r\nHello\r\n".encode())
    return str(path)


def test_scripts_are_put_listed_shown_chosen_and_removed(shell: Shell, folder: Path) -> None:
    file = str(folder / "main.sieve")
    assert shell("sieve", "put", ALICE, "main", file, "--activate") == "kept main, active\n"
    assert shell("sieve", "put", ALICE, "other", "-", text="keep;") == "kept other\n"
    rows = shell.json("sieve", "list", ALICE)
    assert [(row["name"], row["active"]) for row in rows] == [("main", True), ("other", False)]  # type: ignore[attr-defined]
    assert shell("sieve", "show", ALICE) == SCRIPT
    assert shell("sieve", "activate", ALICE, "other") == "other is active\n"
    assert shell("sieve", "show", ALICE) == "keep;"
    shell("sieve", "remove", ALICE, "other", code=1)
    assert shell("sieve", "activate", ALICE, "--none") == "none is active\n"
    assert shell("sieve", "remove", ALICE, "other") == "removed other\n"
    shell("sieve", "show", ALICE, code=1)
    shell("sieve", "list", "nobody@north.test", code=1)
    shell("sieve", "activate", ALICE, code=2)


def test_what_is_no_script_is_not_kept_and_its_faults_are_told(shell: Shell, folder: Path) -> None:
    said = 'line 2: unknown command "keeep"; did you mean "keep"?'
    assert said in shell("sieve", "put", ALICE, "main", "-", text="keep;\nkeeep;", code=1)
    assert shell.json("sieve", "list", ALICE) == []
    assert shell("sieve", "check", "-", text="keep;\nkeeep;", code=1) == f"{said}\n"
    assert "it requires copy, editheader" in shell("sieve", "check", str(folder / "main.sieve"))


@pytest.mark.parametrize(
    ("subject", "lines"),
    [
        ("my list", ["fileinto    Archive with \\Seen  (line 2)"]),
        ("new", ["fileinto    New, which would be made  (line 3)"]),
        ("lost", ['fileinto    INBOX, since there is no mailbox "Nowhere"  (line 4)']),
        ("spam", ["discard     thrown away  (line 5)"]),
    ],
)
def test_a_trial_tells_what_would_be_done(shell: Shell, folder: Path, subject: str, lines: list[str]) -> None:
    shell("sieve", "put", ALICE, "main", str(folder / "main.sieve"), "--activate")
    assert shell("sieve", "test", ALICE, message(folder, subject)).splitlines() == lines


def test_a_trial_tells_of_faults_answers_and_changes(shell: Shell, folder: Path) -> None:
    words = ("--script", str(folder / "main.sieve"), "--from", "eve@far.test")
    said = shell("sieve", "test", ALICE, message(folder, "hello"), *words).splitlines()
    assert said[:4] == [
        "redirect    sent on to me@far.test, NOTIFY=NEVER  (line 7)",
        "vacation    answered to eve@far.test, once in 3 days: Away soon.  (line 7)",
        "keep        INBOX",
        "changed     with another header",
    ]
    assert "    X-A: b" in said and "    Delivered-To: alice@north.test" in said
    failed = shell("sieve", "test", ALICE, message(folder, "wrong"), *words, code=1)
    assert failed.splitlines() == [
        'fails at line 6: "nobody" is not an address that mail can be sent to',
        "keep        INBOX",
    ]
    spam = 'require "spamtestplus"; if spamtest :percent :is "80" { discard; }'
    (folder / "spam.sieve").write_text(spam)
    trial = shell(
        "sieve", "test", ALICE, message(folder, "x"), "--script", str(folder / "spam.sieve"), "--spam", "80"
    )
    assert trial.startswith("discard")
