"""Messages of which only the place in a mailbox is left: `posthouse verify --fix` expunges them as a client would."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from posthouse.errors import NotFound
from posthouse.store.sql.placements import Selection, leave
from posthouse.store.sql.transaction import Transaction


def expunge(tx: Transaction, places: Iterable[tuple[int, int, int]]) -> None:
    """Expunge (account, mailbox, UID), in ascending order, so that every client is told."""
    for key, some in groupby(places, key=itemgetter(0, 1)):
        uids = [uid for _, _, uid in some]
        condition, these = tx.among("uid", uids)
        where, bindings = f"account_id = ? AND mailbox_id = ? AND {condition}", (*key, these)
        try:
            account, mailbox = tx.mailbox(*key)
        except NotFound:  # of a mailbox that was deleted
            tx.execute(f"DELETE FROM placement WHERE {where}", bindings)
            continue
        tx.settle_flags(account.account_id, mailbox.mailbox_id, uids[0], uids[-1])
        leave(tx, account, mailbox, Selection(where, bindings, uids[0], uids[-1]), keep_emails=False)
