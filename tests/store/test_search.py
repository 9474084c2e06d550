"""Search is exact in every state of its file: empty, half fed, whole, stale, lost, damaged."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from posthouse.errors import StoreUnavailable
from posthouse.limits import SEARCH_PATIENCE, SEARCH_TERMS, SEARCH_WAITING
from posthouse.message.words import Requirement, fold_needle
from posthouse.store.foreground import Foreground
from posthouse.store.search import SearchIndex, database, document, query
from posthouse.store.search.cache import IndexedIds
from posthouse.store.search.document import Document, analyse, contains
from posthouse.store.search.notices import Notices


class Mailboxes:
    """The store as search sees it: octets by account and email id."""

    def __init__(self) -> None:
        self.accounts: dict[int, dict[int, bytes]] = {}
        self.reads = 0
        self.above = 10**6

    def put(self, account_id: int, email_id: int, raw: bytes) -> None:
        self.accounts.setdefault(account_id, {})[email_id] = raw

    def after(self, email_id: int, limit: int) -> list[tuple[int, int]]:
        rows = [
            (i, account_id) for account_id, emails in self.accounts.items() for i in emails if i > email_id
        ]
        return sorted(rows)[:limit]

    def present(self, email_ids: Sequence[int]) -> set[int]:
        return {i for emails in self.accounts.values() for i in emails}.intersection(email_ids)

    def ceiling(self) -> int:
        return self.above

    def read(self, account_id: int, email_ids: Sequence[int]) -> Iterator[bytes | None]:
        for email_id in email_ids:
            self.reads += 1
            yield self.accounts.get(account_id, {}).get(email_id)

    def close(self) -> None:
        pass


def make(path: Path, mailboxes: Mailboxes) -> SearchIndex:
    index = SearchIndex(path, mailboxes, Foreground())
    index._indexer.delay = 0.0
    index.start()
    return index


async def settled(index: SearchIndex) -> None:
    async with asyncio.timeout(20):
        while not index.settled():  # another thread's work
            await asyncio.sleep(0.005)


@pytest.fixture
def mailboxes() -> Mailboxes:
    return Mailboxes()


@pytest.fixture
async def index(tmp_path: Path, mailboxes: Mailboxes) -> AsyncIterator[SearchIndex]:
    index = make(tmp_path / "search.db", mailboxes)
    yield index
    await index.close()


def message(subject: str, text: str, sender: str = "alice@north.test") -> bytes:
    return (
        f"From: {sender}\r\nTo: Bob Müller <bob@south.test>\r\nSubject: {subject}\r\nMessage-ID: <{len(text)}@x>\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nX-List: posthouse-devel\r\n\r\n{text}\r\n"
    ).encode()


def expected(mailboxes: Mailboxes, account_id: int, field: str, needle: str) -> set[int]:
    emails = mailboxes.accounts[account_id]
    return {email_id for email_id, raw in emails.items() if contains(raw, field, fold_needle(needle))}


WORDS = (
    "post house letter LETTERS Straße naïve coöperate mail e-mail user@example.org 邮局 邮件系统 今天 天气 東京 大阪 "
    "まで 한국 서울 😀 x 12 3456 a1b2 https://example.org/a?b=c supercalifragilisticexpialidociousness-"
    + "z"
    * 90
).split()
NEEDLES = [
    *WORDS, "o", "邮", "天气今", "post house", "house letter", "t-", "@example", "example.org/a?b", "zzz", "z" * 60,
    "LETTER", "straSSE", "邮局 邮件", "系统", " ", "system", "naive", "nai\u0308ve", "😀 x", "not there", "没有", "没",
]  # fmt: skip
FIELDS = [
    "text",
    "body",
    "header:subject",
    "header:from",
    "header:to",
    "header:cc",
    "header:x-list",
    "header:x-none",
]


async def check_all(index: SearchIndex, mailboxes: Mailboxes, account_id: int = 1) -> None:
    asked = [*mailboxes.accounts[account_id], 10**6]
    for field in FIELDS:
        for needle in ["", *NEEDLES]:
            found = await index.matching(account_id, asked, field, needle)
            wanted = expected(mailboxes, account_id, field, needle)
            if not needle and field in ("text", "body"):
                wanted = set(asked)
            assert found == wanted, (field, needle)


def fill(mailboxes: Mailboxes, account_id: int, count: int, seed: int = 1) -> list[int]:
    draw = random.Random(seed)
    ids = [account_id * 1000 + i for i in range(count)]
    for email_id in ids:
        text = " ".join(draw.choices(WORDS, k=draw.randint(1, 12))).replace(" 天气", "天气")
        sender = draw.choice(["alice@north.test", "Zoë <zoe@west.test>", "=?utf-8?b?6YKu5bGA?= <p@x.test>"])
        mailboxes.put(account_id, email_id, message(" ".join(draw.choices(WORDS, k=3)), text, sender))
    return ids


async def test_exact_when_all_is_indexed(index: SearchIndex, mailboxes: Mailboxes) -> None:
    fill(mailboxes, 1, 60)
    fill(mailboxes, 2, 40, seed=2)
    index.notify_added()
    await settled(index)
    mailboxes.reads = 0
    found = await index.matching(1, list(mailboxes.accounts[1]), "body", "邮局")
    assert found == expected(mailboxes, 1, "body", "邮局")
    assert mailboxes.reads == 0, "the index alone decides"
    await check_all(index, mailboxes)


WRAPPED = "今天北\r\n京下雨，我们在邮\r\n局门口见\r\n面。"
ACROSS_LINES = ("北京", "邮局", "见面", "今天北京下雨", "我们在邮局门口", "北 京", "邮\r\n局")


@pytest.mark.parametrize("opaque", [False, True])
async def test_words_are_found_across_broken_lines(
    index: SearchIndex, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch, opaque: bool
) -> None:
    """By the index, and by looking where it does not decide."""
    if opaque:
        monkeypatch.setattr(document, "SEARCH_TERMS", 5)
    for number in range(40):
        mailboxes.put(1, 1000 + number, message("x", "北方的京城，邮政和局长，见人的面"))
    mailboxes.put(1, 2000, message("x", WRAPPED))
    index.notify_added()
    await settled(index)
    asked = list(mailboxes.accounts[1])
    for field in ("body", "text"):
        for needle in ACROSS_LINES:
            mailboxes.reads = 0
            assert await index.matching(1, asked, field, needle) == {2000}, (field, needle)
            assert opaque or mailboxes.reads <= 1, "its terms are enough to find it"


async def test_an_address_is_found_without_listing_all_of_its_domain(
    index: SearchIndex, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        sender = f"Person <p{number}@branch.example.org>"
        mailboxes.put(1, 1000 + number, message(f"no {number}", "text", sender))
    index.notify_added()
    await settled(index)
    listed: list[int] = []
    matching = database._matching

    def counting(db: apsw.Connection, query: str) -> list[int]:
        found = matching(db, query)
        listed.append(len(found))
        return found

    monkeypatch.setattr(database, "_matching", counting)
    for needle in (
        "p42@branch.example.org",
        "2@branch.example.or",
        "p42@branch.exam",
        "p777@branch.example.org",
    ):
        found = await index.matching(1, list(mailboxes.accounts[1]), "header:from", needle)
        assert found == expected(mailboxes, 1, "header:from", needle), needle
    assert max(listed) <= 20


async def test_exact_when_nothing_is_indexed(tmp_path: Path, mailboxes: Mailboxes) -> None:
    fill(mailboxes, 1, 30)
    index = SearchIndex(tmp_path / "search.db", mailboxes, Foreground())
    await check_all(index, mailboxes)
    await index.close()


async def test_new_mail_is_found_before_it_is_indexed(index: SearchIndex, mailboxes: Mailboxes) -> None:
    ids = fill(mailboxes, 1, 30)
    index.notify_added()
    await settled(index)
    mailboxes.put(1, 5000, message("late", "only here: quokka"))
    asked = list(mailboxes.accounts[1])
    assert await index.matching(1, asked, "body", "quokka") == {5000}
    assert await index.matching(1, asked, "header:subject", "LATE") == {5000}
    index.notify_added()
    await settled(index)
    assert await index.matching(1, asked, "body", "quokka") == {5000}
    assert await index.matching(1, ids, "body", "quokka") == frozenset(), "only what was asked about"


async def test_removed_mail_is_forgotten(index: SearchIndex, mailboxes: Mailboxes, tmp_path: Path) -> None:
    ids = fill(mailboxes, 1, 40)
    index.notify_added()
    await settled(index)
    for email_id in ids[:30]:
        del mailboxes.accounts[1][email_id]
    index.notify_removed(1, ids[:30])
    await settled(index)
    await check_all(index, mailboxes)
    rows = apsw.Connection(str(tmp_path / "search.db")).execute("SELECT count(*) FROM doc").fetchall()
    assert rows == [(10,)]


async def test_unused_terms_are_swept(
    index: SearchIndex, mailboxes: Mailboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.store.search.indexer.SEARCH_SWEEP", 20)
    for email_id in range(40):
        mailboxes.put(1, email_id, message(f"s{email_id}", f"unique{email_id}word"))
    index.notify_added()
    await settled(index)
    for email_id in range(35):
        del mailboxes.accounts[1][email_id]
    index.notify_removed(1, range(35))
    await settled(index)
    db = apsw.Connection(str(tmp_path / "search.db"))
    assert db.execute("SELECT count(*) FROM term WHERE class = 'b' AND term LIKE 'unique%'").fetchall() == [
        (5,)
    ]
    assert await index.matching(1, list(range(40)), "body", "unique3") == {35, 36, 37, 38, 39}


async def test_a_removed_account_leaves_nothing(
    index: SearchIndex, mailboxes: Mailboxes, tmp_path: Path
) -> None:
    fill(mailboxes, 1, 10)
    index.notify_added()
    fill(mailboxes, 2, 10)
    index.notify_added()
    await settled(index)
    del mailboxes.accounts[1]
    index.notify_removed(1, range(1000, 1010))
    await settled(index)
    db = apsw.Connection(str(tmp_path / "search.db"))
    assert db.execute("SELECT count(*) FROM term WHERE account_id = 1").fetchall() == [(0,)]
    assert db.execute("SELECT count(*) FROM doc").fetchall() == [(10,)]
    await check_all(index, mailboxes, 2)


async def test_what_changed_while_we_were_away_is_made_good(tmp_path: Path, mailboxes: Mailboxes) -> None:
    path = tmp_path / "search.db"
    ids = fill(mailboxes, 1, 20)
    index = make(path, mailboxes)
    await settled(index)
    await index.close()
    del mailboxes.accounts[1][ids[0]]
    mailboxes.put(1, 7000, message("new", "arrived while away"))
    index = make(path, mailboxes)
    await settled(index)
    await check_all(index, mailboxes)
    db = apsw.Connection(str(path))
    assert db.execute("SELECT count(*) FROM doc").fetchall() == [(20,)]
    await index.close()


@pytest.mark.parametrize(
    "harm", ["garbage", "truncated", "old schema", "other Unicode", "missing table", "gone"]
)
async def test_a_damaged_file_is_made_anew(tmp_path: Path, mailboxes: Mailboxes, harm: str) -> None:
    path = tmp_path / "search.db"
    fill(mailboxes, 1, 30)
    index = make(path, mailboxes)
    await settled(index)
    await index.close()
    damage(path, harm)
    index = make(path, mailboxes)
    await check_all(index, mailboxes)  # at once, whatever the state
    await settled(index)
    mailboxes.reads = 0
    found = await index.matching(1, list(mailboxes.accounts[1]) + list(range(30)), "body", "邮局")
    assert found == expected(mailboxes, 1, "body", "邮局")
    assert mailboxes.reads == 30, "the new file knows its own"
    assert apsw.Connection(str(path)).execute("SELECT count(*) FROM doc").fetchall() == [(30,)]
    await index.close()


async def test_a_damaged_file_that_cannot_be_deleted_is_tried_again(
    tmp_path: Path, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refused: list[Path] = []
    delete = database.delete_database

    def refuse_twice(path: Path) -> None:
        if len(refused) < 2:
            refused.append(path)
            raise PermissionError(errno.EPERM, "not now")
        delete(path)

    monkeypatch.setattr(database, "delete_database", refuse_twice)
    monkeypatch.setattr("posthouse.store.search.indexer.SEARCH_RETRY", 0.01)
    path = tmp_path / "search.db"
    damage(path, "garbage")
    fill(mailboxes, 1, 30)
    index = make(path, mailboxes)
    await asyncio.wait_for(settled(index), 5)
    assert len(refused) == 2
    told = [one for one in caplog.records if "not now" in one.getMessage()]
    assert [(one.levelname, one.exc_info) for one in told] == [("WARNING", None)] * 2
    assert apsw.Connection(str(path)).execute("SELECT count(*) FROM doc").fetchall() == [(30,)]
    await check_all(index, mailboxes)
    await index.close()


def damage(path: Path, harm: str) -> None:
    match harm:
        case "garbage":
            path.write_bytes(random.Random(3).randbytes(50_000))
        case "truncated":
            path.write_bytes(path.read_bytes()[:9000])
        case "gone":
            for file in path.parent.glob("search.db*"):
                file.unlink()
        case _:
            statements = {
                "old schema": "PRAGMA user_version = 999",
                "other Unicode": "UPDATE made_with SET versions = 'Unicode 1.0'",
                "missing table": "DROP TABLE term_index",
            }
            apsw.Connection(str(path)).execute(statements[harm])


async def test_a_file_that_vanishes_under_us(
    index: SearchIndex, mailboxes: Mailboxes, tmp_path: Path
) -> None:
    fill(mailboxes, 1, 20)
    index.notify_added()
    await settled(index)
    damage(tmp_path / "search.db", "gone")
    await check_all(index, mailboxes)


async def test_a_page_torn_under_us(index: SearchIndex, mailboxes: Mailboxes, tmp_path: Path) -> None:
    fill(mailboxes, 1, 30)
    index.notify_added()
    await settled(index)
    db = apsw.Connection(str(tmp_path / "search.db"))
    db.execute("UPDATE term_index_data SET block = randomblob(200)")
    db.close()
    for needle in ("post", "邮局"):
        found = await index.matching(1, list(mailboxes.accounts[1]), "body", needle)
        assert found == expected(mailboxes, 1, "body", needle)
    await settled(index)
    await check_all(index, mailboxes)


def test_a_message_with_too_many_terms_is_scanned() -> None:
    raw = b"Subject: x\r\n\r\n" + b" ".join(b"%x" % i for i in range(SEARCH_TERMS + 10))
    assert analyse(raw) is None
    assert contains(raw, "body", "%x" % (SEARCH_TERMS + 5))


async def test_opaque_messages_are_found(
    index: SearchIndex, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthouse.store.search.document.SEARCH_TERMS", 15)
    fill(mailboxes, 1, 40)
    index.notify_added()
    await settled(index)
    await check_all(index, mailboxes)


async def test_a_message_that_cannot_be_written_stops_no_other(
    index: SearchIndex, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(raw: bytes) -> Document | None:
        # what a fault in reading would leave: a text that no database takes
        document = analyse(raw)
        if document is not None and not broken_once:
            broken_once.append(raw)
            document.terms.setdefault("body", set()).add("half a pair: \ud800")
        return document

    broken_once: list[bytes] = []
    monkeypatch.setattr("posthouse.store.search.indexer.analyse", broken)
    fill(mailboxes, 1, 40)
    index.notify_added()
    await asyncio.wait_for(settled(index), 5)
    assert broken_once
    await check_all(index, mailboxes)


def test_too_many_removals_are_replaced_by_a_comparison() -> None:
    notices = Notices()
    notices.removed(1, range(SEARCH_WAITING))
    notices.removed(2, [1])
    notes = notices.take(wait=True, delay=0.0)
    assert notes.compare
    assert not notes.removed


def test_new_mail_waits_for_a_quiet_moment_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("posthouse.store.search.notices.time.monotonic", lambda: clock)
    waits: list[float] = []

    def wait(seconds: float | None = None) -> None:
        nonlocal clock
        assert seconds is not None
        waits.append(seconds)
        clock += seconds / 2
        notices.mail_came()  # more mail, before the time is up
        clock += seconds / 2

    notices = Notices()
    monkeypatch.setattr(notices._changed, "wait", wait)
    notices.mail_came()
    notices.take(wait=True, delay=1.0)
    assert waits[0] == 1.0
    assert clock == 100.0 + SEARCH_PATIENCE


async def test_a_store_from_a_backup_gets_a_new_index(tmp_path: Path, mailboxes: Mailboxes) -> None:
    """Its email ids are given again, to other messages."""
    path = tmp_path / "search.db"
    fill(mailboxes, 1, 30)
    index = make(path, mailboxes)
    await settled(index)
    await index.close()
    mailboxes.accounts.clear()
    mailboxes.above = 1021
    fill(mailboxes, 1, 21, seed=5)
    index = make(path, mailboxes)
    await settled(index)
    await check_all(index, mailboxes)
    await index.close()


def test_cached_ids_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.store.search.cache.SEARCH_CACHED_IDS", 100)
    cached = IndexedIds()
    for account_id in range(10):
        assert cached.searchable(0, account_id, {1, 999}, lambda: (list(range(40)), [])) == {1}
    assert len(cached._accounts) == 2


def test_needles_match_decoded_text() -> None:
    raw = (
        b"Subject: =?gb2312?B?08q+1g==?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b'<p title=3D"tip">=CC=EC<b>=C6=F8</b> &amp; more</p>\r\n'
        b"--b\r\nContent-Type: application/pdf; name*=utf-8''%E5%8F%91%E7%A5%A8.pdf\r\n\r\nsecretbinary\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner letter\r\n\r\ninner text\r\n--b--\r\n"
    )
    for field, needle, wanted in [
        ("header:subject", "邮局", True), ("body", "邮局", False), ("text", "邮局", True), ("body", "天气", True),
        ("body", "气 & more", True), ("body", "tip", True), ("body", "发票", True), ("body", "secretbinary", False),
        ("body", "inner letter", True), ("body", "inner text", True), ("text", "application/pdf", True),
        ("header:mime-version", "", True), ("header:x-none", "", False),
    ]:  # fmt: skip
        assert contains(raw, field, fold_needle(needle)) is wanted, (field, needle)
    named = b'Content-Disposition: attachment; filename="Offer \\"New\\".pdf"\r\n\r\nx'
    assert contains(named, "body", fold_needle('Offer "New"')), "quoted pairs hide what they stand for"
    hyphens = b"Content-Type: text/html\r\n\r\nDonau&shy;dampf&#8203;schiff"
    assert contains(hyphens, "body", fold_needle("Donaudampfschiff")), "nobody sees where a word may break"


async def test_a_search_under_way_when_the_file_is_made_anew_misleads_no_later_one(
    index: SearchIndex, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows the old file's messages; the new file does not have them yet."""
    fill(mailboxes, 1, 30)
    index.notify_added()
    await settled(index)
    index._cached.clear(index._indexer.generation)
    reached, go_on = threading.Event(), threading.Event()
    real = index._reader

    def slow() -> Any:
        found = real()
        reached.set()
        assert go_on.wait(10)
        return found

    wanted = expected(mailboxes, 1, "body", "邮局")
    assert wanted
    with monkeypatch.context() as patch:
        patch.setattr(index, "_reader", slow)
        searching = asyncio.create_task(index.matching(1, list(mailboxes.accounts[1]), "body", "邮局"))
        await asyncio.to_thread(reached.wait, 10)
        monkeypatch.setattr(mailboxes, "after", lambda *_: [])  # the new file stays empty
        old = index._indexer.generation
        index._indexer.report_damage()
        async with asyncio.timeout(10):
            while index._indexer.generation in (0, old):
                await asyncio.sleep(0.005)
        go_on.set()
        assert await searching == wanted
    assert await index.matching(1, list(mailboxes.accounts[1]), "body", "邮局") == wanted


@pytest.mark.parametrize("harm", ["garbage", "old schema", "other Unicode"])
async def test_a_file_that_cannot_be_used_is_let_go_at_once(
    tmp_path: Path, mailboxes: Mailboxes, harm: str
) -> None:
    path = tmp_path / "search.db"
    fill(mailboxes, 1, 3)
    index = make(path, mailboxes)
    await settled(index)
    await index.close()
    damage(path, harm)
    for writer in (True, False) if harm == "garbage" else (True,):
        with pytest.raises(database.Damaged) as caught:
            database.open_database(path, writer=writer)
        assert open_files(path) == [], caught  # also while somebody knows the fault


def test_a_file_whose_progress_cannot_be_read_is_let_go(
    tmp_path: Path, mailboxes: Mailboxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexer = SearchIndex(tmp_path / "search.db", mailboxes, Foreground())._indexer

    def torn(_db: apsw.Connection) -> int:
        raise apsw.CorruptError("torn")

    monkeypatch.setattr(database, "progress", torn)
    with pytest.raises(apsw.CorruptError) as caught:
        indexer._open()
    assert open_files(tmp_path / "search.db") == [], caught


def open_files(path: Path) -> list[str]:
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{fd}"))
    return [each for each in found if each.startswith(str(path))]


async def test_a_search_when_the_store_ends_is_told_so(index: SearchIndex, mailboxes: Mailboxes) -> None:
    fill(mailboxes, 1, 3)
    gate = threading.Event()

    def slow(*_: Any) -> Iterator[bytes | None]:
        assert gate.wait(10)
        yield None

    mailboxes.read = slow  # type: ignore[method-assign]
    running = [
        asyncio.create_task(index.matching(1, list(mailboxes.accounts[1]), "body", "邮局")) for _ in range(6)
    ]
    await asyncio.sleep(0.05)
    closing = asyncio.create_task(index.close())
    await asyncio.sleep(0.05)
    gate.set()
    await closing
    found = await asyncio.gather(*running, return_exceptions=True)
    assert all(isinstance(one, StoreUnavailable) for one in found), found
    with pytest.raises(StoreUnavailable):
        await index.matching(1, [1], "body", "邮局")


def test_the_index_keeps_so_much_of_a_head() -> None:
    """Longer ones are read from the message: a stranger's subject of megabytes is not kept twice."""
    for length, kept in ((4_000, True), (4_200, False)):
        document = analyse(b"Subject: " + b"long " * (length // 5) + b"\r\n\r\ntext\r\n")
        assert document is not None
        assert (document.heads is not None) is kept


def test_one_question_has_so_many_terms() -> None:
    asked: list[int] = []

    class Noted:
        """An index that has no message, and notes how long questions are."""

        def with_all(
            self, class_: str, terms: Sequence[str], choices: Sequence[Sequence[str]] = ()
        ) -> list[int]:
            asked.append(len(terms))
            return []

        def with_any(self, class_: str, terms: Sequence[str]) -> list[int]:
            asked.append(len(terms))
            return []

        def vocabularies(self, wanted: Sequence[tuple[str, Requirement]]) -> list[list[str]]:
            return [[f"term{i}" for i in range(2_000)] for _ in wanted]

    words = " ".join(f"word{i}" for i in range(2_000))
    query.ask(Noted(), "body", words, set(range(1_000)))
    query.ask(Noted(), "body", "part", set(range(1_000)))
    assert len(asked) > 2
    assert max(asked) <= 500
