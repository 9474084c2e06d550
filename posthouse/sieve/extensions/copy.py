"""`:copy` (RFC 3894): filed or sent on besides, so that the implicit keep stays."""

from __future__ import annotations

from typing import Final

from posthouse.sieve.tables import Extension, Tag

EXTENSION: Final = Extension(
    capabilities=("copy",),
    tags=(Tag(name="copy", on=frozenset({"fileinto", "redirect"}), keeps=True),),
)
