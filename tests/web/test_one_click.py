"""One-click unsubscription (RFC 8058): only where it is signed, only to hosts outside, and nothing else told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse.errors import Temporary
from posthouse.ip_addresses import is_public
from posthouse.jmap.unsubscribe import one_click_address
from posthouse.message.headers import Headers
from posthouse.web import one_click
from posthouse.web.one_click import OneClick
from tests.fakes.resolver import FakeResolver
from tests.house import TestHouse
from tests.msgauth.messages import crafted
from tests.web.list_host import COVERED, KEY, ONE_CLICK, ZONE, ListHost, believed, letter, put
from tests.web.test_own_account import Owner


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[ListHost]:
    made = ListHost()
    await made.start(tmp_path)
    yield made
    made.server.close()


@pytest.fixture
async def reader(house: TestHouse) -> AsyncIterator[Owner]:
    """alice, whose house believes the list's certificate and address."""
    async with believed(house):
        yield await Owner(house).enter()


async def test_the_list_is_told_and_learns_nothing_else(
    house: TestHouse, reader: Owner, host: ListHost
) -> None:
    email = await put(house, crafted(letter(host), KEY, h=COVERED))
    answer = await reader.call("Unsubscription/send", emailId=email)
    assert (answer["host"], answer["status"]) == ("list.test", 202)
    ((head, body),) = [each.split(b"\r\n\r\n") for each in host.heard]
    assert (head.split(b"\r\n")[0], body) == (b"POST /leave?who=4711 HTTP/1.1", b"List-Unsubscribe=One-Click")
    fields = {line.partition(b":")[0].lower().decode() for line in head.split(b"\r\n")[1:]}
    told = {"host", "user-agent", "accept", "accept-encoding", "connection", "content-type", "content-length"}
    assert fields == told


@pytest.mark.parametrize(
    ("signature", "error"),
    [
        ({"h": "from:subject"}, "notProved"),
        ({"h": "from:list-unsubscribe"}, "notProved"),
        ({"h": COVERED, "bh": "AAAA"}, "notProved"),
        ({"h": COVERED, "s": "gone"}, "notProved"),
    ],
)
async def test_without_a_good_signature_nobody_is_asked(
    house: TestHouse, reader: Owner, host: ListHost, signature: dict[str, Any], error: str
) -> None:
    email = await put(house, crafted(letter(host), KEY, **signature))
    assert await reader.error("Unsubscription/send", emailId=email) == error
    assert host.heard == []


async def test_what_was_found_at_arrival_counts(house: TestHouse, reader: Owner, host: ListHost) -> None:
    raw = crafted(letter(host), KEY, h=COVERED)
    mark = raw.partition(b"; b=")[2][:8]
    ours = b"Authentication-Results: mx.example.test; dkim=%s header.d=list.test header.b=%s\r\n"
    msgspec.structs.force_setattr(house.app._jmap, "resolver", FakeResolver(""))  # the key is gone by now
    passed = await put(house, raw, prefix=ours % (b"pass", b'"' + mark + b'"'))
    failed = await put(house, raw, prefix=ours % (b"fail", b'"' + mark + b'"'))
    other = await put(house, raw, prefix=ours % (b"pass", b"another1"))
    # RFC 6008 §4: another signature's pass, whose mark somebody gave to one of his own, proves nothing.
    said = ours.replace(b"; dkim", b"; dkim=pass header.d=x.test header.b=%s; dkim")
    twice = await put(house, raw, prefix=said % (b'"' + mark + b'"', b"fail", b'"' + mark + b'"'))
    foreign = await put(house, ours.replace(b"mx.", b"mx2.") % (b"pass", mark) + raw)
    assert (await reader.call("Unsubscription/send", emailId=passed))["status"] == 202
    for email in (failed, other, twice, foreign):
        assert await reader.error("Unsubscription/send", emailId=email) == "notProved"


async def test_a_list_that_does_not_accept(house: TestHouse, reader: Owner, host: ListHost) -> None:
    email = await put(house, crafted(letter(host), KEY, h=COVERED))
    for answer in (b"404 Not Found", b"302 Found\r\nLocation: https://list.test/", b"500 No"):
        host.answer = b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n"
        assert await reader.error("Unsubscription/send", emailId=email) == "listRefused"
    host.server.close()
    assert await reader.error("Unsubscription/send", emailId=email) == "serverUnavailable"
    assert len(host.heard) == 3


async def test_a_list_that_drips_is_left(host: ListHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_click, "UNSUBSCRIBE_TIME", 0.2)
    host.drips = True
    asking = OneClick(FakeResolver(ZONE), allowed=lambda _: True, verify=False)
    async with asyncio.timeout(3):
        with pytest.raises(Temporary):
            await asking.post(f"https://list.test:{host.port}/x")
    await asking.close()


async def test_so_many_lists_are_told_at_once(host: ListHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_click, "UNSUBSCRIBES_AT_ONCE", 2)
    host.drips = True
    asking = OneClick(FakeResolver(ZONE), allowed=lambda _: True, verify=False)
    posts = [asyncio.ensure_future(asking.post(f"https://list.test:{host.port}/x")) for _ in range(5)]
    async with asyncio.timeout(3):
        while len(host.heard) < 2 or len(asking._slots._waiters or ()) < 3:
            await asyncio.sleep(0.005)
    assert len(host.heard) == 2
    for post in posts:
        post.cancel()
    await asyncio.gather(*posts, return_exceptions=True)
    await asking.close()


async def test_nobody_is_led_inside_the_house(host: ListHost) -> None:
    one_click = OneClick(FakeResolver(ZONE), allowed=is_public, verify=False)
    for name in ("list.test", "127.0.0.1", "[::1]", "unknown.test", "10.0.0.1"):
        assert await one_click.post(f"https://{name}:{host.port}/x") is None
    assert host.heard == []
    await one_click.close()


async def test_a_certificate_must_be_good(host: ListHost) -> None:
    one_click = OneClick(FakeResolver(ZONE), allowed=lambda _: True)
    with pytest.raises(Temporary):
        await one_click.post(f"https://list.test:{host.port}/x")
    assert host.heard == []
    await one_click.close()


async def test_mail_of_others_is_out_of_reach(house: TestHouse, reader: Owner, host: ListHost) -> None:
    email = await put(house, crafted(letter(host), KEY, h=COVERED))
    bob = await Owner(house).enter("bob@example.test", "builder")
    for name in (email, "M999", "x"):
        assert await bob.error("Unsubscription/send", emailId=name) == "notFound"
    assert host.heard == []


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        (["List-Unsubscribe: <https://a.test/x>", ONE_CLICK], "https://a.test/x"),
        (["List-Unsubscribe: <mailto:a@b.test>,\r\n <HTTPS://a.test/\r\n x>", ONE_CLICK], "HTTPS://a.test/x"),
        (["List-Unsubscribe: <http://a.test/x>", ONE_CLICK], None),
        (["List-Unsubscribe: <https://a.test/x>"], None),
        (["List-Unsubscribe: <https://a.test/x>", "List-Unsubscribe-Post: something"], None),
        (["List-Unsubscribe: <https://a.test/x>", ONE_CLICK, ONE_CLICK], None),
        (["List-Unsubscribe: <https://a.test/x>", "List-Unsubscribe: <https://b.test/>", ONE_CLICK], None),
        (["List-Unsubscribe: <https://a.test/x>, <https://b.test/x>", ONE_CLICK], None),
        (["List-Unsubscribe: <https:///x>", ONE_CLICK], None),
        (["List-Unsubscribe: <https://[x>", ONE_CLICK], None),
        (["List-Unsubscribe: <https://\xe4.test/>", ONE_CLICK], None),
    ],
)
def test_what_is_offered(fields: list[str], address: str | None) -> None:
    headers = Headers.scan("\r\n".join([*fields, "", ""]).encode())
    assert one_click_address(headers) == address
