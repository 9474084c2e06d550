"""A node that packs, as a process that a test kills: it says how far it has come, and goes no further.

    python -m tests.cluster.packer URL OBJECTS FOLDER STEP

STEP: `registered` (the object is not put), `put` (no commit points at it), `switched` (committed), `removed` (an old
object is removed, its row is not). Bodies of any age are packed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from posthouse import limits
from posthouse.store.derive import derive
from posthouse.store.postgres import Place, PostgresStore, packs, strays
from posthouse.store.postgres.transaction import Transaction
from posthouse.store.s3 import Objects

limits.PACK_AFTER = 0.0  # type: ignore[misc]
limits.PACK_LEAST = 1  # type: ignore[misc]
limits.NODE_SILENCE = 1.0  # type: ignore[misc]
limits.NODE_PATIENCE = 0.5  # type: ignore[misc]


def stop_here() -> None:
    print("here", flush=True)
    time.sleep(600)


def stop_at(step: str) -> None:
    """Make the program stop when it has done a step."""
    put, switch, commit = Objects.put, packs.switch, Transaction.commit
    switched: list[int] = []

    async def putting(self: Objects, *what: Any) -> str:
        if step == "registered":
            stop_here()
        key = await put(self, *what)
        if step == "put":
            stop_here()
        return key

    def switching(tx: Transaction, *what: Any) -> int:
        switched.append(switch(tx, *what))
        return switched[-1]

    def committing(self: Transaction) -> Any:
        done = commit(self)
        if switched and step == "switched":
            stop_here()
        return done

    def gone(tx: Transaction, keys: list[str]) -> None:
        if step == "removed":
            stop_here()

    Objects.put = putting  # type: ignore[method-assign,assignment]
    packs.switch = switching
    Transaction.commit = committing  # type: ignore[method-assign]
    strays.gone = gone


async def main() -> None:
    url, objects, folder, step = sys.argv[1:]
    stop_at(step)
    place = Place(url=url, folder=Path(folder), objects=objects, check_clock=False, name="doomed")
    store = await PostgresStore.open(place, derive=derive)
    packer = store._engine._packer
    assert packer is not None
    await packer.look()
    await store._engine._sweeper.sweep_objects(time.time() + 2 * 10**9)
    print("not stopped", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
