"""The reading pane's routes, and the picture proxy: what it fetches, for whom, and what it will not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.ip_addresses import is_public
from posthouse.web import reading
from posthouse.web.image_proxy import ImageProxy, NoPicture
from posthouse.web.mail_html import SafeHtml, make_safe
from tests.fakes.resolver import FakeResolver
from tests.house import TestHouse
from tests.waiting import until
from tests.web.conftest import answer_of

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels" * 10
ALICE = b"Authorization: Basic " + base64.b64encode(b"alice@example.test:wonderland") + b"\r\n"
CLOSE = b"Host: mail.example.test\r\nConnection: close\r\n"


class PictureHost:
    """Somebody's web server: a handler for each path, and what it was asked."""

    def __init__(self) -> None:
        self.paths: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head)
        writer.write(self.paths.get(head.split()[1], b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()
        writer.close()

    def put(self, path: str, body: bytes, kind: str = "image/png") -> None:
        fields = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.paths[path] = fields.encode() + body

    def redirect(self, path: str, to: str) -> None:
        self.paths[path] = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.fixture
async def pictures() -> AsyncIterator[PictureHost]:
    host = PictureHost()
    await host.start()
    yield host
    await host.stop()


@pytest.fixture
async def make_proxy() -> AsyncIterator[Callable[..., ImageProxy]]:
    made: list[ImageProxy] = []

    def make(
        allowed: Callable[[str], bool] = lambda _: True, zone: str = "pics.test. A 127.0.0.1"
    ) -> ImageProxy:
        made.append(ImageProxy(b"secret", FakeResolver(zone), allowed=allowed))
        return made[-1]

    yield make
    for proxy in made:
        await proxy.close()


async def test_a_picture_is_fetched_once_and_says_nothing_of_the_reader(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy]
) -> None:
    pictures.put("/a.png?x=1", PNG, "text/html")
    proxy = make_proxy()
    address = f"http://pics.test:{pictures.port}/a.png?x=1#there"
    for _ in range(2):
        found = await proxy.fetch(address)
        assert (found.media_type, found.content) == ("image/png", PNG)
    (head,) = pictures.asked
    fields = {line.partition(":")[0].lower() for line in head.splitlines()[1:] if line}
    assert fields == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert f"host: pics.test:{pictures.port}" in head.lower()


@pytest.mark.parametrize(
    "body",
    [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html></html>", b"", b"RIFF1234WAVE", b"%PDF-1.7"],
)
async def test_what_is_no_raster_picture_is_not_passed_on(
    body: bytes, pictures: PictureHost, make_proxy: Callable[..., ImageProxy]
) -> None:
    pictures.put("/a.png", body)
    with pytest.raises(NoPicture):
        await make_proxy().fetch(f"http://pics.test:{pictures.port}/a.png")


async def test_nobody_is_led_inside_the_house(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy]
) -> None:
    pictures.put("/a.png", PNG)
    proxy = make_proxy(is_public)
    for host in ("pics.test", "127.0.0.1", "[::1]", "unknown.test"):
        with pytest.raises(NoPicture):
            await proxy.fetch(f"http://{host}:{pictures.port}/a.png")
    assert pictures.asked == []


async def test_a_redirect_inside_is_not_followed(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy]
) -> None:
    pictures.redirect("/a.png", f"http://127.0.0.2:{pictures.port}/secret")
    proxy = make_proxy(lambda address: address == "127.0.0.1")
    with pytest.raises(NoPicture):
        await proxy.fetch(f"http://pics.test:{pictures.port}/a.png")
    assert len(pictures.asked) == 1


async def test_redirects_are_followed_up_to_the_limit(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy]
) -> None:
    pictures.put("/end", PNG)
    for step in range(1, 6):
        pictures.redirect(f"/{step}", f"/{step - 1}" if step > 1 else "/end")
    base = f"http://pics.test:{pictures.port}"
    assert (await make_proxy().fetch(f"{base}/{limits.IMAGE_REDIRECTS}")).content == PNG
    with pytest.raises(NoPicture):
        await make_proxy().fetch(f"{base}/{limits.IMAGE_REDIRECTS + 1}")


async def test_a_picture_over_the_limit_is_cut_off(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.web.image_proxy.IMAGE_SIZE", 1000)
    pictures.put("/big", PNG + b"x" * 2000)
    with pytest.raises(NoPicture):
        await make_proxy().fetch(f"http://pics.test:{pictures.port}/big")


async def test_a_host_that_says_nothing_is_given_up(
    make_proxy: Callable[..., ImageProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.web.image_proxy.IMAGE_TIME", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(Temporary):
            await make_proxy().fetch(f"http://pics.test:{silent.getsockname()[1]}/a")


@pytest.mark.slow
async def test_so_many_pictures_are_fetched_at_once(make_proxy: Callable[..., ImageProxy]) -> None:
    """A newsletter of a thousand pictures, or a reader who is none, takes no more connections."""
    go, open_now, most = asyncio.Event(), 0, 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal open_now, most
        await reader.readuntil(b"\r\n\r\n")
        open_now += 1
        most = max(most, open_now)
        await go.wait()
        open_now -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(PNG) + PNG)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy = make_proxy()
    fetched = [asyncio.ensure_future(proxy.fetch(f"http://pics.test:{port}/{n}.png")) for n in range(40)]
    await until(lambda: most >= 16)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await asyncio.gather(*fetched)
    go.set()
    assert most == 16
    server.close()


@pytest.mark.slow
async def test_so_many_texts_are_made_safe_at_once(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes a core for as long as it lasts."""
    go, under_way, most = threading.Event(), 0, 0

    def slow(source: str, proxied: object) -> SafeHtml:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        go.wait(10)
        under_way -= 1
        return make_safe("", lambda address: address)

    monkeypatch.setattr(reading, "make_safe", slow)
    raw = b"POST /mail/safe HTTP/1.1\r\n" + CLOSE + ALICE + b"Content-Length: 1\r\n\r\nx"
    asked = [asyncio.ensure_future(answer_of(house.port("http"), raw)) for _ in range(8)]
    await until(lambda: most >= 2)
    done, _ = await asyncio.wait(asked, timeout=0.2)
    assert not done
    go.set()
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}
    assert most == 2


async def test_what_is_kept_is_bounded(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.web.image_proxy.IMAGES_KEPT", 2 * len(PNG))
    proxy = make_proxy()
    for name in "abc":
        pictures.put(f"/{name}", PNG)
    for name in "abcca":
        await proxy.fetch(f"http://pics.test:{pictures.port}/{name}")
    assert [head.split()[1] for head in pictures.asked] == ["/a", "/b", "/c", "/a"]


async def test_who_asks_at_the_same_time_counts_once(
    pictures: PictureHost, make_proxy: Callable[..., ImageProxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.web.image_proxy.IMAGES_KEPT", 2 * len(PNG))
    proxy = make_proxy()
    for name in "ab":
        pictures.put(f"/{name}", PNG)
    addresses = {name: f"http://pics.test:{pictures.port}/{name}" for name in "ab"}
    await asyncio.gather(*(proxy.fetch(addresses["a"]) for _ in range(4)))
    asked = len(pictures.asked)
    for name in "baba":
        assert (await proxy.fetch(addresses[name])).content == PNG
    assert [head.split()[1] for head in pictures.asked[asked:]] == ["/b"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("2606:2800:220:1::1", True),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("fe80::1", False),
        ("fd00::1", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "address",
    [
        "ftp://pics.test/a",
        "http:///a",
        "http://user@pics.test/a",
        "http://pics.test:99999/a",
        "file:///etc/passwd",
    ],
)
async def test_other_addresses_are_refused(address: str, make_proxy: Callable[..., ImageProxy]) -> None:
    with pytest.raises(NoPicture):
        await make_proxy().fetch(address)


# --- the routes ---------------------------------------------------------------------------------------------


async def test_html_is_made_safe_for_who_is_logged_in_only(house: TestHouse) -> None:
    html = b'<p onclick=x()>Hi<img src="https://a.example/p.png"></p>'
    length = b"Content-Length: %d\r\n\r\n" % len(html)
    refused = await answer_of(house.port("http"), b"POST /mail/safe HTTP/1.1\r\n" + CLOSE + length + html)
    assert refused.status == 401
    answer = await answer_of(
        house.port("http"), b"POST /mail/safe HTTP/1.1\r\n" + CLOSE + ALICE + length + html
    )
    assert answer.status == 200
    found = msgspec.json.decode(answer.body)
    assert found["remoteImages"] == 1
    assert "onclick" not in found["html"]
    key = found["html"].partition("remote:")[2].partition('"')[0].replace("&amp;", "&")
    assert key.startswith("/mail/image?url=https%3A%2F%2Fa.example%2Fp.png&key=")


async def test_an_address_that_was_not_signed_is_not_fetched(house: TestHouse) -> None:
    request = b"GET /mail/image?url=https%3A%2F%2Fa.example%2Fp.png&key=AAAA HTTP/1.1\r\n"
    assert (await answer_of(house.port("http"), request + CLOSE + b"\r\n")).status == 401
    assert (await answer_of(house.port("http"), request + CLOSE + ALICE + b"\r\n")).status == 403


async def test_a_text_that_is_too_long_is_refused(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.web.reading.MAIL_HTML", 100)
    request = b"POST /mail/safe HTTP/1.1\r\n" + CLOSE + ALICE + b"Content-Length: 101\r\n\r\n" + b"x" * 101
    assert (await answer_of(house.port("http"), request)).status == 413


async def test_the_frame_runs_nothing_and_is_held_by_us_only(house: TestHouse) -> None:
    answer = await answer_of(house.port("http"), b"GET /mail/frame HTTP/1.1\r\n" + CLOSE + b"\r\n")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
