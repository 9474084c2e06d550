"""Search over PostgreSQL finds exactly what looking at every message finds, indexed or not, in English and Chinese."""

from __future__ import annotations

import random

from posthouse.message.words import fold_needle
from posthouse.store.model import Content
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
