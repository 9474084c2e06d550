"""A small browser: keeps cookies as one would, says where its requests come from, follows nothing by itself."""

from __future__ import annotations

import asyncio
import re
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import msgspec

from tests.house import TestHouse


class Page(msgspec.Struct):
    """An answer."""

    status: int
    fields: list[tuple[str, str]]
    text: str

    def first(self, name: str) -> str:
        return next((value for other, value in self.fields if other == name), "")

    def all(self, name: str) -> list[str]:
        return [value for other, value in self.fields if other == name]

    @property
    def form(self) -> str:
        found = re.search(r'name="form" value="([^"]+)"', self.text)
        assert found, self.text
        return found[1]


class Browser:
    """One visitor of a house's http listener."""

    def __init__(self, house: TestHouse, peer: str = "127.0.0.1") -> None:
        self.port = house.port("http")
        self.peer = peer
        self.cookies: dict[str, str] = {}

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def get(self, path: str, **fields: str) -> Page:
        return await self.send("GET", path, b"", fields)

    async def post(self, path: str, body: bytes, **fields: str) -> Page:
        return await self.send("POST", path, body, {"origin": f"http://{self.host}"} | fields)

    async def submit(self, path: str, values: dict[str, str], **fields: str) -> Page:
        kind = {"content_type": "application/x-www-form-urlencoded"}
        return await self.post(path, urlencode(values).encode(), **(kind | fields))

    async def send(self, method: str, path: str, body: bytes, fields: dict[str, str]) -> Page:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.peer, 0))
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        raw = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        head, _, rest = raw.partition(b"\r\n\r\n")
        first, *told = head.decode().split("\r\n")
        pairs = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in told)]
        if ("transfer-encoding", "chunked") in pairs:
            rest = _unchunked(rest)
        page = Page(int(first.split()[1]), pairs, rest.decode("utf-8", "replace"))
        for line in page.all("set-cookie"):
            self._keep(line)
        return page

    def _keep(self, line: str) -> None:
        for name, morsel in SimpleCookie(line).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = morsel.value

    async def sign_in(self, login: str, password: str, onward: str = "/") -> Page:
        page = await self.get("/login")
        values = {"form": page.form, "next": onward, "login": login, "password": password}
        return await self.submit("/login", values)


def _unchunked(raw: bytes) -> bytes:
    out = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        octets = int(size, 16)
        if not octets:
            break
        out, raw = out + raw[:octets], raw[octets + 2 :]
    return out
