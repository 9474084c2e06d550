"""What a load balancer hears, and how much of its question is read."""

from __future__ import annotations

import pytest

from posthouse.limits import HEALTH_LINE, HEALTH_LINES
from posthouse.net import health
from posthouse.net.connection import Connection, ConnectionClosed
from posthouse.net.health import HealthServer
from tests.net.conftest import House


async def heard(client: Connection) -> bytes:
    """All that comes until the server closes."""
    found = b""
    try:
        while True:
            found += await client.read_some(10_000)
    except ConnectionClosed:
        return found


async def numbers() -> str:
    return "some 1\n"


async def asked(house: House, request: bytes, why_not: str = "") -> bytes:
    client = await house.pair(HealthServer(lambda: why_not, numbers).serve)
    client.write(request)
    return await heard(client)


@pytest.mark.parametrize(
    ("request_line", "why_not", "status", "body"),
    [
        ("GET /health HTTP/1.1", "", "200 OK", "alive\n"),
        ("GET /health HTTP/1.1", "stopping", "200 OK", "alive\n"),
        ("GET /ready HTTP/1.1", "", "200 OK", "ready\n"),
        ("GET /ready?node=1 HTTP/1.0", "", "200 OK", "ready\n"),
        ("GET /ready HTTP/1.1", "stopping", "503 Service Unavailable", "stopping\n"),
        ("HEAD /ready HTTP/1.1", "stopping", "503 Service Unavailable", ""),
        ("GET /metrics HTTP/1.1", "stopping", "200 OK", "some 1\n"),
        ("HEAD /metrics HTTP/1.1", "", "200 OK", ""),
        ("GET / HTTP/1.1", "", "404 Not Found", "/health, /ready or /metrics\n"),
        ("POST /health HTTP/1.1", "", "405 Method Not Allowed", "GET or HEAD\n"),
        ("", "", "405 Method Not Allowed", "GET or HEAD\n"),
    ],
)
async def test_answers(house: House, request_line: str, why_not: str, status: str, body: str) -> None:
    answer = await asked(house, f"{request_line}\r\nHost: lb\r\n\r\n".encode(), why_not)
    head, _, text = answer.decode().partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}\r\n")
    assert text == body


async def test_a_line_over_the_limit_is_not_answered(house: House) -> None:
    line = b"GET /health?" + b"x" * (HEALTH_LINE - 12 - 2)
    assert len(line) + 2 == HEALTH_LINE
    assert (await asked(house, line + b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
    assert await asked(house, line + b"x\r\n\r\n") == b""


async def test_so_many_lines_are_waited_for(house: House) -> None:
    """No empty line comes, and the question is answered all the same."""
    answer = await asked(house, b"GET /health HTTP/1.1\r\n" + b"X: y\r\n" * HEALTH_LINES)
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_who_asks_too_slowly_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HEALTH_TIMEOUT", 0.1)
    assert await asked(house, b"GET /health HTTP/1.1\r\n") == b""
