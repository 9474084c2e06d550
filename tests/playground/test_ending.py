"""However a playground ends, its hosts end with it and its folder goes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow]

PROGRAM = """
import asyncio, sys
from posthouse.playground import Playground

async def main():
    async with Playground(scenario="null-mx", published=False) as net:
        (host,) = net.hosts.values()
        print(host._process.pid, net.folder, flush=True)
        await asyncio.sleep(100)

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_hosts_end_with_the_playground(how: signal.Signals, tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert started.stdout is not None
    pid, folder = started.stdout.readline().split()
    assert alive(int(pid))
    started.send_signal(how)
    started.wait(90)
    started.stdout.close()
    deadline = time.monotonic() + 20
    while alive(int(pid)):
        assert time.monotonic() < deadline, "the host lives on"
        time.sleep(0.05)
    assert Path(folder).exists() is (how is signal.SIGKILL)


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    text = """
import asyncio, socket
from posthouse.errors import Temporary
from posthouse.playground import Playground

async def main():
    net = Playground(scenario="null-mx", published=False)
    taken = socket.create_server(("127.0.0.10", net.ports["imap"]))
    try:
        async with net:
            pass
    except Temporary as fault:
        print(fault)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    assert "mx.north.test did not start" in done.stdout
    assert "listen.imap" in done.stdout
    assert "in use" in done.stdout
