"""Bring a database to the schema this program knows: numbered files in `migrations/`, each applied once.

Nodes start at the same time: one of them takes a lock and does it, the others wait. Each step only adds, so that nodes
of the version before go on working while they are replaced one by one; a database of a newer program is refused when
it is more than one step ahead.
"""

from __future__ import annotations

from importlib import resources

from posthouse.errors import StoreUnavailable
from posthouse.store.postgres.connection import Connection

TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_version (version bigint PRIMARY KEY, applied_at timestamptz NOT NULL)"
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


def migrate(db: Connection, known: dict[int, str] | None = None) -> None:
    """Apply what is missing. StoreUnavailable for a database that is too new."""
    known = steps() if known is None else known
    newest = max(known)
    db.begin()
    try:
        db.fetch(_LOCK)
        db.script(TABLE)
        ((present,),) = db.rows("SELECT coalesce(max(version), 0) FROM schema_version")
        if present > newest + 1:
            raise StoreUnavailable(
                f"The database has schema {present}, but this program knows {newest} at most."
            )
        for number in range(present + 1, newest + 1):
            db.script(known[number])
            db.rows("INSERT INTO schema_version VALUES (?, now())", (number,))
    except BaseException:
        db.rollback()
        raise
    db.commit()
