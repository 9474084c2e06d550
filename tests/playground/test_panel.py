"""The panel's addresses are true: what it prints is pasted, and works (curl over IMAPS, POP3S, SMTPS)."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from posthouse.playground import Playground
from posthouse.playground.panel import show_plain
from tests.interop.conftest import program

pytestmark = [pytest.mark.slow, pytest.mark.interop]
__all__ = ["program"]


@pytest.fixture
async def net() -> AsyncIterator[Playground]:
    async with Playground(published=False) as made:
        yield made


async def run(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()
    return out.decode()


async def test_what_it_prints_can_be_pasted(
    net: Playground, program: Callable[[str], str], tmp_path: Path
) -> None:
    lines: list[str] = []
    ended = asyncio.Event()
    shown = asyncio.create_task(show_plain(net, lines.append, ended))
    await asyncio.sleep(0)
    text = "\n".join(lines)
    (south,) = re.findall(r"^mx.south.test +(\S+).*pop3s (\d+)", text, re.MULTILINE)
    (north,) = re.findall(r"^mx.north.test +(\S+).*submissions (\d+)", text, re.MULTILINE)
    (password,) = set(re.findall(r"password (\S+)", text))
    letter = tmp_path / "letter"
    letter.write_bytes(b"From: alice@north.test\r\nTo: carol@south.test\r\nSubject: pasted\r\n\r\nHello.\r\n")
    curl = (program("curl"), "-sk", "--fail")
    await run(
        *(*curl, "--user", f"alice@north.test:{password}", "--url", f"smtps://{north[0]}:{north[1]}"),
        *("--mail-from", "alice@north.test", "--mail-rcpt", "carol@south.test", "-T", str(letter)),
    )
    (imaps,) = [line for line in lines if line.strip().startswith("curl")]

    async def arrived() -> bool:
        return "SEARCH 1" in await run(*shlex.split(imaps))

    await net.until(arrived)
    mail = await run(*curl, "--user", f"carol@south.test:{password}", f"pop3s://{south[0]}:{south[1]}/1")
    assert "Subject: pasted" in mail
    (trace,) = [line for line in lines if " trace " in line]
    route = await run(*shlex.split(trace))
    for step in ("MX 10 mx.south.test: 127.0.0.20", "MX 20 backup.south.test", "TLSv1.3", "S: 250 2.1.5"):
        assert step in route
    ended.set()
    await shown
    told = "\n".join(lines)
    for event in ("dns level=root name=south.test type=MX", "delivered id=", "to=<carol@south.test>"):
        assert event in told, "the panel tells what happens"
