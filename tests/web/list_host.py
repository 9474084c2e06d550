"""A list that offers to be left by one click (RFC 8058): its web server on loopback, its key, and its mail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from posthouse.msgauth.dkim_sign import SigningKey, key_record, make_private_key
from posthouse.net.certificates import ensure_pair
from posthouse.store.interface import AddEmail
from posthouse.store.model import Content
from posthouse.web.one_click import OneClick
from tests.fakes.resolver import FakeResolver
from tests.house import TestHouse

KEY = SigningKey(
    domain="list.test", selector="s", algorithm="ed25519-sha256", key=make_private_key("ed25519-sha256")
)
ZONE = f'list.test. A 127.0.0.1\ns._domainkey.list.test. TXT "{key_record(KEY.key)}"'
COVERED = "from:subject:list-unsubscribe:list-unsubscribe-post"
ONE_CLICK = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


class ListHost:
    """A list's web server on loopback, with a certificate of its own."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        self.drips = False
        """Its answer comes octet by octet and never ends."""

    async def start(self, folder: Path) -> None:
        pair = (folder / "c.pem", folder / "k.pem")
        ensure_pair(*pair, "list.test", datetime.now(UTC))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*pair)
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heard.append(head + await reader.readexactly(26))
        while self.drips and not writer.is_closing():
            writer.write(b"H")
            await asyncio.sleep(0.02)
        writer.write(self.answer)
        await writer.drain()
        writer.close()


def letter(host: ListHost, *, post: str = ONE_CLICK, scheme: str = "https", more: str = "") -> bytes:
    address = f"<mailto:leave@list.test>, <{scheme}://list.test:{host.port}/leave?who=4711>"
    lines = ["From: News <news@list.test>", "Subject: x", f"List-Unsubscribe: {address}", post, more]
    return ("\r\n".join(filter(None, lines)) + "\r\n\r\nNews.\r\n").encode()


async def put(house: TestHouse, raw: bytes, *, prefix: bytes = b"") -> str:
    account = house.accounts["alice@example.test"].account_id
    box = await house.app.store.mailbox(account, "INBOX")
    assert box is not None
    added = await house.app.store.apply(
        AddEmail(
            account_id=account,
            mailbox_id=box.mailbox_id,
            content=Content.of(raw),
            prefix=prefix,
            received_at=1,
        )
    )
    return f"M{added.email_id}"


@asynccontextmanager
async def believed(house: TestHouse) -> AsyncIterator[None]:
    """Let the house believe the list's certificate and address."""
    resolver = FakeResolver(ZONE)
    one_click = OneClick(resolver, allowed=lambda _: True, verify=False)
    services = house.app._jmap
    msgspec.structs.force_setattr(services, "resolver", resolver)
    msgspec.structs.force_setattr(services, "unsubscribe", one_click.post)
    yield
    await one_click.close()
