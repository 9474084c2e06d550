"""Passkeys with a device of our own making: what opens the house, what does not, and how many there may be."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from posthouse.accounts.model import LoginFailed
from posthouse.accounts.passkeys import Passkeys, Site
from posthouse.accounts.tickets import Tickets
from posthouse.errors import Conflict
from posthouse.store.credentials import CredentialKind, RemoveCredentials
from posthouse.store.interface import PutAccount
from posthouse.store.model import Account
from tests.accounts.conftest import MovableClock

SITE = Site(origin="https://mail.north.test", host="mail.north.test")
PRESENT_AND_VERIFIED = 0b101
WITH_CREDENTIAL = 0b1000000


def text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class Device:
    """A security key (WebAuthn Level 2 §6): P-256, no attestation."""

    def __init__(self, number: int = 0) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = b"key %d" % number
        self.count = 0
        self.flags = PRESENT_AND_VERIFIED

    def _data(self, flags: int, more: bytes = b"") -> bytes:
        self.count += 1
        return (
            hashlib.sha256(SITE.host.encode()).digest()
            + bytes([flags])
            + self.count.to_bytes(4, "big")
            + more
        )

    def _client(self, kind: str, challenge: str, origin: str) -> bytes:
        return json.dumps({"type": f"webauthn.{kind}", "challenge": challenge, "origin": origin}).encode()

    def _answer(self, response: Mapping[str, bytes]) -> dict[str, Any]:
        shown = {name: text(octets) for name, octets in response.items()}
        return {"id": text(self.id), "rawId": text(self.id), "type": "public-key", "response": shown}

    def register(self, options: dict[str, Any]) -> dict[str, Any]:
        point = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
        credential = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        data = self._data(self.flags | WITH_CREDENTIAL, credential)
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("create", options["challenge"], SITE.origin)
        return self._answer({"clientDataJSON": client, "attestationObject": attested})

    def prove(self, options: dict[str, Any], origin: str = SITE.origin) -> dict[str, Any]:
        data, client = self._data(self.flags), self._client("get", options["challenge"], origin)
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        return self._answer({"clientDataJSON": client, "authenticatorData": data, "signature": signed})


@pytest.fixture
def passkeys(store: Any) -> Passkeys:
    return Passkeys(store, Tickets(b"s" * 32))


async def keep(passkeys: Passkeys, account: Account, device: Device) -> None:
    asked = await passkeys.begin(account, SITE)
    answer = device.register(asked.options)
    await passkeys.finish(account, SITE, ticket=asked.ticket, answer=answer, name="key")


async def test_a_passkey_opens_the_house(passkeys: Passkeys, alice: Account) -> None:
    device = Device()
    await keep(passkeys, alice, device)
    asked = passkeys.ask(SITE)
    answer = device.prove(asked.options)
    assert (await passkeys.prove(SITE, ticket=asked.ticket, answer=answer)).address == alice.address
    with pytest.raises(LoginFailed):  # the very answer once more
        await passkeys.prove(SITE, ticket=asked.ticket, answer=answer)


async def test_what_opens_nothing(passkeys: Passkeys, store: Any, alice: Account, bob: Account) -> None:
    device = Device()
    await keep(passkeys, alice, device)

    async def refused(answer: dict[str, Any], ticket: str) -> None:
        with pytest.raises(LoginFailed):
            await passkeys.prove(SITE, ticket=ticket, answer=answer)

    asked = passkeys.ask(SITE)
    await refused(device.prove(asked.options, "https://mail.evil.test"), asked.ticket)
    first, second = passkeys.ask(SITE), passkeys.ask(SITE)
    await refused(device.prove(first.options), second.ticket)
    asked = passkeys.ask(SITE)
    other = Device()
    other.key = ec.generate_private_key(ec.SECP256R1())
    await refused(other.prove(asked.options), asked.ticket)
    asked = passkeys.ask(SITE)
    device.flags = 0b1
    await refused(device.prove(asked.options), asked.ticket)
    device.flags = PRESENT_AND_VERIFIED
    asked = passkeys.ask(SITE)
    device.count = 0
    await refused(device.prove(asked.options), asked.ticket)
    device.count = 100
    begun = await passkeys.begin(bob, SITE)
    with pytest.raises(ValueError, match="somebody else"):
        await passkeys.finish(
            alice, SITE, ticket=begun.ticket, answer=Device(1).register(begun.options), name="key"
        )
    asked = passkeys.ask(SITE)
    await store.apply(PutAccount(account=msgspec.structs.replace(alice, disabled=True)))
    await refused(device.prove(asked.options), asked.ticket)
    await store.apply(PutAccount(account=alice))
    asked = passkeys.ask(SITE)
    await store.apply(RemoveCredentials(account_id=alice.account_id, kind=CredentialKind.PASSKEY))
    await refused(device.prove(asked.options), asked.ticket)


async def test_an_account_has_so_many_passkeys(passkeys: Passkeys, store: Any, alice: Account) -> None:
    for number in range(20):
        await keep(passkeys, alice, Device(number))
    with pytest.raises(Conflict):
        await keep(passkeys, alice, Device(20))
    assert len(await store.credentials(alice.account_id)) == 20


@pytest.mark.slow
async def test_spent_challenges_that_are_remembered_are_bounded(store: Any) -> None:
    """Strangers spend them: each costs a request that brings no passkey."""
    passkeys = Passkeys(store, Tickets(b"s" * 32))
    tickets = Tickets(b"s" * 32)
    for number in range(60_000):
        passkeys._spend("passkey-login", tickets.seal("passkey-login", str(number), 300))
    assert len(passkeys._used) == 50_000


async def test_a_challenge_is_good_for_minutes(store: Any, alice: Account, clock: MovableClock) -> None:
    passkeys, device = Passkeys(store, Tickets(b"s" * 32, clock.now), clock.now), Device()
    await keep(passkeys, alice, device)
    for seconds, good in ((299, True), (301, False)):
        asked = passkeys.ask(SITE)
        answer = device.prove(asked.options)
        clock.time += seconds
        if good:
            assert (await passkeys.prove(SITE, ticket=asked.ticket, answer=answer)).address == alice.address
        else:
            with pytest.raises(LoginFailed):
                await passkeys.prove(SITE, ticket=asked.ticket, answer=answer)
