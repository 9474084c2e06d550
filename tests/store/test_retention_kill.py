"""kill -9 while old mail is removed: no message is half removed, and what is gone can be brought back."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest

from posthouse.store.deleted import RestoreEmails
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import FLAGGED
from posthouse.store.sqlite import SqliteStore
from tests.store.conftest import derive
from tests.store.kill_campaign import Ledger, check_index, check_messages, check_segments, run_and_kill
from tests.store.killed import ADDRESS
from tests.store.retention_killed import BEGIN, LIFE, NEWS

KILLS = 12


class Removal(Ledger):
    """What was promised of all lives, and of the last round of the last."""

    def __init__(self) -> None:
        super().__init__()
        self.emails: dict[str, int] = {}
        self.due: list[str] = []
        self.halfway = 0
        """Lives that ended in the middle of a round."""

    def read(self, lines: list[bytes]) -> None:
        """One life."""
        super().read(lines)
        self.due = []
        for line in lines:
            fact = json.loads(line) if line.endswith(b"\n") else {"kind": ""}
            if fact["kind"] == "added":
                self.emails[fact["name"]] = fact["email"]
            elif fact["kind"] == "due":
                self.due = fact["names"]


async def audit(folder: Path, ledger: Removal, life: int) -> None:
    """Open what the killed process left, look at all of it, and bring back what is gone."""
    store = await SqliteStore.open(
        folder / "mail.db",
        folder / "blobs",
        derive=derive,
        keep_deleted=True,
        now=lambda: BEGIN + (life + 1) * LIFE - 1,
    )
    try:
        account = await store.account(ADDRESS)
        assert account is not None
        await check_gone(store, account.account_id, ledger)
        ids = tuple(each.email_id for each in await store.deleted(account.account_id, 100_000))
        archive = await store.mailbox(account.account_id, "Archive")
        assert archive is not None
        back = await store.apply(
            RestoreEmails(account_id=account.account_id, mailbox_id=archive.mailbox_id, email_ids=ids)
        )
        assert len(back) == len(ids), "all that is gone comes back"
        assert await store.deleted(account.account_id, 1) == []
        news, restored = [
            set(await check_messages(store, account.account_id, await opened(store, name), ledger))
            for name in (NEWS, "Archive")
        ]
        assert news.isdisjoint(restored)
        assert ledger.named("added") <= news | restored, "a message is lost"
        assert ledger.named("left") <= restored
        await store.settle()
        check_segments(folder, store)
    finally:
        await store.close()


async def check_gone(store: SqliteStore, account_id: int, ledger: Removal) -> None:
    """A message is in the mailbox or removed, with all that belongs to either."""
    news, archive = [await opened(store, name) for name in (NEWS, "Archive")]
    here = dict(zip(news.email_ids, news.flags, strict=True))
    deleted = {each.email_id for each in await store.deleted(account_id, 100_000)}
    assert deleted.isdisjoint(here), "it is removed and still there"
    assert deleted.isdisjoint(archive.email_ids)
    usage = await store.usage(account_id)
    assert usage.messages == len(news) + len(archive)
    assert usage.octets == sum(news.sizes) + sum(archive.sizes)
    vanished = await store.vanished_since(account_id, news.mailbox_id, 0)
    for name in ledger.named("added"):
        number = ledger.emails[name]
        assert (number in here) + (number in deleted) + (number in archive.email_ids) == 1, name
        assert vanished is None or (number in here) != (ledger.uids[name] in vanished), name
    for name in ledger.named("starred"):
        assert here[ledger.emails[name]] & FLAGGED, f"{name} stays"
    gone = [name for name in ledger.due if ledger.emails[name] in deleted]
    ledger.halfway += 0 < len(gone) < len(ledger.due)


async def opened(store: SqliteStore, name: str) -> MailboxIndex:
    """A mailbox whose counts and index are what its messages say."""
    account = await store.account(ADDRESS)
    assert account is not None
    box = await store.mailbox(account.account_id, name)
    assert box is not None
    index = await store.index(account.account_id, box.mailbox_id)
    assert (box.total, box.size, box.unseen) == (len(index), sum(index.sizes), len(index))
    check_index(store, index)
    return index


@pytest.mark.slow
@pytest.mark.long
def test_a_removal_that_is_killed_leaves_nothing_half_removed(tmp_path: Path) -> None:
    chance = random.Random(8514)
    ledger = Removal()
    for life in range(KILLS):
        if life % 2:
            seconds, once = chance.uniform(0.05, 0.5), b""
        else:
            seconds, once = chance.uniform(0.0, 0.03), b'"piece"'  # a removal is under way
        ledger.read(run_and_kill(tmp_path, life, seconds, "tests.store.retention_killed", once))
        asyncio.run(audit(tmp_path, ledger, life))
    assert ledger.halfway >= KILLS // 4, "no removal was interrupted"
    assert ledger.named("left") and ledger.named("starred")
