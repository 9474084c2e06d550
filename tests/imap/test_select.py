"""SELECT beyond the conversations: its parameters, the first unseen message, sharing of what many sessions know."""

from __future__ import annotations

from array import array

import pytest

from posthouse import limits
from posthouse.imap.commands.select import SelectArgs, first_unseen, parse_select
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.ranges import Ranges
from tests.fakes.memory_store import MemoryStore
from tests.imap.talk import Talk

RAW = b"Subject: news\r\n\r\n!\r\n"


def parse(text: str) -> SelectArgs:
    return parse_select(Reader(b" " + text.encode()), False)


def test_qresync_parameter() -> None:
    # RFC 7162 §3.2.5.2, the second example
    args = parse(
        "INBOX (QRESYNC (67890007 90060115194045000 1:29997 (5000,7500,9000,9990:9999 "
        "15000,22500,27000,29970,29973,29976,29979,29982,29985,29988,29991,29994,29997)))"
    )
    resync = args.resync
    assert resync is not None
    assert (resync.uid_validity, resync.modseq) == (67890007, 90060115194045000)
    assert resync.known_uids == Ranges(((1, 29997),))
    assert dict(zip(resync.known_numbers, resync.numbered_uids, strict=True))[9999] == 29997


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("A (QRESYNC (1 2))", None),
        ("A (QRESYNC (1 2 3,5))", "3,5"),
        ("A (QRESYNC (1 2 (1 7)) CONDSTORE)", None),
    ],
)
def test_qresync_optional_arguments(text: str, known: str | None) -> None:
    resync = parse(text).resync
    assert resync is not None
    assert resync.known_uids == (None if known is None else Ranges.parse(known))


@pytest.mark.parametrize(
    "text",
    [
        "", "A ()", "A (ODD)", "A (QRESYNC)", "A (QRESYNC (1))", "A (QRESYNC (0 1))", "A (QRESYNC (1 2 *))",
        "A (QRESYNC (1 2 $))", "A (QRESYNC (1 2 1:5 (1:2 4)))", "A (QRESYNC (1 2) QRESYNC (1 2))", "A CONDSTORE",
        f"A (QRESYNC (1 2 (1:{limits.IMAP_SEQUENCE_MATCHES + 1} 1:{limits.IMAP_SEQUENCE_MATCHES + 1})))",
        "A (QRESYNC (1 2 (1:4294967295 1:4294967295)))",
    ],
)  # fmt: skip
def test_what_is_refused(text: str) -> None:
    with pytest.raises(BadSyntax):
        parse(text)


@pytest.mark.parametrize("place", [0, 1, 8_191, 8_192, 20_000, None])
def test_first_unseen(place: int | None) -> None:
    flags = array("Q", [0xFF00 | 1] * 20_001)
    if place is not None:
        flags[place] = 0xFFFE  # every bit but the one that counts
    assert first_unseen(flags) == place


async def test_sessions_that_know_the_same_share_it() -> None:
    store = MemoryStore()
    for _ in range(3):
        store.add("INBOX", RAW)
    talks = [Talk(store) for _ in range(3)]
    for talk in talks:
        await talk("SELECT INBOX")
    store.add("INBOX", RAW)
    for talk in talks:
        assert (await talk("NOOP"))[0] == "* 4 EXISTS"
    index = store.index_of("INBOX")
    views = [talk.session.view for talk in talks]
    assert all(view is not None and view.known is index.uid_set() for view in views)


async def test_a_failed_select_of_a_removed_mailbox_leaves_no_watch() -> None:
    store = MemoryStore()
    talk = Talk(store)
    await talk("SELECT Archive")
    index = store.index_of("Archive")
    assert index.watched
    assert (await talk("SELECT Nowhere"))[-1].startswith("NO [NONEXISTENT]")
    assert not index.watched
    assert talk.session.view is None
