"""Mailbox (RFC 8621 §2): get, changes, query, queryChanges, set with each of its errors."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jmap.conftest import NOW, Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def make(alice: Client, name: str, **more: Any) -> str:
    """A new mailbox; its id."""
    answer = await alice.call("Mailbox/set", create={"m": {"name": name} | more})
    return str(answer["created"]["m"]["id"])


async def box(alice: Client, name: str) -> dict[str, Any]:
    """One mailbox by id."""
    (found,) = (await alice.call("Mailbox/get", ids=[name]))["list"]
    shown: dict[str, Any] = found
    return shown


async def test_a_new_account_has_its_roles(alice: Client) -> None:
    answer = await alice.call("Mailbox/get")
    roles = {each["role"] for each in answer["list"]}
    assert roles == {"inbox", "drafts", "sent", "junk", "trash", "archive"}
    (inbox,) = [each for each in answer["list"] if each["role"] == "inbox"]
    assert (inbox["name"], inbox["parentId"], inbox["isSubscribed"]) == ("Inbox", None, True)
    rights = inbox["myRights"]
    assert (rights["mayReadItems"], rights["mayRename"], rights["mayDelete"]) == (True, False, False)
    assert set(rights) == {
        *("mayReadItems", "mayAddItems", "mayRemoveItems", "maySetSeen", "maySetKeywords"),
        *("mayCreateChild", "mayRename", "mayDelete", "maySubmit"),
    }
    narrow = await alice.call("Mailbox/get", ids=[inbox["id"], "F999999"], properties=["name"])
    assert (narrow["list"], narrow["notFound"]) == ([{"id": inbox["id"], "name": "Inbox"}], ["F999999"])
    assert await alice.error("Mailbox/get", properties=["colour"]) == "invalidArguments"


async def test_counts_of_emails_and_threads(alice: Client) -> None:
    inbox, trash = await alice.mailbox("inbox"), await alice.mailbox("trash")
    await alice.add(letter("Topic"), flags=("\\Seen",))
    await alice.add(letter("Re: Topic", reply_to="Topic", message_id="b"), mailbox="Archive")
    await alice.add(letter("Other"), flags=("\\Draft",))
    await alice.add(letter("Thrown"), flags=("\\Seen",), received_at=NOW)
    await alice.add(letter("Re: Thrown", reply_to="Thrown", message_id="c"), mailbox="Trash")
    found = await box(alice, inbox)
    counts = [found[key] for key in ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")]
    # The unread answer to Topic is in another mailbox and counts; that to Thrown is in the trash and does not.
    assert counts == [3, 0, 3, 1]
    assert (await box(alice, trash))["unreadThreads"] == 1


async def test_mailboxes_are_made_moved_and_removed(alice: Client) -> None:
    top = await make(alice, "Top")
    below = await make(alice, "Below", parentId=top, sortOrder=0, isSubscribed=False)
    found = await box(alice, below)
    assert (found["name"], found["parentId"], found["sortOrder"], found["isSubscribed"]) == (
        "Below",
        top,
        0,
        False,
    )
    answer = await alice.call(
        "Mailbox/set",
        update={below: {"name": "Moved", "parentId": None, "sortOrder": 7, "isSubscribed": True}},
    )
    assert answer["updated"] == {below: None}
    found = await box(alice, below)
    assert (found["name"], found["parentId"], found["sortOrder"], found["isSubscribed"]) == (
        "Moved",
        None,
        7,
        True,
    )
    await alice.call("Mailbox/set", update={below: {"parentId": top}})
    await alice.call("Mailbox/set", update={top: {"name": "Renamed"}})
    assert (await box(alice, below))["parentId"] == top
    answer = await alice.call("Mailbox/set", destroy=[top, below])
    assert sorted(answer["destroyed"]) == sorted([top, below])


async def test_what_is_subscribed_stays_so_under_a_new_name(alice: Client) -> None:
    top = await make(alice, "Top")
    shown = await make(alice, "Shown", parentId=top)
    hidden = await make(alice, "Hidden", parentId=top, isSubscribed=False)
    answer = await alice.call("Mailbox/set", update={top: {"name": "Renamed"}})
    assert answer["updated"] == {top: None}
    found = [(await box(alice, name))["isSubscribed"] for name in (top, shown, hidden)]
    assert found == [True, True, False]
    names = await alice.house.app.store.subscriptions(alice.number)
    assert {"Renamed", "Renamed/Shown"} <= names
    assert not {"Top", "Top/Shown"} & names, "no subscription is left that names nothing"


async def test_a_whole_tree_in_one_call_in_any_order(alice: Client) -> None:
    create = {
        "c": {"name": "C", "parentId": "#b"},
        "a": {"name": "A"},
        "b": {"name": "B", "parentId": "#a"},
        "lost": {"name": "L", "parentId": "#nobody"},
        "x": {"name": "X", "parentId": "#y"},
        "y": {"name": "Y", "parentId": "#x"},
    }
    answer = await alice.call("Mailbox/set", create=create)
    assert set(answer["created"]) == {"a", "b", "c"}
    assert {fault["type"] for fault in answer["notCreated"].values()} == {"invalidProperties"}


REFUSED: list[dict[str, Any]] = [
    {},
    {"name": ""},
    {"name": "  "},
    {"name": "a/b"},
    {"name": "a\nb"},
    {"name": "x" * 300},
    {"name": 1},
    {"name": "Sent"},
    {"name": "n", "parentId": "F999999"},
    {"name": "n", "parentId": "M1"},
    {"name": "n", "role": "nobody"},
    {"name": "n", "role": "sent"},
    {"name": "n", "sortOrder": -1},
    {"name": "n", "sortOrder": 2**31},
    {"name": "n", "isSubscribed": 1},
    {"name": "n", "totalEmails": 3},
    {"name": "n", "colour": "red"},
    {"name": "n", "id": "F1"},
]


@pytest.mark.parametrize("given", REFUSED, ids=str)
async def test_mailboxes_that_are_refused(alice: Client, given: dict[str, Any]) -> None:
    answer = await alice.call("Mailbox/set", create={"m": given})
    fault = answer["notCreated"]["m"]
    assert fault["type"] == "invalidProperties", fault
    assert fault["properties"]


async def test_updates_that_are_refused(alice: Client) -> None:
    inbox = await alice.mailbox("inbox")
    top = await make(alice, "Top")
    below = await make(alice, "Below", parentId=top)
    for name, patch, kind in (
        (inbox, {"name": "Post"}, "forbidden"),
        (top, {"parentId": below}, "invalidProperties"),
        (top, {"parentId": top}, "invalidProperties"),
        (top, {"name": "Sent"}, "invalidProperties"),
        (top, {"role": "inbox"}, "invalidProperties"),
        (top, {"totalEmails": 1}, "invalidProperties"),
        (top, {"myRights/mayDelete": False}, "invalidProperties"),
        (top, {"name/x": "y"}, "invalidPatch"),
        ("F999999", {"name": "x"}, "notFound"),
    ):
        answer = await alice.call("Mailbox/set", update={name: patch})
        assert answer["notUpdated"][name]["type"] == kind, (patch, answer)


async def test_roles_change_hands_in_one_call(alice: Client) -> None:
    archive, other = await alice.mailbox("archive"), await make(alice, "Other")
    update = {other: {"role": "archive"}, archive: {"role": None}}
    assert set((await alice.call("Mailbox/set", update=update))["updated"]) == {other, archive}
    assert await alice.mailbox("archive") == other
    await alice.call("Mailbox/set", update={archive: {"role": "archive"}, other: {"role": None}})


async def test_what_is_full_or_has_children_stays(alice: Client) -> None:
    top = await make(alice, "Top")
    below = await make(alice, "Below", parentId=top)
    name = await alice.add(letter("Inside"), mailbox="Top/Below")
    for destroy, kind in ((top, "mailboxHasChild"), (below, "mailboxHasEmail"), ("F999999", "notFound")):
        answer = await alice.call("Mailbox/set", destroy=[destroy])
        assert answer["notDestroyed"][destroy]["type"] == kind
    inbox = await alice.mailbox("inbox")
    assert (await alice.call("Mailbox/set", destroy=[inbox]))["notDestroyed"][inbox]["type"] == "forbidden"
    state = (await alice.call("Email/get", ids=[]))["state"]
    answer = await alice.call("Mailbox/set", destroy=[below], onDestroyRemoveEmails=True)
    assert answer["destroyed"] == [below]
    assert (await alice.call("Email/changes", sinceState=state))["destroyed"] == [name]
    assert await alice.error("Mailbox/set", ifInState="1", destroy=[]) == "stateMismatch"


# --- changes and queries ----------------------------------------------------------------------------------------


async def test_changes_tell_counts_from_properties(alice: Client) -> None:
    inbox, top = await alice.mailbox("inbox"), await make(alice, "Top")
    state = (await alice.call("Mailbox/get", ids=[]))["state"]
    await alice.add(letter("New"))
    answer = await alice.call("Mailbox/changes", sinceState=state)
    assert (answer["updated"], answer["created"], answer["destroyed"]) == ([inbox], [], [])
    assert answer["updatedProperties"] == ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
    made = await make(alice, "Made")
    await alice.call("Mailbox/set", update={top: {"name": "Renamed"}})
    answer = await alice.call("Mailbox/changes", sinceState=state)
    assert (set(answer["updated"]), answer["created"], answer["updatedProperties"]) == (
        {inbox, top},
        [made],
        None,
    )
    await alice.call("Mailbox/set", destroy=[top, made])
    answer = await alice.call("Mailbox/changes", sinceState=state)
    assert (answer["updated"], answer["created"], answer["destroyed"]) == ([inbox], [], [top])
    one = await alice.call("Mailbox/changes", sinceState=state, maxChanges=1)
    assert one["hasMoreChanges"] is True
    two = await alice.call("Mailbox/changes", sinceState=one["newState"], maxChanges=9)
    assert (two["hasMoreChanges"], two["newState"]) == (False, answer["newState"])
    assert sorted(one["updated"] + one["destroyed"] + two["updated"] + two["destroyed"]) == sorted(
        [inbox, top]
    )


async def test_a_thread_in_two_mailboxes_changes_both(alice: Client) -> None:
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    await alice.add(letter("Topic"))
    reply = await alice.add(letter("Re: Topic", reply_to="Topic", message_id="b"), mailbox="Archive")
    state = (await alice.call("Mailbox/get", ids=[]))["state"]
    await alice.call("Email/set", update={reply: {"keywords/$seen": True}})
    answer = await alice.call("Mailbox/changes", sinceState=state)
    assert set(answer["updated"]) == {inbox, archive}


async def test_queries_filters_and_trees(alice: Client) -> None:
    top = await make(alice, "Zoo")
    below = await make(alice, "Apes", parentId=top, isSubscribed=False)
    archive = await alice.mailbox("archive")
    cases: list[tuple[dict[str, Any], list[str]]] = [
        ({"parentId": top}, [below]),
        ({"name": "zo"}, [top]),
        ({"role": "archive"}, [archive]),
        ({"hasAnyRole": False}, [top, below]),
        ({"isSubscribed": False}, [below]),
        ({"operator": "NOT", "conditions": [{"hasAnyRole": True}, {"name": "Zoo"}]}, [below]),
    ]
    for tree, wanted in cases:
        found = (
            await alice.call("Mailbox/query", filter=tree, sort=[{"property": "name", "isAscending": False}])
        )["ids"]
        assert found == wanted, tree
    flat = (await alice.call("Mailbox/query", sort=[{"property": "name"}]))["ids"]
    tree = (await alice.call("Mailbox/query", sort=[{"property": "name"}], sortAsTree=True))["ids"]
    assert flat[0] == below
    assert tree[-2:] == [top, below]
    named = {"operator": "OR", "conditions": [{"name": "Apes"}]}
    assert (await alice.call("Mailbox/query", filter=named, filterAsTree=True))["ids"] == []
    assert await alice.error("Mailbox/query", filter={"colour": 1}) == "unsupportedFilter"
    assert await alice.error("Mailbox/query", sort=[{"property": "colour"}]) == "unsupportedSort"


async def test_query_changes(alice: Client) -> None:
    before = await alice.call("Mailbox/query", sort=[{"property": "name"}])
    made = await make(alice, "Aaa")
    changed = await alice.call(
        "Mailbox/queryChanges",
        sinceQueryState=before["queryState"],
        sort=[{"property": "name"}],
        calculateTotal=True,
    )
    assert changed["added"] == [{"id": made, "index": 0}]
    assert changed["total"] == len(before["ids"]) + 1
    assert (
        await alice.error("Mailbox/queryChanges", sinceQueryState=before["queryState"], maxChanges=1)
        == "tooManyChanges"
    )


async def test_mailboxes_exchange_their_names_in_one_call(alice: Client) -> None:
    """RFC 8620 §5.3: only what is there at the end must be valid."""
    names = {"a": {"name": "A"}, "b": {"name": "B"}, "c": {"name": "C"}}
    made = (await alice.call("Mailbox/set", create=names))["created"]
    a, b, c = (made[key]["id"] for key in "abc")
    answer = await alice.call("Mailbox/set", update={a: {"name": "B"}, b: {"name": "C"}, c: {"name": "A"}})
    assert answer["notUpdated"] is None
    found = await alice.call("Mailbox/get", ids=[a, b, c], properties=["name"])
    assert [each["name"] for each in found["list"]] == ["B", "C", "A"]
    answer = await alice.call("Mailbox/set", update={a: {"name": "D"}, c: {"name": "Sent"}})
    assert answer["updated"] == {a: None}
    assert answer["notUpdated"][c]["properties"] == ["name", "parentId"]


async def test_a_mailbox_is_changed_whole_or_not_at_all(alice: Client) -> None:
    """RFC 8620 §5.3: no part of an update to a single record."""
    made = (await alice.call("Mailbox/set", create={"a": {"name": "Old"}}))["created"]["a"]["id"]
    before = await alice.call("Mailbox/get", ids=[made])
    for patch, wrong in (
        ({"name": "New", "sortOrder": 3, "role": "sent"}, ["role"]),
        ({"name": "Sent", "sortOrder": 3, "isSubscribed": False}, ["name", "parentId"]),
    ):
        answer = await alice.call("Mailbox/set", update={made: patch})
        assert answer["notUpdated"][made]["properties"] == wrong
        assert await alice.call("Mailbox/get", ids=[made]) == before


async def test_a_new_name_is_told_also_when_counts_changed_after_it_and_changes_come_in_parts(
    alice: Client,
) -> None:
    made = await alice.call("Mailbox/set", create={"m": {"name": "Old name"}})
    name, inbox = made["created"]["m"]["id"], await alice.mailbox("inbox")
    state = (await alice.call("Mailbox/get", ids=[]))["state"]
    await alice.call("Mailbox/set", update={name: {"name": "New name"}})
    await alice.add(letter("To the inbox"))
    await alice.add(letter("To the other"), mailbox="New name")
    first = await alice.call("Mailbox/changes", sinceState=state, maxChanges=1)
    assert first["updated"] == [inbox]
    assert first["updatedProperties"] is not None, "only counts"
    second = await alice.call("Mailbox/changes", sinceState=first["newState"])
    assert second["updated"] == [name]
    assert second["updatedProperties"] is None
