"""Bring a database file to the schema this program knows: numbered files in `migrations/`, each applied once.

An existing file is copied first (`NAME.before-NNN`), all missing steps are one transaction, and a file from a
newer program is refused: an older one would not know what it breaks.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from posthouse.durable import sync
from posthouse.errors import StoreUnavailable
from posthouse.store.sqlite.connection import Connection, connect, vacuum_into

TABLE = "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL)"


def steps() -> dict[int, str]:
    """Every migration by its number."""
    folder = resources.files("posthouse.store.sqlite") / "migrations"
    return {
        int(file.name.removesuffix(".sql")): file.read_text()
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".sql")
    }


def migrate(path: Path, now: int, known: dict[int, str] | None = None) -> None:
    """Apply what is missing. Raises StoreUnavailable for a file from a newer program."""
    known = steps() if known is None else known
    db = connect(path)
    try:
        present = _version(db)
        newest = max(known)
        if present > newest:
            raise StoreUnavailable(
                f"The mail store has schema {present}, but this program knows {newest} at most."
            )
        if present == newest:
            return
        if present:
            _copy(db, path.with_name(f"{path.name}.before-{newest:03}"))
        db.execute("BEGIN EXCLUSIVE")
        try:
            db.execute(TABLE)
            for number in range(present + 1, newest + 1):
                db.execute(known[number])
                db.execute("INSERT INTO schema_version VALUES (?, ?)", (number, now))
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
    finally:
        db.close()


def _version(db: Connection) -> int:
    if not db.rows("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'"):
        return 0
    return int(db.rows("SELECT coalesce(max(version), 0) FROM schema_version")[0][0])


def _copy(db: Connection, target: Path) -> None:
    """A copy that is whole or not there, and as private as the file itself."""
    unfinished = target.with_name(target.name + ".part")
    vacuum_into(db, unfinished)
    sync(unfinished)
    unfinished.rename(target)
    sync(target.parent)
