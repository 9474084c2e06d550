"""Every right withheld: the command that needs it is refused, and nothing changes (RFC 4314 §4, RFC 5530)."""

from __future__ import annotations

import pytest

from posthouse.ranges import Ranges
from posthouse.store.interface import SetFlags
from posthouse.store.model import DELETED, FLAGGED, SEEN
from tests.house import message
from tests.imap.shared import ALICE, ALL_GIVEN, BOB, THERE, Neighbours, Person, shared_club

CLUB = f'"{THERE}/Club"'
READ = "lr"


def without(*letters: str) -> str:
    """All rights but these."""
    return "".join(letter for letter in ALL_GIVEN if letter not in letters)


REFUSED = [
    # (the rights that bob has, whether he selects it first, what he tries, the response code)
    (without("s"), True, "STORE 1 +FLAGS (\\Seen)", "NOPERM"),
    (without("s"), True, "STORE 1 -FLAGS.SILENT (\\Seen)", "NOPERM"),
    (without("w"), True, "STORE 1:* +FLAGS (\\Flagged)", "NOPERM"),
    (without("w"), True, "STORE 1 -FLAGS (\\Answered \\Draft Party)", "NOPERM"),
    (without("t", "e"), True, "STORE 1 +FLAGS (\\Deleted)", "NOPERM"),
    (without("t", "e"), True, "EXPUNGE", "NOPERM"),
    (without("t", "e"), True, "UID EXPUNGE 1:*", "NOPERM"),
    (without("t", "e"), True, "CLOSE", None),
    (without("t", "e"), True, "MOVE 1 INBOX", "NOPERM"),
    (without("t", "e"), True, "UID MOVE 1:* INBOX", "NOPERM"),
    (without("t", "e"), False, f"DELETE {CLUB}", "NOPERM"),
    (without("i"), True, f"COPY 1 {CLUB}", "NOPERM"),
    (without("i"), True, f"UID MOVE 1 {CLUB}", "NOPERM"),
    (without("i"), False, f"GETQUOTAROOT {CLUB}", "NOPERM"),
    (without("k"), False, f'CREATE "{THERE}/Club/Sub"', "NOPERM"),
    (without("x"), False, f"DELETE {CLUB}", "NOPERM"),
    (without("x"), False, f'RENAME {CLUB} "{THERE}/Team"', "NOPERM"),
    (READ, True, "STORE 1 +FLAGS (\\Seen)", "NOPERM"),
    (READ, True, "FETCH 1 BODY[]", None),
    (READ, True, "EXPUNGE", "NOPERM"),
    (READ, True, "MOVE 1 INBOX", "NOPERM"),
    (READ, True, f"COPY 1 {CLUB}", "NOPERM"),
    (READ, True, "CLOSE", None),
    # the owner's alone
    (ALL_GIVEN, False, f'CREATE "{THERE}/Top"', "NOPERM"),
    (ALL_GIVEN, False, f'RENAME {CLUB} "{THERE}/Secret/Club"', "NOPERM"),
    (ALL_GIVEN, False, f"RENAME {CLUB} Mine", "NOPERM"),
    (ALL_GIVEN, False, f'RENAME Archive "{THERE}/Club/Archive"', "CANNOT"),
    (ALL_GIVEN, False, f'CREATE "{THERE}/Club/Sub" (USE (\\Archive))', "USEATTR"),
    (ALL_GIVEN, False, f"SETACL {CLUB} {BOB} +x", "NOPERM"),
    (ALL_GIVEN, False, f"SETACL {CLUB} {BOB} {ALL_GIVEN}a", "NOPERM"),
    (ALL_GIVEN, False, f"SETACL {CLUB} admin@example.test lr", "NOPERM"),
    (ALL_GIVEN, False, f"DELETEACL {CLUB} {BOB}", "NOPERM"),
    (ALL_GIVEN, False, f"GETACL {CLUB}", "NOPERM"),
    (ALL_GIVEN, False, f"LISTRIGHTS {CLUB} {BOB}", "NOPERM"),
    # what does not show
    *[
        ("", False, command.format(CLUB), "NONEXISTENT")
        for command in (
            "SELECT {}",
            "EXAMINE {}",
            "STATUS {} (MESSAGES)",
            "DELETE {}",
            "RENAME {} Mine",
            "SUBSCRIBE {}",
            "GETQUOTAROOT {}",
            "GETACL {}",
            "MYRIGHTS {}",
            "LISTRIGHTS {} bob",
            "SETACL {} bob lr",
            "DELETEACL {} bob",
        )
    ],
    ("", False, f'CREATE "{THERE}/Club/Sub"', "NOPERM"),
]


async def prepared(people: Neighbours, rights: str) -> Person:
    """bob with these rights to alice's Club, in which one message has flags and one is marked to go."""
    _, bob = await shared_club(people, rights)
    store, number = people.house.app.store, people.number(ALICE)
    club = await store.mailbox(number, "Club")
    assert club is not None
    for uid, flags in ((1, {"\\Answered"}), (2, {"\\Deleted", "Party"})):
        key = {"account_id": number, "mailbox_id": club.mailbox_id, "uids": Ranges.of([uid])}
        await store.apply(SetFlags(**key, action="add", flags=frozenset(flags)))
    return bob


@pytest.mark.parametrize(("rights", "select", "command", "code"), REFUSED)
async def test_without_the_right_nothing_changes(
    people: Neighbours, rights: str, select: bool, command: str, code: str | None
) -> None:
    bob = await prepared(people, rights)
    if select:
        await bob.ok(f"SELECT {CLUB}")
    before = await people.state()
    if code is None:
        await bob.ok(command)
    else:
        assert await bob.no(command) == code
    assert await people.state() == before


async def test_append_needs_the_right_to_insert(people: Neighbours) -> None:
    bob = await prepared(people, without("i"))
    before = await people.state()
    for size in (100, 300_000):
        answer = await bob.append(f"{THERE}/Club", b"Subject: x\r\n\r\n" + b"y" * size)
        assert answer[-1].startswith("t NO [NOPERM] ")
    assert await people.state() == before


async def flags_of(people: Neighbours, place: int) -> int:
    """The flag bits of alice's Club's message at a place (from 0); -1 is the last."""
    store, number = people.house.app.store, people.number(ALICE)
    club = await store.mailbox(number, "Club")
    assert club is not None
    return (await store.index(number, club.mailbox_id)).flags[place]


@pytest.mark.parametrize(
    ("rights", "kept"),
    [("", 0), ("s", SEEN), ("te", DELETED), ("w", FLAGGED), ("swte", SEEN | DELETED | FLAGGED)],
)
async def test_flags_without_a_right_are_left_out(people: Neighbours, rights: str, kept: int) -> None:
    """RFC 4314 §4: APPEND, COPY and MOVE never fail for that."""
    bob = await prepared(people, f"lri{rights}")
    flags = "\\Seen \\Deleted \\Flagged"
    answer = await bob.append(f"{THERE}/Club", message(7), flags)
    assert answer[-1].startswith("t OK [APPENDUID ")
    assert await flags_of(people, -1) == kept
    await bob.append("INBOX", message(8), flags)
    await bob.ok("SELECT INBOX")
    await bob.ok(f"COPY 1 {CLUB}")
    assert await flags_of(people, -1) == kept
    await bob.ok(f"MOVE 1 {CLUB}")
    assert await flags_of(people, -1) == kept
    assert await people.house.total(BOB) == 0
    # within the same account too
    await bob.ok(f"SELECT {CLUB}")
    await bob.ok(f"COPY 1:2 {CLUB}")
    assert await flags_of(people, -2) & ~(SEEN | DELETED | FLAGGED) == (2 if "w" in rights else 0)


@pytest.mark.parametrize(
    ("rights", "replacement", "first", "second"),
    [
        ("s", "\\Seen \\Flagged", SEEN | 2, SEEN | DELETED | 32),
        ("te", "\\Seen", 2, 32),
        ("w", "\\Flagged", FLAGGED, FLAGGED | DELETED),
        ("sw", "", 0, DELETED),
        ("swte", "\\Seen", SEEN, SEEN),
    ],
)
async def test_a_replacement_leaves_what_may_not_be_changed(
    people: Neighbours, rights: str, replacement: str, first: int, second: int
) -> None:
    bob = await prepared(people, f"lr{rights}")
    await bob.ok(f"SELECT {CLUB}")
    await bob.ok(f"STORE 1:2 FLAGS ({replacement})")
    assert [await flags_of(people, 0), await flags_of(people, 1)] == [first, second]


async def test_a_conditional_replacement_with_few_rights(people: Neighbours) -> None:
    """RFC 7162 §3.1.3 holds although the change is made in two steps."""
    bob = await prepared(people, "lrw")
    await bob.ok("ENABLE CONDSTORE")
    await bob.ok(f"SELECT {CLUB}")
    (line,) = await bob.ok("FETCH 1 MODSEQ")
    modseq = int(line.rpartition("(")[2].rstrip(")"))
    answer = await bob.ask(f"STORE 1:2 (UNCHANGEDSINCE {modseq}) FLAGS (\\Flagged)")
    assert answer[-1].startswith("t OK [MODIFIED 2] ")
    assert [await flags_of(people, 0), await flags_of(people, 1)] == [FLAGGED, DELETED | 32]


@pytest.mark.parametrize(
    ("rights", "code"),
    [
        ("", "READ-ONLY"),
        ("k", "READ-ONLY"),
        ("x", "READ-ONLY"),
        *((each, "READ-WRITE") for each in ("i", "te", "s", "w")),
    ],
)
async def test_the_code_of_select(people: Neighbours, rights: str, code: str) -> None:
    """RFC 4314 §5.2."""
    _, bob = await shared_club(people, f"lr{rights}")
    assert f"[{code}]" in (await bob.ask(f"SELECT {CLUB}"))[-1]
    assert "[READ-ONLY]" in (await bob.ask(f"EXAMINE {CLUB}"))[-1]


@pytest.mark.parametrize(
    ("rights", "permanent"),
    [
        ("i", ""),
        ("s", "\\Seen"),
        ("te", "\\Deleted"),
        ("w", "\\Answered \\Flagged \\Draft Party \\*"),
        ("swte", "\\Answered \\Flagged \\Deleted \\Seen \\Draft Party \\*"),
    ],
)
async def test_permanentflags_are_those_that_may_be_set(
    people: Neighbours, rights: str, permanent: str
) -> None:
    """RFC 4314 §5.1.1."""
    bob = await prepared(people, f"lr{rights}")
    told = [line for line in await bob.ok(f"SELECT {CLUB}") if "PERMANENTFLAGS" in line]
    assert len(told) == 1
    assert f"[PERMANENTFLAGS ({permanent})]" in told[0]


async def test_annotations_that_are_private_stay_so(people: Neighbours) -> None:
    """RFC 5464 §3.3."""
    alice, bob = await shared_club(people, "lr")
    await alice.ok('SETMETADATA Club (/private/comment "mine" /shared/comment "ours")')
    asked = f"GETMETADATA {CLUB} (/private/comment /shared/comment)"
    told = [f'* METADATA {CLUB} (/private/comment NIL /shared/comment "ours")']
    assert await bob.ok(asked) == told
    assert await bob.ok(f"GETMETADATA (DEPTH infinity) {CLUB} (/private)") == []
    assert await bob.no(f'SETMETADATA {CLUB} (/shared/comment "his")') == "NOPERM"
    await alice.ok(f"SETACL Club {BOB} +w")
    assert await bob.no(f'SETMETADATA {CLUB} (/private/comment "his")') == "METADATA NOPRIVATE"
    assert await bob.ok(asked) == told
    await bob.ok(f'SETMETADATA {CLUB} (/shared/comment "his")')
    assert await alice.ok("GETMETADATA Club (/private/comment /shared/comment)") == [
        '* METADATA Club (/private/comment "mine" /shared/comment "his")'
    ]
    await alice.ok(f"DELETEACL Club {BOB}")
    assert await bob.no(asked) == "NONEXISTENT"


@pytest.mark.parametrize(
    ("rights", "target", "code"),
    [
        (without("t", "e"), f"{THERE}/Club", "NOPERM"),
        (without("t", "e"), "INBOX", "NOPERM"),
        (without("i"), f"{THERE}/Club", "NOPERM"),
        (ALL_GIVEN, f"{THERE}/Secret", "NONEXISTENT"),
        (ALL_GIVEN, "Nothing", "TRYCREATE"),
    ],
)
@pytest.mark.parametrize("command", ["REPLACE 1", "UID REPLACE 1"])
async def test_replace_needs_the_rights_of_what_it_does(
    people: Neighbours, rights: str, target: str, code: str, command: str
) -> None:
    """RFC 8508 §4.1."""
    bob = await prepared(people, rights)
    await bob.ok(f"SELECT {CLUB}")
    before = await people.state()
    raw = message(9)
    bob.send(f't {command} "{target}" () {{{len(raw)}+}}\r\n'.encode() + raw + b"\r\n")
    assert (await bob.until(b"t "))[-1].startswith(f"t NO [{code}] ".encode())
    assert await people.state() == before


async def test_replace_leaves_flags_out_and_goes_from_one_account_to_another(people: Neighbours) -> None:
    bob = await prepared(people, "lrited")
    await bob.ok(f"SELECT {CLUB}")
    raw = message(9)
    for target, flags in (("INBOX", SEEN | FLAGGED), (f"{THERE}/Club", 0)):
        bob.send(f't REPLACE 1 "{target}" (\\Seen \\Flagged) {{{len(raw)}+}}\r\n'.encode() + raw + b"\r\n")
        assert (await bob.until(b"t "))[-1].startswith(b"t OK ")
        if target == "INBOX":
            inbox = await people.house.app.store.mailbox(people.number(BOB), "INBOX")
            assert inbox is not None
            index = await people.house.app.store.index(people.number(BOB), inbox.mailbox_id)
            assert list(index.flags) == [flags]
        else:
            assert await flags_of(people, -1) == flags
    assert await people.house.total(ALICE, "Club") == 2
