"""Address books that are shared, for reading (RFC 9610, RFC 9670): what shows, and that nothing else does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jmap.conftest import Client
from tests.jmap.test_sharing import Visitor, principal, visitor

__all__ = ["visitor"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
    "AAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


async def book(owner: Client, name: str, other: Client | None = None) -> str:
    shares = {"shareWith": {principal(other): {"mayRead": True}}} if other is not None else {}
    answer = await owner.call("AddressBook/set", create={"b": {"name": name} | shares})
    assert answer["notCreated"] is None, answer
    return str(answer["created"]["b"]["id"])


async def card(owner: Client, name: str, *books: str, **more: Any) -> str:
    given = {"@type": "Card", "version": "1.0", "name": {"full": name}, **more}
    given["addressBookIds"] = dict.fromkeys(books, True)
    answer = await owner.call("ContactCard/set", create={"c": given})
    assert answer["notCreated"] is None, answer
    return str(answer["created"]["c"]["id"])


async def test_the_owner_sees_with_whom_a_book_is_shared(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club = await book(alice, "Club")
    before = (await alice.call("AddressBook/get", ids=[]))["state"]
    one = f"shareWith/{principal(bob)}"
    answer = await alice.call(
        "AddressBook/set", update={club: {"shareWith": {principal(bob): {"mayRead": True}}}}
    )
    assert answer["notUpdated"] is None
    found = (await alice.call("AddressBook/get", ids=[club]))["list"][0]
    assert found["shareWith"][principal(bob)]["mayRead"] is True
    assert club in (await alice.call("AddressBook/changes", sinceState=before))["updated"]
    for wrong in ({"mayWrite": True}, {"mayRead": True, "mayShare": True}, {"mayFly": True}):
        answer = await alice.call("AddressBook/set", update={club: {"shareWith": {principal(bob): wrong}}})
        assert answer["notUpdated"][club]["type"] == "invalidProperties"
    await alice.call("AddressBook/set", update={club: {one: None, "name": "Team"}})
    found = (await alice.call("AddressBook/get", ids=[club]))["list"][0]
    assert (found["shareWith"], found["name"]) == (None, "Team")
    assert await visitor.error("AddressBook/get") == "accountNotFound"


async def test_a_reader_sees_the_book_and_what_is_in_it(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, secret = await book(alice, "Club", bob), await book(alice, "Secret")
    seen = await card(alice, "Carol", club, secret, emails={"e": {"address": "carol@example.test"}})
    hidden = await card(alice, "Carola", secret)
    (shown,) = (await visitor.call("AddressBook/get"))["list"]
    assert (shown["id"], shown["isDefault"], shown["isSubscribed"], shown["shareWith"]) == (
        club,
        False,
        False,
        None,
    )
    assert shown["myRights"] == {"mayRead": True, "mayWrite": False, "mayShare": False, "mayDelete": False}
    (found,) = (await visitor.call("ContactCard/get"))["list"]
    assert (found["id"], found["addressBookIds"]) == (seen, {club: True})
    answer = await visitor.call("ContactCard/get", ids=[seen, hidden])
    assert answer["notFound"] == [hidden]
    assert len((await alice.call("ContactCard/query", filter={"name": "carol"}))["ids"]) == 2
    assert (await visitor.call("ContactCard/query", filter={"name": "carol"}))["ids"] == [seen]
    assert (await visitor.call("ContactCard/query", filter={"inAddressBook": secret}))["ids"] == []
    assert len((await alice.call("ContactCard/query", filter={"name": "carol"}))["ids"]) == 2
    assert await visitor.error("Mailbox/get") == "accountNotSupportedByMethod"
    assert await visitor.error("ContactCard/set", destroy=[seen]) == "accountNotSupportedByMethod"
    assert await visitor.error("VCard/export") == "accountNotSupportedByMethod"


async def test_a_picture_shows_with_its_card_only(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, secret = await book(alice, "Club", bob), await book(alice, "Secret")
    media = {"m": {"@type": "Media", "kind": "photo", "uri": PNG}}
    await card(alice, "Carol", club, media=media)
    hidden = await card(alice, "Dan", secret, media=media)
    (found,) = (await visitor.call("ContactCard/get"))["list"]
    name = found["media"]["m"]["blobId"]
    path = f"/jmap/download/{visitor.where}/{name}/x.png"
    assert (await bob.http.get(path)).status_code == 200
    (mine,) = (await alice.call("ContactCard/get", ids=[hidden]))["list"]
    path = f"/jmap/download/{visitor.where}/{mine['media']['m']['blobId']}/x.png"
    assert (await bob.http.get(path)).status_code == 404


async def test_cards_are_copied_and_the_original_stays(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, secret = await book(alice, "Club", bob), await book(alice, "Secret")
    seen, hidden = await card(alice, "Carol", club), await card(alice, "Dan", secret)
    mine = (await bob.call("AddressBook/get"))["list"][0]["id"]
    create = {n: {"id": each, "addressBookIds": {mine: True}} for n, each in (("s", seen), ("h", hidden))}
    both = await bob.calls(
        (
            "ContactCard/copy",
            {"fromAccountId": visitor.where, "create": create, "onSuccessDestroyOriginal": True},
        )
    )
    answer = both[0][1]
    assert answer["notCreated"] == {"h": {"type": "notFound"}}
    (copied,) = (await bob.call("ContactCard/get", ids=[answer["created"]["s"]["id"]]))["list"]
    assert (copied["name"]["full"], copied["addressBookIds"]) == ("Carol", {mine: True})
    assert (both[1][0], both[1][1]["type"]) == ("error", "accountNotSupportedByMethod")
    assert len((await alice.call("ContactCard/get", ids=[seen]))["list"]) == 1
    await bob.call("ContactCard/set", destroy=[copied["id"]])


async def test_only_the_subscription_is_ones_own(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await book(alice, "Club", bob)
    assert await visitor.set("AddressBook", update={club: {"name": "Mine"}}) == {club: "forbidden"}
    assert await visitor.set("AddressBook", create={"b": {"name": "x"}}) == {"b": "forbidden"}
    assert await visitor.set("AddressBook", destroy=[club]) == {club: "forbidden"}
    assert await visitor.set("AddressBook", update={"B1": {"isSubscribed": True}}) == {"B1": "notFound"}
    state = (await visitor.call("AddressBook/get"))["state"]
    assert (await visitor.call("AddressBook/changes", sinceState=state))["updated"] == []
    assert await visitor.set("AddressBook", update={club: {"isSubscribed": True}}) == {}
    assert await visitor.error("AddressBook/changes", sinceState=state) == "cannotCalculateChanges"
    session = (await bob.http.get("/jmap/session")).json()
    able = session["accounts"][visitor.where]["accountCapabilities"]
    assert able["urn:ietf:params:jmap:contacts"]["mayCreateAddressBook"] is False
    assert "urn:ietf:params:jmap:mail" not in able
    assert session["accounts"][visitor.where]["isReadOnly"] is True


async def test_what_is_taken_back_or_destroyed_is_gone(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, other = await book(alice, "Club", bob), await book(alice, "Other", bob)
    seen = await card(alice, "Carol", club)
    await alice.call("AddressBook/set", update={club: {"shareWith": None}})
    assert (await visitor.call("ContactCard/get", ids=[seen]))["notFound"] == [seen]
    await alice.call("AddressBook/set", destroy=[other])
    assert await visitor.error("AddressBook/get") == "accountNotFound"
    notes = (await bob.call("ShareNotification/get"))["list"]
    assert {each["objectType"] for each in notes} == {"AddressBook"}
    assert {each["name"] for each in notes} == {"Club", "Other"}
    assert {each["objectId"]: each["newRights"] for each in notes} == {club: None, other: None}
