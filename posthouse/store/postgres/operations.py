"""Every operation of the store's contract with the function that carries it out.

Operations on the directory (who has which address) take one lock, so that two nodes never give an address twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from posthouse.store import interface as ops
from posthouse.store import mailing_lists as list_ops
from posthouse.store import masked
from posthouse.store.postgres import queue, timeline
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.sql.operations import SHARED

_DIRECTORY: Final = (
    ops.PutDomain,
    ops.RemoveDomain,
    ops.AddAccount,
    ops.PutAccount,
    ops.RemoveAccount,
    ops.PutAlias,
    ops.RemoveAlias,
    list_ops.PutList,
    list_ops.RemoveList,
    list_ops.AddMembers,
    list_ops.RemoveMembers,
    masked.AddMasked,
    masked.PutMasked,
    masked.RemoveMasked,
    ops.AddAppPassword,
    ops.RemoveAppPassword,
)
"""Operations that other nodes must hear of soon, also when a NOTIFY is lost: they move the directory's number."""
_LOCK_DIRECTORY: Final = (
    "INSERT INTO note VALUES ('people', 1) ON CONFLICT (name) DO UPDATE SET value = note.value + 1"
)


def _in_directory(carry_out: Callable[[Any, Any], Any]) -> Callable[[Transaction, Any], Any]:
    def locked(tx: Transaction, op: Any) -> Any:
        tx.execute(_LOCK_DIRECTORY)
        return carry_out(tx, op)

    return locked


OPERATIONS: Final[dict[type[ops.Op[Any]], Callable[[Any, Any], Any]]] = {
    **SHARED,
    **{kind: _in_directory(SHARED[kind]) for kind in _DIRECTORY},
    ops.Enqueue: queue.enqueue,
    ops.LeaseDue: queue.lease_due,
    ops.RecordOutcomes: queue.record_outcomes,
    ops.ChangeQueued: queue.change_queued,
    ops.WakeDestination: queue.wake_destination,
    ops.PruneEvents: timeline.prune,
}
