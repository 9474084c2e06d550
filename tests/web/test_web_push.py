"""Push subscriptions (RFC 8620 §7.2) from creation to the push, and the cryptography of Web Push (RFC 8291, 8292)."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.web.web_push import VapidKey, encrypt
from tests.house import TestHouse
from tests.jmap.conftest import Client


def raw(text: str) -> bytes:
    """Base64url."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_rfc_8291() -> None:
    private = int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        raw("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
        raw("BTBZMqHH6r4Tts7J_aSIgg"),
        key=ec.derive_private_key(private, ec.SECP256R1()),
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert body == raw(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_proof_of_who_sends_can_be_verified() -> None:
    key = VapidKey.from_secret(b"secret")
    assert key.public == VapidKey.from_secret(b"secret").public != VapidKey.from_secret(b"other").public
    field = key.authorization("https://push.test:444/x?y", "mailto:a@b.test", 1000)
    token, _, public = field.removeprefix("vapid t=").partition(", k=")
    head, claims, signature = token.split(".")
    assert json.loads(raw(head)) == {"typ": "JWT", "alg": "ES256"}
    assert json.loads(raw(claims)) == {"aud": "https://push.test:444", "exp": 44200, "sub": "mailto:a@b.test"}
    r, s = raw(signature)[:32], raw(signature)[32:]
    der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(public))
    point.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


class Service:
    """A push service that keeps what it is told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.status = 201
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        while " /drips" in head[0]:
            if writer.is_closing():
                return
            writer.write(b"H")
            await asyncio.sleep(0.02)
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        self.told.put_nowait((fields, await reader.readexactly(int(fields["content-length"]))))
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status)
        writer.close()

    async def next(self) -> tuple[dict[str, str], bytes]:
        return await asyncio.wait_for(self.told.get(), 10)


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    import ssl

    made = Service()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def alice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setattr(limits, "PUSH_PAUSE", 0.01)
    house = await TestHouse.open(tmp_path)
    assert house.app._pusher is not None
    house.app._pusher._allowed = lambda address: address == "127.0.0.1"
    house.app._pusher._verify = False
    client = Client(house, "alice@example.test", "wonderland")
    yield client
    await client.http.aclose()
    await house.close()


async def call(client: Client, name: str, **arguments: Any) -> Any:
    """One method without an account."""
    answer = await client.request([[name, arguments, "a"]])
    return answer["methodResponses"][0][1]


async def test_a_device_is_verified_and_then_told(alice: Client, service: Service) -> None:
    given = {"deviceClientId": "d", "url": f"https://127.0.0.1:{service.port}/push?x=1", "types": ["Email"]}
    made = (await call(alice, "PushSubscription/set", create={"p": given}))["created"]["p"]
    assert made["keys"] is None
    fields, body = await service.next()
    told = json.loads(body)
    assert (told["@type"], told["pushSubscriptionId"]) == ("PushVerification", made["id"])
    assert fields["content-type"] == "application/json"
    assert fields["authorization"].startswith("vapid t=")
    assert int(fields["ttl"]) > 0
    (before,) = (await call(alice, "PushSubscription/get"))["list"]
    same = await call(alice, "PushSubscription/set", update={made["id"]: before})
    assert (before["verificationCode"], same["updated"]) == (None, {made["id"]: None})
    wrong = await call(alice, "PushSubscription/set", update={made["id"]: {"verificationCode": "x"}})
    assert wrong["notUpdated"][made["id"]]["type"] == "invalidProperties"
    right = {made["id"]: {"verificationCode": told["verificationCode"]}}
    assert (await call(alice, "PushSubscription/set", update=right))["updated"] == {made["id"]: None}
    (shown,) = (await call(alice, "PushSubscription/get"))["list"]
    assert set(shown) == {"id", "deviceClientId", "verificationCode", "expires", "types"}
    while service.told.empty():
        await alice.house.fill("alice@example.test", 1)
        await asyncio.sleep(0.05)
    change = json.loads((await service.next())[1])
    assert change["@type"] == "StateChange"
    assert set(change["changed"][alice.account_id]) == {"Email"}
    service.status = 410
    while (await call(alice, "PushSubscription/get"))["list"]:
        await alice.house.fill("alice@example.test", 1)
        await asyncio.sleep(0.05)


async def test_a_service_that_drips_holds_no_other(
    alice: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PUSH_TIME", 0.2)
    create = {
        path: {"deviceClientId": path, "url": f"https://127.0.0.1:{service.port}/{path}"}
        for path in ("drips", "fine")
    }
    made = (await call(alice, "PushSubscription/set", create=create))["created"]
    async with asyncio.timeout(3):
        _, body = await service.told.get()
    assert json.loads(body)["pushSubscriptionId"] == made["fine"]["id"]


async def test_pushes_go_on_after_the_store_was_away(
    alice: Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"deviceClientId": "d", "url": f"https://127.0.0.1:{service.port}/push", "types": ["Email"]}
    made = (await call(alice, "PushSubscription/set", create={"p": given}))["created"]["p"]
    code = json.loads((await service.next())[1])["verificationCode"]
    monkeypatch.setattr(limits, "PUSH_REST", 0.01)
    store = alice.house.app.store
    items, failed = store.items, asyncio.Event()

    async def away(account_id: int, kind: str, *more: Any) -> Any:
        task = asyncio.current_task()
        if task is None or not task.get_name().startswith("push "):
            return await items(account_id, kind, *more)
        failed.set()
        raise StoreUnavailable("the store is away")

    monkeypatch.setattr(store, "items", away)
    await call(alice, "PushSubscription/set", update={made["id"]: {"verificationCode": code}})
    await asyncio.wait_for(failed.wait(), 10)
    monkeypatch.setattr(store, "items", items)
    async with asyncio.timeout(10):
        while service.told.empty():
            await alice.house.fill("alice@example.test", 1)
            await asyncio.sleep(0.05)
    assert json.loads((await service.next())[1])["@type"] == "StateChange"


async def test_subscriptions_are_checked_and_their_makers(alice: Client, service: Service) -> None:
    key = base64.urlsafe_b64encode(b"\4" + bytes(64)).decode()
    fine = {"deviceClientId": "d", "url": f"https://127.0.0.1:{service.port}/"}
    wrong: dict[str, dict[str, Any]] = {
        "http": fine | {"url": "http://a.test/"},
        "user": fine | {"url": "https://a:b@c.test/"},
        "none": {"url": "https://a.test/"},
        "code": fine | {"verificationCode": "x"},
        "keys": fine | {"keys": {"p256dh": "AAAA", "auth": "AAAA"}},
        "auth": fine | {"keys": {"p256dh": key, "auth": "AAAA"}},
        "date": fine | {"expires": "soon"},
        "more": fine | {"colour": 1},
    }
    answer = await call(alice, "PushSubscription/set", create=wrong | {"fine": fine})
    assert set(answer["notCreated"]) == set(wrong)
    assert {fault["type"] for fault in answer["notCreated"].values()} == {"invalidProperties"}
    name = answer["created"]["fine"]["id"]
    for properties in (["url"], ["keys"]):
        assert (await call(alice, "PushSubscription/get", properties=properties))["type"] == "forbidden"
    bob = Client(alice.house, "bob@example.test", "builder")
    assert (await call(bob, "PushSubscription/get", ids=[name]))["notFound"] == [name]
    assert (await call(bob, "PushSubscription/set", destroy=[name]))["notDestroyed"][name][
        "type"
    ] == "notFound"
    await bob.http.aclose()
    assert (await call(alice, "PushSubscription/set", destroy=[name]))["destroyed"] == [name]


async def test_a_subscription_goes_with_the_token_that_made_it(alice: Client, service: Service) -> None:
    """RFC 8620 §7.2: with revoked credentials it is destroyed, and others do not see it."""
    request = {"password": "wonderland", "name": "x", "scope": ["jmap"]}
    ((_, token, _),) = await alice.calls(("ApiToken/create", request))
    given = {"deviceClientId": "d", "url": f"https://127.0.0.1:{service.port}/push"}
    bearer = {"authorization": f"Bearer {token['token']}"}
    program = Client(alice.house, "alice@example.test", "wonderland")
    program.http = httpx.AsyncClient(base_url=alice.http.base_url, headers=bearer)
    made = await call(program, "PushSubscription/set", create={"p": given})
    assert [each["id"] for each in (await call(program, "PushSubscription/get"))["list"]] == [
        made["created"]["p"]["id"]
    ]
    assert (await call(alice, "PushSubscription/get"))["list"] == []
    await service.next()  # the verification
    await alice.call("ApiToken/destroy", ids=[token["id"]])
    while await alice.house.app.store.items(alice.number, "PushSubscription"):
        await alice.house.fill("alice@example.test", 1)
        await asyncio.sleep(0.02)
    await program.http.aclose()


@pytest.mark.parametrize(("watched", "taken"), [(19_999, True), (20_000, False)])
async def test_subscriptions_of_twenty_thousand_accounts_are_watched(
    alice: Client, monkeypatch: pytest.MonkeyPatch, watched: int, taken: bool
) -> None:
    pusher = alice.house.app._pusher
    assert pusher is not None
    asked: list[int] = []
    items_due = alice.house.app.store.items_due

    async def counted(kind: str, before: float, limit: int) -> list[Any]:
        asked.append(limit)
        return await items_due(kind, before, limit)

    monkeypatch.setattr(alice.house.app.store, "items_due", counted)
    await pusher.start()
    assert asked == [20_000]
    others = dict.fromkeys(range(10**6, 10**6 + watched))
    monkeypatch.setattr(pusher, "_tasks", others)
    pusher.look(alice.number)
    assert (alice.number in others) is taken
    if taken:
        task = others.pop(alice.number)
        assert task is not None
        task.cancel()
    others.clear()
