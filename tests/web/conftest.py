"""A house with its web tier, and raw HTTP to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.house import TestHouse


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[TestHouse]:
    """A furnished house."""
    made = await TestHouse.open(tmp_path)
    yield made
    await made.close()


class Answer(msgspec.Struct):
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(port: int, raw: bytes) -> bytes:
    """Send octets, end our side, read all that comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    await writer.drain()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def answer_of(port: int, raw: bytes) -> Answer:
    """The first response to some octets (the request asks for the connection to close)."""
    head, _, body = (await exchange(port, raw)).partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    return Answer(int(first.split()[1]), headers, body)
