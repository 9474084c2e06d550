"""JMAP's answers are compressed for whom asks, when they are long."""

from __future__ import annotations

import gzip

import httpx
import msgspec
import pytest

from posthouse.limits import JMAP_PACKED
from tests.house import TestHouse


@pytest.mark.parametrize(
    ("accepted", "octets", "is_packed"),
    [
        ("gzip", JMAP_PACKED, True),
        ("br, gzip;q=0.5, *;q=0.1", JMAP_PACKED, True),
        ("GZIP", JMAP_PACKED, True),
        ("gzip", 100, False),
        ("identity", JMAP_PACKED, False),
        ("gzip;q=0", JMAP_PACKED, False),
        ("gzip; q=0.000, br", JMAP_PACKED, False),
        ("notgzip", JMAP_PACKED, False),
    ],
)
async def test_answers(house: TestHouse, accepted: str, octets: int, is_packed: bool) -> None:
    using = ["urn:ietf:params:jmap:core"]
    request = {"using": using, "methodCalls": [["Core/echo", {"text": "x" * octets}, "0"]]}
    async with (
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{house.port('http')}", auth=("alice@example.test", "wonderland")
        ) as client,
        client.stream("POST", "/jmap/", json=request, headers={"accept-encoding": accepted}) as page,
    ):
        raw = b"".join([piece async for piece in page.aiter_raw()])
    assert page.headers["vary"] == "accept-encoding"
    assert (page.headers.get("content-encoding") == "gzip") is is_packed
    answer = msgspec.json.decode(gzip.decompress(raw) if is_packed else raw)
    assert answer["methodResponses"][0][1]["text"] == "x" * octets
