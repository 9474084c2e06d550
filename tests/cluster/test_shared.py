"""What is shared on one node is shared on all, and what is taken back is gone everywhere with the next question."""

from __future__ import annotations

from pathlib import Path

from posthouse.accounts.shared_mailboxes import granted
from posthouse.ranges import Ranges
from posthouse.store import grants
from posthouse.store.grants import Grant, Share
from posthouse.store.interface import AddAccount, Expunge, PutItem
from tests.cluster.nodes import nodes
from tests.cluster.test_nodes import desks
from tests.kits.engine import NOW


async def test_rights_change_on_all_nodes_at_once(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 2) as stores:
        a, b = await desks(stores)
        inbox = await a.box()
        other = await a.store.apply(AddAccount(address="bob@example.test", password="", created_at=NOW))
        await b.add(inbox, "one")  # the other node's writer has the account in memory, unshared
        share = Share(rights=("mayReadItems",))

        async def give(grant: Grant) -> int:
            op = PutItem(
                account_id=a.id,
                kind=grants.KIND,
                item_id=other.account_id,
                new=True,
                data=grants.encode(grant),
            )
            return (await a.store.apply(op)).modseq

        since = await give(Grant(mailboxes={inbox.mailbox_id: share}))
        assert await granted(b.store, a.id, other.account_id) is not None
        await b.store.apply(
            Expunge(account_id=b.id, mailbox_id=inbox.mailbox_id, uids=Ranges([(1, 1)]), force=True)
        )
        found = await a.store.passages(a.id, [inbox.mailbox_id], since)
        assert found is not None
        assert [each.came for each in found] == [False], "noted by a node that did not share it"
        await give(Grant())
        assert await granted(b.store, a.id, other.account_id) is None
