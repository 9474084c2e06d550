"""REPLACE in mailboxes of others (RFC 8508 §4.1): the rights of STORE, EXPUNGE and APPEND together."""

from __future__ import annotations

import pytest

from tests.imap.shared import BOB, THERE, Neighbours, Person, shared_club

CLUB = f'"{THERE}/Club"'
MAIL = b"Subject: new\r\n\r\ntext\r\n"


async def replace(person: Person, target: str) -> list[str]:
    person.send(f"t UID REPLACE * {target} (\\Seen) {{{len(MAIL)}+}}\r\n".encode() + MAIL + b"\r\n")
    return [line.decode().removesuffix("\r\n") for line in await person.until(b"t ")]


@pytest.mark.parametrize("rights", ["lr", "lri", "lrsw", "lrte", "lrswi"])
async def test_each_right_is_needed(people: Neighbours, rights: str) -> None:
    alice, bob = await shared_club(people, rights, 1)
    await bob.ok(f"SELECT {CLUB}")
    assert (await replace(bob, CLUB))[-1].startswith("t NO [NOPERM] ")
    assert "MESSAGES 1" in (await alice.ok("STATUS Club (MESSAGES)"))[0]


async def test_with_all_of_them_it_is_done(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lrite", 1)
    await bob.ok(f"SELECT {CLUB}")
    assert (await replace(bob, CLUB))[1:] == ["* 1 EXPUNGE", "* 1 EXISTS", "t OK UID REPLACE completed"]
    # RFC 4314 §4: the flag for which there is no right is left out
    assert await bob.ok("FETCH 1 FLAGS") == ["* 1 FETCH (FLAGS ())"]
    await alice.ok("SELECT Club")
    assert await alice.ok("FETCH 1 UID") == ["* 1 FETCH (UID 2)"]


async def test_from_anothers_mailbox_into_ones_own_and_back(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lrswite", 1)
    await bob.ok(f"SELECT {CLUB}")
    assert (await replace(bob, "Archive"))[-1] == "t OK UID REPLACE completed"
    assert "MESSAGES 0" in (await alice.ok("STATUS Club (MESSAGES)"))[0]
    assert "MESSAGES 1" in (await bob.ok("STATUS Archive (MESSAGES)"))[0]
    await bob.ok("SELECT Archive")
    assert (await replace(bob, CLUB))[-1] == "t OK UID REPLACE completed"
    assert "MESSAGES 1" in (await alice.ok("STATUS Club (MESSAGES)"))[0]
    assert "MESSAGES 0" in (await bob.ok("STATUS Archive (MESSAGES)"))[0]


@pytest.mark.parametrize("left", ["", "lri", "lrte"])
async def test_rights_that_go_during_the_upload(people: Neighbours, left: str) -> None:
    alice, bob = await shared_club(people, "lrswite", 1)
    await bob.ok(f"SELECT {CLUB}")
    bob.send(f"t UID REPLACE * {CLUB} {{{len(MAIL)}}}\r\n".encode())
    assert (await bob.line()).startswith(b"+")
    await alice.ok(f"SETACL Club {BOB} {left}" if left else f"DELETEACL Club {BOB}")
    bob.send(MAIL + b"\r\n")
    assert b" NO [" in (await bob.until(b"t "))[-1]
    assert "MESSAGES 1" in (await alice.ok("STATUS Club (MESSAGES)"))[0]
