"""Masked addresses by JMAP, and what delivery, answers and commands make of them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from posthouse import limits
from posthouse.accounts import masked_addresses
from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.masked_addresses import MaskedAddresses, made_up
from posthouse.accounts.masked_words import WORDS
from posthouse.errors import NotFound
from posthouse.operations.masking import Masking
from posthouse.store.interface import PutAlias, PutDomain, RemoveDomain
from posthouse.store.model import Alias, Domain
from tests.house import TestHouse
from tests.jmap.conftest import Client
from tests.kits.masked_walk import URN, stranger_writes, walk

ALICE = "alice@example.test"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def all_of(client: Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.call("MaskedEmail/get"))["list"]
    return found


async def made(client: Client, **wish: Any) -> dict[str, Any]:
    answer = await client.call("MaskedEmail/set", create={"m": wish})
    found: dict[str, Any] = answer["created"]["m"]
    return found


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def _none_yet(alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MASKED_HOURLY", 1000)
    for client in (alice, bob):
        await client.call("MaskedEmail/set", destroy=[each["id"] for each in await all_of(client)])


async def test_it_is_made_used_switched_off_and_removed(house: TestHouse) -> None:
    await walk(house)


async def test_the_session_offers_it(alice: Client) -> None:
    session = (await alice.http.get("/.well-known/jmap", follow_redirects=True)).json()
    assert session["capabilities"][URN] == {}
    assert session["primaryAccounts"][URN] == alice.account_id
    assert session["accounts"][alice.account_id]["accountCapabilities"][URN] == {}


async def test_it_has_every_property_and_changes_are_told(alice: Client) -> None:
    before = (await alice.call("MaskedEmail/get", ids=[]))["state"]
    answer = await alice.call(
        "MaskedEmail/set", create={"m": {"state": "enabled", "url": "x://1", "description": None}}
    )
    new = answer["created"]["m"]
    assert set(new) == {"id", "email", "createdAt", "createdBy", "lastMessageAt", "forDomain", "description"}
    (seen,) = await all_of(alice)
    local = normalize_address(seen["email"]).partition("@")[0]
    assert re.fullmatch(r"[a-z]+\.[a-z]+[0-9]{4}", local)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", seen["createdAt"])
    assert seen == new | {"state": "enabled", "url": "x://1", "description": ""}
    changes = await alice.call("MaskedEmail/changes", sinceState=before)
    assert (changes["created"], changes["newState"]) == ([new["id"]], answer["newState"])
    patch = {"description": "A shop", "forDomain": "https://shop.test", "emailPrefix": "ignored"}
    after = await alice.call("MaskedEmail/set", update={new["id"]: patch}, ifInState=answer["newState"])
    assert after["updated"] == {new["id"]: None}
    changes = await alice.call("MaskedEmail/changes", sinceState=answer["newState"])
    assert changes["updated"] == [new["id"]]
    await alice.call("MaskedEmail/set", destroy=[new["id"]])
    changes = await alice.call("MaskedEmail/changes", sinceState=answer["newState"])
    assert changes["destroyed"] == [new["id"]]


async def create(client: Client, method: str, name: str) -> dict[str, Any]:
    arguments = {"password": "wonderland", "name": name, "scope": ["jmap"]}
    ((_, found, _),) = await client.calls((method, arguments))
    answer: dict[str, Any] = found
    return answer


async def test_who_made_it_is_named_as_its_owner_calls_it(alice: Client) -> None:
    created = await create(alice, "AppPassword/create", "Password safe")
    safe = Client(alice.house, "alice@example.test", created["password"])
    try:
        assert (await made(safe))["createdBy"] == "Password safe"
    finally:
        await safe.http.aclose()
    token = (await create(alice, "ApiToken/create", "My script"))["token"]
    call = ["MaskedEmail/set", {"accountId": alice.account_id, "create": {"m": {}}}, "0"]
    response = await alice.http.post(
        "/jmap/",
        json={"using": ["urn:ietf:params:jmap:core", URN], "methodCalls": [call]},
        headers={"authorization": f"Bearer {token}"},
        auth=None,
    )
    assert response.json()["methodResponses"][0][1]["created"]["m"]["createdBy"] == "My script"


async def test_a_pending_one_without_mail_goes_after_a_day(house: TestHouse, alice: Client) -> None:
    unused, used, kept = await made(alice), await made(alice), await made(alice, state="enabled")
    assert await stranger_writes(house, "welcome", used["email"]) == "250"
    wishes = {name: {"email": each["email"]} for name, each in (("u", used), ("n", unused))}
    await alice.call("Identity/set", create=wishes)
    store = house.app.store
    assert await MaskedAddresses(store, lambda: time.time() + limits.MASKED_PENDING - 60).tidy() == 0
    assert await MaskedAddresses(store, lambda: time.time() + limits.MASKED_PENDING + 60).tidy() == 1
    assert {each["id"] for each in await all_of(alice)} == {used["id"], kept["id"]}
    assert (await stranger_writes(house, "late", unused["email"])).startswith("550 5.1.1")
    writes_as = {each["email"] for each in (await alice.call("Identity/get"))["list"]}
    assert writes_as & {used["email"], unused["email"]} == {used["email"]}


async def test_its_identity_may_go_while_it_is_removed(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await made(alice, state="enabled")
    answer = await alice.call("Identity/set", create={"i": {"email": one["email"]}})
    store, read = house.app.store, house.app.store.items

    async def late(account_id: int, kind: str, *more: Any) -> Any:
        found = await read(account_id, kind, *more)
        if kind == "Identity":  # another client is quicker
            monkeypatch.undo()
            await alice.call("Identity/set", destroy=[answer["created"]["i"]["id"]])
        return found

    monkeypatch.setattr(store, "items", late)
    number = int(one["id"][1:])
    await MaskedAddresses(store).remove(alice.number, number)
    assert await all_of(alice) == []
    with pytest.raises(NotFound):
        await MaskedAddresses(store).remove(alice.number, number)


async def test_many_pending_ones_go_batch_by_batch(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MASKED_BATCH", 2)
    for _ in range(5):
        await made(alice)
    later = time.time() + limits.MASKED_PENDING + 60
    assert await MaskedAddresses(house.app.store, lambda: later).tidy() == 5
    assert await all_of(alice) == []


async def test_only_so_much_is_noted_of_it(alice: Client) -> None:
    long = "n" * limits.MASKED_SIZE
    answer = await alice.call("MaskedEmail/set", create={"m": {"description": long}})
    assert answer["notCreated"]["m"]["type"] == "tooLarge"
    one = await made(alice, state="enabled", description="n" * (limits.MASKED_SIZE // 2))
    answer = await alice.call("MaskedEmail/set", update={one["id"]: {"description": long}})
    assert answer["notUpdated"][one["id"]]["type"] == "tooLarge"
    (seen,) = await all_of(alice)
    assert seen["description"] == "n" * (limits.MASKED_SIZE // 2)


async def test_mail_to_it_makes_nobody_look_people_up_anew(house: TestHouse, alice: Client) -> None:
    one = await made(alice)
    heard: list[int] = []
    end = house.app.store.watch_people(lambda: heard.append(1))
    assert await stranger_writes(house, "hello", one["email"]) == "250"
    assert await stranger_writes(house, "hello again", one["email"], "alice@example.test") == "250"
    end()
    assert heard == []


async def test_no_collector_gets_what_its_owner_does_not_want(
    house: TestHouse, alice: Client, bob: Client
) -> None:
    one = await made(alice, state="enabled")
    domain = next(d for d in await house.app.store.domains() if d.name == "example.test")
    collecting = msgspec.structs.replace(domain, catch_all="bob@example.test")
    await house.app.store.apply(PutDomain(domain=collecting))
    try:
        assert await stranger_writes(house, "anybody", "who.ever@example.test") == "250"
        await alice.call("MaskedEmail/set", update={one["id"]: {"state": "deleted"}})
        assert (await stranger_writes(house, "refused", one["email"])).startswith("550 5.1.1")
        await alice.call("MaskedEmail/set", destroy=[one["id"]])
        assert (await stranger_writes(house, "removed", one["email"])).startswith("550 5.1.1")
        assert (await bob.call("Email/query", filter={"subject": "anybody"}))["ids"]
        assert (await bob.call("Email/query", filter={"text": "refused removed"}))["ids"] == []
    finally:
        await house.app.store.apply(PutDomain(domain=domain))


async def test_what_comes_by_another_way_too_is_not_thrown_away(house: TestHouse, alice: Client) -> None:
    """An alias leads to an address that is switched off, and to its owner: a copy is for the owner."""
    off = await made(alice, state="disabled")
    for number, targets in enumerate([(off["email"], ALICE), (ALICE, off["email"])]):
        name = f"both{number}@example.test"
        alias = Alias(address=name, targets=targets)
        await house.app.store.apply(PutAlias(alias=alias))
        assert await stranger_writes(house, name, name) == "250"
        (found,) = (await alice.call("Email/query", filter={"subject": name}))["ids"]
        assert (await alice.get(found))[0]["mailboxIds"] == {await alice.mailbox("inbox"): True}


async def test_another_is_made_up_when_one_was_given_already(
    alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = (await made(bob, state="enabled"))["email"].partition("@")[0]
    tried = list[str]()

    def by_chance(lucky: int) -> Callable[[str], str]:
        def make(prefix: str) -> str:
            tried.append(given if len(tried) + 1 < lucky else made_up(prefix))
            return tried[-1]

        return make

    for lucky, works in ((limits.MASKED_TRIES, True), (limits.MASKED_TRIES + 1, False)):
        tried.clear()
        monkeypatch.setattr(masked_addresses, "made_up", by_chance(lucky))
        answer = await alice.call("MaskedEmail/set", create={"m": {}})
        assert (bool(answer["created"]), len(tried)) == (works, limits.MASKED_TRIES)


async def test_unused_ones_are_looked_for_again_and_again(house: TestHouse) -> None:
    (duty,) = (each for each in house.app.house.duties() if each.name == "masked addresses")
    assert (duty.every, duty.by_age) == (limits.MASKED_LOOK, True)


async def test_nobody_is_told_whose_it_is(house: TestHouse, alice: Client) -> None:
    """The vacation responder answers with the account's own address: not to who knows only the masked one."""
    one = await made(alice, state="enabled")
    await alice.call("VacationResponse/set", update={"singleton": {"isEnabled": True, "textBody": "Away."}})
    try:
        assert await stranger_writes(house, "to the mask", one["email"]) == "250"
        await house.app.house.vacation.close()
        assert not [item async for item in queued(house)]
        assert await stranger_writes(house, "to the face", "alice@example.test") == "250"
        await house.app.house.vacation.close()
        assert [item async for item in queued(house)]
    finally:
        await alice.call("VacationResponse/set", update={"singleton": {"isEnabled": False}})


async def queued(house: TestHouse) -> Any:
    for message in await house.app.store.queue():
        yield message


async def test_one_may_write_as_it_by_jmap_and_another_may_not(alice: Client, bob: Client) -> None:
    one = await made(alice, state="enabled")
    wanted = {"i": {"name": "", "email": one["email"]}}
    assert (await alice.call("Identity/set", create=wanted))["created"]["i"]["id"]
    assert (await bob.call("Identity/set", create=wanted))["notCreated"]["i"]["type"] == "forbiddenFrom"


async def test_an_administrator_makes_and_ends_them(house: TestHouse, alice: Client) -> None:
    addresses = house.app.house.masked_addresses
    commands = Masking(house.app.store, addresses)
    row = await commands.masked_add(address="alice@example.test", site="https://shop.test", note="Shop")
    assert (row.state, row.site, row.note, row.last_mail_at) == ("enabled", "https://shop.test", "Shop", 0)
    assert await commands.masked_list(address="alice@example.test") == [row]
    assert (await commands.masked_set(masked=row.address.upper(), state="disabled")).state == "disabled"
    with pytest.raises(ValueError, match="pending"):
        await commands.masked_set(masked=row.address, state="pending")
    await commands.masked_remove(masked=row.address)
    with pytest.raises(NotFound):
        await commands.masked_set(masked=row.address, state="enabled")
    assert await all_of(alice) == []


async def test_they_are_made_in_the_domain_that_the_configuration_names(
    house: TestHouse, alice: Client
) -> None:
    store, addresses = house.app.store, house.app.house.masked_addresses
    addresses.domain = "masks.test"
    try:
        answer = await alice.call("MaskedEmail/set", create={"m": {}})
        assert answer["notCreated"]["m"]["type"] == "forbidden"
        await store.apply(PutDomain(domain=Domain(name="masks.test"), new=True))
        one = await made(alice)
        assert one["email"].endswith("@masks.test")
        assert await stranger_writes(house, "there", one["email"]) == "250"
        await store.apply(RemoveDomain(name="masks.test"))
        assert (await stranger_writes(house, "gone", one["email"])).startswith("550 5.7.1")
    finally:
        addresses.domain = ""


async def test_what_is_made_up_is_long_enough_by_chance_and_fits() -> None:
    assert len(set(WORDS)) == len(WORDS) >= 256
    assert len({made_up() for _ in range(2000)}) == 2000
    assert made_up("shop_1").startswith("shop_1.")
    for length in range(65):
        local = made_up("x" * length)
        assert len(local) <= 64 and local.startswith("x" * length) and not local.endswith(".")


async def test_a_prefix_that_leaves_no_room_for_chance_is_given_once(alice: Client, bob: Client) -> None:
    one = await made(alice, emailPrefix="y" * 64)
    assert one["email"] == f"{'y' * 64}@example.test"
    await alice.call("MaskedEmail/set", destroy=[one["id"]])
    for client in (alice, bob):
        answer = await client.call("MaskedEmail/set", create={"m": {"emailPrefix": "y" * 64}})
        assert answer["notCreated"]["m"]["properties"] == ["emailPrefix"]
