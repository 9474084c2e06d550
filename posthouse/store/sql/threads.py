"""Threads: which conversation an email belongs to, decided once, in the writer, when its values are kept.

A thread has the number of its first email. An email joins the oldest thread that shares one of its keys
(`message.threading`), else it begins one; threads are never joined afterwards, because an email's thread never
changes (RFC 8621 §4.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence

from posthouse.store.sql.transaction import Transaction


def assign(tx: Transaction, account_id: int, email_id: int, keys: Sequence[int]) -> int:
    """The thread of an email, decided now unless it was before."""
    known = tx.query(
        "SELECT thread_id FROM email_thread WHERE account_id = ? AND email_id = ?", (account_id, email_id)
    )
    if known:
        return int(known[0][0])
    thread_id = email_id
    if keys:
        marks = ", ".join("?" * len(keys))
        ((found,),) = tx.query(
            f"SELECT min(thread_id) FROM thread_key WHERE account_id = ? AND key IN ({marks})",
            (account_id, *keys),
        )
        thread_id = email_id if found is None else int(found)
        rows = ", ".join(["(?, ?, ?)"] * len(keys))
        tx.execute(
            f"INSERT INTO thread_key VALUES {rows} ON CONFLICT DO NOTHING",
            tuple(value for key in keys for value in (account_id, key, thread_id)),
        )
    tx.execute("INSERT INTO email_thread VALUES (?, ?, ?)", (account_id, email_id, thread_id))
    return thread_id
