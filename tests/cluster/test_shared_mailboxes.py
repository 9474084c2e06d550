"""IMAP's shared mailboxes over PostgreSQL, between two nodes: who shares at one, and who looks at another."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from posthouse.app import App
from posthouse.config import Store
from posthouse.store.interface import PutAccount
from tests.house import TestHouse, configuration, message
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, Person
from tests.machine import slowness

pytestmark = pytest.mark.slow
CLUB = f'"{THERE}/Club"'


class TwoNodes:
    """alice at one node; bob at another that only serves IMAP."""

    def __init__(self, first: Neighbours, second: Neighbours) -> None:
        self.first = first
        self.second = second


@pytest.fixture
async def nodes(url: str, tmp_path: Path) -> AsyncIterator[TwoNodes]:
    house = await TestHouse.open(tmp_path / "one", store=Store(url=url))
    other = TestHouse(App(configuration(tmp_path / "two", store=Store(url=url)), roles=("imap",)))
    await other.app.start()
    other.accounts = house.accounts
    made = TwoNodes(Neighbours(house), Neighbours(other))
    yield made
    made.first.close()
    made.second.close()
    await other.close()
    await house.close()


async def both(nodes: TwoNodes, rights: str) -> tuple[Person, Person]:
    alice, bob = await nodes.first.person(ALICE), await nodes.second.person(BOB)
    await alice.ok("CREATE Club")
    await nodes.first.house.fill(ALICE, 3, mailbox="Club")
    await alice.ok(f"SETACL Club {BOB} {rights}")
    return alice, bob


async def soon(bob: Person, command: str, wanted: str) -> None:
    """Ask until the other node's change is known here."""
    until = time.monotonic() + slowness()
    while wanted not in "\n".join(answer := await bob.ask(command)):
        assert time.monotonic() < until, answer


async def test_what_one_node_opens_is_open_at_the_other(nodes: TwoNodes) -> None:
    alice, bob = await both(nodes, ALL_GIVEN)
    await soon(bob, f"STATUS {CLUB} (MESSAGES)", "(MESSAGES 3)")
    assert (await bob.ask(f"SELECT {CLUB}"))[-1].startswith("t OK [READ-WRITE] ")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    await alice.append("Club", message(4))
    await bob.until(b"* 4 EXISTS")
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")
    await bob.ok("STORE 1 +FLAGS (\\Deleted)")
    await bob.ok("EXPUNGE")
    await bob.ok("COPY 1:2 INBOX")
    await bob.ok("MOVE 1 Archive")
    await bob.ok(f'CREATE "{THERE}/Club/Sub"')
    await bob.ok(f'RENAME "{THERE}/Club/Sub" "{THERE}/Club/Other"')
    assert (await bob.append(f"{THERE}/Club/Other", message(9)))[-1].startswith("t OK ")
    await soon(alice, 'LIST "" Club/*', "Club/Other")
    assert await alice.ok("GETACL Club/Other") == [
        f"* ACL Club/Other {ALICE} lrswipkxteacd {BOB} lrswikxtecd"
    ]
    await bob.ok(f'DELETE "{THERE}/Club/Other"')


async def test_what_one_node_takes_back_is_over_at_the_other(nodes: TwoNodes) -> None:
    alice, bob = await both(nodes, ALL_GIVEN)
    await soon(bob, f"SELECT {CLUB}", "[READ-WRITE]")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    await alice.ok(f"SETACL Club {BOB} lr")
    await bob.until(b"* OK [READ-ONLY]")
    began = time.monotonic()
    await alice.ok(f"DELETEACL Club {BOB}")
    await bob.until(b"* 1 EXPUNGE")
    assert time.monotonic() - began < slowness()
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")
    assert await bob.no(f"STATUS {CLUB} (MESSAGES)") == "NONEXISTENT"
    assert await bob.ok("UID FETCH 1:* BODY[]") == []
    assert await bob.no("EXPUNGE") == "NONEXISTENT"


async def test_rights_given_at_the_node_that_only_serves_imap(nodes: TwoNodes) -> None:
    bob, alice = await nodes.second.person(BOB), await nodes.first.person(ALICE)
    await bob.ok(f"SETACL Archive {ALICE} lrs")
    await soon(alice, "NAMESPACE", "Other Users/")
    assert await alice.ok(f'MYRIGHTS "Other Users/{BOB}/Archive"') == [
        f'* MYRIGHTS "Other Users/{BOB}/Archive" lrs'
    ]


async def test_an_owner_who_is_locked_out_at_one_node_shares_nothing_at_the_other(nodes: TwoNodes) -> None:
    _, bob = await both(nodes, "lr")
    await soon(bob, f"SELECT {CLUB}", "[READ-ONLY]")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    house = nodes.first.house
    account = msgspec.structs.replace(house.accounts[ALICE], disabled=True)
    await house.app.store.apply(PutAccount(account=account))
    await bob.until(b"* 1 EXPUNGE")
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")
    assert await bob.no(f"SELECT {CLUB}") == "NONEXISTENT"
    await bob.ok("SELECT INBOX")
