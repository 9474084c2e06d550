"""NOTIFY and METADATA of others' mailboxes (RFC 5465 §3.1, §5.4, §5.9): as far as rights go, and no further."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from tests.imap.shared import ALICE, BOB, THERE, Neighbours, Person

NEWS = b"Subject: news\r\n\r\n!\r\n"
EVERY = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange)"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here shows the pause."""
    monkeypatch.setattr(limits, "NOTIFY_PAUSE", 0.001)


async def both(people: Neighbours) -> tuple[Person, Person]:
    return await people.person(ALICE), await people.person(BOB)


async def heard(person: Person, count: int = 1) -> list[str]:
    return [(await person.line()).decode().removesuffix("\r\n") for _ in range(count)]


async def silence(person: Person) -> None:
    with pytest.raises(TimeoutError):
        line = await asyncio.wait_for(person.reader.readline(), 0.2)
        pytest.fail(f"heard {line!r}")
    assert await person.ok("NOOP") == []


async def test_what_is_shared_comes_is_watched_and_goes(people: Neighbours) -> None:
    alice, bob = await both(people)
    await alice.ok("CREATE Plans")
    await bob.ok(f'NOTIFY SET (subtree "Other Users" {EVERY})')
    await alice.ok(f"SETACL Plans {BOB} lr")
    there = f'"{THERE}/Plans"'
    lines = await heard(bob, 3)
    assert f'* LIST (\\HasNoChildren) "/" {there}' in lines, lines
    assert any(line.startswith(f"* STATUS {there} (MESSAGES 0 UIDNEXT 1 ") for line in lines), lines
    await alice.append("Plans", NEWS)
    assert (await heard(bob))[0].startswith(f"* STATUS {there} (MESSAGES 1 UIDNEXT 2 ")
    await alice.ok("SELECT Plans")
    await alice.ok("STORE 1 +FLAGS (\\Seen)")
    assert (await heard(bob))[0].endswith(" UNSEEN 0)")
    await alice.append("INBOX", NEWS)
    await silence(bob)
    await alice.ok("RENAME Plans Ideas")
    assert await heard(bob) == [f'* LIST (\\HasNoChildren) "/" "{THERE}/Ideas" ("OLDNAME" ({there}))']
    await alice.ok(f"DELETEACL Ideas {BOB}")
    lines = await heard(bob, 2)
    assert f'* LIST (\\NonExistent \\Noselect \\HasNoChildren) "/" "{THERE}/Ideas"' in lines, (
        "§5.4: as if deleted"
    )
    await alice.append("Ideas", NEWS)
    await silence(bob)


async def test_personal_is_ones_own(people: Neighbours) -> None:
    alice, bob = await both(people)
    await alice.ok("CREATE Plans")
    await alice.ok(f"SETACL Plans {BOB} lr")
    assert [line for line in await bob.ok(f"NOTIFY SET STATUS (personal {EVERY})") if "Other" in line] == []
    await alice.append("Plans", NEWS)
    await alice.ok("RENAME Plans Ideas")
    await silence(bob)


async def test_annotations_of_others_show_as_far_as_they_are_shared(people: Neighbours) -> None:
    alice, bob = await both(people)
    await alice.ok("CREATE Plans")
    await alice.ok("CREATE Hidden")
    await alice.ok(f"SETACL Plans {BOB} lr")
    there = f'"{THERE}/Plans"'
    await bob.ok("ENABLE METADATA")
    await bob.ok("NOOP")
    await alice.ok('SETMETADATA Plans (/private/comment "mine" /shared/comment "ours")')
    await alice.ok('SETMETADATA Hidden (/shared/comment "x")')
    await alice.ok('SETMETADATA "" (/private/comment "x")')
    assert await bob.ok("NOOP") == [f"* METADATA {there} /shared/comment"]
    await bob.ok(f"NOTIFY SET (mailboxes {there} (MailboxMetadataChange))")
    await alice.ok("SETMETADATA Plans (/shared/comment NIL)")
    assert await heard(bob) == [f"* METADATA {there} /shared/comment"]
    await alice.ok(f"DELETEACL Plans {BOB}")
    await alice.ok('SETMETADATA Plans (/shared/comment "hers")')
    await silence_of_metadata(bob)


async def silence_of_metadata(person: Person) -> None:
    """Nothing of annotations is told any more."""
    await asyncio.sleep(0.2)
    assert [line for line in await person.ok("NOOP") if "METADATA" in line] == []


async def test_a_selected_mailbox_of_another(people: Neighbours) -> None:
    alice, bob = await both(people)
    await alice.ok("CREATE Plans")
    await alice.ok(f"SETACL Plans {BOB} lr")
    await bob.ok(f'SELECT "{THERE}/Plans"')
    await bob.ok("NOTIFY SET (selected (MessageNew (uid) MessageExpunge FlagChange))")
    await alice.append("Plans", NEWS)
    assert await heard(bob, 2) == ["* 1 EXISTS", "* 1 FETCH (UID 1)"]
    await alice.ok(f"DELETEACL Plans {BOB}")
    assert "* 1 EXPUNGE" in await heard(bob, 1)
    await alice.append("Plans", NEWS)
    await silence(bob)


async def test_nothing_is_watched_of_those_who_share_no_more(people: Neighbours) -> None:
    alice, bob = await both(people)
    await alice.ok("CREATE Plans")
    await alice.ok(f"SETACL Plans {BOB} lr")
    await bob.ok(f"NOTIFY SET (subscribed {EVERY})")
    watched = people.house.app.store._live.views.watchers  # type: ignore[attr-defined]
    number = people.number(ALICE)
    assert len(watched(number)) == 1
    await alice.ok(f"DELETEACL Plans {BOB}")
    await bob.ok("NOOP")
    assert len(watched(number)) == 0
    await alice.ok(f"SETACL Plans {BOB} lr")
    await bob.ok("NOOP")
    assert len(watched(number)) == 1
    await bob.ok("LOGOUT")
    async with asyncio.timeout(5):
        while watched(number):
            await asyncio.sleep(0.01)
