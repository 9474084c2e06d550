"""The embedded engine: one SQLite file with one writer, message bytes in segment files, memory kept live.

`store.py` is the way in; `writer.py` the group commit; one file for each family of operations; `live.py` brings what
was committed to everything in memory. Only apsw is used: a second SQLite library on the same file would corrupt it.
"""

from posthouse.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
