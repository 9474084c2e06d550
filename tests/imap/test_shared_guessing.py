"""Names are guessed: what is not shared is answered as what does not exist (RFC 4314 §6)."""

from __future__ import annotations

import asyncio

import pytest

from tests.imap.shared import ALICE, BOB, THERE, Neighbours, Person, shared_club

GUESSES = (
    "Other Users/alice@example.test/INBOX",  # there, and not shared
    "Other Users/alice@example.test/Secret",
    "Other Users/alice@example.test/Secret/Club",  # shared, under another name
    "Other Users/alice@example.test/club",
    "Other Users/ALICE@EXAMPLE.TEST/Club",
    "Other Users/alice/Club",
    "Other Users/alice@example.test/Club/Inner",
    "Other Users/alice@example.test/Club/../INBOX",
    "Other Users/alice@example.test//Club",
    "Other Users/alice@example.test",
    "Other Users/alice+tag@example.test/Club",
    "Other Users/team@example.test/INBOX",  # an alias
    "Other Users/admin@example.test/INBOX",  # somebody who shares nothing
    "Other Users/bob@example.test/INBOX",  # oneself
    "Other Users/nobody@example.test/INBOX",
    "Other Users/nobody@elsewhere.test/INBOX",
    "Other Users/1/INBOX",
    "Other Users/*/Club",
    "Other Users/%/Club",
    "Other Users",
    "other users/alice@example.test/INBOX",
    "~alice/INBOX",
    "#user/alice/INBOX",
)
COMMANDS = (
    'SELECT "{}"',
    'EXAMINE "{}"',
    'STATUS "{}" (MESSAGES SIZE HIGHESTMODSEQ)',
    'DELETE "{}"',
    'RENAME "{}" Mine',
    'GETACL "{}"',
    'MYRIGHTS "{}"',
    'LISTRIGHTS "{}" bob',
    'SETACL "{}" bob lrswikxte',
    'DELETEACL "{}" bob',
    'GETMETADATA "{}" /shared/comment',
    'SETMETADATA "{}" (/shared/comment "x")',
)
ONLY_OTHERS = ('SUBSCRIBE "{}"', 'GETQUOTAROOT "{}"', 'COPY 1 "{}"', 'UID MOVE 1 "{}"')
MADE = ('CREATE "{}"', 'CREATE "{}/Sub"', f'RENAME "{THERE}/Club" "{{}}/x"', 'RENAME Archive "{}"')


async def guesser(people: Neighbours) -> Person:
    """bob, to whom one mailbox of alice's is open, below one that is not."""
    alice, bob = await shared_club(people, "")
    await alice.ok("CREATE Secret/Club/Inner")
    await alice.ok(f"SETACL Secret/Club {BOB} lrswikxte")
    await people.house.fill(ALICE, 1)
    await people.house.fill(BOB, 1)
    await bob.ok("SELECT INBOX")
    return bob


async def answers(bob: Person, command: str, guesses: tuple[str, ...]) -> dict[str, str]:
    """Each guess with its whole answer, in which the guess itself is left out."""
    found = {}
    for guess in guesses:
        answer = await bob.ask(command.format(guess))
        found[guess] = "\n".join(answer).replace(guess, "…")
        found[guess] = found[guess].removeprefix("* OK [CLOSED] The previous mailbox is closed\n")
    return found


async def test_every_guess_is_answered_alike(people: Neighbours) -> None:
    bob = await guesser(people)
    before = await people.state()
    for command in COMMANDS:
        found = await answers(bob, command, GUESSES)
        assert set(found.values()) == {"t NO [NONEXISTENT] No such mailbox"}, (command, found)
    others = tuple(
        each for each in GUESSES if each.startswith("Other Users/") and "*" not in each and "%" not in each
    )
    fit = tuple(each for each in others if "//" not in each)
    await bob.ok("SELECT INBOX")
    for command in ONLY_OTHERS:
        found = await answers(bob, command, fit if "SUBSCRIBE" in command else others)
        assert set(found.values()) == {"t NO [NONEXISTENT] No such mailbox"}, (command, found)
    assert await people.state() == before


async def test_nothing_is_made_by_guessing(people: Neighbours) -> None:
    bob = await guesser(people)
    before = await people.state()
    # below Club bob may make mailboxes, so there it is told what is there already
    others = tuple(
        each
        for each in GUESSES
        if each.startswith("Other Users/")
        and "alice@example.test/Club/" not in each
        and "//" not in each
        and each != THERE  # a mailbox may get another name where it is
    )
    for command in MADE:
        for guess, answer in (await answers(bob, command, others)).items():
            assert answer.startswith(("t NO [NOPERM] ", "t NO [CANNOT] ")), (command, guess, answer)
    assert await people.state() == before


@pytest.mark.parametrize(
    "pattern", ["*", "%", "Other Users/*", "Other Users/%/%", "O*r U*", "*alice*", "*/Secret*", "*Inner"]
)
async def test_patterns_show_what_is_shared_and_nothing_else(people: Neighbours, pattern: str) -> None:
    bob = await guesser(people)
    for command in (f'LIST "" "{pattern}"', f'LSUB "" "{pattern}"', f'LIST (SUBSCRIBED) "" "{pattern}"'):
        told = [line for line in await bob.ok(command) if "Other Users" in line]
        assert {line.partition('"/" ')[2] for line in told} <= {
            '"Other Users"',
            f'"{THERE}"',
            f'"{THERE}/Club"',
        }


async def test_before_login_there_is_nothing(people: Neighbours) -> None:
    await guesser(people)
    for command in (*COMMANDS, "NAMESPACE", 'LIST "" *'):
        port = people.house.port("imap")
        stranger = Person(*await asyncio.open_connection("127.0.0.1", port))
        people.clients.append(stranger)
        await stranger.line()
        assert (await stranger.ask(command.format(f"{THERE}/Club")))[-1].startswith("t BAD ")


async def test_who_shares_with_nobody_costs_nothing(
    people: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, bob = await shared_club(people, "")
    store = people.house.app.store
    asked: list[object] = []
    items = store.items

    async def counted(*args: object) -> object:
        asked.append(args)
        return await items(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "items", counted)
    for command in (
        'LIST "" * RETURN (MYRIGHTS)',
        'LSUB "" *',
        "NAMESPACE",
        "SELECT INBOX",
        "STATUS INBOX (MESSAGES)",
    ):
        await bob.ok(command)
    await bob.no('SELECT "Other Users/alice@example.test/INBOX"')
    assert asked == []
