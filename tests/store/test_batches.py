"""Commits of one transaction: one that is refused leaves no trace in what the others have in memory."""

from __future__ import annotations

import asyncio

import msgspec

from posthouse.errors import NotFound
from posthouse.store.interface import PutAccount, PutAlias, RemoveAlias
from posthouse.store.model import Alias
from tests.kits.engine import furnish
from tests.store.conftest import SqliteEngine


async def test_mail_of_a_refused_commit_is_in_nobodys_memory(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    index = await desk.store.index(desk.id, inbox.mailbox_id)
    nowhere = msgspec.structs.replace(desk.message(inbox), mailbox_id=999)
    first, refused, last = await asyncio.gather(
        desk.store.commit(desk.message(inbox, "first")),
        desk.store.commit(desk.message(inbox, "refused"), desk.message(inbox, "refused too"), nowhere),
        desk.store.commit(desk.message(inbox, "the last")),
        return_exceptions=True,
    )
    assert isinstance(refused, NotFound)
    assert isinstance(first, list)
    assert isinstance(last, list)
    present = await desk.box()
    assert (present.total, present.uid_next) == (2, 3)
    assert list(zip(index.uids, index.email_ids, index.sizes, strict=True)) == [
        (1, first[0].email_id, len("Subject: first\r\n\r\nfirst\r\n")),
        (2, last[0].email_id, len("Subject: the last\r\n\r\nthe last\r\n")),
    ]


async def test_what_a_refused_commit_would_have_told_others_still_tell(engine: SqliteEngine) -> None:
    desk = await furnish(engine)
    inbox = await desk.box()
    assert await desk.store.account(desk.account.address) == desk.account
    disabled = msgspec.structs.replace(desk.account, disabled=True)
    alias = PutAlias(alias=Alias(address="more@example.test", targets=(desk.account.address,)))
    _, refused, _ = await asyncio.gather(
        desk.store.commit(desk.message(inbox)),
        desk.store.commit(alias, RemoveAlias(address="nobody@example.test")),
        desk.store.commit(PutAccount(account=disabled)),
        return_exceptions=True,
    )
    assert isinstance(refused, NotFound)
    assert await desk.store.account(desk.account.address) == disabled
