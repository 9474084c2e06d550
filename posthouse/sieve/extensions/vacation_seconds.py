"""`:seconds` of `vacation` (RFC 6131): answers to one person nearer to each other than a day, or to each message."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Extension, Kind, Tag

EXTENSION: Final = Extension(
    capabilities=("vacation-seconds",),
    tags=(Tag(name="seconds", on=frozenset({"vacation"}), kind=Kind.NUMBER, group="period"),),
)
"""RFC 6131 §2: with `:days` it is an error, as both are of one group."""
