"""What was shared is shared no more, or with other rights, while somebody is at it (RFC 4314 §5.1.1)."""

from __future__ import annotations

import asyncio

import httpx
import msgspec
import pytest

from posthouse.store.interface import AddEmail, PutAccount, RemoveAccount
from posthouse.store.model import Content
from tests.house import message
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, Person, shared_club

CLUB = f'"{THERE}/Club"'


async def take_back(people: Neighbours, alice: Person) -> None:
    await alice.ok(f"DELETEACL Club {BOB}")


async def disable(people: Neighbours, alice: Person) -> None:
    store, account = people.house.app.store, people.house.accounts[ALICE]
    await store.apply(PutAccount(account=msgspec.structs.replace(account, disabled=True)))


async def remove(people: Neighbours, alice: Person) -> None:
    await people.house.app.store.apply(RemoveAccount(account_id=people.number(ALICE)))


async def delete(people: Neighbours, alice: Person) -> None:
    await alice.ok("DELETE Club")


async def take_back_by_jmap(people: Neighbours, alice: Person) -> None:
    number = people.number(ALICE)
    box = await people.house.app.store.mailbox(number, "Club")
    assert box is not None
    url = f"http://127.0.0.1:{people.house.port('http')}/jmap/"
    using = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:principals"]
    update = {f"F{box.mailbox_id}": {"shareWith": None}}
    call = ["Mailbox/set", {"accountId": f"A{number}", "update": update}, "0"]
    async with httpx.AsyncClient(auth=(ALICE, "wonderland")) as client:
        answer = await client.post(url, json={"using": using, "methodCalls": [call]})
    assert answer.json()["methodResponses"][0][1]["notUpdated"] is None


ENDINGS = [take_back, take_back_by_jmap, disable, remove, delete]
AFTER = [
    # (command, the beginning of its tagged answer); nothing of the mailbox is told by any
    ("FETCH 1:* (FLAGS BODY.PEEK[])", "t NO [EXPUNGEISSUED] "),
    ("UID FETCH 1:* (BODY[])", "t OK "),
    ("SEARCH ALL", "t OK "),
    ("UID SEARCH TEXT message", "t OK "),
    ("UID SORT (DATE) UTF-8 ALL", "t OK "),
    ("UID THREAD REFERENCES UTF-8 ALL", "t OK "),
    ("STORE 1 +FLAGS (\\Deleted)", "t NO [NONEXISTENT] "),
    ("UID STORE 1:* FLAGS.SILENT (\\Seen)", "t NO [NONEXISTENT] "),
    ("EXPUNGE", "t NO [NONEXISTENT] "),
    ("UID EXPUNGE 1:*", "t NO [NONEXISTENT] "),
    ("UID COPY 1:* INBOX", "t NO [NONEXISTENT] "),
    ("COPY 1 INBOX", "t NO [EXPUNGEISSUED] "),
    ("MOVE 1 INBOX", "t NO [NONEXISTENT] "),
    ("UID MOVE 1:* Archive", "t NO [NONEXISTENT] "),
    ("CLOSE", "t OK "),
    (f"STATUS {CLUB} (MESSAGES)", "t NO [NONEXISTENT] "),
    (f"SELECT {CLUB}", "t NO [NONEXISTENT] "),
]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_idle_client_hears_that_it_is_over(people: Neighbours, ending: object) -> None:
    alice, bob = await shared_club(people, ALL_GIVEN)
    await bob.ok(f"SELECT {CLUB}")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    await ending(people, alice)  # type: ignore[operator]  # one of ENDINGS
    assert await bob.until(b"* 1 EXPUNGE") == [b"* 3 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n", b"* 1 EXPUNGE\r\n"]
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")
    assert await bob.ok("UID FETCH 1:* (FLAGS)") == []
    assert await bob.ok('LIST "Other Users/" *') == []
    await bob.ok("SELECT INBOX")  # and the session lives


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("command", "answer"), AFTER)
async def test_nothing_can_be_read_or_changed_any_more(
    people: Neighbours, ending: object, command: str, answer: str
) -> None:
    alice, bob = await shared_club(people, ALL_GIVEN)
    await bob.ok(f"SELECT {CLUB}")
    await ending(people, alice)  # type: ignore[operator]  # one of ENDINGS
    left = (ALICE, BOB) if ending is not remove else (BOB,)
    before = await people.state(left)
    told = await bob.ask(command)
    assert told[-1].startswith(answer)
    assert not any("Body of message" in line or "FLAGS (" in line for line in told)
    assert not any(line.startswith(("* SEARCH 1", "* SORT 1", "* THREAD (")) for line in told)
    assert await people.state(left) == before
    await bob.ok("SELECT INBOX")


async def test_a_client_that_resynchronizes_hears_it_too(people: Neighbours) -> None:
    alice, bob = await shared_club(people)
    await bob.ok("ENABLE QRESYNC")
    await bob.ok(f"SELECT {CLUB}")
    await take_back(people, alice)
    assert await bob.ok("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED)") == ["* VANISHED 1:3"]


async def test_what_happens_afterwards_is_not_told(people: Neighbours) -> None:
    alice, bob = await shared_club(people, count=1)
    await bob.ok(f"SELECT {CLUB}")
    await take_back(people, alice)
    assert await bob.ok("NOOP") == ["* 1 EXPUNGE"]
    await people.house.fill(ALICE, 1, mailbox="Club")
    await alice.ok("SELECT Club")
    await alice.ok("STORE 1:* +FLAGS (\\Flagged)")
    assert await bob.ok("NOOP") == []
    # what is given anew is seen by whom opens it anew
    await alice.ok(f"SETACL Club {BOB} lr")
    assert await bob.ok("NOOP") == []
    assert "* 2 EXISTS" in await bob.ok(f"SELECT {CLUB}")


async def test_rights_that_come_and_go_are_told(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lr")
    await bob.ok(f"SELECT {CLUB}")
    bob.send(b"i IDLE\r\n")
    await bob.until(b"+ ")
    await alice.ok(f"SETACL Club {BOB} +wte")
    told = await bob.until(b"* OK [READ-WRITE]")
    assert told[1].startswith(b"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Draft \\*)]")
    await alice.ok(f"SETACL Club {BOB} -wte")
    told = await bob.until(b"* OK [READ-ONLY]")
    assert told[1].startswith(b"* OK [PERMANENTFLAGS ()]")
    bob.send(b"DONE\r\n")
    await bob.until(b"i OK")
    assert await bob.no("STORE 1 +FLAGS (\\Deleted)") == "NOPERM"
    await alice.ok(f"SETACL Club {BOB} +te")
    assert (await bob.ok("STORE 1 +FLAGS (\\Deleted)"))[0].endswith("(FLAGS (\\Deleted))")
    assert await bob.ok("EXPUNGE") == ["* 1 EXPUNGE"]


async def test_a_mailbox_opened_to_be_examined_stays_so(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lr")
    await bob.ok(f"EXAMINE {CLUB}")
    await alice.ok(f"SETACL Club {BOB} {ALL_GIVEN}")
    assert "* OK [READ-ONLY] The rights to the mailbox have changed" in await bob.ok("NOOP")
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 INBOX"):
        assert await bob.no(command) == "READ-ONLY"


async def test_a_message_under_way_is_refused_when_the_right_has_gone(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lri")
    raw = message(7)
    bob.send(f"t APPEND {CLUB} {{{len(raw)}}}\r\n".encode())
    await bob.until(b"+ ")
    await alice.ok(f"SETACL Club {BOB} -i")
    bob.send(raw + b"\r\n")
    assert (await bob.until(b"t "))[-1].startswith(b"t NO [NOPERM] ")
    bob.send(f"t APPEND {CLUB} {{{len(raw)}+}}\r\n".encode() + raw + b"\r\n")
    assert (await bob.until(b"t "))[-1].startswith(b"t NO [NOPERM] ")
    await alice.ok(f"SETACL Club {BOB} +i")
    bob.send(f"t APPEND {CLUB} {{{len(raw)}}}\r\n".encode())
    await bob.until(b"+ ")
    await take_back(people, alice)
    bob.send(raw + b"\r\n")
    assert (await bob.until(b"t "))[-1].startswith(b"t NO [NONEXISTENT] ")
    assert await people.house.total(ALICE, "Club") == 3


async def test_a_fetch_under_way_ends(people: Neighbours) -> None:
    """A client that takes its time must not go on reading what it may not read any more."""
    alice, bob = await shared_club(people, count=0)
    store, number = people.house.app.store, people.number(ALICE)
    club = await store.mailbox(number, "Club")
    assert club is not None
    large = [b"Subject: %d\r\n\r\n" % n + (b"x" * 98 + b"\r\n") * 3_000 for n in range(80)]
    key = {"account_id": number, "mailbox_id": club.mailbox_id, "received_at": 1}
    await store.commit(*(AddEmail(**key, content=Content.of(raw)) for raw in large))
    await bob.ok(f"SELECT {CLUB}")
    bob.reader._limit = 2**16  # type: ignore[attr-defined]  # the client's own buffer is small
    bob.send(b"t FETCH 1:* BODY.PEEK[]\r\n")
    assert (await bob.line()).startswith(b"* 1 FETCH")
    await take_back(people, alice)
    octets = b""
    while b"\r\nt " not in octets[-200:]:
        octets += await asyncio.wait_for(bob.reader.read(2**20), 10)
    assert b"\r\nt NO [EXPUNGEISSUED] " in octets[-200:]
    assert octets.count(b" FETCH (") < 60


async def test_many_changes_at_once_end_in_what_was_last(people: Neighbours) -> None:
    alice, bob = await shared_club(people, "lr")
    others = [await people.person(ALICE) for _ in range(4)]
    await bob.ok(f"SELECT {CLUB}")

    async def change(client: Person, letter: str) -> None:
        for sign in "+-+-+-+":
            while not (await client.ask(f"SETACL Club {BOB} {sign}{letter}"))[-1].startswith("t OK "):
                pass  # others were faster again and again

    async def look() -> None:
        for _ in range(30):
            await bob.ok("NOOP")
            await people.house.fill(ALICE, 1, mailbox="Club")

    await asyncio.gather(*(change(*each) for each in zip(others, "swik", strict=True)), look())
    assert (await bob.ok(f"MYRIGHTS {CLUB}"))[0] == f"* MYRIGHTS {CLUB} lrswikc"
    await bob.ok("NOOP")
    assert await bob.no("EXPUNGE") == "NOPERM"
    await bob.ok("STORE 1 +FLAGS (\\Seen)")
    await take_back(people, alice)
    assert (await bob.ok("NOOP"))[-1] == "* 1 EXPUNGE"


@pytest.mark.parametrize("command", ["SELECT", "EXAMINE"])
async def test_a_right_that_goes_while_the_mailbox_is_being_opened(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    alice, bob = await shared_club(people, "lr")
    store = people.house.app.store
    index = store.index

    async def slow(*args: int) -> object:
        found = await index(*args)
        monkeypatch.setattr(store, "index", index)
        await take_back(people, alice)
        return found

    monkeypatch.setattr(store, "index", slow)
    told = await bob.ask(f"{command} {CLUB}")
    assert told == ["t NO [NONEXISTENT] No such mailbox"]
    assert (await bob.ask("FETCH 1 FLAGS"))[-1].startswith("t BAD "), "nothing is selected"
