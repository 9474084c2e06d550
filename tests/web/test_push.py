"""EventSource (RFC 8620 §7.3) and WebSocket (RFC 8887): what one client does, another hears at once."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import imaplib
import json
import os
import time
from typing import Any

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, CloseConnection, Ping, RejectConnection, Request, TextMessage

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.credentials import CredentialKind, RemoveCredentials
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import Expunge, MoveEmails, PutItem, SetFlags
from posthouse.web.http_reader import Head
from posthouse.web.websocket import WebSocketExchange
from tests.house import TestHouse
from tests.jmap.conftest import Client
from tests.machine import slowness

ALL_BUFFERS = 32 * 2**20
"""Octets: more than the system keeps for both directions of a connection."""
BASIC = base64.b64encode(b"alice@example.test:wonderland").decode()


class Stream:
    """One open EventSource."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(
        cls, house: TestHouse, query: str = "types=*&closeafter=no&ping=0", **headers: str
    ) -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
        headers = {"Authorization": f"Basic {BASIC}"} | headers
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"GET /jmap/eventsource/?{query} HTTP/1.1\r\nHost: a\r\n{more}\r\n"
        writer.write(head.encode())
        made = cls(reader, writer)
        made.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return made

    head = ""

    async def event(self) -> dict[str, str]:
        """The next event that is no comment."""
        while True:
            size = int(await asyncio.wait_for(self._reader.readline(), 10), 16)
            if not size:
                return {}
            text = (await self._reader.readexactly(size + 2)).decode().strip()
            if not text.startswith(":"):
                pairs = (line.partition(": ") for line in text.split("\n"))
                return {name: value for name, _, value in pairs}

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


def changed(event: dict[str, str]) -> dict[str, str]:
    """Type → state of the one account."""
    assert event["event"] == "state"
    data = json.loads(event["data"])
    assert data["@type"] == "StateChange"
    (states,) = data["changed"].values()
    found: dict[str, str] = states
    return found


async def test_new_mail_is_told_at_once(house: TestHouse) -> None:
    stream = await Stream.open(house)
    assert "text/event-stream" in stream.head
    await house.fill("alice@example.test", 1)
    states = changed(await stream.event())
    assert {"Email", "Mailbox", "Thread", "EmailDelivery"} <= set(states)
    await house.fill("bob@example.test", 1)
    await house.fill("alice@example.test", 1)
    assert changed(await stream.event())["Email"] != states["Email"]
    await stream.close()


@pytest.mark.slow
async def test_what_is_sent_on_behind_a_stream_is_not_read_for_ever(house: TestHouse) -> None:
    """Whoever pipelines a request behind a stream that stays open would have it wait in our memory."""
    stream = await Stream.open(house)
    head = b"POST /nothing.js HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    stream._writer.write(head % ALL_BUFFERS)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2):
            for _ in range(0, ALL_BUFFERS, 2**20):
                stream._writer.write(bytes(2**20))
                await stream._writer.drain()
    await house.fill("alice@example.test", 1)
    assert "Email" in changed(await stream.event()), "the stream goes on"
    stream._writer.transport.abort()
    async with asyncio.timeout(10):
        while house.app._gate.open:  # who is not read from is missed when something is to be said
            await house.fill("alice@example.test", 1)


async def test_email_delivery_is_for_new_mail_in_any_mailbox_and_nothing_else(house: TestHouse) -> None:
    """RFC 8621 §1.5."""
    alice = house.accounts["alice@example.test"].account_id
    store = house.app.store
    stream = await Stream.open(house)
    for mailbox in ("Junk", "Drafts", "INBOX"):
        await house.fill("alice@example.test", 1, mailbox=mailbox)
        assert "EmailDelivery" in changed(await stream.event())
    inbox, trash = await store.mailbox(alice, "INBOX"), await store.mailbox(alice, "Trash")
    assert inbox is not None
    assert trash is not None
    key = {"account_id": alice, "uids": Ranges([(1, 1)])}
    seen = frozenset({"\\Seen"})
    for op in (
        SetFlags(**key, mailbox_id=inbox.mailbox_id, action="add", flags=seen),
        MoveEmails(**key, source_id=inbox.mailbox_id, target_id=trash.mailbox_id),
        Expunge(**key, mailbox_id=trash.mailbox_id, force=True),
    ):
        await store.apply(op)
        assert set(changed(await stream.event())) == {"Email", "Mailbox", "Thread"}
    await stream.close()


async def test_only_wanted_types_and_no_more_than_one_event(house: TestHouse) -> None:
    stream = await Stream.open(house, "types=Mailbox&closeafter=state&ping=0")
    await house.fill("alice@example.test", 1)
    assert set(changed(await stream.event())) == {"Mailbox"}
    assert await stream.event() == {}
    await stream.close()


async def test_what_was_missed_is_told_when_coming_back(house: TestHouse) -> None:
    stream = await Stream.open(house)
    await house.fill("alice@example.test", 1)
    mark = (await stream.event())["id"]
    await stream.close()
    await house.fill("alice@example.test", 1)
    stream = await Stream.open(house, **{"Last-Event-ID": mark})
    assert "Email" in changed(await stream.event())
    await stream.close()


@pytest.mark.parametrize("query", ["closeafter=never", "ping=-1", "ping=x"])
async def test_streams_that_cannot_be(house: TestHouse, query: str) -> None:
    stream = await Stream.open(house, query)
    assert stream.head.startswith("HTTP/1.1 400")
    await stream.close()


async def test_streams_end_when_the_house_does(house: TestHouse) -> None:
    stream = await Stream.open(house)
    await house.app._listeners["http"].stop(grace=5)
    with pytest.raises((asyncio.IncompleteReadError, ValueError, ConnectionError)):
        await stream.event()
    await stream.close()


# --- WebSocket ------------------------------------------------------------------------------------------------


class Socket:
    """One WebSocket client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = WSConnection(ConnectionType.CLIENT)

    @classmethod
    async def open(cls, house: TestHouse, *, subprotocols: list[str], **headers: str) -> tuple[Socket, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
        made = cls(reader, writer)
        extra = [(name.encode(), value.encode()) for name, value in headers.items()]
        writer.write(
            made._frames.send(
                Request(host="mail.test", target="/jmap/ws", subprotocols=subprotocols, extra_headers=extra)
            )
        )
        return made, await made.event()

    async def event(self) -> Any:
        for event in self._frames.events():
            return event
        while True:
            data = await asyncio.wait_for(self._reader.read(65536), 10)
            self._frames.receive_data(data or None)
            for event in self._frames.events():
                return event

    async def send(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self._writer.write(self._frames.send(TextMessage(data=text)))
        await self._writer.drain()

    async def receive(self) -> Any:
        """The next whole message."""
        text = ""
        while True:
            event = await self.event()
            assert isinstance(event, TextMessage), event
            text += event.data
            if event.message_finished:
                return json.loads(text)

    async def close(self) -> None:
        self._writer.write(self._frames.send(CloseConnection(code=1000)))
        assert isinstance(await self.event(), CloseConnection)
        self._writer.close()

    async def ended(self) -> int:
        """The code with which the server closes."""
        event = await self.event()
        assert isinstance(event, CloseConnection), event
        self._writer.close()
        return int(event.code)


async def opened(house: TestHouse) -> Socket:
    socket, event = await Socket.open(house, subprotocols=["jmap"], Authorization=f"Basic {BASIC}")
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "jmap"
    return socket


async def test_requests_over_a_websocket(house: TestHouse) -> None:
    socket = await opened(house)
    request = {
        "@type": "Request",
        "id": "R1",
        "using": ["urn:ietf:params:jmap:core"],
        "methodCalls": [["Core/echo", {"a": 1}, "x"]],
    }
    await socket.send(request)
    answer = await socket.receive()
    assert (answer["@type"], answer["requestId"]) == ("Response", "R1")
    assert answer["methodResponses"] == [["Core/echo", {"a": 1}, "x"]]
    large = dict(request, methodCalls=[["Core/echo", {"a": "x" * 300_000}, "x"]])
    await socket.send(large)
    assert len((await socket.receive())["methodResponses"][0][1]["a"]) == 300_000
    for text, kind in (
        ("{", "notJSON"),
        ('{"@type": "Request", "id": "R1", "id": "R2", "using": [], "methodCalls": []}', "notJSON"),
        ("[]", "notRequest"),
        ('{"@type": "Nobody", "id": "R2"}', "notRequest"),
        ('{"@type": "Request", "id": "R3", "using": ["urn:x"], "methodCalls": []}', "unknownCapability"),
    ):
        await socket.send(text)
        fault = await socket.receive()
        assert (fault["@type"], fault["type"]) == ("RequestError", f"urn:ietf:params:jmap:error:{kind}")
    assert fault["requestId"] == "R3"
    await socket.close()


async def test_pushes_over_a_websocket(house: TestHouse) -> None:
    socket = await opened(house)
    await socket.send({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
    await socket.send({"@type": "Request", "using": [], "methodCalls": []})
    assert (await socket.receive())["@type"] == "Response"
    await house.fill("alice@example.test", 1)
    pushed = await socket.receive()
    assert pushed["@type"] == "StateChange"
    (states,) = pushed["changed"].values()
    assert set(states) == {"Email"}
    await socket.send({"@type": "WebSocketPushDisable"})
    await house.fill("alice@example.test", 1)
    await socket.send(
        {"@type": "WebSocketPushEnable", "dataTypes": ["Email"], "pushState": pushed["pushState"]}
    )
    (missed,) = (await socket.receive())["changed"].values()
    assert missed["Email"] != states["Email"]
    await socket.close()


async def test_a_push_that_cannot_go_on_ends_the_socket(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that hears nothing and knows nothing of it would wait for ever."""
    socket = await opened(house)
    await socket.send({"@type": "WebSocketPushEnable", "dataTypes": ["Email"]})
    await socket.send({"@type": "Request", "using": [], "methodCalls": []})
    assert (await socket.receive())["@type"] == "Response"

    async def away(account_id: int) -> Any:
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(house.app.store, "states", away)
    await house.fill("alice@example.test", 1)
    assert await socket.ended() == 1013


async def test_who_pings_and_never_reads_is_not_answered_into_memory(house: TestHouse) -> None:
    """The server stops reading once its answers are not taken: the client cannot go on writing."""
    socket = await opened(house)
    socket._reader._transport.pause_reading()  # type: ignore[attr-defined]
    pings = b"".join(socket._frames.send(Ping(payload=b"x" * 125)) for _ in range(500))
    written = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(20):
            while written < ALL_BUFFERS:
                socket._writer.write(pings)
                async with asyncio.timeout(1):
                    await socket._writer.drain()
                written += len(pings)
    assert written < ALL_BUFFERS
    socket._writer.transport.abort()


async def test_a_client_that_says_nothing_is_pinged_and_then_gone(
    house: TestHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HTTP_WEBSOCKET_IDLE", 0.1)
    socket = await opened(house)
    async with asyncio.timeout(3):
        assert isinstance(await socket.event(), Ping)
        await socket._reader.read()  # to the end
    assert socket._reader.at_eof()


async def test_fragments_without_text_are_not_kept() -> None:
    """They never come to the limit of a message, however many there are."""

    async def nobody(*_: Any) -> None: ...

    head = Head(method="GET", target=b"/", headers=[], version="1.1", keep_alive=True, upgrade=True)
    exchange = WebSocketExchange(nobody, {}, head)
    for data in ("a", "", "", ""):
        assert exchange._gather(TextMessage(data=data, message_finished=False)) is None
    assert exchange._text == ["a"]
    assert exchange._gather(TextMessage(data="")) == {"type": "websocket.receive", "text": "a"}


async def test_who_is_logged_out_hears_and_does_nothing_more(house: TestHouse) -> None:
    """Connections that stay open must not outlive the credentials that opened them."""
    alice = house.accounts["alice@example.test"]
    store, bearers = house.app.store, house.app.house.security.bearers
    _, token = await bearers.add_token(alice, name="x", scope=(), expires_at=0)
    bearer = {"Authorization": f"Bearer {token}"}
    (talking, _), (listening, _) = [await Socket.open(house, subprotocols=["jmap"], **bearer) for _ in "ab"]
    stream = await Stream.open(house, **bearer)
    push = {"@type": "WebSocketPushEnable", "dataTypes": ["Email"]}
    request = {"@type": "Request", "using": [], "methodCalls": []}
    for socket, message in ((talking, request), (listening, push), (listening, request)):
        await socket.send(message)
    for socket in (talking, listening):
        assert (await socket.receive())["@type"] == "Response"
    await store.apply(RemoveCredentials(account_id=alice.account_id, kind=CredentialKind.TOKEN))
    await house.fill("alice@example.test", 1)
    assert await stream.event() == {}
    await talking.send(request)
    for socket in (talking, listening):
        assert await socket.ended() == 1008
    await stream.close()


@pytest.mark.parametrize("revoked", [True, False])
async def test_streams_end_with_what_opened_them_though_nothing_happens(
    house: TestHouse, revoked: bool
) -> None:
    """Revoked or over: within a second, as in the other protocols, not when there is news."""
    alice = house.accounts["alice@example.test"]
    bearers = house.app.house.security.bearers
    end = int(time.time()) + 2
    _, token = await bearers.add_token(alice, name="x", scope=(), expires_at=0 if revoked else end)
    bearer = {"Authorization": f"Bearer {token}"}
    socket, _ = await Socket.open(house, subprotocols=["jmap"], **bearer)
    stream, stays = await Stream.open(house, **bearer), await opened(house)
    if revoked:
        end = int(time.time())
        removal = RemoveCredentials(account_id=alice.account_id, kind=CredentialKind.TOKEN)
        await house.app.store.apply(removal)
    assert await stream.event() == {}
    assert await socket.ended() == 1008
    assert end <= time.time() < end + 1 + slowness()
    assert len(house.app.house.directory.open_logins) == 1
    await stays.close()
    await stream.close()


@pytest.mark.parametrize(
    ("subprotocols", "headers"),
    [
        (["jmap"], {}),
        (["jmap"], {"Authorization": "Basic !!!"}),
        (["other"], {"Authorization": f"Basic {BASIC}"}),
        (["jmap"], {"Origin": "https://evil.test"}),
    ],
)
async def test_sockets_that_are_refused(
    house: TestHouse, subprotocols: list[str], headers: dict[str, str]
) -> None:
    _, event = await Socket.open(house, subprotocols=subprotocols, **headers)
    assert isinstance(event, RejectConnection), event
    assert event.status_code in {401, 403}


async def test_noise_on_a_websocket_ends_it(house: TestHouse) -> None:
    socket = await opened(house)
    socket._writer.write(os.urandom(2000))
    for _ in range(50):
        event = await socket.event()
        if isinstance(event, CloseConnection):
            break
    assert isinstance(event, CloseConnection)
    assert (await opened(house)) is not None


# --- together with IMAP -------------------------------------------------------------------------------------


async def test_a_flag_set_by_imap_is_heard_and_seen_at_once_and_the_other_way_round(house: TestHouse) -> None:
    await house.fill("alice@example.test", 1)
    client = Client(house, "alice@example.test", "wonderland")
    stream = await Stream.open(house)
    imap = await asyncio.to_thread(imaplib.IMAP4, "127.0.0.1", house.port("imap"))
    try:
        await asyncio.to_thread(imap.login, "alice@example.test", "wonderland")
        await asyncio.to_thread(imap.select, "INBOX")
        await asyncio.to_thread(imap.store, "1", "+FLAGS", "(\\Flagged Label)")
        assert "Email" in changed(await stream.event())
        (name,) = (await client.call("Email/query", filter={"hasKeyword": "$flagged"}))["ids"]
        (email,) = await client.get(name, properties=["keywords", "mailboxIds", "threadId"])
        assert email["keywords"] == {"$flagged": True, "label": True}
        await client.call("Email/set", update={name: {"keywords": {"$seen": True, "$answered": True}}})
        fetched = await asyncio.to_thread(imap.fetch, "1", "(FLAGS EMAILID THREADID)")
        text = fetched[1][0].decode()
        assert "\\Seen" in text
        assert "\\Answered" in text
        assert "\\Flagged" not in text
        assert f"EMAILID ({name}) THREADID ({email['threadId']})" in text
    finally:
        await asyncio.to_thread(imap.logout)
        await client.http.aclose()
        await stream.close()


async def test_who_subscribes_to_anothers_mailbox_hears_of_it_and_of_nothing_else(house: TestHouse) -> None:
    """RFC 9670 §1.4."""
    alice, bob = house.accounts["alice@example.test"], house.accounts["bob@example.test"]
    store = house.app.store
    inbox = await store.mailbox(bob.account_id, "INBOX")
    assert inbox is not None
    key = {"account_id": bob.account_id, "kind": grants.KIND, "item_id": alice.account_id, "new": True}
    found = PutItem(
        account_id=alice.account_id, kind=grants.RECEIVED, item_id=bob.account_id, new=True, data=b"{}"
    )

    def given(*, subscribed: bool) -> PutItem:
        share = Share(rights=("mayReadItems",), subscribed=subscribed)
        return PutItem(**key, data=grants.encode(Grant(mailboxes={inbox.mailbox_id: share})))

    stream = await Stream.open(house, "types=Email&closeafter=no&ping=0")
    await store.commit(given(subscribed=False), found)
    await house.fill("bob@example.test", 1)
    await house.fill("alice@example.test", 1)
    event = await stream.event()
    assert set(json.loads(event["data"])["changed"]) == {f"A{alice.account_id}"}, "nothing is subscribed to"
    await store.commit(given(subscribed=True), found)
    event = await stream.event()
    assert set(json.loads(event["data"])["changed"]) == {f"A{bob.account_id}"}
    await house.fill("bob@example.test", 1, mailbox="Drafts")  # nobody else sees that
    await house.fill("bob@example.test", 1)
    event = await stream.event()
    states = json.loads(event["data"])["changed"][f"A{bob.account_id}"]
    present = await store.mailbox(bob.account_id, "INBOX")
    assert present is not None
    assert states == {"Email": str(present.highest_modseq)}
    await stream.close()
    await house.fill("bob@example.test", 1)
    stream = await Stream.open(house, "types=Email&closeafter=no&ping=0", **{"Last-Event-ID": event["id"]})
    missed = await stream.event()
    assert set(json.loads(missed["data"])["changed"]) == {f"A{bob.account_id}"}
    await store.commit(PutItem(**key, data=grants.encode(Grant())), found)
    await house.fill("bob@example.test", 1)
    await house.fill("alice@example.test", 1)
    event = await stream.event()
    assert set(json.loads(event["data"])["changed"]) == {f"A{alice.account_id}"}, "it was taken back"
    await stream.close()
