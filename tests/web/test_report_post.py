"""TLS reports by HTTPS (RFC 8460 §5.4): what goes out to a real host, and what its answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse.errors import Temporary
from posthouse.web import report_post
from posthouse.web.report_post import ReportPost
from tests.fakes.resolver import FakeResolver
from tests.web.list_host import ListHost

REPORT = b"a report of twenty-six oct"
ZONE = "list.test. A 127.0.0.1"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[ListHost]:
    host = ListHost()
    await host.start(tmp_path)
    yield host
    host.server.close()


async def posted(host: ListHost, **how: bool) -> bool:
    post = ReportPost(FakeResolver(ZONE), allowed=lambda _: True, **how)
    try:
        return await post.post(f"https://list.test:{host.port}/tlsrpt?for=x", REPORT)
    finally:
        await post.close()


def answer(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()


async def test_the_report_as_the_host_gets_it(host: ListHost) -> None:
    assert await posted(host, verify=False)
    [heard] = host.heard
    head, _, body = heard.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"post /tlsrpt?for=x http/1.1"
    assert b"content-type: application/tlsrpt+gzip" in lines
    assert f"host: list.test:{host.port}".encode() in lines
    assert body == REPORT


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "204 No Content"])
async def test_taken(host: ListHost, status: str) -> None:
    host.answer = answer(status)
    assert await posted(host, verify=False)


@pytest.mark.parametrize("status", ["404 Not Found", "301 Moved", "415 No"])
async def test_refused_for_good(host: ListHost, status: str) -> None:
    """A redirect is not followed: the record names the host."""
    host.answer = answer(status)
    assert not await posted(host, verify=False)


@pytest.mark.parametrize("status", ["503 Away", "500 Oh", "429 Slow"])
async def test_later(host: ListHost, status: str) -> None:
    host.answer = answer(status)
    with pytest.raises(Temporary):
        await posted(host, verify=False)


async def test_a_host_that_drips_is_asked_later(host: ListHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_post, "TLS_REPORT_TIME", 0.2)
    host.drips = True
    async with asyncio.timeout(3):
        with pytest.raises(Temporary):
            await posted(host, verify=False)


async def test_a_certificate_that_nobody_signed_is_not_believed(host: ListHost) -> None:
    with pytest.raises(Temporary):
        await posted(host, verify=True)
    assert host.heard == []


async def test_nobody_in_the_house_is_asked(host: ListHost) -> None:
    post = ReportPost(FakeResolver(ZONE), verify=False)
    assert not await post.post(f"https://list.test:{host.port}/", REPORT)
    assert host.heard == []
    await post.close()
