"""Threads of many emails at once, by the rule of `store.sql.threads`: four statements for a batch.

The caller holds the locks of the accounts, so that two nodes never decide about the same key side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from posthouse.store.postgres.transaction import Transaction

_KNOWN: Final = (
    "SELECT account_id, email_id FROM email_thread JOIN unnest($1::bigint[], $2::bigint[]) AS n (a, e)"
    " ON account_id = n.a AND email_id = n.e"
)
_KEYS: Final = (
    "SELECT account_id, key, thread_id FROM thread_key JOIN unnest($1::bigint[], $2::bigint[]) AS n (a, k)"
    " ON account_id = n.a AND key = n.k"
)
_ADD_KEYS: Final = (
    "INSERT INTO thread_key SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"
    " ON CONFLICT DO NOTHING"
)
_ADD: Final = "INSERT INTO email_thread SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])"


def assign(tx: Transaction, emails: Mapping[tuple[int, int], Sequence[int]]) -> None:
    """Decide the threads of emails (account, email) with their keys, in order, unless they were decided before."""
    if not emails:
        return
    known = {(row[0], row[1]) for row in tx.fetch(_KNOWN, *map(list, zip(*emails, strict=True)))}
    wanted = {(each[0], key) for each, keys in emails.items() if each not in known for key in keys}
    threads: dict[tuple[int, int], int] = {}
    if wanted:
        rows = tx.fetch(_KEYS, *map(list, zip(*sorted(wanted), strict=True)))
        threads = {(account_id, key): thread_id for account_id, key, thread_id in rows}
    new_keys: list[tuple[int, int, int]] = []
    decided: list[tuple[int, int, int]] = []
    for (account_id, email_id), keys in emails.items():
        if (account_id, email_id) in known:
            continue
        found = [threads[account_id, key] for key in keys if (account_id, key) in threads]
        thread_id = min(found, default=email_id)
        decided.append((account_id, email_id, thread_id))
        fresh = {(account_id, key): thread_id for key in keys if (account_id, key) not in threads}
        threads.update(fresh)
        new_keys += [(*key, thread_id) for key in fresh]
    if new_keys:
        tx.fetch(_ADD_KEYS, *map(list, zip(*new_keys, strict=True)))
    if decided:
        tx.fetch(_ADD, *map(list, zip(*decided, strict=True)))
