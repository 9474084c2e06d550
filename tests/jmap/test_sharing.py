"""Mailboxes that are shared: who sees what, what rights allow, and that nothing else is to be had (RFC 9670)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.house import TestHouse
from tests.jmap.conftest import Client, empty, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")

READ = {"mayReadItems": True}
WRITE = READ | {"mayAddItems": True, "mayRemoveItems": True, "maySetSeen": True, "maySetKeywords": True}


def principal(client: Client) -> str:
    return f"W{client.number}"


async def share(owner: Client, mailbox: str, other: Client, rights: dict[str, bool] | None) -> None:
    answer = await owner.call(
        "Mailbox/set", update={mailbox: {"shareWith": {principal(other): rights or {}}}}
    )
    assert answer["notUpdated"] is None, answer


async def make(owner: Client, name: str, parent: str | None = None) -> str:
    answer = await owner.call("Mailbox/set", create={"m": {"name": name, "parentId": parent}})
    assert answer["notCreated"] is None, answer
    return str(answer["created"]["m"]["id"])


class Visitor:
    """bob in alice's account."""

    def __init__(self, client: Client, owner: Client) -> None:
        self.client = client
        self.where = owner.account_id

    async def call(self, name: str, **arguments: Any) -> Any:
        return await self.client.call(name, **{"accountId": self.where} | arguments)

    async def error(self, name: str, **arguments: Any) -> str:
        return await self.client.error(name, **{"accountId": self.where} | arguments)

    async def set(self, kind: str = "Email", **arguments: Any) -> dict[str, str]:
        """The types of the SetErrors, by id."""
        answer = await self.call(f"{kind}/set", **arguments)
        found = (answer["notCreated"], answer["notUpdated"], answer["notDestroyed"])
        return {name: error["type"] for each in found for name, error in (each or {}).items()}


@pytest_asyncio.fixture(loop_scope="module")
async def visitor(house: TestHouse, alice: Client, bob: Client) -> AsyncIterator[Visitor]:
    """bob, who may do nothing with alice's mail yet."""
    for box in (await alice.call("Mailbox/get"))["list"]:
        if box["shareWith"]:
            await alice.call("Mailbox/set", update={box["id"]: {"shareWith": None}})
    for book in (await alice.call("AddressBook/get"))["list"]:
        if book["shareWith"]:
            await alice.call("AddressBook/set", update={book["id"]: {"shareWith": None}})
    await empty(alice)
    notes = await bob.call("ShareNotification/query")
    await bob.call("ShareNotification/set", destroy=notes["ids"])
    yield Visitor(bob, alice)


# --- giving ------------------------------------------------------------------------------------------------


async def test_the_owner_sees_with_whom_a_mailbox_is_shared(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club = await make(alice, "Club")
    before = (await alice.call("Mailbox/get", ids=[]))["state"]
    await share(alice, club, bob, READ)
    (box,) = (await alice.call("Mailbox/get", ids=[club]))["list"]
    assert box["shareWith"][principal(bob)]["mayReadItems"] is True
    assert box["shareWith"][principal(bob)]["mayAddItems"] is False
    assert club in (await alice.call("Mailbox/changes", sinceState=before))["updated"]
    # RFC 8620 §5.3: a path into the property
    one = f"shareWith/{principal(bob)}/mayAddItems"
    await alice.call("Mailbox/set", update={club: {one: True}})
    (box,) = (await alice.call("Mailbox/get", ids=[club]))["list"]
    assert box["shareWith"][principal(bob)]["mayAddItems"] is True
    await alice.call("Mailbox/set", update={club: {f"shareWith/{principal(bob)}": None}})
    (box,) = (await alice.call("Mailbox/get", ids=[club]))["list"]
    assert box["shareWith"] is None


async def test_the_property_shows_only_to_clients_that_know_it(alice: Client, visitor: Visitor) -> None:
    using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
    answer = await alice.request([["Mailbox/get", {"accountId": alice.account_id}, "0"]], using=using)
    assert all("shareWith" not in box for box in answer["methodResponses"][0][1]["list"])


@pytest.mark.parametrize(
    "value",
    [
        {"W999": {"mayReadItems": True}},
        {"<alice>": {"mayReadItems": True}},
        {"<bob>": {"mayFly": True}},
        {"<bob>": {"mayReadItems": 1}},
        {"<bob>": {"mayAddItems": True}},
        {"<bob>": {"mayReadItems": True, "maySubmit": True}},
        {"<bob>": True},
    ],
)
async def test_what_cannot_be_given(alice: Client, bob: Client, visitor: Visitor, value: Any) -> None:
    names = {"<alice>": principal(alice), "<bob>": principal(bob)}
    given = {names.get(name, name): each for name, each in value.items()}
    club = await make(alice, "Club")
    answer = await alice.call("Mailbox/set", update={club: {"shareWith": given}})
    assert answer["notUpdated"][club]["type"] == "invalidProperties"
    assert answer["notUpdated"][club]["properties"] == ["shareWith"]
    assert await visitor.error("Mailbox/get") == "accountNotFound"


async def test_a_new_mailbox_is_shared_at_once(alice: Client, bob: Client, visitor: Visitor) -> None:
    answer = await alice.call(
        "Mailbox/set", create={"m": {"name": "Club", "shareWith": {principal(bob): READ}}}
    )
    assert answer["notCreated"] is None
    (box,) = (await visitor.call("Mailbox/get"))["list"]
    assert (box["name"], box["id"]) == ("Club", answer["created"]["m"]["id"])


# --- seeing ------------------------------------------------------------------------------------------------


async def test_a_reader_sees_the_mailbox_and_nothing_else(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    top = await make(alice, "Secret")
    club = await make(alice, "Club", top)
    await alice.add(letter("Hidden"))
    seen = await alice.add(letter("Shown"), mailbox="Secret/Club")
    await share(alice, club, bob, READ)
    (box,) = (await visitor.call("Mailbox/get"))["list"]
    assert (box["id"], box["name"], box["parentId"]) == (club, "Club", None)
    assert (box["totalEmails"], box["isSubscribed"], box["shareWith"]) == (1, False, None)
    assert [right for right, given in box["myRights"].items() if given] == ["mayReadItems"]
    assert (await visitor.call("Mailbox/get", ids=[top]))["notFound"] == [top]
    assert (await visitor.call("Mailbox/query"))["ids"] == [club]
    assert (await visitor.call("Email/query"))["ids"] == [seen]
    assert [each["id"] for each in (await visitor.call("Email/get"))["list"]] == [seen]


async def test_hidden_emails_are_not_found_by_any_way(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    inbox = await alice.mailbox("inbox")
    hidden = await alice.add(letter("Plan", "a secret word"))
    seen = await alice.add(letter("Re: Plan", "an open word", reply_to="Plan"), mailbox="Club")
    (one,) = await alice.get(hidden)
    await share(alice, club, bob, READ)
    assert (await visitor.call("Email/get", ids=[hidden]))["notFound"] == [hidden]
    assert (await visitor.call("Email/query", filter={"text": "secret"}))["ids"] == []
    assert (await visitor.call("Email/query", filter={"inMailbox": inbox}))["ids"] == []
    assert (await visitor.call("Email/query", filter={"inMailboxOtherThan": [inbox]}))["ids"] == [seen]
    assert (await visitor.call("Email/query", filter={"inMailboxOtherThan": [club]}))["ids"] == []
    assert (await visitor.call("Email/query", filter={"text": "word"}))["ids"] == [seen]
    thread = (await visitor.call("Thread/get", ids=[one["threadId"]]))["list"][0]
    assert thread["emailIds"] == [seen]
    snippets = await visitor.call("SearchSnippet/get", filter={"text": "word"}, emailIds=[hidden, seen])
    assert snippets["notFound"] == [hidden]
    assert (await visitor.call("Blob/get", ids=[one["blobId"]]))["notFound"] == [one["blobId"]]
    assert (await visitor.call("Email/parse", blobIds=[one["blobId"]]))["notFound"] == [one["blobId"]]
    path = f"/jmap/download/{visitor.where}/{one['blobId']}/x.eml"
    assert (await bob.http.get(path)).status_code == 404
    (shown,) = (await visitor.call("Email/get", ids=[seen]))["list"]
    path = f"/jmap/download/{visitor.where}/{shown['blobId']}/x.eml"
    assert b"an open word" in (await bob.http.get(path)).content
    upload = (await alice.http.post(f"/jmap/upload/{alice.account_id}/", content=b"x")).json()["blobId"]
    assert (await visitor.call("Blob/get", ids=[upload]))["notFound"] == [upload]
    response = await bob.http.post(f"/jmap/upload/{alice.account_id}/", content=b"x")
    assert response.status_code == 404


async def test_an_email_in_two_mailboxes_shows_only_the_shared_one(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club, inbox = await make(alice, "Club"), await alice.mailbox("inbox")
    email = await alice.add(letter("Both"))
    await alice.call("Email/set", update={email: {f"mailboxIds/{club}": True}})
    await share(alice, club, bob, WRITE)
    (shown,) = (await visitor.call("Email/get", ids=[email]))["list"]
    assert shown["mailboxIds"] == {club: True}
    # RFC 8621 §2: keywords need the right in all its mailboxes.
    assert await visitor.set(update={email: {"keywords/$seen": True}}) == {email: "forbidden"}
    assert await visitor.set(destroy=[email]) == {}
    (left,) = await alice.get(email)
    assert left["mailboxIds"] == {inbox: True}


async def test_two_hidden_parents_make_no_two_names_the_same(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    for top in ("One", "Two"):
        await share(alice, await make(alice, "Club", await make(alice, top)), bob, READ)
    names = [box["name"] for box in (await visitor.call("Mailbox/get"))["list"]]
    assert sorted(names) == ["Club", "Club (2)"]


async def test_results_of_queries_do_not_cross_from_the_owner(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club = await make(alice, "Club")
    await alice.add(letter("Hidden"))
    await share(alice, club, bob, READ)
    seen = await alice.add(letter("Shown"), mailbox="Club")  # the latest change is one that both see
    assert len((await alice.call("Email/query"))["ids"]) == 2
    assert (await visitor.call("Email/query"))["ids"] == [seen]
    assert len((await alice.call("Email/query"))["ids"]) == 2


async def test_what_is_revoked_is_gone_with_the_next_request(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club, other = await make(alice, "Club"), await make(alice, "Other")
    seen = await alice.add(letter("Shown"), mailbox="Club")
    await share(alice, club, bob, READ)
    await share(alice, other, bob, READ)
    assert (await visitor.call("Email/query"))["ids"] == [seen]
    await share(alice, club, bob, None)
    assert (await visitor.call("Email/query"))["ids"] == []
    assert (await visitor.call("Email/get", ids=[seen]))["notFound"] == [seen]
    await share(alice, other, bob, None)
    assert await visitor.error("Email/get", ids=[seen]) == "accountNotFound"


async def test_a_deleted_mailbox_is_not_shared_any_more(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    await share(alice, club, bob, READ)
    await alice.call("Mailbox/set", destroy=[club])
    assert await visitor.error("Mailbox/get") == "accountNotFound"


# --- changes -----------------------------------------------------------------------------------------------


async def emails(visitor: Visitor, since: str) -> tuple[list[str], list[str], list[str], str]:
    found = await visitor.call("Email/changes", sinceState=since)
    return found["created"], found["updated"], found["destroyed"], found["newState"]


async def test_changes_are_those_of_what_is_seen(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, inbox = await make(alice, "Club"), await alice.mailbox("inbox")
    await share(alice, club, bob, READ)
    state = (await visitor.call("Email/get", ids=[]))["state"]
    hidden = await alice.add(letter("Hidden"))
    assert await emails(visitor, state) == ([], [], [], state), "what is not seen moves no state"
    await alice.call("Email/set", update={hidden: {"mailboxIds": {club: True}}})
    created, updated, destroyed, state = await emails(visitor, state)
    assert (created, updated, destroyed) == ([hidden], [], [])
    await alice.call("Email/set", update={hidden: {"keywords/$seen": True}})
    created, updated, destroyed, state = await emails(visitor, state)
    assert (created, updated, destroyed) == ([], [hidden], [])
    boxes = await visitor.call("Mailbox/changes", sinceState=state)
    assert (boxes["created"], boxes["updated"], boxes["destroyed"]) == ([], [], [])
    await alice.call("Email/set", update={hidden: {"mailboxIds": {inbox: True}}})
    created, updated, destroyed, after = await emails(visitor, state)
    assert (created, updated, destroyed) == ([], [], [hidden])
    threads = await visitor.call("Thread/changes", sinceState=state)
    assert len(threads["destroyed"]) == 1
    assert (await visitor.call("Mailbox/changes", sinceState=state))["updated"] == [club]
    state = after
    await alice.call("Email/set", update={hidden: {"keywords/$flagged": True}})
    await alice.call("Email/set", destroy=[hidden])
    assert await emails(visitor, state) == ([], [], [], state)


async def test_what_came_and_went_is_not_told(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    await share(alice, club, bob, READ)
    state = (await visitor.call("Email/get", ids=[]))["state"]
    await alice.call("Email/set", destroy=[await alice.add(letter("Short"), mailbox="Club")])
    created, updated, destroyed, _ = await emails(visitor, state)
    assert (created, updated, destroyed) == ([], [], [])


async def test_changes_can_be_had_in_parts(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    await share(alice, club, bob, READ)
    state = (await visitor.call("Email/get", ids=[]))["state"]
    new = [await alice.add(letter(f"New {n}")) for n in range(3)]
    await alice.call("Email/set", update={each: {"mailboxIds": {club: True}} for each in new})
    seen: list[str] = []
    for _ in range(3):
        found = await visitor.call("Email/changes", sinceState=state, maxChanges=1)
        seen += found["created"]
        assert (found["updated"], found["destroyed"]) == ([], [])
        state = found["newState"]
    assert (seen, found["hasMoreChanges"]) == (new, False)


async def test_query_changes_follow(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    await share(alice, club, bob, READ)
    state = (await visitor.call("Email/query"))["queryState"]
    email = await alice.add(letter("Moves"))
    await alice.call("Email/set", update={email: {"mailboxIds": {club: True}}})
    found = await visitor.call("Email/queryChanges", sinceQueryState=state)
    assert [each["id"] for each in found["added"]] == [email]


async def test_changes_across_a_change_of_rights_cannot_be_told(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club, other = await make(alice, "Club"), await make(alice, "Other")
    await share(alice, club, bob, READ)
    state = (await visitor.call("Email/get", ids=[]))["state"]
    await share(alice, other, bob, READ)
    for kind in ("Email", "Mailbox", "Thread"):
        assert await visitor.error(f"{kind}/changes", sinceState=state) == "cannotCalculateChanges"
    assert await visitor.error("Email/queryChanges", sinceQueryState=state) == "cannotCalculateChanges"
    state = (await visitor.call("Email/get", ids=[]))["state"]
    await alice.call("Mailbox/set", destroy=[other])
    assert await visitor.error("Mailbox/changes", sinceState=state) == "cannotCalculateChanges"


# --- writing -----------------------------------------------------------------------------------------------


async def test_a_reader_changes_nothing(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, other = await make(alice, "Club"), await make(alice, "Other")
    email = await alice.add(letter("Shown"), mailbox="Club")
    await share(alice, club, bob, READ)
    await share(alice, other, bob, READ)
    before = (await alice.call("Email/get"))["state"]
    draft = {"mailboxIds": {club: True}, "subject": "x"}
    assert await visitor.set(create={"d": draft}) == {"d": "forbidden"}
    assert await visitor.set(update={email: {"keywords/$seen": True}}) == {email: "forbidden"}
    assert await visitor.set(update={email: {"keywords/x": True}}) == {email: "forbidden"}
    assert await visitor.set(update={email: {"mailboxIds": {other: True}}}) == {email: "forbidden"}
    assert await visitor.set(destroy=[email]) == {email: "forbidden"}
    assert await visitor.set("Mailbox", update={club: {"name": "Mine"}}) == {club: "forbidden"}
    assert await visitor.set("Mailbox", update={club: {"role": "junk"}}) == {club: "forbidden"}
    mine = {"shareWith": {principal(bob): WRITE}}
    assert await visitor.set("Mailbox", update={club: mine}) == {club: "forbidden"}
    assert await visitor.set("Mailbox", destroy=[club]) == {club: "forbidden"}
    assert await visitor.set("Mailbox", create={"m": {"name": "x", "parentId": club}}) == {"m": "forbidden"}
    assert await visitor.set("Mailbox", create={"m": {"name": "x"}}) == {"m": "forbidden"}
    assert (await alice.call("Email/get"))["state"] == before


@pytest.mark.parametrize(
    ("right", "patch"),
    [
        ("maySetSeen", {"keywords/$seen": True}),
        ("maySetKeywords", {"keywords/$flagged": True}),
        ("mayRemoveItems", None),
    ],
)
async def test_each_right_allows_its_own(
    alice: Client, bob: Client, visitor: Visitor, right: str, patch: Any
) -> None:
    club = await make(alice, "Club")
    email = await alice.add(letter("Shown"), mailbox="Club")
    await share(alice, club, bob, {name: given and name != right for name, given in WRITE.items()})
    change = {"update": {email: patch}} if patch else {"destroy": [email]}
    assert await visitor.set(**change) == {email: "forbidden"}
    await share(alice, club, bob, READ | {right: True})
    assert await visitor.set(**change) == {}


async def test_a_writer_makes_and_moves_emails(alice: Client, bob: Client, visitor: Visitor) -> None:
    club, other = await make(alice, "Club"), await make(alice, "Other")
    hidden = await make(alice, "Hidden")
    await share(alice, club, bob, WRITE)
    await share(alice, other, bob, READ | {"mayAddItems": True})
    draft = {"mailboxIds": {club: True}, "subject": "Minutes", "keywords": {"$seen": True}}
    made = await visitor.call("Email/set", create={"d": draft})
    email = made["created"]["d"]["id"]
    assert await visitor.set(update={email: {"mailboxIds": {hidden: True}}}) == {email: "invalidProperties"}
    assert await visitor.set(update={email: {"mailboxIds": {other: True}}}) == {}
    (left,) = await alice.get(email)
    assert left["mailboxIds"] == {other: True}
    assert await visitor.set(update={email: {"mailboxIds": {club: True}}}) == {email: "forbidden"}


async def test_copies_between_accounts(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    email = await alice.add(letter("Shown"), mailbox="Club", flags=("\\Seen",))
    hidden = await alice.add(letter("Hidden"))
    await share(alice, club, bob, READ | {"mayAddItems": True})
    inbox = await bob.mailbox("inbox")
    taken = {"id": email, "mailboxIds": {inbox: True}}
    answer = await bob.call("Email/copy", fromAccountId=visitor.where, create={"c": taken})
    (mine,) = await bob.get(answer["created"]["c"]["id"])
    assert (mine["subject"], mine["keywords"]) == ("Shown", {"$seen": True})
    other = {"id": hidden, "mailboxIds": {inbox: True}}
    answer = await bob.call("Email/copy", fromAccountId=visitor.where, create={"c": other})
    assert answer["notCreated"]["c"]["type"] == "notFound"
    # To the other account, without the right to set $seen there.
    back = {"id": mine["id"], "mailboxIds": {club: True}}
    answer = await visitor.call("Email/copy", fromAccountId=bob.account_id, create={"c": back})
    (there,) = await alice.get(answer["created"]["c"]["id"])
    assert there["keywords"] == {}
    explicit = back | {"keywords": {"$seen": True}}
    answer = await visitor.call("Email/copy", fromAccountId=bob.account_id, create={"c": explicit})
    assert answer["notCreated"]["c"]["type"] == "forbidden"
    both = await bob.calls(
        (
            "Email/copy",
            {"fromAccountId": visitor.where, "create": {"c": taken}, "onSuccessDestroyOriginal": True},
        )
    )
    assert both[1][1]["notDestroyed"][email]["type"] == "forbidden"
    await share(alice, club, bob, READ)
    answer = await visitor.call("Email/copy", fromAccountId=bob.account_id, create={"c": back})
    assert answer["notCreated"]["c"]["type"] == "forbidden"


async def test_who_shares_mail_does_not_share_contacts(alice: Client, bob: Client, visitor: Visitor) -> None:
    await share(alice, await make(alice, "Club"), bob, READ)
    wanted = {"fromAccountId": visitor.where, "create": {}}
    assert await bob.error("ContactCard/copy", **wanted) == "fromAccountNotSupportedByMethod"
    assert await visitor.error("ContactCard/get") == "accountNotSupportedByMethod"


async def test_mailboxes_are_changed_as_far_as_the_rights_go(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club = await make(alice, "Club", await make(alice, "Secret"))
    await share(alice, club, bob, READ | {"mayRename": True, "mayCreateChild": True, "mayDelete": True})
    assert await visitor.set("Mailbox", update={club: {"name": "Team"}}) == {}
    assert {box["name"] for box in (await alice.call("Mailbox/get"))["list"]} >= {"Secret", "Team"}
    made = await visitor.call("Mailbox/set", create={"m": {"name": "Plans", "parentId": club}})
    child = made["created"]["m"]["id"]
    (box,) = (await visitor.call("Mailbox/get", ids=[child]))["list"]
    assert (box["parentId"], box["myRights"]["mayDelete"]) == (club, True)
    assert await visitor.set("Mailbox", destroy=[club]) == {club: "mailboxHasChild"}
    assert await visitor.set("Mailbox", update={child: {"parentId": None}}) == {child: "forbidden"}
    await alice.add(letter("Inside"), mailbox="Secret/Team/Plans")
    assert await visitor.set("Mailbox", destroy=[child]) == {child: "mailboxHasEmail"}
    refused = await visitor.set("Mailbox", destroy=[child], onDestroyRemoveEmails=True)
    assert refused == {child: "forbidden"}, "emails may not be removed"
    await alice.call("Mailbox/set", destroy=[child], onDestroyRemoveEmails=True)
    assert await visitor.set("Mailbox", destroy=[club]) == {}
    assert await visitor.error("Mailbox/get") == "accountNotFound"


# --- subscriptions, the session, principals, notifications -------------------------------------------------


async def session(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await client.http.get("/jmap/session")).json()
    return found


async def test_the_session_shows_accounts_in_which_something_is_subscribed(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club = await make(alice, "Club")
    await share(alice, club, bob, READ)
    first = await session(bob)
    assert visitor.where not in first["accounts"]  # RFC 9670 §1.4
    state = (await visitor.call("Mailbox/get", ids=[]))["state"]
    assert await visitor.set("Mailbox", update={club: {"isSubscribed": True}}) == {}
    assert (await visitor.call("Mailbox/changes", sinceState=state))["updated"] == [club]
    (box,) = (await visitor.call("Mailbox/get"))["list"]
    assert box["isSubscribed"] is True
    found = await session(bob)
    shown = found["accounts"][visitor.where]
    assert (shown["name"], shown["isPersonal"], shown["isReadOnly"]) == ("alice@example.test", False, True)
    assert found["state"] != first["state"]
    able = shown["accountCapabilities"]
    assert set(able) == {
        "urn:ietf:params:jmap:mail",
        "urn:ietf:params:jmap:blob",
        "urn:ietf:params:jmap:principals:owner",
    }
    assert able["urn:ietf:params:jmap:principals:owner"] == {
        "accountIdForPrincipal": bob.account_id,
        "principalId": principal(alice),
    }
    (mine,) = (await alice.call("Mailbox/get", ids=[club]))["list"]
    assert mine["isSubscribed"] is True, "each has their own subscription"
    answer = await bob.request([["Core/echo", {}, "0"]])
    assert answer["sessionState"] == found["state"]
    await share(alice, club, bob, WRITE)
    shown = (await session(bob))["accounts"][visitor.where]
    assert shown["isReadOnly"] is False
    await share(alice, club, bob, None)
    assert visitor.where not in (await session(bob))["accounts"]


async def test_principals_are_those_of_the_domain(alice: Client, bob: Client, visitor: Visitor) -> None:
    club = await make(alice, "Club")
    before = await bob.call("Principal/get")
    assert {principal(alice), principal(bob)} <= {each["id"] for each in before["list"]}
    (shown,) = (await bob.call("Principal/get", ids=[principal(alice)]))["list"]
    assert (shown["email"], shown["type"], shown["accounts"]) == ("alice@example.test", "individual", None)
    assert (await bob.call("Principal/changes", sinceState=before["state"]))["updated"] == []
    await share(alice, club, bob, READ)
    assert await bob.error("Principal/changes", sinceState=before["state"]) == "cannotCalculateChanges"
    (shown,) = (await bob.call("Principal/get", ids=[principal(alice)]))["list"]
    assert shown["accounts"][visitor.where]["isPersonal"] is False
    found = await bob.call("Principal/query", filter={"accountIds": [visitor.where]})
    assert found["ids"] == [principal(alice)]
    found = await bob.call("Principal/query", filter={"text": "ALICE"})
    assert found["ids"] == [principal(alice)]


async def test_whose_rights_change_is_told_once_for_each_object(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    club, other = await make(alice, "Club"), await make(alice, "Other")
    await share(alice, club, bob, READ)
    await share(alice, other, bob, READ)
    await share(alice, club, bob, WRITE)
    first, second = (await bob.call("ShareNotification/get"))["list"]
    assert (first["objectId"], second["objectId"]) == (other, club)
    assert second["oldRights"] is None, "as it was when they were last told"
    assert second["newRights"]["mayAddItems"] is True
    assert (second["name"], second["objectType"]) == ("Club", "Mailbox")
    assert second["objectAccountId"] == visitor.where
    assert second["changedBy"]["email"] == "alice@example.test"
    assert second["changedBy"]["principalId"] == principal(alice)
    await bob.call("ShareNotification/set", destroy=[first["id"], second["id"]])
    await share(alice, club, bob, None)
    (last,) = (await bob.call("ShareNotification/get"))["list"]
    assert (last["oldRights"]["mayAddItems"], last["newRights"]) == (True, None)


async def test_who_saw_a_mailbox_is_told_that_it_is_gone_and_nothing_of_those_above_it(
    alice: Client, bob: Client, visitor: Visitor
) -> None:
    top = await make(alice, "Secret")
    made = await alice.call(
        "Mailbox/set", create={"m": {"name": "Club", "parentId": top, "shareWith": {principal(bob): READ}}}
    )
    club = made["created"]["m"]["id"]
    (first,) = (await bob.call("ShareNotification/get"))["list"]
    assert first["name"] == "Club"
    await bob.call("ShareNotification/set", destroy=[first["id"]])
    state = (await session(bob))["state"]
    await alice.call("Mailbox/set", destroy=[club])
    (last,) = (await bob.call("ShareNotification/get"))["list"]
    assert (last["name"], last["objectId"], last["newRights"]) == ("Club", club, None)
    assert (await session(bob))["state"] != state


@pytest.mark.slow
async def test_notifications_of_shares_are_bounded(alice: Client, bob: Client, visitor: Visitor) -> None:
    """RFC 9670 §3: who shares mailbox after mailbox must not fill the account of the other."""
    made = {
        f"m{number}": {"name": f"Shared {number:03}", "shareWith": {principal(bob): READ}}
        for number in range(230)
    }
    answer = await alice.call("Mailbox/set", create=made)
    assert answer["notCreated"] is None
    notes = (await bob.call("ShareNotification/get"))["list"]
    assert len(notes) == 200
    assert {note["name"] for note in notes} == {f"Shared {number:03}" for number in range(30, 230)}, (
        "the oldest went"
    )
    gone = await alice.call("Mailbox/set", destroy=[each["id"] for each in answer["created"].values()])
    assert gone["notDestroyed"] is None
    assert len((await bob.call("ShareNotification/get"))["list"]) == 200
