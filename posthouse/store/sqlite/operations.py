"""Every operation of the store's contract with the function that carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from posthouse.store import interface as ops
from posthouse.store.sql.operations import SHARED
from posthouse.store.sqlite import queue, timeline

OPERATIONS: Final[dict[type[ops.Op[Any]], Callable[[Any, Any], Any]]] = {
    **SHARED,
    ops.Enqueue: queue.enqueue,
    ops.LeaseDue: queue.lease_due,
    ops.PruneEvents: timeline.prune,
}
