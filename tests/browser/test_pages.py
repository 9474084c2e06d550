"""Every page: no serious fault by axe; settings and administration work; small at first load; its own tests pass."""

from __future__ import annotations

import asyncio
import gzip
import imaplib
import json
import smtplib

import pytest

from tests.browser.runner import ROOT, Answers, needs_browser, run_suite
from tests.browser.stage import Stage, opened

STATIC = ROOT / "posthouse" / "web" / "static"
FIRST_LOAD = 150_000
"""Octets over the wire before mail is seen (the issue's bound)."""


def test_first_load_is_small() -> None:
    needs_browser()
    manifest = json.loads((STATIC / "manifest.json").read_text())
    wanted, seen, names = ["index.html"], set(), {"index.html"}
    while wanted:
        entry = manifest[key := wanted.pop()]
        seen.add(key)
        names |= {entry["file"], *entry.get("css", ())}
        wanted += [each for each in entry.get("imports", ()) if each not in seen]
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in names) < FIRST_LOAD


def test_nothing_comes_from_elsewhere() -> None:
    needs_browser()
    page = (STATIC / "index.html").read_text()
    assert "//" not in page.replace("<!-- ", "")
    assert "style=" not in page


def test_the_lock_file_names_no_address() -> None:
    assert "resolved" not in (ROOT / "webmail" / "package-lock.json").read_text()


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.parametrize(
    "command",
    [
        ("vitest", "run"),
        ("svelte-check", "--tsconfig", "./tsconfig.json", "--fail-on-warnings"),
        ("tsc", "--project", "worker/tsconfig.json"),
    ],
)
async def test_in_node(command: tuple[str, ...]) -> None:
    needs_browser()
    name, *arguments = command
    program = ROOT / "webmail" / "node_modules" / ".bin" / name
    process = await asyncio.create_subprocess_exec(
        str(program),
        *arguments,
        cwd=ROOT / "webmail",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def answers(stage: Stage) -> Answers:
    """What programs say, besides the browser."""

    def may_log_in(protocol: str, address: str, password: str) -> bool:
        try:
            if protocol == "imap":
                imaplib.IMAP4(*stage.imap[address.partition("@")[2]]).login(address, password)
            else:
                smtplib.SMTP(*stage.submission).login(address, password)
        except (imaplib.IMAP4.error, smtplib.SMTPAuthenticationError):
            return False
        return True

    return {"may_log_in": may_log_in}


@pytest.mark.slow
@pytest.mark.interop
async def test_every_page() -> None:
    """By axe first, then by a hand that presses everything: one house and one browser."""
    needs_browser()
    async with opened(administered=True) as stage:
        await run_suite("pages,office", stage, answers(stage))
