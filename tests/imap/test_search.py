"""SEARCH finds what a plain look at every message finds, and asks dear questions about few messages only."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.errors import StoreUnavailable
from posthouse.ranges import EMPTY, Ranges
from tests.fakes.memory_store import MemoryStore
from tests.imap.talk import NOW, Talk

COUNT = 12
WORDS = ("apple", "pear", "plum")


def message(number: int) -> bytes:
    return (
        f"Subject: {WORDS[number % 3]}\r\nDate: Mon, {number + 1} Feb 2021 23:30:00 -0800\r\n\r\n"
        f"{WORDS[number % 2]} {'x' * number}\r\n"
    ).encode()


def furnished() -> MemoryStore:
    store = MemoryStore()
    for number in range(COUNT):
        flags = [name for bit, name in enumerate(("\\Seen", "\\Flagged", "$Work")) if number >> bit & 1]
        store.add(
            "INBOX", message(number), flags=" ".join(flags), received_at=int(NOW) - 86_400 * (COUNT - number)
        )
    return store


ATOMS = {
    "SEEN": lambda n: n & 1,
    "UNFLAGGED": lambda n: not n & 2,
    "KEYWORD $work": lambda n: n & 4,
    "UNKEYWORD $none": lambda n: True,
    "SUBJECT pear": lambda n: n % 3 == 1,
    "BODY APPLE": lambda n: n % 2 == 0,
    "TEXT plum": lambda n: n % 3 == 2,
    "HEADER Subject \"\"": lambda n: True,
    "2,4:6": lambda n: n + 1 in (2, 4, 5, 6),
    "UID 3:*": lambda n: n + 1 >= 3,
    "SENTON 3-Feb-2021": lambda n: n == 2,
    "SENTSINCE 5-Feb-2021": lambda n: n >= 4,
    "SENTBEFORE 5-Feb-2021": lambda n: n < 4,
    "OLDER 432000": lambda n: COUNT - n >= 5,
    "YOUNGER 432000": lambda n: COUNT - n <= 5,
    "LARGER 75": lambda n: len(message(n)) > 75,
    "SMALLER 75": lambda n: len(message(n)) < 75,
    "MODSEQ 5": lambda n: n + 1 >= 5,
    "ALL": lambda n: True,
    "NEW": lambda n: False,
}  # fmt: skip


def trees() -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """(criteria, what they mean) built from the atoms with NOT, OR and parentheses."""
    every = frozenset(range(COUNT))
    atoms = st.sampled_from(list(ATOMS)).map(
        lambda name: (name, frozenset(n for n in every if ATOMS[name](n)))
    )
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            inner.map(lambda one: (f"NOT {one[0]}", every - one[1])),
            st.tuples(inner, inner).map(lambda two: (f"OR {two[0][0]} {two[1][0]}", two[0][1] | two[1][1])),
            st.tuples(inner, inner).map(lambda two: (f"({two[0][0]} {two[1][0]})", two[0][1] & two[1][1])),
        ),
        max_leaves=6,
    )


@settings(max_examples=30, deadline=None)
@given(trees())
def test_any_tree_of_keys(tree: tuple[str, frozenset[int]]) -> None:
    text, meant = tree

    async def search() -> list[str]:
        talk = Talk(furnished())
        await talk("SELECT INBOX (CONDSTORE)")
        return (await talk(f"SEARCH RETURN (ALL COUNT) {text}"))[0].split()

    words = asyncio.run(search())
    assert words[words.index("COUNT") + 1] == str(len(meant))
    assert ("ALL" in words) == bool(meant)
    if meant:
        assert words[words.index("ALL") + 1] == str(Ranges.of(n + 1 for n in meant))


async def test_texts_are_looked_into_for_survivors_only(monkeypatch: pytest.MonkeyPatch) -> None:
    store = furnished()
    asked: list[tuple[str, int]] = []
    search_text = store.search_text

    async def noted(account_id: int, ids: Sequence[int], field: str, needle: str) -> frozenset[int]:
        asked.append((field, len(ids)))
        return await search_text(account_id, ids, field, needle)

    monkeypatch.setattr(store, "search_text", noted)
    talk = Talk(store)
    await talk("SELECT INBOX")
    await talk("SEARCH BODY apple SUBJECT pear 1:6")
    assert asked == [("header:subject", 6), ("body", 2)]
    asked.clear()
    await talk("SEARCH OR BODY apple 1:10")
    assert asked == [("body", 2)]
    asked.clear()
    await talk("SEARCH BODY apple NEW")
    assert asked == []


async def test_a_commit_in_the_middle_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = furnished()
    talk, other = Talk(store), Talk(store)
    await talk("SELECT INBOX")
    await other("SELECT INBOX")
    search_text = store.search_text

    async def interrupted(*args: object) -> frozenset[int]:
        monkeypatch.setattr(store, "search_text", search_text)
        await other("STORE 1:3 +FLAGS.SILENT (\\Deleted)")
        await other("EXPUNGE")
        return await search_text(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "search_text", interrupted)
    lines = await talk("UID SEARCH SUBJECT pear 4:* SEEN")
    assert lines[0] == "* SEARCH 8"
    assert [
        line for line in lines if "EXPUNGE" in line
    ] == []  # message numbers were searched (RFC 7162 §3.2.10.2)
    assert (await talk("NOOP"))[:3] == ["* 3 EXPUNGE", "* 2 EXPUNGE", "* 1 EXPUNGE"]


async def test_a_search_that_fails_empties_the_saved_result(monkeypatch: pytest.MonkeyPatch) -> None:
    store = furnished()
    talk = Talk(store)
    await talk("SELECT INBOX")
    view = talk.session.view
    assert view is not None
    await talk("SEARCH RETURN (SAVE) ALL")
    assert len(view.saved) == COUNT
    assert (await talk("SEARCH RETURN (SAVE) NONSENSE"))[-1].startswith("BAD")
    assert len(view.saved) == COUNT  # RFC 9051 §6.4.4.1: BAD changes nothing

    async def down(*args: object) -> frozenset[int]:
        raise StoreUnavailable("No disk")

    monkeypatch.setattr(store, "search_text", down)
    assert (await talk("SEARCH RETURN (SAVE) BODY apple"))[-1].startswith("NO [UNAVAILABLE]")
    assert view.saved == EMPTY


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        ("MIN", (2,)),
        ("MAX", (9,)),
        ("MIN MAX", (2, 9)),
        ("MIN SAVE", (2,)),
        ("MIN COUNT", (2, 5, 9)),
        ("MAX ALL", (2, 5, 9)),
        ("", (2, 5, 9)),
    ],
)
async def test_the_mod_sequence_is_that_of_the_messages_told(returns: str, told: tuple[int, ...]) -> None:
    """RFC 4731 §3.2."""
    talk = Talk(furnished())
    await talk("SELECT INBOX (CONDSTORE)")
    for number in (9, 2, 5):  # the last change is in the middle
        await talk(f"STORE {number} +FLAGS.SILENT (told)")
    modseqs = []
    for number in told:
        line = (await talk(f"FETCH {number} (MODSEQ)"))[0]
        modseqs.append(int(line.partition("MODSEQ (")[2].partition(")")[0]))
    words = (await talk(f"SEARCH RETURN ({returns}) KEYWORD told MODSEQ 1"))[0].split()
    assert words[words.index("MODSEQ") + 1] == str(max(modseqs))
