"""Rewritten senders over one database: what one node sent on comes back by any other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from posthouse.accounts.directory import Directory
from posthouse.inbound.mail import Mail, MailRecipient, Via
from posthouse.inbound.plan import make_plan
from posthouse.inbound.sent_on import SentOn
from posthouse.store.derive import derive
from posthouse.store.interface import PutAlias, PutDomain
from posthouse.store.model import Alias, Content, Domain
from posthouse.store.postgres import Place, PostgresStore
from tests.kits.engine import NOW


@pytest.mark.parametrize("sender", ["jo@far.test", f"{'x' * 60}@far.test"])
async def test_what_one_node_sent_on_comes_back_by_another(url: str, tmp_path: Path, sender: str) -> None:
    stores = [
        await PostgresStore.open(
            Place(url=url, folder=tmp_path / name, check_clock=False), derive=derive, now=lambda: NOW
        )
        for name in ("a", "b")
    ]
    directories = [Directory(store) for store in stores]
    try:
        here, there = [
            SentOn(store, directory, await store.secret("login"), lambda: NOW)
            for store, directory in zip(stores, directories, strict=True)
        ]
        await stores[0].apply(PutDomain(domain=Domain(name="example.test")))
        alias = Alias(address="friend@example.test", targets=("pal@friend.test",))
        await stores[0].apply(PutAlias(alias=alias, new=True))
        # Both need the key for the first time at once.
        await asyncio.gather(*(one.origin("SRS0=none@example.test") for one in (here, there)))
        mail = Mail(
            trace_id="1",
            reverse_path=sender,
            recipients=(MailRecipient("friend@example.test"),),
            content=Content.of(b"Subject: x\r\n\r\n"),
            received_at=NOW,
            via=Via.MX,
        )
        departure = await here.departure(mail, await make_plan(mail, directories[0]), "")
        [made] = departure.by_sender
        await stores[0].commit(*departure.ops)
        assert made.startswith("SRS0=") and await there.origin(made) == sender
    finally:
        for store, directory in zip(stores, directories, strict=True):
            directory.close()
            await store.close()
