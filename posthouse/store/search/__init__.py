"""Full-text search: its own database file, fed after commit, exact whatever state it is in (docs/decisions)."""

from posthouse.store.search.service import SearchIndex

__all__ = ["SearchIndex"]
