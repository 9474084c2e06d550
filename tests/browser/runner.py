"""Runs a suite of browser checks in Node, and answers its questions about what other protocols see."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
CHROMIUM: Final = "/usr/bin/chromium"
Answers = dict[str, Callable[..., Any]]


def needs_browser() -> None:
    """Skip, in words, where there is no browser or no built pages; in CI their absence is a failure."""
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    if shutil.which("chromium") is None:
        give_up("chromium is not installed: run scripts/install-peers.sh")
    if shutil.which("node") is None or not (ROOT / "webmail" / "node_modules" / "playwright-core").exists():
        give_up("playwright-core is not installed: run scripts/build-webmail.py --modules")
    if not (ROOT / "posthouse" / "web" / "static" / "index.html").exists():
        give_up("the webmail is not built: run scripts/build-webmail.py")


async def run_suite(
    name: str, stage: msgspec.Struct | dict[str, Any], answers: Answers | None = None
) -> None:
    """Run `suites/NAME.mjs`; fails with every failed check."""
    with tempfile.NamedTemporaryFile(prefix="posthouse-browser-") as done:
        noting = {"DEBUG": "pw:api", "DEBUG_FILE": done.name}
        await _run_suite(
            name, os.environ | noting | {"STAGE": json.dumps(msgspec.to_builtins(stage))}, answers or {}
        )


async def _run_suite(name: str, environment: dict[str, str], answers: Answers) -> None:
    folder = os.environ.get("BROWSER_SHOTS", "")
    process = await asyncio.create_subprocess_exec(
        "node",
        str(Path(__file__).parent / "run.mjs"),
        name,
        *([folder] if folder else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=environment,
        limit=1 << 20,
    )
    assert process.stdin is not None and process.stdout is not None
    failures: list[str] = []
    try:
        async for line in process.stdout:
            said = _parsed(line)
            if "ask" in said:
                what, *values = said["ask"]
                answer = await _answer(answers[what], values)
                process.stdin.write(json.dumps(answer).encode() + b"\n")
                await process.stdin.drain()
            elif "failed" in said:
                failures.append(f"{said['failed']}: {said['why']}")
                print(failures[-1], file=sys.stderr)  # also when the rest takes too long
            else:
                print(said, file=sys.stderr)
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert not failures, "\n\n".join(failures)
    assert code == 0


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = {"says": line.decode(errors="replace")}
    return said if isinstance(said, dict) else {"says": said}


async def _answer(run: Callable[..., Any], values: list[Any]) -> dict[str, Any]:
    try:
        return {"is": await asyncio.to_thread(run, *values)}
    except Exception as fault:
        return {"error": repr(fault)}
