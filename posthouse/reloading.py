"""What of a configuration can change while serving, and what waits for the next start."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.config import Config

FIXED: Final = {
    "": ("hostname", "public_name", "data", "workers", "run_as", "listen", "proxies", "xclient"),
    "store": ("url", "blobs"),
    "auth": ("password_hash",),
    "testing": ("clock", "ahead"),
}
"""Keys by table that are read at the start only."""


def keeping_fixed(config: Config, before: Config) -> tuple[Config, list[str]]:
    """The new configuration with the old values of fixed keys, and which of those were to change."""
    changed: list[str] = []
    for table, keys in FIXED.items():
        new, old = (getattr(config, table), getattr(before, table)) if table else (config, before)
        kept = {key: getattr(old, key) for key in keys if getattr(new, key) != getattr(old, key)}
        changed += [f"{table}.{key}".lstrip(".") for key in kept]
        new = msgspec.structs.replace(new, **kept)
        config = msgspec.structs.replace(config, **{table: new}) if table else new
    return config, changed
