"""COPY and MOVE between accounts: all or nothing, octet for octet, against the quota of who gets it."""

from __future__ import annotations

import msgspec
import pytest

from posthouse import limits
from posthouse.store.interface import AddEmail, PutAccount
from posthouse.store.model import Content
from tests.house import message
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, shared_club

CLUB = f'"{THERE}/Club"'
LARGE = b"Subject: large\r\n\r\n" + (b"x" * 98 + b"\r\n") * 4_000
"""Too large to be held in memory."""


async def put(people: Neighbours, address: str, mailbox: str, *raws: bytes) -> None:
    store, number = people.house.app.store, people.number(address)
    box = await store.mailbox(number, mailbox)
    assert box is not None
    flags = frozenset({"\\Seen", "\\Flagged", "$Party"})
    key = {"account_id": number, "mailbox_id": box.mailbox_id, "received_at": 1_793_000_000, "flags": flags}
    await store.commit(*(AddEmail(**key, content=Content.of(raw)) for raw in raws))


async def whole(people: Neighbours, address: str, mailbox: str) -> list[tuple[bytes, int]]:
    """All messages of a mailbox with their dates."""
    store, number = people.house.app.store, people.number(address)
    box = await store.mailbox(number, mailbox)
    assert box is not None
    index = await store.index(number, box.mailbox_id)
    raws = [await store.messages(number, [each]) for each in index.email_ids]
    return [(raw or b"", date) for (raw,), date in zip(raws, index.received, strict=True)]


async def quota(people: Neighbours, address: str, octets: int) -> None:
    account = msgspec.structs.replace(people.house.accounts[address], quota=octets)
    await people.house.app.store.apply(PutAccount(account=account))


RAWS = (message(1), LARGE, message(2), message(3), LARGE, LARGE)


@pytest.mark.parametrize("uid", ["", "UID "])
async def test_what_is_copied_is_the_same(people: Neighbours, uid: str) -> None:
    _, bob = await shared_club(people, count=0)
    await put(people, ALICE, "Club", *RAWS)
    await bob.ok(f"SELECT {CLUB}")
    answer = await bob.ask(f"{uid}COPY 1:* Archive")
    assert answer[-1].startswith("t OK [COPYUID ")
    assert answer[-1].split("]")[0].split()[-2:] == ["1:6", "1:6"]
    assert await whole(people, BOB, "Archive") == [(raw, 1_793_000_000) for raw in RAWS]
    assert await whole(people, ALICE, "Club") == [(raw, 1_793_000_000) for raw in RAWS]
    await bob.ok("SELECT Archive")
    assert (await bob.ok("FETCH 6 FLAGS"))[-1] == "* 6 FETCH (FLAGS (\\Seen \\Flagged $Party))"


@pytest.mark.parametrize("uid", ["", "UID "])
async def test_what_is_moved_is_in_one_place(people: Neighbours, uid: str) -> None:
    _, bob = await shared_club(people, ALL_GIVEN, count=0)
    await put(people, ALICE, "Club", *RAWS)
    await bob.ok(f"SELECT {CLUB}")
    told = await bob.ok(f"{uid}MOVE 2:5 INBOX")
    assert told[0].startswith("* OK [COPYUID ")
    assert told[1:] == ["* 5 EXPUNGE", "* 4 EXPUNGE", "* 3 EXPUNGE", "* 2 EXPUNGE"]
    assert [raw for raw, _ in await whole(people, BOB, "INBOX")] == list(RAWS[1:5])
    assert [raw for raw, _ in await whole(people, ALICE, "Club")] == [RAWS[0], RAWS[5]]
    # and back
    await bob.ok("SELECT INBOX")
    await bob.ok(f"{uid}MOVE 1:* {CLUB}")
    assert await people.house.total(BOB) == 0
    assert await people.house.total(ALICE, "Club") == 6


async def test_a_copy_goes_from_one_persons_mailbox_to_anothers(people: Neighbours) -> None:
    _, bob = await shared_club(people, "lr", count=2)
    admin = await people.person("admin@example.test")
    await admin.ok(f"SETACL Archive {BOB} lriw")
    await bob.ok(f"SELECT {CLUB}")
    await bob.ok('COPY 1:2 "Other Users/admin@example.test/Archive"')
    assert await people.house.total("admin@example.test", "Archive") == 2


async def test_within_the_owners_account_it_is_one_commit(people: Neighbours) -> None:
    alice, bob = await shared_club(people, ALL_GIVEN, count=2)
    await alice.ok(f"SETACL Archive {BOB} {ALL_GIVEN}")
    await alice.ok("SELECT Club")
    before = await alice.ok("FETCH 1:2 EMAILID")
    await bob.ok(f"SELECT {CLUB}")
    await bob.ok(f'MOVE 1:2 "{THERE}/Archive"')
    await alice.ok("SELECT Archive")
    assert await alice.ok("FETCH 1:2 EMAILID") == before, "the same emails"


@pytest.mark.parametrize("per_commit", [1, 2, 500])
async def test_a_copy_that_does_not_fit_leaves_nothing(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch, per_commit: int
) -> None:
    monkeypatch.setattr(limits, "IMAP_COPY_ACROSS", per_commit)
    _, bob = await shared_club(people, count=0)
    await put(people, ALICE, "Club", *RAWS)
    await quota(people, BOB, len(LARGE) + 5_000)
    await bob.ok(f"SELECT {CLUB}")
    before = await whole(people, BOB, "Archive")
    assert await bob.no("COPY 1:* Archive") == "OVERQUOTA"
    assert await whole(people, BOB, "Archive") == before
    assert (await people.house.app.store.usage(people.number(BOB))).octets == 0
    await bob.ok("COPY 1:4 Archive")


async def test_a_move_that_does_not_fit_says_what_it_has_moved(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMAP_COPY_ACROSS", 2)
    _, bob = await shared_club(people, ALL_GIVEN, count=0)
    await put(people, ALICE, "Club", *RAWS)
    await quota(people, BOB, len(LARGE) + 5_000)
    await bob.ok(f"SELECT {CLUB}")
    answer = await bob.ask("MOVE 1:* Archive")
    assert answer[0].startswith("* OK [COPYUID ")
    assert answer[1:-1] == [f"* {n} EXPUNGE" for n in (4, 3, 2, 1)]
    assert answer[-1].startswith("t NO [OVERQUOTA] ")
    moved = [raw for raw, _ in await whole(people, BOB, "Archive")]
    left = [raw for raw, _ in await whole(people, ALICE, "Club")]
    assert moved + left == list(RAWS)


async def test_what_comes_into_anothers_mailbox_is_the_owners_quota(people: Neighbours) -> None:
    _, bob = await shared_club(people, "lri", count=0)
    await put(people, BOB, "INBOX", LARGE)
    await quota(people, ALICE, 10_000)
    assert await bob.ok(f"GETQUOTAROOT {CLUB}") == [
        f"* QUOTAROOT {CLUB} {ALICE}",
        f"* QUOTA {ALICE} (STORAGE 0 10)",
    ]
    assert await bob.ok(f"GETQUOTA {ALICE}") == [f"* QUOTA {ALICE} (STORAGE 0 10)"]
    await bob.ok("SELECT INBOX")
    assert await bob.no(f"COPY 1 {CLUB}") == "OVERQUOTA"
    assert await bob.no(f"MOVE 1 {CLUB}") == "OVERQUOTA"
    assert (await bob.append(f"{THERE}/Club", LARGE))[-1].startswith("t NO [OVERQUOTA] ")
    assert await people.house.total(BOB) == 1
    assert await people.house.total(ALICE, "Club") == 0


async def test_the_owners_quota_is_nobodys_who_adds_nothing(people: Neighbours) -> None:
    """RFC 9208 §8."""
    _, bob = await shared_club(people, "lrswkxte")
    await quota(people, ALICE, 10_000)
    assert await bob.no(f"GETQUOTAROOT {CLUB}") == "NOPERM"
    assert await bob.no(f"GETQUOTA {ALICE}") == "NONEXISTENT"


async def test_too_many_keywords_are_refused(people: Neighbours) -> None:
    _, bob = await shared_club(people, ALL_GIVEN, count=0)
    await put(people, ALICE, "Club", message(1))
    assert (await bob.append("INBOX", message(2)))[-1].startswith("t OK ")
    await bob.ok("SELECT INBOX")
    for number in range(100):
        if not (await bob.ask(f"STORE 1 +FLAGS.SILENT (k{number})"))[-1].startswith("t OK "):
            break
    await bob.ok(f"SELECT {CLUB}")
    before = await people.state()
    assert await bob.no("COPY 1 Archive") == "LIMIT"
    assert await bob.no("MOVE 1 Archive") == "LIMIT"
    assert (await bob.append("INBOX", message(3), "$Party"))[-1].startswith("t NO [LIMIT] ")
    assert await people.state() == before


async def test_messages_that_are_gone_are_not_copied(people: Neighbours) -> None:
    alice, bob = await shared_club(people, count=3)
    await bob.ok(f"SELECT {CLUB}")
    await alice.ok("SELECT Club")
    await alice.ok("STORE 2 +FLAGS (\\Deleted)")
    await alice.ok("EXPUNGE")
    assert await bob.no("COPY 1:3 Archive") == "EXPUNGEISSUED"
    answer = await bob.ask("UID COPY 1:3 Archive")
    assert answer[-1].startswith("t OK [COPYUID ")
    assert await people.house.total(BOB, "Archive") == 2


async def test_the_right_is_looked_at_before_each_commit(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A COPY under way when it is taken away leaves nothing; a MOVE moves nothing more."""
    monkeypatch.setattr(limits, "IMAP_COPY_ACROSS", 1)
    alice, bob = await shared_club(people, ALL_GIVEN, count=5)
    store = people.house.app.store
    commit = store.commit
    counted: list[int] = []

    async def interrupted(*ops: object) -> object:
        found = await commit(*ops)  # type: ignore[arg-type]
        if any(isinstance(op, AddEmail) for op in ops):
            counted.append(1)
            if len(counted) == 2:
                await alice.ok(f"DELETEACL Club {BOB}")
        return found

    monkeypatch.setattr(store, "commit", interrupted)
    await bob.ok(f"SELECT {CLUB}")
    assert await bob.no("UID COPY 1:* Archive") == "NONEXISTENT"
    assert await people.house.total(BOB, "Archive") == 0
    counted.clear()
    await alice.ok(f"SETACL Club {BOB} {ALL_GIVEN}")
    await bob.ok(f"SELECT {CLUB}")
    answer = await bob.ask("UID MOVE 1:* Archive")
    assert answer[-1].startswith("t NO [NONEXISTENT] ")
    assert await people.house.total(BOB, "Archive") == 2
    assert await people.house.total(ALICE, "Club") == 3


async def test_one_cannot_copy_what_one_may_not_read(people: Neighbours) -> None:
    """Names are told before messages are looked at, and nothing is made."""
    _, bob = await shared_club(people, "lri", count=1)
    await bob.ok(f"SELECT {CLUB}")
    assert await bob.no("COPY 1 Nothing") == "TRYCREATE"
    assert await bob.no(f'COPY 1 "{THERE}/Nothing"') == "NONEXISTENT"
    assert await bob.no(f'COPY 1 "{THERE}/INBOX"') == "NONEXISTENT"


async def test_the_right_to_add_is_looked_at_before_each_commit_too(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "IMAP_COPY_ACROSS", 1)
    alice, bob = await shared_club(people, "lri", count=0)
    await people.house.fill(BOB, 5)
    store = people.house.app.store
    commit = store.commit
    counted: list[int] = []

    async def interrupted(*ops: object) -> object:
        found = await commit(*ops)  # type: ignore[arg-type]
        if any(isinstance(op, AddEmail) for op in ops):
            counted.append(1)
            if len(counted) == 2:
                await alice.ok(f"SETACL Club {BOB} -i")
        return found

    monkeypatch.setattr(store, "commit", interrupted)
    await bob.ok("SELECT INBOX")
    assert await bob.no(f"UID COPY 1:* {CLUB}") == "NOPERM"
    assert await people.house.total(ALICE, "Club") == 0
    counted.clear()
    await alice.ok(f"SETACL Club {BOB} +i")
    answer = await bob.ask(f"MOVE 1:* {CLUB}")
    assert answer[-1].startswith("t NO [NOPERM] ")
    assert await people.house.total(ALICE, "Club") == 2
    assert await people.house.total(BOB) == 3
