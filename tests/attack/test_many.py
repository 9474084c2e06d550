"""Ten thousand connections: what they cost, that others are served beside them, and what happens at the limit."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.attack.besieged import MB, Attacker, Besieged

pytestmark = pytest.mark.slow
IDLE = 10_000
KB_EACH = 12
"""Memory of one idle connection, in KB."""
SPARE = 40
"""Connections below the limit for everybody else."""


class Crowded(Besieged):
    """Takes few more connections than the crowd."""

    extra_config = f"[limits]\nconnections = {IDLE + SPARE}\n"


@pytest.fixture
def crowded(tmp_path: object) -> Iterator[Crowded]:
    """Open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < IDLE + 1_000:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    house = Crowded(tmp_path)  # type: ignore[arg-type]
    house.open()
    yield house
    house.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_connections(crowded: Crowded) -> None:
    address = ("127.0.0.1", crowded.ports["imap"])
    crowd: list[socket.socket] = []
    before = crowded.proportional()
    with crowded.unharmed(memory=IDLE * KB_EACH * 1024 + 16 * MB, prompt=1.5):
        crowd.extend(socket.create_connection(address, 10) for _ in range(IDLE))
        for sock in crowd:
            assert sock.recv(4).startswith(b"* OK")
        grown = crowded.proportional() - before
        assert grown < IDLE * KB_EACH * 1024, f"{grown / IDLE / 1024:.1f} KB a connection"
        # Every one of them still answers.
        for sock in crowd[:: IDLE // 100]:
            sock.sendall(b"a NOOP\r\n")
        for sock in crowd[:: IDLE // 100]:
            assert b"a OK" in Attacker(sock).until(b"a ")[-1]

    # At the limit: a clear word for every protocol, and room again as soon as somebody leaves.
    crowd += [socket.create_connection(address, 10) for _ in range(SPARE)]
    refusals = {"imap": b"* BYE [UNAVAILABLE]", "smtp": b"421 4.3.2", "pop3": b"-ERR [SYS/TEMP]"}
    for name, word in refusals.items():
        with crowded.enter(name, greeted=False) as late:
            assert late.line().startswith(word)
            assert late.line() == b""
    for sock in crowd[:1_000]:
        sock.close()
    time.sleep(0.2)
    crowded.logged_in().close()
    for sock in crowd:
        sock.close()
    until = time.monotonic() + 20
    while crowded.sockets() > SPARE:
        assert time.monotonic() < until, "connections were not given up"
        time.sleep(0.1)


def test_a_crowd_that_comes_and_goes_at_once(crowded: Crowded) -> None:
    """5,000 connections that are reset as soon as they are made."""
    address = ("127.0.0.1", crowded.ports["smtp"])
    with crowded.unharmed(memory=64 * MB):
        for _ in range(5_000):
            sock = socket.create_connection(address, 10)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            sock.close()


def test_slow_drips_hold_nobody_up(crowded: Crowded) -> None:
    """500 connections send an octet now and then, in the middle of all kinds of things."""
    beginnings = {
        "smtp": (
            b"EHL",
            b"EHLO x\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSub",
        ),
        "imap": (b"a LOG", b"a LOGIN {100+}\r\nxx"),
        "pop3": (b"USE",),
    }
    with crowded.unharmed(memory=32 * MB):
        drips = []
        for number in range(500):
            name = ("smtp", "imap", "pop3")[number % 3]
            drip = crowded.enter(name)
            drip.send(beginnings[name][number // 3 % len(beginnings[name])])
            drips.append(drip)
        for _ in range(5):
            for drip in drips:
                drip.send(b"x")
            time.sleep(0.05)
        for drip in drips:
            drip.close()
