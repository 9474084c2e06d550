"""What the view keeps, and how it stays small; what it tells is in tests/properties/test_view.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from posthouse import limits
from posthouse.imap.rows import batches
from posthouse.ranges import EMPTY, Ranges
from posthouse.store.interface import Expunge
from tests.fakes.memory_store import ACCOUNT, MemoryStore
from tests.imap.talk import Talk

RAW = b"Subject: news\r\n\r\n!\r\n"


async def selected(count: int, log_length: int = 256) -> tuple[MemoryStore, Talk]:
    store = MemoryStore(log_length)
    for _ in range(count):
        store.add("INBOX", RAW)
    talk = Talk(store)
    await talk("SELECT INBOX")
    return store, talk


async def expunge(store: MemoryStore, *uids: int) -> None:
    await store.apply(Expunge(account_id=ACCOUNT, mailbox_id=1, uids=Ranges.of(uids), force=True))


async def test_changes_that_change_nothing_leave_nothing_behind() -> None:
    _, talk = await selected(1)
    view = talk.session.view
    assert view is not None
    for _ in range(3):
        await talk("STORE 1 +FLAGS (\\Seen)")
        await talk("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert view._own == ()


@pytest.mark.parametrize("log_length", [1, 256])
async def test_a_silent_change_of_scattered_messages_is_not_echoed(log_length: int) -> None:
    """The engine gives each run of UIDs a mod-sequence of its own, more than the log may hold."""
    _, talk = await selected(9, log_length)
    assert await talk("STORE 1,3,5,7,9 +FLAGS.SILENT (\\Seen)") == ["OK STORE completed"]
    assert await talk("NOOP") == ["OK NOOP completed"]


async def test_of_a_silent_change_by_two_at_once_both_hear() -> None:
    store, talk = await selected(2)
    other = Talk(store)
    await other("SELECT INBOX")
    apply = store.apply

    async def late(op: object) -> object:
        store.apply = apply  # type: ignore[method-assign]
        result = await apply(op)  # type: ignore[arg-type]
        await other("STORE 2 +FLAGS.SILENT (\\Flagged)")
        return result

    store.apply = late  # type: ignore[method-assign, assignment]
    lines = await talk("STORE 1:2 +FLAGS.SILENT (\\Seen)")
    assert lines == ["* 2 FETCH (FLAGS (\\Seen \\Flagged))", "OK STORE completed"]


async def test_numbers_mean_what_the_client_thinks_while_expunges_wait() -> None:
    store, talk = await selected(6)
    await expunge(store, 2, 3)
    store.add("INBOX", RAW)
    view = talk.session.view
    assert view is not None
    assert (await talk("FETCH 4 UID")) == ["* 4 FETCH (UID 4)", "* 7 EXISTS", "OK FETCH completed"]
    assert view.held == Ranges.of([2, 3])
    assert view.numbers(Ranges.of([1, 5, 6])) == Ranges.of([1, 5, 6])
    assert await talk("SEARCH ALL") == ["* SEARCH 1 4 5 6 7", "OK SEARCH completed"]
    assert await talk("NOOP") == ["* 3 EXPUNGE", "* 2 EXPUNGE", "OK NOOP completed"]
    assert view.held == EMPTY
    assert view.known is store.index_of("INBOX").uid_set() or view.known == store.index_of("INBOX").uid_set()


async def test_a_message_that_came_and_went_unseen_is_never_mentioned() -> None:
    store, talk = await selected(1)
    store.add("INBOX", RAW)
    await expunge(store, 2)
    assert await talk("NOOP") == ["OK NOOP completed"]


async def test_many_flag_changes_are_told_in_pieces_and_others_get_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "IMAP_FLAG_ROWS", 2)
    monkeypatch.setattr(limits, "IMAP_OUTPUT", 1)
    store, talk = await selected(10)
    other = Talk(store)
    await other("SELECT INBOX")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    lines = await talk("STORE 1:* +FLAGS (\\Seen)")
    counting.cancel()
    assert lines[:-1] == [f"* {number} FETCH (FLAGS (\\Seen))" for number in range(1, 11)]
    assert turns >= 5
    assert len(await other("NOOP")) == 11


@pytest.mark.parametrize("uids", [[1, 2, 3, 4, 5, 6], [2, 3, 5], [1, 6], [4]])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_hold_what_is_selected_and_still_there(uids: Sequence[int], size: int) -> None:
    store = MemoryStore()
    for _ in range(6):
        store.add("INBOX", RAW)
    known = store.index_of("INBOX").uid_set()
    asyncio.run(expunge(store, 3, 6))
    index = store.index_of("INBOX")
    found = [
        (number, uid)
        for rows in batches(index, known, Ranges.of(uids), size)
        for number, uid in zip(rows.numbers, rows.column(index.uids), strict=True)
    ]
    assert found == [(uid, uid) for uid in uids if uid not in (3, 6)]
