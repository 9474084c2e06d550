"""Bring a database to the schema this program knows: numbered files in `migrations/`, each applied once.

Nodes start at the same time: one of them takes a lock and does it, the others wait. Each step only adds, so that nodes
of the version before go on working while they are replaced one by one; a database of a newer program is refused when
it is more than one step ahead. A step that older nodes must not live to see waits until they are gone (`WAITS`): a
node then begins without it, with those behind it, and takes the step some time after the last of them has ended.
"""

from __future__ import annotations

import logging
import time
from importlib import resources
from typing import Final

from posthouse import limits
from posthouse.errors import StoreUnavailable
from posthouse.store.postgres.connection import CONTENDED, Connection, TransactionLost

log = logging.getLogger("posthouse.store")

TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL)"
)
WAITS: Final = {13: 9}
"""Steps with the schema that every node alive must know before."""
_OLDER = (
    "SELECT name, schema FROM node"
    " WHERE schema < $1 AND seen_at > extract(epoch FROM clock_timestamp())::float8 - $2"
)
_LOCK = "SELECT pg_advisory_xact_lock(20260)"


def steps() -> dict[int, str]:
    """Every migration by its number."""
    folder = resources.files("posthouse.store.postgres") / "migrations"
    return {
        int(file.name.removesuffix(".sql")): file.read_text()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql")
    }


def migrate(db: Connection, known: dict[int, str] | None = None) -> frozenset[int]:
    """Apply what is missing and need not wait; the steps that the database has then.

    StoreUnavailable for a database that is too new, or goes away. A step that looks through a large table takes its
    time, and so do the nodes that wait for whoever takes it.
    """
    known = steps() if known is None else known
    db.patience = limits.MIGRATION_TIMEOUT
    try:
        return _bring_on(db, known)
    except TransactionLost as fault:
        raise StoreUnavailable("The schema cannot be brought on: the database broke off.") from fault
    finally:
        db.patience = None


def _bring_on(db: Connection, known: dict[int, str]) -> frozenset[int]:
    """Step by step, each in a transaction of its own: whoever uses a table meanwhile waits for one of them."""
    tries = limits.MIGRATION_TRIES
    while True:
        try:
            applied, stepped = _step(db, known)
        except CONTENDED as fault:
            tries -= 1
            if not tries:
                raise StoreUnavailable(
                    "The schema cannot be brought on: others are always in its way."
                ) from fault
            log.info("schema: tried once more after %s", type(fault).__name__)
            time.sleep(limits.MIGRATION_PAUSE)
        else:
            if not stepped:
                return applied


def _step(db: Connection, known: dict[int, str]) -> tuple[frozenset[int], bool]:
    """Apply the next that need not wait; the steps that the database has then, and whether there was one."""
    newest = max(known)
    db.begin()
    try:
        db.fetch(_LOCK)
        db.script(TABLE)
        applied = {number for (number,) in db.rows("SELECT version FROM schema_version")}
        if (present := max(applied, default=0)) > newest + 1:
            raise StoreUnavailable(
                f"The database has schema {present}, but this program knows {newest} at most."
            )
        number = next((each for each in sorted(known.keys() - applied) if not _waits(db, each)), None)
        if number is not None:
            log.info("schema %d", number)
            db.script(known[number])
            db.rows("INSERT INTO schema_version VALUES (?, now())", (number,))
            applied.add(number)
    except BaseException:
        db.rollback()
        raise
    db.commit()
    return frozenset(applied), number is not None


def _waits(db: Connection, number: int) -> bool:
    """Whether nodes are alive that must not live to see a step."""
    if number not in WAITS:
        return False
    older = sorted({row[0] for row in db.fetch(_OLDER, WAITS[number], limits.NODE_SILENCE)})
    if older:
        log.info("schema %d waits until older nodes have ended: %s", number, ", ".join(older))
    return bool(older)
