"""Mailbox's own property `retentionDays`: set, told, refused; and mail whose time has come is destroyed."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
from posthouse.config import Store
from posthouse.operations.retaining import Retaining, defaults_of
from posthouse.store.retention import DAY, Defaults
from tests.house import TestHouse
from tests.jmap.conftest import USING, Client, letter
from tests.jmap.test_mailbox import box, make

pytestmark = pytest.mark.asyncio(loop_scope="module")
OWN = "urn:posthouse:params:jmap:account"


async def refused(alice: Client, name: str, value: Any, **more: Any) -> tuple[str, list[str]]:
    answer = await alice.call("Mailbox/set", update={name: {"retentionDays": value, **more}})
    fault = answer["notUpdated"][name]
    return fault["type"], fault["properties"]


async def test_it_is_set_told_and_taken_back(alice: Client) -> None:
    news = await make(alice, "News", retentionDays=30)
    assert (await box(alice, news))["retentionDays"] == 30
    plain = await make(alice, "Plain")
    assert (await box(alice, plain))["retentionDays"] is None
    state = (await alice.call("Mailbox/get", ids=[]))["state"]
    for value in (7, 0, None):
        await alice.call("Mailbox/set", update={news: {"retentionDays": value}})
        assert (await box(alice, news))["retentionDays"] == value
    changes = await alice.call("Mailbox/changes", sinceState=state)
    assert (changes["updated"], changes["updatedProperties"]) == ([news], None)
    quiet = changes["newState"]
    await alice.call("Mailbox/set", update={news: {"retentionDays": None}})
    assert (await alice.call("Mailbox/get", ids=[]))["state"] == quiet


async def test_what_cannot_be_is_refused(alice: Client) -> None:
    wrong = ("invalidProperties", ["retentionDays"])
    news = await make(alice, "News")
    for role in ("inbox", "drafts"):
        assert await refused(alice, await alice.mailbox(role), 30) == wrong
    for value in (limits.RETENTION_DAYS + 1, -1, 1.5, "30", True):
        assert await refused(alice, news, value) == wrong
    assert await refused(alice, news, 30, role="snoozed") == wrong
    answer = await alice.call(
        "Mailbox/set", create={"m": {"name": "S", "role": "snoozed", "retentionDays": 1}}
    )
    assert answer["notCreated"]["m"]["properties"] == ["retentionDays"]
    await alice.call("Mailbox/set", update={news: {"retentionDays": limits.RETENTION_DAYS}})


async def test_only_clients_that_know_of_it_see_it(alice: Client) -> None:
    news = await make(alice, "News", retentionDays=30)
    using = [name for name in USING if name != OWN]
    call = ["Mailbox/get", {"accountId": alice.account_id, "ids": [news]}, "0"]
    answer = await alice.request([call], using)
    assert "retentionDays" not in answer["methodResponses"][0][1]["list"][0]
    patch = {"accountId": alice.account_id, "update": {news: {"retentionDays": 1}}}
    answer = await alice.request([["Mailbox/set", patch, "0"]], using)
    assert answer["methodResponses"][0][1]["notUpdated"][news]["type"] == "invalidProperties"
    await alice.request([["Mailbox/set", patch | {"update": {news: {"name": "Older"}}}, "0"]], using)
    assert (await box(alice, news))["retentionDays"] == 30


async def test_others_see_but_do_not_set_it(alice: Client, bob: Client) -> None:
    news = await make(alice, "News", retentionDays=30)
    every = {"mayReadItems", "mayAddItems", "mayRemoveItems", "mayRename", "mayDelete", "mayCreateChild"}
    shares = {f"W{bob.number}": dict.fromkeys(every, True)}
    await alice.call("Mailbox/set", update={news: {"shareWith": shares}})
    (found,) = (await bob.call("Mailbox/get", accountId=alice.account_id))["list"]
    assert found["retentionDays"] == 30
    update = {news: {"retentionDays": 1}}
    answer = await bob.call("Mailbox/set", accountId=alice.account_id, update=update)
    assert answer["notUpdated"][news]["type"] == "forbidden"


async def test_how_many_would_leave_at_once_is_told_before(
    house: TestHouse, alice: Client, bob: Client
) -> None:
    news, inbox = await make(alice, "News"), await alice.mailbox("inbox")
    for box_name, flags in (("News", ()), ("News", ()), ("News", ("\\Flagged",)), ("INBOX", ())):
        await alice.add(letter("Old"), mailbox=box_name, flags=flags)
    house.app.house.clock.advance(5 * DAY)
    await alice.add(letter("Young"), mailbox="News")

    async def count(name: str, days: int) -> int:
        return int((await alice.call("Retention/count", mailboxId=name, days=days))["emails"])

    assert [await count(news, days) for days in (0, 4, 5, 6)] == [0, 2, 2, 0]
    assert await count(inbox, 1) == 0  # keeps everything
    assert (await box(alice, news))["totalEmails"] == 4
    for wrong, days, fault in (
        ("F4711", 1, "notFound"),
        (news, limits.RETENTION_DAYS + 1, "invalidArguments"),
        (news, -1, "invalidArguments"),
    ):
        arguments = {"accountId": alice.account_id, "mailboxId": wrong, "days": days}
        answer = await alice.request([["Retention/count", arguments, "0"]], USING)
        assert answer["methodResponses"][0][1]["type"] == fault
    await alice.call("Mailbox/set", update={news: {"shareWith": {f"W{bob.number}": {"mayReadItems": True}}}})
    arguments = {"accountId": alice.account_id, "mailboxId": news, "days": 1}
    answer = await bob.request([["Retention/count", arguments, "0"]], USING)
    assert answer["methodResponses"][0][1]["type"] == "accountNotSupportedByMethod"


async def test_the_session_tells_what_holds_by_default(house: TestHouse, alice: Client) -> None:
    session = (await alice.http.get("/jmap/session")).json()
    own = session["accounts"][alice.account_id]["accountCapabilities"][OWN]
    assert own["retentionDefaults"] == {"trash": 0, "junk": 0}
    assert own["maxRetentionDays"] == limits.RETENTION_DAYS
    assert defaults_of(Store(trash_days=30, junk_days=7)) == Defaults(trash=30, junk=7)


async def test_mail_whose_time_has_come_is_destroyed_and_comes_back(house: TestHouse, alice: Client) -> None:
    news = await make(alice, "News", retentionDays=3)
    old = await alice.add(letter("Old news"), mailbox="News")
    star = await alice.add(letter("Star"), mailbox="News", flags=("\\Flagged",))
    inbox = await alice.mailbox("inbox")
    both = await alice.add(letter("In two places"), mailbox="News")
    await alice.call("Email/set", update={both: {f"mailboxIds/{inbox}": True}})
    retaining = house.app.house.retaining
    assert await retaining.round() == 0
    before = (await alice.call("Email/get", ids=[]))["state"]
    used = await house.app.store.usage(alice.number)
    house.app.house.clock.advance(3 * DAY + 1)
    assert await retaining.round() == 2
    changes = await alice.call("Email/changes", sinceState=before)
    assert (changes["destroyed"], changes["updated"]) == ([old], [both])
    assert (await alice.get(both))[0]["mailboxIds"] == {inbox: True}
    assert (await box(alice, news))["totalEmails"] == 1
    assert (await alice.get(star))[0]["mailboxIds"] == {news: True}
    now_used = await house.app.store.usage(alice.number)
    assert (now_used.messages, now_used.octets < used.octets) == (used.messages - 2, True)
    (row,) = (await alice.call("DeletedEmail/get"))["list"][:1]
    assert (row["id"], row["mailbox"]) == (old, "News")
    await alice.call("DeletedEmail/restore", ids=[old])
    assert await retaining.round() == 0  # its days begin anew
    assert (await alice.get(old))[0]["mailboxIds"] == {news: True}


async def test_a_round_looks_at_all_mailboxes_piece_by_piece(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "RETENTION_LOOKED_AT", 2)
    monkeypatch.setattr(limits, "PIECE_ROWS", 2)
    names = [f"Box {number}" for number in range(5)]
    for name in names:
        await make(alice, name, retentionDays=1)
        for number in range(3):
            await alice.add(letter(f"{name} {number}"), mailbox=name)
    for number in range(3):
        await alice.add(letter(f"Thrown {number}"), mailbox="Trash")
    house.app.house.clock.advance(DAY)
    by_default = Retaining(house.app.store, lambda: Store(trash_days=1), house.app.house.clock)
    assert await by_default.round() == 18
    counts = {each["name"]: each["totalEmails"] for each in (await alice.call("Mailbox/get"))["list"]}
    assert not any(counts.values()), counts
