"""HTTP/1.1 on our connections: framing, keep-alive, what is refused."""

from __future__ import annotations

import asyncio
import base64
import ssl

import pytest

from posthouse import limits
from tests.house import TestHouse
from tests.web.conftest import answer_of, exchange

CLOSE = b"Host: mail.example.test\r\nConnection: close\r\n"
ALICE = b"Authorization: Basic " + base64.b64encode(b"alice@example.test:wonderland") + b"\r\n"
ECHO = b'{"using":["urn:ietf:params:jmap:core"],"methodCalls":[["Core/echo",{"x":[1]},"a"]]}'


async def test_pipelined_requests_are_answered_in_order(house: TestHouse) -> None:
    request = b"GET /nothing.js HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + b"\r\n"
    raw = await exchange(house.port("http"), request * 2 + last)
    statuses = [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"404", b"404", b"401"]


async def test_a_chunked_body_is_read(house: TestHouse) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, ECHO[i : i + 1]) for i in range(len(ECHO))) + b"0\r\n\r\n"
    head = b"POST /jmap/ HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    answer = await answer_of(house.port("http"), head + CLOSE + ALICE + b"\r\n" + chunks)
    assert answer.status == 200
    assert b'["Core/echo",{"x":[1]},"a"]' in answer.body


async def test_expect_continue_is_answered_before_the_body(house: TestHouse) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
    head = b"POST /jmap/ HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    writer.write(head + CLOSE + ALICE + b"Content-Length: %d\r\n\r\n" % len(ECHO))
    assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
    assert await reader.readline() == b"\r\n"
    writer.write(ECHO)
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


DRIPS = {
    "of known length": (b"Content-Length: 600\r\n", {"TRANSFER_GRACE": 0.2, "TRANSFER_RATE": 2000}),
    "of a length that would take for ever": (b"Content-Length: 9999999\r\n", {"HTTP_BODY_TIME": 0.5}),
    "of unknown length": (b"Transfer-Encoding: chunked\r\n", {"HTTP_BODY_TIME": 0.5}),
}


@pytest.mark.parametrize("kind", DRIPS)
async def test_a_body_that_drips_ends_the_connection(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    length, times = DRIPS[kind]
    for name, seconds in times.items():
        monkeypatch.setattr(limits, name, seconds)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
    writer.write(
        b"POST /jmap/ HTTP/1.1\r\nContent-Type: application/json\r\n" + CLOSE + ALICE + length + b"\r\n"
    )

    async def drip() -> None:
        while True:
            writer.write(b"1\r\n \r\n" if b"chunked" in length else b" ")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(5):
            assert await reader.read() == b"", "nothing is answered to half a request"
    except ConnectionError:
        pass  # it was cut off while we wrote
    finally:
        dripping.cancel()
        writer.close()


async def ends_within(port: int, sent: bytes, drip: bytes = b"") -> bytes:
    """What comes on a connection until the server ends it, while something may drip into it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)

    async def dripping() -> None:
        while True:
            await asyncio.sleep(0.05)
            writer.write(drip)

    task = asyncio.create_task(dripping())
    came = bytearray()
    try:
        async with asyncio.timeout(5):
            while piece := await reader.read(4096):
                came += piece
    except ConnectionResetError:
        pass  # a drop was under way when the server ended it
    finally:
        task.cancel()
        writer.close()
    return bytes(came)


async def test_a_connection_without_a_request_ends(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HTTP_KEEP_ALIVE", 0.2)
    assert await ends_within(house.port("http"), b"") == b""
    raw = await ends_within(house.port("http"), b"GET /x.js HTTP/1.1\r\nHost: a\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 404"), "and one that carried a request already"


async def test_a_head_that_drips_ends_the_connection(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_KEEP_ALIVE", 0.3)
    monkeypatch.setattr(limits, "HTTP_HEAD_TIME", 0.1)
    assert await ends_within(house.port("http"), b"GET /x.js HTTP/1.1\r\nX: ", drip=b"x") == b""


async def test_a_body_that_stops_coming_ends_the_connection(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_BODY_WAIT", 0.2)
    head = b"POST /jmap/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 90\r\n"
    assert await ends_within(house.port("http"), head + ALICE + b"\r\n{") == b""


@pytest.mark.parametrize(("more", "answers"), [(0, [b"405", b"404"]), (1, [b"405"])])
async def test_an_unread_body_is_passed_over_up_to_a_size(
    house: TestHouse, more: int, answers: list[bytes]
) -> None:
    body = b"x" * (limits.HTTP_DISCARD + more)
    first = b"POST /nothing.js HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    raw = await exchange(house.port("http"), first + body + b"GET /x.js HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]] == answers


async def test_head_has_no_body(house: TestHouse) -> None:
    answer = await answer_of(house.port("http"), b"HEAD /x.js HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert (answer.status, answer.body) == (404, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_http_1_0_ends_with_the_connection(house: TestHouse) -> None:
    raw = await exchange(house.port("http"), b"GET /x.js HTTP/1.0\r\n\r\n")
    assert raw.startswith(b"HTTP/1.1 404")
    assert b"connection: close" in raw


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/../b@c\r\n\r\n", 400),
        (b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * limits.HTTP_HEAD + b"\r\n\r\n", 431),
        (b"GET /" + b"x" * limits.HTTP_HEAD + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * (limits.HTTP_FIELDS + 1) + b"\r\n", 431),
    ],
)
async def test_broken_requests_are_refused_and_the_connection_ends(
    house: TestHouse, raw: bytes, status: int
) -> None:
    answer = await exchange(house.port("http"), raw + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_body_behind_an_unknown_upgrade_is_the_body(house: TestHouse, in_pieces: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
    head = b"POST /jmap/ HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    head += b"Content-Type: application/json\r\n" + ALICE + b"Content-Length: %d\r\n\r\n" % len(ECHO)
    last = b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + b"\r\n"
    writer.write(head if in_pieces else head + ECHO + last)
    if in_pieces:
        await writer.drain()
        await asyncio.sleep(0)
        writer.writelines([ECHO, last])
    raw = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]] == [b"200", b"401"]
    assert b'["Core/echo",{"x":[1]},"a"]' in raw


async def test_a_body_behind_an_upgrade_smuggles_no_request(house: TestHouse) -> None:
    hidden = b"GET /.well-known/jmap HTTP/1.1\r\nHost: a\r\n" + ALICE + b"\r\n"
    head = b"POST /login HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: other\r\n"
    last = b"GET /nothing.js HTTP/1.1\r\n" + CLOSE + b"\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
    writer.write(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(hidden))
    assert await reader.readline() in (b"HTTP/1.1 100 Continue\r\n", b"HTTP/1.1 403 Forbidden\r\n")
    writer.writelines([hidden, last])
    raw = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert b"apiUrl" not in raw


async def test_pipelined_requests_behind_an_unknown_upgrade_are_answered(house: TestHouse) -> None:
    request = b"GET /nothing.js HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + b"\r\n"
    raw = await exchange(house.port("http"), request * 2 + last)
    assert [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]] == [b"404", b"404", b"401"]


async def test_trailers_are_no_fields_of_the_head(house: TestHouse) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(ECHO), ECHO)
    head = b"POST /jmap/ HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    answer = await answer_of(house.port("http"), head + CLOSE + b"\r\n" + chunks + ALICE + b"\r\n")
    assert answer.status == 401, "a login in the trailers is none"
    raw = head + CLOSE + ALICE + b"\r\n" + chunks + b"Host: other\r\nDigest: x\r\n\r\n"
    assert (await answer_of(house.port("http"), raw)).status == 200


async def test_what_came_whole_is_answered_before_the_end(house: TestHouse) -> None:
    whole = b"GET /nothing.js HTTP/1.1\r\nHost: a\r\n\r\n"
    raw = await exchange(house.port("http"), whole + b"\x16\x03\x01\r\n\r\n")
    assert [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]] == [b"404", b"501"]
    raw = await exchange(house.port("http"), b"GET /nothing.js HTTP/1.1\r\n" + CLOSE + b"\r\n" + whole)
    assert [part.split()[0] for part in raw.split(b"HTTP/1.1 ")[1:]] == [b"404"]


async def test_the_same_over_tls(house: TestHouse) -> None:
    trusting = ssl._create_unverified_context()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("https"), ssl=trusting)
    writer.write(b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + ALICE + b"\r\n")
    raw = await reader.read()
    writer.close()
    assert raw.startswith(b"HTTP/1.1 200 OK")
    assert b"strict-transport-security: max-age=31536000" in raw
    assert b'"apiUrl":"https://mail.example.test/jmap/"' in raw


async def test_every_response_carries_the_security_fields(house: TestHouse) -> None:
    answer = await answer_of(house.port("http"), b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "strict-transport-security" not in answer.headers


async def test_pages_of_other_origins_may_read_jmap_and_nothing_else(house: TestHouse) -> None:
    asked = b"Origin: https://client.test\r\nAccess-Control-Request-Method: POST\r\n"
    answer = await answer_of(house.port("http"), b"OPTIONS /jmap/ HTTP/1.1\r\n" + CLOSE + asked + b"\r\n")
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    answer = await answer_of(house.port("http"), b"GET / HTTP/1.1\r\n" + CLOSE + asked + b"\r\n")
    assert "access-control-allow-origin" not in answer.headers


async def test_without_credentials_the_session_is_refused(house: TestHouse) -> None:
    answer = await answer_of(house.port("http"), b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + b"\r\n")
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Basic ")
    same = b"Sec-Fetch-Site: same-origin\r\n"
    answer = await answer_of(
        house.port("http"), b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + same + b"\r\n"
    )
    assert answer.status == 401
    assert "www-authenticate" not in answer.headers


async def test_a_wrong_password_is_refused(house: TestHouse) -> None:
    wrong = b"Authorization: Basic " + base64.b64encode(b"alice@example.test:rabbit") + b"\r\n"
    octets = [b"Authorization: %b \xff\xfe\r\n" % scheme for scheme in (b"Basic", b"Bearer", b"\xff")]
    no_text = b"Authorization: Basic " + base64.b64encode(b"\xff:\xff") + b"\r\n"
    for field in (wrong, b"Authorization: Basic !!!\r\n", no_text, *octets, b"Cookie: posthouse=\xff\r\n"):
        raw = b"GET /.well-known/jmap HTTP/1.1\r\n" + CLOSE + field + b"\r\n"
        assert (await answer_of(house.port("http"), raw)).status == 401
