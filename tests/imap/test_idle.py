"""IDLE: one short task a change, all changes told, nothing left behind."""

from __future__ import annotations

import asyncio
import logging

import pytest

from posthouse.errors import LocalProtocolError, StoreUnavailable
from posthouse.imap.pusher import Pusher
from posthouse.net.faults import ConnectionClosed
from tests.fakes.memory_store import MemoryStore
from tests.imap.talk import Talk, settle

RAW = b"Subject: news\r\n\r\n!\r\n"


async def idling(store: MemoryStore) -> tuple[Talk, asyncio.Task[None]]:
    talk = Talk(store)
    await talk("SELECT INBOX")
    task = await talk.idle()
    assert talk.wire.take() == b"+ idling\r\n"
    return talk, task


async def test_changes_that_come_together_are_told_in_one_write() -> None:
    store = MemoryStore()
    talk, task = await idling(store)
    for _ in range(5):
        store.add("INBOX", RAW)
    await settle()
    assert talk.wire.written == [b"* 5 EXISTS\r\n"]
    await talk.done(task)


async def test_a_change_while_the_last_one_is_being_written_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = MemoryStore()
    talk, task = await idling(store)
    slow = asyncio.Event()
    monkeypatch.setattr(talk.wire, "drain", slow.wait)
    store.add("INBOX", RAW)
    await settle()
    store.add("INBOX", RAW)
    await settle()
    assert talk.wire.take() == b"* 1 EXISTS\r\n"
    slow.set()
    await settle()
    assert talk.wire.take() == b"* 2 EXISTS\r\n"
    await talk.done(task)


async def test_what_happened_before_idle_is_told_at_once() -> None:
    store = MemoryStore()
    talk = Talk(store)
    await talk("SELECT INBOX")
    store.add("INBOX", RAW)
    task = await talk.idle()
    assert talk.wire.take() == b"+ idling\r\n* 1 EXISTS\r\n"
    await talk.done(task)


async def test_a_change_while_the_client_is_slow_to_take_what_came_before(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    talk = Talk(store)
    await talk("SELECT INBOX")
    slow = asyncio.Event()
    waiting = 0

    async def drain() -> None:
        nonlocal waiting
        if waiting:
            raise LocalProtocolError("two drains at once")  # as net.connection does
        waiting += 1
        await slow.wait()
        waiting -= 1

    monkeypatch.setattr(talk.wire, "drain", drain)
    task = await talk.idle()
    store.add("INBOX", RAW)
    await settle()
    slow.set()
    await settle()
    store.add("INBOX", RAW)
    await settle()
    assert talk.wire.take() == b"+ idling\r\n* 1 EXISTS\r\n* 2 EXISTS\r\n"
    assert b"OK IDLE completed" in await talk.done(task)
    assert caplog.records == []


async def test_nothing_stays_behind() -> None:
    store = MemoryStore()
    talk, task = await idling(store)
    assert b"OK IDLE completed" in await talk.done(task)
    view = talk.session.view
    assert view is not None
    assert view.on_change is None
    store.add("INBOX", RAW)
    await settle()
    assert talk.wire.take() == b""
    assert await talk("NOOP") == ["* 1 EXISTS", "OK NOOP completed"]
    talk.session.close_view()
    assert not store.index_of("INBOX").watched


async def test_a_store_that_fails_for_a_moment_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    talk, task = await idling(store)

    async def down(account_id: int) -> tuple[str, ...]:
        raise StoreUnavailable("Away")

    with monkeypatch.context() as away:
        away.setattr(store, "keywords", down)
        store.add("INBOX", RAW)
        await settle()
    assert talk.wire.take() == b""
    store.add("INBOX", RAW)
    await settle()
    assert talk.wire.take() == b"* 2 EXISTS\r\n"
    await talk.done(task)


async def test_a_client_that_is_gone_makes_no_noise(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    talk, task = await idling(store)

    async def gone() -> None:
        raise ConnectionClosed

    monkeypatch.setattr(talk.wire, "drain", gone)
    store.add("INBOX", RAW)
    await settle()
    assert caplog.records == []
    task.cancel()
    await asyncio.wait((task,))


async def test_a_fault_of_ours_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    talk, task = await idling(store)

    async def broken(account_id: int) -> tuple[str, ...]:
        raise ZeroDivisionError

    with monkeypatch.context() as faulty:
        faulty.setattr(store, "keywords", broken)
        store.add("INBOX", RAW)
        await settle()
    assert "command=IDLE" in caplog.text
    await talk.done(task)


async def test_stopping_waits_for_the_push_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    talk = Talk(store)
    await talk("SELECT INBOX")
    view = talk.session.view
    assert view is not None
    pusher = Pusher(talk.session)
    store.add("INBOX", RAW)
    pusher.heard()
    await pusher.stop()
    assert talk.wire.take() == b"* 1 EXISTS\r\n"


async def test_waiting_long_is_not_slow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("posthouse.limits.IMAP_SLOW", -1.0)
    caplog.set_level(logging.WARNING, "posthouse.imap")
    talk, task = await idling(MemoryStore())
    await talk.done(task)
    slow = [record.getMessage() for record in caplog.records if "slow" in record.getMessage()]
    assert [message.partition("command=")[2].split()[0] for message in slow] == ["SELECT"]
