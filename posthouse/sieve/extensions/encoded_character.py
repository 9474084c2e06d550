"""`encoded-character` (RFC 5228 §2.4.2.4): what it does to strings is in `sieve/strings.py`."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Extension

EXTENSION: Final = Extension(capabilities=("encoded-character",))
