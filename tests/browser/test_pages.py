"""Every page of the webmail: no serious fault by axe, small at first load, its own tests of words and values pass."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest

from tests.browser.runner import ROOT, needs_browser, run_suite
from tests.browser.stage import opened

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


@pytest.mark.slow
@pytest.mark.interop
async def test_axe() -> None:
    needs_browser()
    async with opened() as stage:
        await run_suite("pages", stage)
