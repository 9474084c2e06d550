"""What indexing and searching may take at once, wait for and remember, by the very numbers."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from posthouse.message.words import requirements
from posthouse.store.foreground import Foreground
from posthouse.store.postgres.term_sweep import KnownTerms, Learnt
from posthouse.store.search import SearchIndex, database
from posthouse.store.search.cache import IndexedIds
from posthouse.store.search.document import Document, analyse
from posthouse.store.search.indexer import Indexer
from posthouse.store.search.query import ask
from tests.store.test_search import Mailboxes, message, settled


class Counting(Mailboxes):
    """Notes how much it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []
        self.compared: list[int] = []

    def after(self, email_id: int, limit: int) -> list[tuple[int, int]]:
        self.batches.append(limit)
        return super().after(email_id, limit)

    def present(self, email_ids: Sequence[int]) -> set[int]:
        self.compared.append(len(email_ids))
        return super().present(email_ids)


def indexer_of(mailboxes: Mailboxes, path: Path) -> Indexer:
    return Indexer(path, mailboxes, IndexedIds(), Foreground())


async def indexed(mailboxes: Mailboxes, path: Path) -> None:
    index = SearchIndex(path, mailboxes, Foreground())
    index._indexer.delay = 0.0
    index.start()
    await settled(index)
    await index.close()


@pytest.mark.parametrize(("characters", "kept"), [(4096, True), (4097, False)])
def test_the_index_keeps_four_thousand_characters_of_the_fields_people_search_in(
    characters: int, kept: bool
) -> None:
    document = analyse(b"Subject: " + b"x" * characters + b"\r\n\r\ntext\r\n")
    assert document is not None
    assert (document.heads is not None) is kept


async def test_five_hundred_messages_are_indexed_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailboxes = Counting()
    for number in range(1200):
        mailboxes.put(1, number + 1, b"Subject: x\r\n\r\ntext\r\n")
    done: list[int] = []
    set_progress = database.set_progress
    monkeypatch.setattr(database, "set_progress", lambda db, to: (done.append(to), set_progress(db, to)))
    await indexed(mailboxes, tmp_path / "search.db")
    assert set(mailboxes.batches) == {500}
    assert done == [500, 1000, 1200]


async def test_eight_megabytes_end_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mailboxes = Counting()
    raw = b"Subject: x\r\n\r\n".ljust(2**20, b" ")
    for number in range(10):
        mailboxes.put(1, number + 1, raw)
    done: list[int] = []
    set_progress = database.set_progress
    monkeypatch.setattr(database, "set_progress", lambda db, to: (done.append(to), set_progress(db, to)))
    await indexed(mailboxes, tmp_path / "search.db")
    assert done == [8, 10]


async def test_five_thousand_messages_are_compared_with_the_store_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailboxes = Counting()
    mailboxes.put(1, 1, message("x", "y"))
    await indexed(mailboxes, tmp_path / "search.db")
    mailboxes.compared.clear()
    monkeypatch.setattr(database, "indexed", lambda db, account_id: (list(range(12_000)), []))
    monkeypatch.setattr(Indexer, "_remove", lambda *_: None)
    await indexed(mailboxes, tmp_path / "search.db")
    assert mailboxes.compared == [5000, 5000, 2000]


def test_mail_waits_a_second_for_more(tmp_path: Path) -> None:
    assert indexer_of(Mailboxes(), tmp_path / "search.db").delay == 1.0


@pytest.mark.parametrize(("terms", "kept"), [(300_000, True), (300_001, False)])
def test_three_hundred_thousand_terms_are_known_as_listed(tmp_path: Path, terms: int, kept: bool) -> None:
    words = {f"w{number}" for number in range(terms)}
    db = database.open_database(tmp_path / "search.db", writer=True)
    indexer = indexer_of(Mailboxes(), tmp_path / "search.db")
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "add_documents", lambda *_: None)
            indexer._store(db, {1: {1: Document(("", "", "", ""), {"b": words})}}, 1)
    finally:
        db.close()
    assert bool(indexer._known) is kept
    known = KnownTerms()
    known.remember({1: Learnt(0, {("b", word) for word in words})})
    assert bool(known.of(1, 0)) is kept


class Listed:
    """An index of which every message has the same terms."""

    def __init__(self, terms: int) -> None:
        self.words = [f"needle{number}" for number in range(terms)]
        self.asked: list[int] = []

    def with_all(self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()) -> set[int]:
        self.asked.append(len(terms) + sum(map(len, choices)))
        return set()

    def with_any(self, class_: str, terms: Sequence[str]) -> set[int]:
        self.asked.append(len(terms))
        return set()

    def vocabularies(self, asked: Sequence[object]) -> list[list[str]]:
        return [self.words for _ in asked]


def test_five_hundred_terms_are_asked_about_at_once() -> None:
    among = set(range(1_000_000))
    listed = Listed(1200)
    ask(listed, "body", "needle", among)
    assert listed.asked == [500, 500, 200]
    listed = Listed(0)
    words = " ".join(f"word{number}" for number in range(700))
    assert len(requirements(words).all_of) == 700
    ask(listed, "body", words, among)
    assert max(listed.asked) == 500


async def test_two_searches_look_at_messages_at_once(tmp_path: Path) -> None:
    running, most = 0, 0
    lock = threading.Lock()

    class Slow(Mailboxes):
        def read(self, account_id: int, email_ids: Sequence[int]) -> Iterator[bytes | None]:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.05)
            with lock:
                running -= 1
            yield from super().read(account_id, email_ids)

    mailboxes = Slow()
    for number in range(3):
        mailboxes.put(1, number + 1, message("x", "y"))
    index = SearchIndex(tmp_path / "search.db", mailboxes, Foreground())  # not started: all is looked at
    try:
        needles = [str(random.Random(n).random()) for n in range(6)]
        await asyncio.gather(*(index.matching(1, [1, 2, 3], "body", needle) for needle in needles))
    finally:
        await index.close()
    assert most == 2
