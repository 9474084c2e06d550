"""Search over PostgreSQL finds exactly what looking at every message finds, indexed or not, in English and Chinese."""

from __future__ import annotations

import asyncio
import random

import pytest

from posthouse import limits
from posthouse.message.words import fold_needle
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, RemoveAccount
from posthouse.store.model import Content
from posthouse.store.postgres import indexed
from posthouse.store.postgres.connection import Connection, Server
from posthouse.store.postgres.migrate import steps
from posthouse.store.search.document import contains
from tests.cluster.conftest import PostgresEngine
from tests.kits.engine import furnish

WORDS = [
    *(
        "invoice",
        "Invoices",
        "it's",
        "naïve",
        "a'b\\c",
        "re-sent",
        "x" * 300,
        "50%",
        "under_score",
        "emoji😀",
    ),
    *("你好", "世界", "北京大学", "邮件系统", "数据库", "のメール", "한국어", "é"),
]
NEEDLES = [
    *("invoice", "INVOICE", "voic", "s ", "it's", "a'b\\", "'", "\\", "sent", "-", "50", "_s", "😀", "naive"),
    *(
        "你",
        "你好",
        "好世",
        "京大",
        "北京大学",
        "统数",
        "メー",
        "국어",
        "xxxx",
        "no such",
        "|",
        "&",
        "!",
        "",
        "%",
        "é",
    ),
    *("p7@example.test", "7@example.te", "17@exam", "p7@example", "p7@nowhere.test", "7@", "é p", "<p11"),
]


def message(chance: random.Random, number: int) -> bytes:
    subject, body = (" ".join(chance.choices(WORDS, k=k)) for k in (3, 12))
    glued = "".join(chance.choices(WORDS[10:], k=4))
    return (
        f'Subject: {subject}\r\nFrom: "{chance.choice(WORDS)}" <p{number}@example.test>\r\nX-Tag: {glued}\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{body} {glued}\r\n"
    ).encode()


async def test_the_index_and_looking_agree(engine: PostgresEngine) -> None:
    chance = random.Random(3)
    desk, other = await furnish(engine), await furnish(engine, "bob@example.test")
    messages: dict[int, bytes] = {}
    for number in range(120):
        raw = message(chance, number)
        box = await desk.box()
        (added,) = await desk.add(box, "", content=Content.of(raw))
        messages[added.email_id] = raw
        await other.add(await other.box(), "", content=Content.of(message(chance, number)))
        if number == 90:
            await engine.settle()  # the rest may not be indexed yet when we ask
    ids = list(messages)
    for settled in (False, True):
        if settled:
            await engine.settle()
        for field in ("text", "body", "header:subject", "header:from", "header:x-tag", "header:nowhere"):
            for needle in NEEDLES:
                folded = fold_needle(needle)
                wanted = {number for number, raw in messages.items() if contains(raw, field, folded)}
                found = await desk.store.search_text(desk.id, ids, field, needle)
                assert found == wanted, (field, needle)


async def test_words_are_found_across_broken_lines(engine: PostgresEngine) -> None:
    """Also in mail that was indexed by other rules, once it is indexed anew."""
    desk = await furnish(engine)
    box = await desk.box()
    head = "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    wrapped = Content.of(f"{head}今天北\r\n京下雨，我们在邮\r\n局门口见\r\n面。\r\n".encode())
    others = Content.of(f"{head}北方的京城，邮政和局长，见人的面\r\n".encode())
    (wanted,) = await desk.add(box, "", content=wrapped)
    ids = [wanted.email_id]
    for _ in range(40):
        ids += [added.email_id for added in await desk.add(box, "", content=others)]
    await engine.settle()

    async def check() -> None:
        for field in ("body", "text"):
            for needle in ("北京", "邮局", "今天北京下雨", "我们在邮局门口", "北 京", "邮\r\n局"):
                found = await desk.store.search_text(desk.id, ids, field, needle)
                assert found == {wanted.email_id}, (field, needle)

    await check()
    db = Connection(Server(engine.place.url))
    try:
        await asyncio.to_thread(db.fetch, "UPDATE search_document SET terms = ''")
        assert await desk.store.search_text(desk.id, ids, "body", "北京") == set()
        await asyncio.to_thread(db.script, steps()[15])
    finally:
        await asyncio.to_thread(db.close)
    engine.store._engine._digester.wake()
    await engine.settle()
    await check()


async def test_what_is_indexed_is_read_in_portions_and_remembered(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexed, "FEW", 3)
    monkeypatch.setattr(indexed, "SEARCH_IDS_READ", 7)
    desk = await furnish(engine)
    box = await desk.box()
    ids = {added.email_id for added in await desk.add(box, *(f"apple {n}" for n in range(30)))}
    db = Connection(Server(engine.place.url))
    remembered = indexed.IndexedIds()
    try:
        await engine.settle()
        assert await asyncio.to_thread(remembered.searchable, db, desk.id, ids) == ids
        late = {added.email_id for added in await desk.add(box, "apple late", "apple later")}
        await engine.settle()
        opaque = "UPDATE search_document SET opaque = 1 WHERE email_id = $1"
        await asyncio.to_thread(db.fetch, opaque, max(late))
        wanted = (ids | late) - {max(late)}
        assert await asyncio.to_thread(remembered.searchable, db, desk.id, ids | late) == wanted
        assert await asyncio.to_thread(remembered.searchable, db, desk.id + 1, ids) == set()
    finally:
        await asyncio.to_thread(db.close)


async def test_a_message_that_is_gone_is_not_found_though_it_is_remembered_as_indexed(
    engine: PostgresEngine,
) -> None:
    desk = await furnish(engine)
    box = await desk.box()
    ids = [added.email_id for added in await desk.add(box, *(f"apple {n}" for n in range(30)))]
    await engine.settle()
    assert await desk.store.search_text(desk.id, ids, "text", "apple") == set(ids)
    await desk.store.apply(
        Expunge(account_id=desk.id, mailbox_id=box.mailbox_id, uids=Ranges([(1, 10)]), force=True)
    )
    await engine.settle()
    assert await desk.store.search_text(desk.id, ids, "text", "apple") == set(ids[10:])
    assert await desk.store.search_text(desk.id, ids, "header:subject", "apple 1") == set(ids[10:20])


async def listed(engine: PostgresEngine, account_id: int) -> set[str]:
    """The account's terms in the list."""
    db = Connection(Server(engine.place.url))
    try:
        rows = await asyncio.to_thread(
            db.fetch, "SELECT term FROM search_term WHERE account_id = $1", account_id
        )
        return {row[0] for row in rows}
    finally:
        await asyncio.to_thread(db.close)


async def test_terms_that_no_message_has_any_more_are_swept_and_can_come_again(
    engine: PostgresEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEARCH_SWEEP", 10)
    monkeypatch.setattr(limits, "SEARCH_SWEEP_PIECE", 7)
    desk = await furnish(engine)
    box = await desk.box()
    words = [f"fruit{chr(97 + n)}{chr(97 + n)}" for n in range(26)]
    await desk.add(box, *(f"apple {word} it's 北京" for word in words))
    await engine.settle()
    assert set(words) <= await listed(engine, desk.id)

    async def expunge(first: int, last: int) -> None:
        uids = Ranges([(first, last)])
        await desk.store.apply(Expunge(account_id=desk.id, mailbox_id=box.mailbox_id, uids=uids, force=True))
        await engine.settle()

    await expunge(1, 9)  # fewer than it takes
    assert set(words) <= await listed(engine, desk.id)
    await expunge(10, 20)
    terms = await listed(engine, desk.id)
    assert terms.isdisjoint(words[:20])
    assert terms >= {*words[20:], "apple"}
    # The node still remembers that it has listed them once.
    (added,) = await desk.add(box, f"apple {words[3]}")
    await engine.settle()
    assert words[3] in await listed(engine, desk.id)
    assert await desk.store.search_text(desk.id, [added.email_id], "text", "ruitd") == {added.email_id}
    await desk.store.apply(RemoveAccount(account_id=desk.id))
    await engine.settle()
    assert await listed(engine, desk.id) == set()


async def test_words_that_look_like_others(engine: PostgresEngine) -> None:
    desk, other = await furnish(engine), await furnish(engine, "bob@example.test")
    head = "Subject: caf\u00e9 r\u00e9sum\u00e9\r\nContent-Type: text/plain; charset=utf-8\r\n"
    text = head + "\r\nhello hallo 50% under_score\r\n"
    await desk.add(await desk.box(), "", content=Content.of(text.encode()))
    await other.add(await other.box(), "", content=Content.of(b"\r\nhullo\r\n"))
    await engine.settle()
    asked = ["hello", "cafe", "resume", "helo", "50", "score", "nothing"]
    found = await desk.store.similar_words(desk.id, "text", asked)
    assert found == [["hallo"], ["caf\u00e9"], ["r\u00e9sum\u00e9"], ["hello"], [], [], []]
    assert await desk.store.similar_words(desk.id, "header:subject", asked[:2]) == [[], ["caf\u00e9"]]
