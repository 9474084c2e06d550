"""FUZZY (RFC 6203) over the real index: what it takes for the words that were asked for, and what that counts."""

from __future__ import annotations

import asyncio
import datetime
import re

import pytest

from posthouse import limits
from tests.imap.conftest import Client, Post

LETTERS = (
    ("Meeting notes", "The quarterly budget meeting is on Monday."),
    ("Caf\u00e9 r\u00e9sum\u00e9", "See the menu of the caf\u00e9."),
    ("\u5317\u4eac\u5927\u5b66", "\u6211\u4eec\u5728\u90ae\u5c40\u95e8\u53e3\u89c1\u9762"),
    ("Invoice 2023", "budget for Monday, quarterly; no meetings"),
    ("hello", "Othello"),
)


def raw(subject: str, text: str) -> bytes:
    head = f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    return (head + text + "\r\n").encode()


async def settled(post: Post) -> None:
    """All mail is in the index."""
    search = post.store._search  # type: ignore[attr-defined]  # nothing else tells
    async with asyncio.timeout(20):
        while not search.settled():
            await asyncio.sleep(0.05)


async def opened(post: Post, letters: tuple[tuple[str, str], ...] = LETTERS) -> Client:
    await post.fill(*(raw(*letter) for letter in letters))
    await settled(post)
    client = await post.login()
    await client.command(b"SELECT INBOX")
    return client


async def found(client: Client, criteria: str) -> dict[int, int]:
    """Messages and their scores."""
    octets = criteria.encode()
    if not octets.isascii():
        word = re.search(rb'"([^"]*)"', octets)
        assert word is not None
        octets = octets.replace(word[0], b"{%d+}\r\n%b" % (len(word[1]), word[1]))
    answer = await client.command(b"SEARCH RETURN (ALL RELEVANCY) " + octets)
    assert answer[-1].startswith(b"t OK"), answer
    told = re.search(rb"(?: ALL (\S+))? RELEVANCY \(([\d ]*)\)", answer[0])
    assert told is not None
    numbers: list[int] = []
    for part in (told[1] or b"").split(b",") if told[1] else []:
        first, _, last = part.partition(b":")
        numbers += range(int(first), int(last or first) + 1)
    return dict(zip(numbers, map(int, told[2].split()), strict=True))


async def test_words_in_any_order(post: Post) -> None:
    client = await opened(post)
    assert await found(client, 'FUZZY BODY "budget meeting"') == {1: 100, 4: 85}
    assert await found(client, 'FUZZY BODY "Monday, QUARTERLY"') == {1: 85, 4: 100}
    assert await found(client, 'BODY "QUARTERLY Monday" FUZZY ALL') == {}
    # One of three words may be missing, one of two not.
    assert await found(client, 'FUZZY BODY "quarterly budget zebra"') == {1: 57, 4: 57}
    assert await found(client, 'FUZZY BODY "budget zebra"') == {}


async def test_words_that_look_like_them(post: Post) -> None:
    client = await opened(post)
    assert await found(client, "FUZZY SUBJECT cafe") == {2: 60}
    assert await found(client, "FUZZY SUBJECT resume") == {2: 60}
    assert await found(client, 'FUZZY SUBJECT "caf\u00e9"') == {2: 100}
    for mistyped in ("Helo", "hellp", "ehllo", "hhello"):
        assert 5 in await found(client, f"FUZZY SUBJECT {mistyped}"), mistyped
    # What is asked for exactly is found too, and nothing is taken for another number.
    assert await found(client, "FUZZY BODY hello") == {5: 100}
    assert await found(client, "FUZZY SUBJECT 2024") == {}
    assert await found(client, "FUZZY SUBJECT hel") == {5: 100}
    assert await found(client, "FUZZY SUBJECT xyz") == {}


async def test_pairs_of_chinese_characters(post: Post) -> None:
    client = await opened(post)
    assert await found(client, 'FUZZY SUBJECT "\u5317\u4eac\u5927\u5b66"') == {3: 100}
    assert await found(client, 'FUZZY TEXT "\u90ae\u5c40"') == {3: 80}
    # Of three pairs one may be missing: \u5317\u4eac\u5927\u5988.
    assert await found(client, 'FUZZY SUBJECT "\u5317\u4eac\u5927\u5988"') == {3: 57}


async def test_dates_and_sizes_near_by(post: Post) -> None:
    letters = tuple(("x", "y" * size) for size in (1000, 1040, 1090, 1180, 1300))
    client = await opened(post, letters)
    size = len(raw(*letters[0]))
    assert await found(client, f"FUZZY SMALLER {size + 1}") == {1: 100, 2: 80, 3: 50, 4: 20}
    assert await found(client, f"FUZZY LARGER {len(raw(*letters[3]))}") == {
        5: 100,
        4: 80,
        3: 50,
        2: 20,
        1: 20,
    }
    day = datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC).date()
    for days, score in ((0, 100), (1, 80), (3, 50), (7, 20), (8, None)):
        when = (day - datetime.timedelta(days)).strftime("%d-%b-%Y")
        scores = await found(client, f"FUZZY ON {when}")
        assert scores == ({} if score is None else dict.fromkeys(range(1, 6), score)), days
        # Without a Date field the day of receipt counts as that of sending.
        assert await found(client, f"FUZZY SENTON {when}") == scores, days


async def test_how_keys_come_together(post: Post) -> None:
    client = await opened(post)
    # The mean of what was matched loosely; the rest has to match exactly.
    assert await found(client, "FUZZY (SUBJECT cafe BODY menu)") == {2: 80}
    assert await found(client, "FUZZY SUBJECT cafe BODY menu") == {2: 60}
    assert await found(client, "FUZZY SUBJECT cafe BODY men SEEN") == {}
    assert await found(client, "FUZZY SUBJECT cafe BODY menus") == {}
    # The best of two; what matches exactly is as good as can be.
    assert await found(client, 'FUZZY (OR SUBJECT cafe BODY "the cafe menu")') == {2: 74}
    assert await found(client, "OR FUZZY SUBJECT cafe 1") == {1: 100, 2: 60}
    assert await found(client, "FUZZY (OR 2 SUBJECT cafe)") == {2: 100}
    assert await found(client, "FUZZY NOT SUBJECT cafe") == dict.fromkeys(range(1, 6), 100)
    assert await found(client, "NOT FUZZY SUBJECT cafe FUZZY 2") == {2: 100}
    assert await found(client, 'FUZZY BODY "..."') == {}


async def test_everything_that_is_found_exactly_is_found_loosely(post: Post) -> None:
    client = await opened(post)
    for criteria in (
        'TEXT "eeting"',
        'SUBJECT "e 2"',
        'BODY ","',
        'HEADER X-None ""',
        'FROM ""',
        "ALL",
        "2:3",
    ):
        exact = await client.command(f"SEARCH {criteria}".encode())
        loose = await client.command(f"SEARCH FUZZY {criteria}".encode())
        assert set(exact[0].split()) <= set(loose[0].split()), criteria


async def test_new_mail_is_found_by_its_own_words(post: Post) -> None:
    client = await opened(post)
    await post.fill(raw("Zebra", "stripes"))
    assert (await client.command(b"NOOP"))[0] == b"* 6 EXISTS\r\n"
    assert await found(client, "FUZZY TEXT zebra") == {6: 100}


async def test_in_many_mailboxes_and_in_a_filter(post: Post) -> None:
    client = await opened(post)
    await client.command(b'SETMETADATA "" (/private/filters/values/drink "FUZZY SUBJECT cafe")')
    assert await found(client, "FILTER drink") == {2: 60}
    (line, _) = await client.command(b"ESEARCH IN (inboxes) RETURN (RELEVANCY ALL) FILTER drink")
    assert line.endswith(b" UID ALL 2 RELEVANCY (60)\r\n")
    await client.command(b'SETMETADATA "" (/private/filters/values/drink "SUBJECT cafe")')
    refused = await client.command(b"SEARCH RETURN (RELEVANCY) FILTER drink")
    assert refused == [b"t BAD There is no relevancy without FUZZY\r\n"]


async def test_questions_to_the_index_are_counted(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await opened(post)
    monkeypatch.setattr(limits, "IMAP_FUZZY_QUESTIONS", 3)
    assert await found(client, 'FUZZY SUBJECT "notes meeting"') == {1: 85}
    refused = await client.command(b'SEARCH FUZZY SUBJECT "meeting notes invoice"')
    assert refused == [b"t NO [LIMIT] Too many words in a fuzzy search\r\n"]
