"""JMAP for Contacts: books and cards, what is refused, and exact changes."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse.jmap.capabilities import CONTACTS
from tests.house import TestHouse
from tests.web import test_own_account
from tests.web.test_own_account import Owner


@pytest.fixture
async def alice(house: TestHouse, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.setattr(test_own_account, "USING", ["urn:ietf:params:jmap:core", CONTACTS])
    return await Owner(house).enter()


def card(name: str, address: str, **more: Any) -> dict[str, Any]:
    emails = {"e1": {"@type": "EmailAddress", "address": address}}
    return {"addressBookIds": {"B1": True}, "name": {"full": name}, "emails": emails} | more


async def test_everybody_has_an_address_book(alice: Owner) -> None:
    (book,) = (await alice.call("AddressBook/get"))["list"]
    assert (book["id"], book["isDefault"], book["myRights"]["mayDelete"]) == ("B1", True, False)
    gone = await alice.call("AddressBook/set", destroy=["B1"])
    assert gone["notDestroyed"]["B1"]["type"] == "forbidden"


async def test_cards_are_kept_whole(alice: Owner) -> None:
    given = card(
        "王小明", "ming@example.test", phones={"p": {"number": "+86 10"}}, notes={"n": {"note": "x"}}
    )
    made = await alice.call("ContactCard/set", create={"a": given})
    created = made["created"]["a"]
    assert created["uid"].startswith("urn:uuid:")
    (found,) = (await alice.call("ContactCard/get"))["list"]
    assert found["@type"] == "Card"
    assert {name: found[name] for name in given} == given
    state = made["newState"]
    await alice.call("ContactCard/set", update={created["id"]: {"name/full": "Ming"}})
    changed = await alice.call("ContactCard/changes", sinceState=state)
    assert changed["updated"] == [created["id"]]
    await alice.call("ContactCard/set", destroy=[created["id"]])
    changed = await alice.call("ContactCard/changes", sinceState=state)
    assert changed["destroyed"] == [created["id"]]


@pytest.mark.parametrize(
    ("change", "property_name"),
    [
        ({"addressBookIds": {}}, "addressBookIds"),
        ({"addressBookIds": {"B99": True}}, "addressBookIds"),
        ({"emails": {"e": {}}}, "emails"),
        ({"phones": {"p": {"number": 1}}}, "phones"),
        ({"@type": "Group"}, "@type"),
        ({"nonsense": 1}, "nonsense"),
        ({"emails": "x"}, "emails"),
    ],
)
async def test_what_is_no_card(alice: Owner, change: dict[str, Any], property_name: str) -> None:
    answer = await alice.call("ContactCard/set", create={"a": card("A", "a@b.test") | change})
    fault = answer["notCreated"]["a"]
    assert (fault["type"], fault["properties"]) == ("invalidProperties", [property_name])


async def test_cards_are_found(alice: Owner) -> None:
    cards = {"z": card("Zoe", "zoe@b.test"), "a": card("adam", "x@b.test"), "m": card("王小明", "m@c.test")}
    made = (await alice.call("ContactCard/set", create=cards))["created"]

    async def found(**arguments: Any) -> list[str]:
        return list((await alice.call("ContactCard/query", **arguments))["ids"])

    assert await found() == [made[name]["id"] for name in "azm"]
    assert await found(filter={"email": "B.test"}) == [made["a"]["id"], made["z"]["id"]]
    assert await found(filter={"name": "小明"}) == [made["m"]["id"]]
    everybody_else = {"operator": "NOT", "conditions": [{"text": "zoe"}]}
    assert await found(filter=everybody_else, limit=1) == [made["a"]["id"]]
    assert await alice.error("ContactCard/query", filter={"shoe": 1}) == "unsupportedFilter"


async def test_a_book_with_cards_goes_only_when_meant(alice: Owner) -> None:
    book = (await alice.call("AddressBook/set", create={"b": {"name": "Club"}}))["created"]["b"]["id"]
    both = card("Both", "x@y.test", addressBookIds={"B1": True, book: True})
    alone = card("Alone", "z@y.test", addressBookIds={book: True})
    made = (await alice.call("ContactCard/set", create={"b": both, "a": alone}))["created"]
    refused = await alice.call("AddressBook/set", destroy=[book])
    assert refused["notDestroyed"][book]["type"] == "addressBookHasContents"
    gone = await alice.call("AddressBook/set", destroy=[book], onDestroyRemoveContents=True)
    assert gone["destroyed"] == [book]
    (left,) = (await alice.call("ContactCard/get"))["list"]
    assert (left["id"], left["addressBookIds"]) == (made["b"]["id"], {"B1": True})
