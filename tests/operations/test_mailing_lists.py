"""Commands on mailing lists: what is made and shown, what is refused and why."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.house import House
from posthouse.operations.administration import UnknownCommand

TEAM = "crew@north.test"


async def run(house: House, command: str, **arguments: Any) -> Any:
    return [item async for item in house.administration.run(command, arguments)][-1]


@pytest.fixture
async def furnished(house: House) -> House:
    await run(house, "domain.add", name="north.test")
    await run(house, "domain.add", name="south.test", backup=True)
    await run(house, "account.add", address="alice@north.test", password="secret")
    return house


async def test_a_list_is_made_changed_and_removed(furnished: House) -> None:
    made = await run(
        furnished,
        "list.add",
        address="Crew@North.test",
        title=" The crew ",
        owners=["Alice@north.test"],
        members=["bob@far.test", "Bob@far.test", "alice@north.test"],
    )
    assert (made["address"], made["title"], made["members"]) == (TEAM, "The crew", 2)
    assert (made["posting"], made["rewriting"], made["owners"]) == (
        "members",
        "strict",
        ("alice@north.test",),
    )
    changed = await run(furnished, "list.set", address=TEAM, posting="owners", rewriting="never")
    assert (changed["posting"], changed["title"], changed["members"]) == ("owners", "The crew", 2)
    assert await run(furnished, "list.show", address=TEAM) == changed
    assert await run(furnished, "list.list", domain="north.test") == [changed]
    joined = await run(furnished, "list.join", address=TEAM, members=["cat@far.test", "bob@far.test"])
    assert (joined["changed"], joined["members"]) == (1, 3)
    left = await run(furnished, "list.drop", address=TEAM, members=["BOB@far.test", "dan@far.test"])
    assert (left["changed"], left["members"]) == (1, 2)
    rows = await run(furnished, "list.members", address=TEAM)
    assert [row["address"] for row in rows] == ["alice@north.test", "cat@far.test"]
    await run(furnished, "list.remove", address=TEAM)
    assert await run(furnished, "list.list") == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"address": "two words@north.test"}, "cannot be called"),
        ({"address": "a+b@north.test"}, "cannot be called"),
        ({"address": "团队@north.test"}, "cannot be called"),
        ({"address": "-crew@north.test"}, "cannot be called"),
        ({"address": "postmaster@north.test"}, "nobody's duty"),
        ({"address": "dmarc-reports@north.test"}, "nobody's duty"),
        ({"address": "a" * (limits.LIST_NAME + 1) + "@north.test"}, f"at most {limits.LIST_NAME} characters"),
        ({"address": TEAM, "title": "a\r\nBcc: x@y.test"}, "one line"),
        ({"address": TEAM, "title": "a" * (limits.LIST_TITLE + 1)}, f"at most {limits.LIST_TITLE}"),
        ({"address": TEAM, "owners": [f"o{n}@x.test" for n in range(21)]}, f"at most {limits.LIST_OWNERS}"),
        ({"address": TEAM, "owners": [TEAM]}, "no owner of itself"),
        ({"address": TEAM, "members": [TEAM]}, "no member of itself"),
        ({"address": TEAM, "members": ["nobody"]}, "local@domain"),
        ({"address": TEAM, "posting": "owners"}, "it has none"),
        ({"address": TEAM, "posting": "nobody"}, "nobody"),
    ],
)
async def test_what_cannot_be_is_refused(furnished: House, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        await run(furnished, "list.add", **arguments)
    assert await run(furnished, "list.list") == []


async def test_the_longest_name_and_title_are_fine(furnished: House) -> None:
    address = "a" * limits.LIST_NAME + "@north.test"
    made = await run(furnished, "list.add", address=address, title="a" * limits.LIST_TITLE)
    assert made["address"] == address
    token = "a" * 16
    assert len(f"{address.partition('@')[0]}-unsubscribe+{token}") <= limits.LOCAL_PART


async def test_a_list_has_so_many_members_at_most(furnished: House) -> None:
    many = [f"m{number}@x.test" for number in range(limits.LIST_MEMBERS)]
    with pytest.raises(Conflict, match=f"at most {limits.LIST_MEMBERS:,}".replace(",", "")):
        await run(furnished, "list.add", address=TEAM, members=[*many, "one@more.test"])
    assert await run(furnished, "list.list") == [], "with its members or not at all"
    assert (await run(furnished, "list.add", address=TEAM, members=many))["members"] == limits.LIST_MEMBERS
    with pytest.raises(Conflict):
        await run(furnished, "list.join", address=TEAM, members=["one@more.test"])


async def test_addresses_of_a_list_are_nobody_elses(furnished: House) -> None:
    with pytest.raises(Conflict):
        await run(furnished, "list.add", address="alice@north.test")
    await run(furnished, "list.add", address=TEAM)
    with pytest.raises(Conflict):
        await run(furnished, "list.add", address=TEAM)
    with pytest.raises(Conflict):
        await run(furnished, "alias.add", address="crew-owner@north.test", targets=["alice@north.test"])
    with pytest.raises(Conflict, match="elsewhere"):
        await run(furnished, "list.add", address="crew@south.test")


async def test_what_is_not_there(furnished: House) -> None:
    for command in ("list.show", "list.members", "list.remove", "list.set"):
        with pytest.raises(NotFound):
            await run(furnished, command, address=TEAM)
    for command in ("list.join", "list.drop"):
        with pytest.raises(NotFound):
            await run(furnished, command, address=TEAM, members=["a@b.test"])
    with pytest.raises(NotFound):
        await run(furnished, "list.add", address="crew@elsewhere.test")
    with pytest.raises(UnknownCommand):
        await run(furnished, "list.join", address=TEAM)


async def test_trace_says_what_a_lists_addresses_are(furnished: House) -> None:
    await run(furnished, "list.add", address=TEAM, owners=["alice@north.test"])
    for address, words in (
        (TEAM, "is a mailing list here"),
        ("crew-bounces+aaaa@north.test", "goes with a mailing list here"),
        ("crew-owner@north.test", "is an alias here, for alice@north.test"),
    ):
        arguments = {"address": address}
        steps = [each async for each in furnished.administration.run("trace", arguments)]
        assert words in steps[0]["text"] and steps[-1]["ok"], steps
