"""The PostgreSQL engine: many nodes over one database, each with a writer, readers and memory like the embedded one.

`store.py` is the way in; `writer.py` and `transaction.py` the group commit beside other nodes; `notices.py` what nodes
tell each other. What both engines do alike is in `store/sql` and `store/memory`.
"""

from posthouse.store.postgres.engine import Place
from posthouse.store.postgres.store import PostgresStore

__all__ = ["Place", "PostgresStore"]
