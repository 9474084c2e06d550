"""A session that watches a mailbox hears what leaves it by itself, as of any expunge (RFC 7162 §3.2.10)."""

from __future__ import annotations

import asyncio
import imaplib
from pathlib import Path

from posthouse.store.interface import CreateMailbox
from posthouse.store.retention import DAY, SetRetention
from tests.house import PASSWORDS, TestHouse

ALICE = "alice@example.test"


async def test_it_is_told_as_an_expunge(tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path)
    try:
        store, account_id = house.app.store, house.accounts[ALICE].account_id
        news = await store.apply(CreateMailbox(account_id=account_id, name="News"))
        await store.apply(SetRetention(account_id=account_id, mailbox_id=news.mailbox_id, days=1))
        await house.fill(ALICE, 3, mailbox="News")

        def begin() -> tuple[imaplib.IMAP4, imaplib.IMAP4]:
            plain, quick = (imaplib.IMAP4("127.0.0.1", house.port("imap")) for _ in range(2))
            for each in (plain, quick):
                each.login(ALICE, PASSWORDS[ALICE])
            quick.xatom("ENABLE", "QRESYNC")
            for each in (plain, quick):
                each.select("News")
            plain.store("2", "+FLAGS.SILENT", "(\\Flagged)")
            return plain, quick

        plain, quick = await asyncio.to_thread(begin)
        before = (await store.mailbox(account_id, "News") or news).highest_modseq
        house.app.house.clock.advance(DAY + 1)
        assert await house.app.house.retaining.round() == 2

        def end() -> None:
            plain.noop()
            quick.noop()
            assert plain.response("EXPUNGE")[1] == [b"3", b"1"]  # from behind, so that no number shifts
            assert quick.response("VANISHED")[1] == [b"1,3"]
            assert plain.search(None, "ALL")[1] == [b"1"]
            for each in (plain, quick):
                each.logout()

        await asyncio.to_thread(end)
        box = await store.mailbox(account_id, "News")
        assert box is not None
        assert (box.total, box.uid_next, box.highest_modseq > before) == (1, 4, True)
    finally:
        await house.close()
