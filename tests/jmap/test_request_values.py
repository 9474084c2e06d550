"""A request of many small values: refused, or read so fast that nobody waits; a long letter is no such request."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from posthouse import limits
from posthouse.jmap.call import read_json
from posthouse.jmap.errors import RequestError
from tests.jmap.conftest import Client
from tests.machine import slowness

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZE = 7_000_000
PROBLEM = "urn:ietf:params:jmap:error:"
PAUSE = 0.25
"""Seconds that the others may wait for one request; a fifth of that on a core of one's own."""


def request_of(values: bytes) -> bytes:
    return (
        b'{"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": '
        + values
        + b'}, "c"]]}'
    )


def many(value: bytes, octets: int = SIZE) -> bytes:
    return b"[" + b",".join([value] * (octets // (len(value) + 1))) + b"]"


TOO_MANY = {
    "arrays": many(b"[]"),
    "objects": many(b"{}"),
    "numbers": many(b"1"),
    "strings": many(b'""'),
    "strings with escapes": many(rb'"\\"'),
    "members": b"{" + b",".join(b'"k%d":1' % number for number in range(200_000)) + b"}",
    "in depth": b"[" * SIZE,
}
FINE = {
    "a table in a string": json.dumps('1,2,"x",[{\n' * (SIZE // 15)).encode(),
    "backslashes": b'"' + rb"\\" * (SIZE // 2) + b'"',
    "quotes": b'"' + rb"\"" * (SIZE // 2) + b'"',
    "arrays, nearly too many": many(b"[]", 3 * (limits.JMAP_VALUES // 2 - 20)),
    "objects, nearly too many": many(b'{"a":1}', 8 * (limits.JMAP_VALUES // 3 - 20)),
    "and with an escaped colon": many(b"[]", 3 * (limits.JMAP_VALUES // 2 - 40))[:-1] + rb',"\u003a"]',
}


async def longest_pause(raw: bytes) -> float:
    """The longest time that the loop stood still while a request was read; the best of some tries, for a pause that
    comes from outside is not the decoder's."""
    found = []
    for _ in range(5):
        # In processor time of this process: other tests share the cores, and who waits for them is not our fault.
        pause, reading = 0.0, asyncio.ensure_future(read_json(raw))
        last = time.process_time()
        while not reading.done():
            await asyncio.sleep(0.0005)
            now = time.process_time()
            pause, last = max(pause, now - last), now
        reading.exception()
        found.append(pause)
    return min(found)


@pytest.mark.parametrize("values", TOO_MANY.values(), ids=TOO_MANY)
async def test_too_many_values_are_refused_and_nobody_waits(values: bytes) -> None:
    raw = request_of(values)
    with pytest.raises(RequestError) as refused:
        await read_json(raw)
    assert (refused.value.kind, refused.value.limit) == (PROBLEM + "limit", "maxSizeRequest")
    assert await longest_pause(raw) < PAUSE * slowness()


@pytest.mark.parametrize("values", FINE.values(), ids=FINE)
async def test_what_has_fewer_is_read_and_nobody_waits(values: bytes) -> None:
    raw = request_of(values)
    tree = await read_json(raw)
    assert tree["methodCalls"][0][1]["a"] == json.loads(values)
    assert await longest_pause(raw) < PAUSE * slowness()


async def test_over_http(alice: Client) -> None:
    """RFC 8620 §3.6.1."""
    json_type = {"content-type": "application/json"}
    response = await alice.http.post("/jmap/", content=request_of(TOO_MANY["arrays"]), headers=json_type)
    assert response.status_code == 400
    assert (response.json()["type"], response.json()["limit"]) == (PROBLEM + "limit", "maxSizeRequest")
    values = FINE["a table in a string"]
    response = await alice.http.post("/jmap/", content=request_of(values), headers=json_type)
    assert response.json()["methodResponses"] == [["Core/echo", {"a": json.loads(values)}, "c"]]
