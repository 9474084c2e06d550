"""Identity, EmailSubmission and VacationResponse (RFC 8621 §6-8), and the outbox behind them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.inbound.vacation import SENT
from posthouse.store.account_model import Item
from posthouse.store.interface import MoveEmails, Op, PutItem, RemoveItem
from posthouse.store.model import Stored
from tests.house import TestHouse
from tests.jmap.conftest import Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def draft(
    alice: Client, *, to: str = "bob@example.test", sender: str = "alice@example.test", **more: Any
) -> str:
    """A draft of alice's; its id."""
    given: dict[str, Any] = {
        "mailboxIds": {await alice.mailbox("drafts"): True},
        "keywords": {"$draft": True},
        "from": [{"name": "Alice", "email": sender}],
        "to": [{"name": None, "email": to}],
        "bcc": [{"name": None, "email": "admin@example.test"}],
        "subject": "Hello",
        "textBody": [{"partId": "t", "type": "text/plain"}],
        "bodyValues": {"t": {"value": "How are you?"}},
    }
    answer = await alice.call("Email/set", create={"d": given | more})
    return str(answer["created"]["d"]["id"])


async def own_identity(alice: Client) -> str:
    """The id of the identity that every account has."""
    return str((await alice.call("Identity/get"))["list"][0]["id"])


async def submit(alice: Client, email: str, **more: Any) -> dict[str, Any]:
    """Submit; what is told, or the SetError."""
    given = {"identityId": await own_identity(alice), "emailId": email} | more
    answer = (await alice.calls(("EmailSubmission/set", {"create": {"s": given}})))[0][1]
    found: dict[str, Any] = (answer["created"] or answer["notCreated"])["s"]
    return found


async def until(alice: Client, name: str, **wanted: Any) -> dict[str, Any]:
    """The submission, once it has these properties."""
    for _ in range(1_500):
        (found,) = (await alice.call("EmailSubmission/get", ids=[name]))["list"]
        if all(found[key] == value for key, value in wanted.items()):
            shown: dict[str, Any] = found
            return shown
        await asyncio.sleep(0.02)
    raise AssertionError(found)


def held(seconds: str, *recipients: str) -> dict[str, Any]:
    """An envelope that is held (RFC 4865)."""
    return {
        "mailFrom": {"email": "alice@example.test", "parameters": {"HOLDFOR": seconds}},
        "rcptTo": [{"email": each} for each in recipients or ("bob@example.test",)],
    }


def told_of(**parameters: str | None) -> dict[str, Any]:
    """An envelope with parameters of its recipient (RFC 3461)."""
    return {
        "mailFrom": {"email": "alice@example.test"},
        "rcptTo": [{"email": "b@c.test", "parameters": parameters}],
    }


def envelope(mail_from: str, **parameters: str | None) -> dict[str, Any]:
    """One to somebody elsewhere."""
    return {"mailFrom": {"email": mail_from, "parameters": parameters}, "rcptTo": [{"email": "b@c.test"}]}


def fail_on(house: TestHouse, monkeypatch: pytest.MonkeyPatch, kind: type[Op[Any]]) -> None:
    """From here on the store is away for every commit with such an operation."""
    store = house.app.store
    for name in ("apply", "commit"):
        whole = getattr(store, name)

        async def unless_that(*ops: Op[Any], whole: Any = whole, **more: Any) -> Any:
            if any(isinstance(op, kind) for op in ops):
                raise StoreUnavailable("the store is away")
            return await whole(*ops, **more)

        monkeypatch.setattr(store, name, unless_that)


# --- identities -----------------------------------------------------------------------------------------------


async def test_an_account_has_an_identity_that_stays(alice: Client) -> None:
    (own,) = [each for each in (await alice.call("Identity/get"))["list"] if not each["mayDelete"]]
    assert own["email"] == "alice@example.test"
    answer = await alice.call("Identity/set", destroy=[own["id"]])
    assert answer["notDestroyed"][own["id"]]["type"] == "forbidden"


async def test_identities_are_made_changed_and_removed(alice: Client) -> None:
    state = (await alice.call("Identity/get"))["state"]
    create = {
        "i": {
            "email": "alice+shop@example.test",
            "name": "Shopper",
            "replyTo": [{"name": None, "email": "a@b.test"}],
        }
    }
    made = (await alice.call("Identity/set", create=create))["created"]["i"]
    assert (made["textSignature"], made["mayDelete"], made["bcc"]) == ("", True, None)
    name = made["id"]
    assert (await alice.call("Identity/changes", sinceState=state))["created"] == [name]
    patch = {"textSignature": "-- \nAlice", "name": "A"}
    assert (await alice.call("Identity/set", update={name: patch}))["updated"] == {name: None}
    (found,) = (await alice.call("Identity/get", ids=[name]))["list"]
    assert (found["textSignature"], found["name"], found["email"]) == (
        "-- \nAlice",
        "A",
        "alice+shop@example.test",
    )
    refused = await alice.call("Identity/set", update={name: {"email": "b@c.test"}, "I999": {}})
    assert {k: v["type"] for k, v in refused["notUpdated"].items()} == {
        name: "invalidProperties",
        "I999": "notFound",
    }
    state = (await alice.call("Identity/get"))["state"]
    assert (await alice.call("Identity/set", destroy=[name], ifInState=state))["destroyed"] == [name]
    assert (await alice.call("Identity/changes", sinceState=state))["destroyed"] == [name]
    assert await alice.error("Identity/set", destroy=[name], ifInState=state) == "stateMismatch"


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"email": "bob@example.test"}, "forbiddenFrom"),
        ({"email": "*@example.test"}, "forbiddenFrom"),
        ({"email": "nonsense"}, "invalidProperties"),
        ({"name": "x"}, "invalidProperties"),
        ({"email": "alice@example.test", "mayDelete": False}, "invalidProperties"),
        ({"email": "alice@example.test", "colour": 1}, "invalidProperties"),
        ({"email": "alice@example.test", "name": 1}, "invalidProperties"),
    ],
)
async def test_identities_that_are_refused(alice: Client, given: dict[str, Any], kind: str) -> None:
    answer = await alice.call("Identity/set", create={"i": given})
    assert answer["notCreated"]["i"]["type"] == kind


# --- sending --------------------------------------------------------------------------------------------------


async def test_a_draft_is_sent_and_moves_to_sent(alice: Client, bob: Client) -> None:
    email = await draft(alice)
    drafts, sent = await alice.mailbox("drafts"), await alice.mailbox("sent")
    patch = {
        f"mailboxIds/{drafts}": None,
        f"mailboxIds/{sent}": True,
        "keywords/$draft": None,
        "keywords/$seen": True,
    }
    arguments = {
        "create": {"s": {"identityId": await own_identity(alice), "emailId": email}},
        "onSuccessUpdateEmail": {"#s": patch},
    }
    first, second = await alice.calls(("EmailSubmission/set", arguments))
    made = first[1]["created"]["s"]
    assert (second[0], second[1]["updated"], second[2]) == ("Email/set", {email: None}, first[2])
    assert made["undoStatus"] == "final"
    (found,) = await alice.get(email)
    assert (found["mailboxIds"], found["keywords"]) == ({sent: True}, {"$seen": True})
    (name,) = (await bob.call("Email/query"))["ids"]
    (arrived,) = await bob.get(name, fetchTextBodyValues=True)
    assert arrived["subject"] == "Hello"
    assert arrived["bcc"] is None
    assert arrived["messageId"] == found["messageId"]
    assert arrived["bodyValues"]["1"]["value"] == "How are you?"
    status = {"bob@example.test", "admin@example.test"}
    shown = await until(alice, made["id"])
    while any(each["delivered"] == "queued" for each in shown["deliveryStatus"].values()):
        await asyncio.sleep(0.02)
        shown = await until(alice, made["id"])
    assert set(shown["deliveryStatus"]) == status
    assert {each["delivered"] for each in shown["deliveryStatus"].values()} == {"yes"}


async def test_what_was_sent_is_told_though_the_move_to_sent_fails(
    house: TestHouse, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error instead of the first response would make a client send the letter again."""
    email = await draft(alice)
    drafts, sent = await alice.mailbox("drafts"), await alice.mailbox("sent")
    arguments = {
        "create": {"s": {"identityId": await own_identity(alice), "emailId": email}},
        "onSuccessUpdateEmail": {"#s": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True}},
    }
    fail_on(house, monkeypatch, MoveEmails)
    (name, first, number), (second, told, implicit) = await alice.calls(("EmailSubmission/set", arguments))
    assert (name, first["created"]["s"]["undoStatus"]) == ("EmailSubmission/set", "final")
    assert (second, told["type"], implicit) == ("error", "serverUnavailable", number)
    assert len((await bob.call("Email/query"))["ids"]) == 1


async def test_what_was_sent_is_told_though_the_next_one_fails(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second's text cannot be read: the first was sent all the same, and moves to Sent."""
    first, second = await draft(alice), await draft(alice, subject="Unreadable")
    own, sent = await own_identity(alice), await alice.mailbox("sent")
    (broken,) = await alice.get(second, properties=["size"])
    read = house.app.store.read

    async def unless_broken(stored: Stored) -> bytes:
        if stored.size == broken["size"]:
            raise StoreUnavailable("the bytes are away")
        return await read(stored)

    monkeypatch.setattr(house.app.store, "read", unless_broken)
    create = {name: {"identityId": own, "emailId": each} for name, each in (("a", first), ("b", second))}
    patch = {"mailboxIds": {sent: True}}
    answer, implicit = await alice.calls(
        ("EmailSubmission/set", {"create": create, "onSuccessUpdateEmail": {"#a": patch, "#b": patch}})
    )
    assert list(answer[1]["created"]) == ["a"]
    assert answer[1]["notCreated"]["b"]["type"] == "serverUnavailable"
    assert implicit[1]["updated"] == {first: None}


async def test_a_letter_that_went_without_a_record_is_not_called_unsent(
    house: TestHouse, alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    email = await draft(alice)
    fail_on(house, monkeypatch, PutItem)
    told = await submit(alice, email)
    assert told["type"] == "serverPartialFail"
    assert "it was sent" in told["description"]
    assert len((await bob.call("Email/query"))["ids"]) == 1


async def test_mail_for_elsewhere_is_queued(alice: Client) -> None:
    before = await alice.house.waiting()
    made = await submit(alice, await draft(alice, to="x@elsewhere.test", bcc=None))
    shown = await until(alice, made["id"])
    assert shown["deliveryStatus"]["x@elsewhere.test"]["delivered"] == "queued"
    assert shown["envelope"]["mailFrom"]["email"] == "alice@example.test"
    assert await alice.house.waiting() == before + 1


async def test_destroying_the_email_after_sending(alice: Client, bob: Client) -> None:
    email = await draft(alice)
    arguments = {
        "create": {"s": {"identityId": await own_identity(alice), "emailId": email}},
        "onSuccessDestroyEmail": ["#s"],
    }
    answers = await alice.calls(("EmailSubmission/set", arguments))
    assert answers[1][1]["destroyed"] == [email]
    assert len((await bob.call("Email/query"))["ids"]) == 1


async def test_undo_within_the_time_of_holding(alice: Client, bob: Client) -> None:
    email = await draft(alice)
    made = await submit(alice, email, envelope=held("600"))
    assert made["undoStatus"] == "pending"
    forbidden = (await alice.calls(("EmailSubmission/set", {"destroy": [made["id"]]})))[0][1]
    assert forbidden["notDestroyed"][made["id"]]["type"] == "forbidden"
    arguments = {
        "update": {made["id"]: {"undoStatus": "canceled"}},
        "onSuccessUpdateEmail": {made["id"]: {"keywords/$seen": True}},
    }
    first, second = await alice.calls(("EmailSubmission/set", arguments))
    assert first[1]["updated"] == {made["id"]: None}
    assert second[1]["updated"] == {email: None}
    again = (
        await alice.calls(("EmailSubmission/set", {"update": {made["id"]: {"undoStatus": "canceled"}}}))
    )[0][1]
    assert again["updated"] == {made["id"]: None}
    back = (await alice.calls(("EmailSubmission/set", {"update": {made["id"]: {"undoStatus": "pending"}}})))[
        0
    ][1]
    assert back["notUpdated"][made["id"]]["type"] == "invalidProperties"
    assert (await bob.call("Email/query"))["ids"] == []
    found = (await alice.call("EmailSubmission/query", filter={"undoStatus": "canceled"}))["ids"]
    assert made["id"] in found


async def test_what_is_held_is_sent_in_its_time_though_the_draft_is_gone(alice: Client, bob: Client) -> None:
    email = await draft(alice)
    made = await submit(alice, email, envelope=held("1"))
    await alice.call("Email/set", destroy=[email])
    shown = await until(alice, made["id"], undoStatus="final")
    for _ in range(200):
        if names := (await bob.call("Email/query"))["ids"]:
            break
        await asyncio.sleep(0.02)
    (arrived,) = await bob.get(*names)
    assert arrived["subject"] == "Hello"
    late = (await alice.calls(("EmailSubmission/set", {"update": {made["id"]: {"undoStatus": "canceled"}}})))[
        0
    ][1]
    assert late["notUpdated"][made["id"]]["type"] == "cannotUnsend"
    assert shown["emailId"] == email


async def test_what_is_refused_in_its_time_comes_back_as_a_notice(alice: Client) -> None:
    """The webmail holds every message for some seconds, so that it can be taken back: its answer comes to nobody."""
    email = await draft(alice, subject="Refused in its time")
    made = await submit(alice, email, envelope=held("1", "nobody-here@example.test"))
    status: dict[str, Any] | None = None
    async with asyncio.timeout(30):
        while not status:  # it is final, so that nobody can cancel it, before it is tried
            status = (await until(alice, made["id"], undoStatus="final"))["deliveryStatus"]
    assert [one["delivered"] for one in status.values()] == ["no"]
    wanted = {
        "subject": "Could not be delivered: Refused in its time",
        "inMailbox": await alice.mailbox("inbox"),
    }
    names: list[str] = []
    async with asyncio.timeout(30):
        while not names:
            names = (await alice.call("Email/query", filter=wanted))["ids"]
            await asyncio.sleep(0.02)
    assert len(names) == 1
    await alice.call("Email/set", destroy=names)


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {"identityId": "I999"}, "invalidProperties"),
    ({}, {"emailId": "M999999"}, "invalidProperties"),
    ({}, {"colour": 1}, "invalidProperties"),
    ({}, {"envelope": held("x")}, "invalidProperties"),
    ({}, {"envelope": held("999999999")}, "invalidProperties"),
    ({}, {"envelope": envelope("alice@example.test", EVIL="1")}, "invalidProperties"),
    ({}, {"envelope": {"mailFrom": {"email": "alice@example.test"}, "rcptTo": []}}, "noRecipients"),
    ({}, {"envelope": held("0", "nonsense")}, "invalidRecipients"),
    ({}, {"envelope": held("0", *[f"u{i}@x.test" for i in range(1100)])}, "tooManyRecipients"),
    ({}, {"envelope": envelope("bob@example.test")}, "forbiddenMailFrom"),
    ({}, {"envelope": envelope("alice+> SIZE=1@example.test")}, "invalidProperties"),
    ({}, {"envelope": envelope("alice@example.test", ENVID="x\r\nMAIL FROM:<bob@example.test>")}, "invalidProperties"),
    ({}, {"envelope": envelope("alice@example.test", RET="SOME")}, "invalidProperties"),
    ({}, {"envelope": envelope("alice@example.test", RET=None)}, "invalidProperties"),
    ({}, {"envelope": told_of(NOTIFY="NEVER\r\nDATA")}, "invalidProperties"),
    ({}, {"envelope": told_of(ORCPT="rfc822;b c")}, "invalidProperties"),
    ({"sender": "bob@example.test"}, {}, "forbiddenFrom"),
    ({"from": None}, {}, "invalidEmail"),
    ({"to": None, "bcc": None}, {}, "noRecipients"),
    ({}, {"envelope": held("0", "nobody-here@example.test")}, "invalidRecipients"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "given", "kind"), REFUSED, ids=str)
async def test_submissions_that_are_refused(
    alice: Client, message: dict[str, Any], given: dict[str, Any], kind: str
) -> None:
    sender = message.pop("sender", "alice@example.test")
    to = message if "to" not in message else {**message}
    email = await draft(alice, sender=sender)
    if "from" in to or "to" in to:
        await alice.call("Email/set", destroy=[email])
        keep: dict[str, Any] = {"mailboxIds": {await alice.mailbox("drafts"): True}, "subject": "x"}
        if "from" not in to:
            keep["from"] = [{"email": sender}]
        if "to" not in to:
            keep["to"] = [{"email": "bob@example.test"}]
        email = (await alice.call("Email/set", create={"d": keep}))["created"]["d"]["id"]
    fault = await submit(alice, email, **given)
    assert fault["type"] == kind, fault
    if kind == "invalidRecipients":
        assert fault["invalidRecipients"]
    if kind == "tooManyRecipients":
        assert fault["maxRecipients"] >= 100


async def test_submission_states_and_queries(alice: Client, bob: Client) -> None:
    store = alice.house.app.store
    for item in await store.items(alice.number, "EmailSubmission"):
        await store.apply(RemoveItem(account_id=alice.number, kind="EmailSubmission", item_id=item.item_id))
    state = (await alice.call("EmailSubmission/get"))["state"]
    one, two = [await submit(alice, await draft(alice)) for _ in range(2)]
    answer = await alice.call("EmailSubmission/changes", sinceState=state)
    assert sorted(answer["created"]) == sorted([one["id"], two["id"]])
    queried = await alice.call("EmailSubmission/query", sort=[{"property": "sentAt"}], calculateTotal=True)
    assert queried["total"] == 2
    filtered_by = [(await until(alice, one["id"]))["emailId"]]
    filtered = await alice.call("EmailSubmission/query", filter={"emailIds": filtered_by})
    assert filtered["ids"] == [one["id"]]
    assert (await alice.call("EmailSubmission/query", filter={"before": "2020-01-02T03:04:05Z"}))["ids"] == []
    sent_at = (await until(alice, one["id"]))["sendAt"]
    later = f"{sent_at[:-1]}.5Z"  # a fraction as text stands before the Z of a whole second
    for name, moment, found in (
        ("before", sent_at, 0),
        ("before", later, 1),
        ("after", sent_at, 1),
        ("after", later, 0),
    ):
        condition = {"operator": "AND", "conditions": [{"emailIds": filtered_by}, {name: moment}]}
        answer = await alice.call("EmailSubmission/query", filter=condition)
        assert len(answer["ids"]) == found, (name, moment)
    assert await alice.error("EmailSubmission/query", filter={"colour": 1}) == "unsupportedFilter"
    assert await alice.error("EmailSubmission/query", sort=[{"property": "x"}]) == "unsupportedSort"
    assert (await bob.call("EmailSubmission/get", ids=[one["id"]]))["notFound"] == [one["id"]]
    changed = await alice.call("EmailSubmission/queryChanges", sinceQueryState=state)
    assert {each["id"] for each in changed["added"]} >= {one["id"], two["id"]}
    gone = (await alice.calls(("EmailSubmission/set", {"destroy": [one["id"], "S999999"]})))[0][1]
    assert (gone["destroyed"], list(gone["notDestroyed"])) == ([one["id"]], ["S999999"])


# --- vacation -------------------------------------------------------------------------------------------------


async def test_vacation_is_one_object(alice: Client) -> None:
    (found,) = (await alice.call("VacationResponse/get"))["list"]
    assert (found["id"], found["isEnabled"], found["fromDate"]) == ("singleton", False, None)
    patch = {"isEnabled": True, "fromDate": "2020-01-02T03:04:05Z", "textBody": "Away.", "subject": "Gone"}
    answer = await alice.call("VacationResponse/set", update={"singleton": patch})
    assert answer["updated"] == {"singleton": None}
    (found,) = (await alice.call("VacationResponse/get", ids=["singleton", "x"]))["list"]
    assert (found["fromDate"], found["textBody"]) == ("2020-01-02T03:04:05Z", "Away.")
    answer = await alice.call(
        "VacationResponse/set",
        create={"n": {}},
        update={"other": {}, "singleton": {"isEnabled": "yes"}},
        destroy=["singleton"],
    )
    assert answer["notCreated"]["n"]["type"] == "singleton"
    assert answer["notDestroyed"]["singleton"]["type"] == "singleton"
    assert {k: v["type"] for k, v in answer["notUpdated"].items()} == {
        "other": "notFound",
        "singleton": "invalidProperties",
    }
    await alice.call("VacationResponse/set", update={"singleton": {"isEnabled": False}})


async def test_a_person_is_answered_once(alice: Client, bob: Client) -> None:
    patch = {"isEnabled": True, "fromDate": None, "toDate": None, "textBody": "Back in May.", "subject": None}
    await bob.call("VacationResponse/set", update={"singleton": patch})
    for _ in range(2):
        await submit(alice, await draft(alice, bcc=None))
    await bob.house.app.house.vacation.close()
    inbox = await alice.mailbox("inbox")
    names = (await alice.call("Email/query", filter={"inMailbox": inbox}))["ids"]
    (answer,) = await alice.get(
        *names,
        properties=[
            *("subject", "from", "header:Auto-Submitted:asText", "bodyValues", "inReplyTo"),
            "header:Return-Path",
        ],
        fetchTextBodyValues=True,
    )
    assert answer["subject"] == "Auto: Hello"
    assert answer["from"][0]["email"] == "bob@example.test"
    assert answer["header:Auto-Submitted:asText"] == "auto-replied (vacation)"
    assert answer["bodyValues"]["1"]["value"] == "Back in May."
    assert answer["inReplyTo"] is not None
    assert answer["header:Return-Path"] == " <>"
    await bob.call("VacationResponse/set", update={"singleton": {"isEnabled": False}})


@pytest.mark.parametrize(("days", "answers"), [(1, 0), (8, 1)])
async def test_no_more_people_are_remembered_than_the_limit_says(
    alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch, days: int, answers: int
) -> None:
    """Who was answered long ago is forgotten for somebody new; while nobody can be, nobody new is answered."""
    monkeypatch.setattr(limits, "VACATION_PEOPLE", 2)
    store, now = bob.house.app.store, time.time()
    for item in await store.items(bob.number, SENT):
        await store.apply(RemoveItem(account_id=bob.number, kind=SENT, item_id=item.item_id))
    for number, at in ((1, now - days * 86400), (2, now - 86400)):
        data = json.dumps(at).encode()
        await store.apply(PutItem(account_id=bob.number, kind=SENT, item_id=number, new=True, data=data))
    await bob.call("VacationResponse/set", update={"singleton": {"isEnabled": True}})
    await submit(alice, await draft(alice, bcc=None))
    await bob.house.app.house.vacation.close()
    inbox = await alice.mailbox("inbox")
    assert len((await alice.call("Email/query", filter={"inMailbox": inbox}))["ids"]) == answers
    remembered = {item.item_id for item in await store.items(bob.number, SENT)}
    assert (len(remembered), 1 in remembered) == (2, not answers)
    await bob.call("VacationResponse/set", update={"singleton": {"isEnabled": False}})


async def test_an_address_that_the_identity_does_not_allow_gives_way_to_its_own(alice: Client) -> None:
    """RFC 8621 §7: the envelope's sender is made from the message, as far as the identity allows."""
    as_team = letter("Team").replace("From: Bob <bob@elsewhere.test>", "From: team@example.test")
    email = await alice.add(as_team.replace("alice@", "bob@"), mailbox="Drafts")
    made = (await alice.call("Identity/set", create={"t": {"email": "team@example.test"}}))["created"]
    for identity, expected in (
        (await own_identity(alice), "alice@example.test"),
        (made["t"]["id"], "team@example.test"),
    ):
        shown = await submit(alice, email, identityId=identity)
        assert shown["envelope"]["mailFrom"]["email"] == expected
    await alice.call("Identity/set", destroy=[made["t"]["id"]])


async def test_records_are_counted_without_reading_them(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account may have many thousands, and each one sent asks whether there are too many."""
    read = []
    items = house.app.store.items

    async def noted(account_id: int, kind: str, item_ids: Sequence[int] | None = None) -> list[Item]:
        read.append((kind, item_ids))
        return await items(account_id, kind, item_ids)

    monkeypatch.setattr(house.app.store, "items", noted)
    given = {"emailId": "M999999", "identityId": "I0"}
    answer = await alice.call("EmailSubmission/set", create={"s": given})
    assert answer["notCreated"]["s"]["properties"] == ["emailId"]
    assert ("EmailSubmission", None) not in read
