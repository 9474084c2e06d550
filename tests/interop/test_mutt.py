"""mutt over a compressed connection (RFC 4978, `imap_deflate`): it stores what it sends, and copies what it reads."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.interop.local import ACCOUNTS, LocalHouse

pytestmark = [pytest.mark.interop, pytest.mark.slow]

ALICE = "alice@example.test"
CONFIG = """\
set imap_user="{user}" imap_pass="{password}" imap_deflate=yes ssl_starttls=no ssl_force_tls=no
set folder="imap://127.0.0.1:{port}/" record="=Sent" copy=yes sendmail=/bin/true from="{user}"
set confirmcreate=no confirmappend=no quit=yes wait_key=no move=no mbox_type=mbox
"""
Find = Callable[[str], str]


def on_a_terminal(words: list[str], environment: dict[str, str]) -> int:
    """Run a program that wants a terminal to its end; its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(words[0], words, environment)
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass  # the way a terminal ends
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_mutt_stores_and_reads_compressed(house: LocalHouse, program: Find, tmp_path: Path) -> None:
    mutt = program("mutt")
    (tmp_path / "rc").write_text(
        CONFIG.format(user=ALICE, password=ACCOUNTS[ALICE], port=house.ports["imap"])
    )
    environment = os.environ | {"HOME": str(tmp_path), "TERM": "xterm"}
    words = [mutt, "-n", "-F", str(tmp_path / "rc"), "-d", "3"]
    text = "".join(f"line {n} of a long letter\n" for n in range(20_000))
    done = subprocess.run(
        [*words, "-s", "written by mutt", "bob@example.test"],
        input=text, text=True, capture_output=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert house.subjects(ALICE, "Sent") == ["written by mutt"]

    for n in range(5):
        house.append(ALICE, f"for mutt {n}")
    copy = f'push "<tag-pattern>~A<enter><tag-prefix><copy-message><kill-line>{tmp_path}/copy<enter><quit>"'
    assert on_a_terminal([*words, "-f", "=INBOX", "-e", copy], environment) == 0
    assert (tmp_path / "copy").read_text().count("Text of for mutt") == 5
    assert on_a_terminal([*words, "-f", "=Sent", "-e", copy], environment) == 0
    assert text in (tmp_path / "copy").read_text()

    logs = sorted(tmp_path.glob(".muttdebug*"))
    assert len(logs) == 3
    for log in logs:
        said = log.read_text(errors="replace")
        assert "COMPRESS DEFLATE" in said
        assert "OK DEFLATE active" in said
