"""SORT (RFC 5256) by each of its criteria, over a socket and the real store."""

from __future__ import annotations

import pytest

from posthouse import limits
from tests.imap.conftest import Client, Post

LETTERS = (
    # From, To, Cc, Subject, Date, text
    (
        '"Zoe" <anna@a.test>',
        "x@a.test",
        "",
        "Re: bananas",
        "Thu, 2 Jan 2025 10:00:00 +0000",
        "longest of all",
    ),
    ("Anton <ZACK@a.test>", "c@a.test", "m@a.test", "apples", "Thu, 2 Jan 2025 10:00:00 +0900", "x"),
    ("bob@a.test", "friends: b@a.test;", "k@a.test", "Bananas", "Wed, 1 Jan 2025 10:00:00 +0000", "longer"),
    ("=?utf-8?q?=C3=84nne?= <bob@a.test>", "undisclosed:;", "", "[list] apples (fwd)", "never", "xyz"),
)


def raw(letter: tuple[str, ...]) -> bytes:
    author, to, cc, subject, date, text = letter
    fields = [f"From: {author}", f"To: {to}", *([f"Cc: {cc}"] if cc else []), f"Subject: {subject}"]
    return ("\r\n".join([*fields, f"Date: {date}"]) + f"\r\n\r\n{text}\r\n").encode()


@pytest.fixture
async def alice(post: Post) -> Client:
    await post.fill(*map(raw, LETTERS))
    client = await post.login()
    await client.command(b"SELECT INBOX")
    return client


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        (b"ARRIVAL", [1, 2, 3, 4]),  # all of one second: the mailbox's order
        (b"REVERSE ARRIVAL", [1, 2, 3, 4]),  # which REVERSE leaves alone
        (b"FROM", [1, 3, 4, 2]),  # anna, bob, bob, zack
        (b"REVERSE FROM", [2, 3, 4, 1]),
        (b"TO", [2, 3, 4, 1]),  # c, friends (a group), undisclosed (an empty one), x
        (b"CC", [1, 4, 3, 2]),  # none, none, k, m
        (b"SUBJECT", [2, 4, 1, 3]),  # apples, apples, bananas, Bananas: without marks, without case
        (b"DATE", [4, 3, 2, 1]),  # by the moment, not the clock; without one that of its arrival
        (b"DISPLAYFROM", [2, 4, 3, 1]),  # anton, änne, bob@a.test, zoe
        (b"DISPLAYTO", [2, 3, 4, 1]),
        (b"SUBJECT DATE", [4, 2, 3, 1]),
        (b"SUBJECT REVERSE DATE", [2, 4, 1, 3]),
    ],
)
async def test_by_each_criterion(alice: Client, criteria: bytes, order: list[int]) -> None:
    [line, done] = await alice.command(b"SORT (%b) UTF-8 ALL" % criteria)
    assert (line.split()[:2], done[:5]) == ([b"*", b"SORT"], b"t OK ")
    assert [int(number) for number in line.split()[2:]] == order


async def test_by_size(alice: Client) -> None:
    [line, _] = await alice.command(b"SORT (SIZE) UTF-8 ALL")
    sizes = [len(raw(letter)) for letter in LETTERS]
    assert [int(number) for number in line.split()[2:]] == sorted([1, 2, 3, 4], key=lambda n: sizes[n - 1])


async def test_uids_options_and_what_is_saved(alice: Client) -> None:
    await alice.command(b"STORE 1 +FLAGS (\\Deleted)")
    await alice.command(b"EXPUNGE")
    assert (await alice.command(b"UID SORT (SUBJECT) UTF-8 ALL"))[0] == b"* SORT 2 4 3\r\n"
    assert (await alice.command(b"SORT (SUBJECT) UTF-8 ALL"))[0] == b"* SORT 1 3 2\r\n"
    told = await alice.command(b"UID SORT RETURN (MIN MAX) (REVERSE SUBJECT) UTF-8 ALL")
    assert told[0] == b'* ESEARCH (TAG "t") UID MIN 3 MAX 4\r\n'
    assert len(await alice.command(b"SORT RETURN (SAVE) (DATE) UTF-8 SUBJECT apples")) == 1
    assert (await alice.command(b"UID SEARCH RETURN (ALL) $"))[0] == b'* ESEARCH (TAG "t") UID ALL 2,4\r\n'


async def test_the_highest_mod_sequence_is_told_when_it_is_asked_for(alice: Client) -> None:
    changed = await alice.command(b"STORE 3 +FLAGS (\\Flagged)")
    assert changed[-1].startswith(b"t OK ")
    line = (await alice.command(b"SORT (DATE) UTF-8 MODSEQ 1"))[-2]  # the first tells that CONDSTORE is on
    assert line.startswith(b"* SORT 4 3 2 1 (MODSEQ ")
    highest = (await alice.command(b"STATUS INBOX (HIGHESTMODSEQ)"))[0]
    assert line.rstrip(b")\r\n").split()[-1] == highest.rstrip(b")\r\n").split()[-1]


async def test_criteria_are_counted(alice: Client) -> None:
    most = b" ".join([b"DATE"] * limits.IMAP_SORT_KEYS)
    assert (await alice.command(b"SORT (%b) UTF-8 ALL" % most))[0].startswith(b"* SORT ")
    assert (await alice.command(b"SORT (%b DATE) UTF-8 ALL" % most))[0].startswith(b"t BAD ")
    assert limits.IMAP_SORT_KEYS == 16
