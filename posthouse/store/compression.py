"""How both engines compress bodies that grew old: one by one, so that each can be read alone."""

from __future__ import annotations

from typing import Final

from backports import zstd

LEVEL: Final = 6
"""zstd: half of the gain of the highest at a tenth of its time."""
WORTH: Final = 0.9
"""A compressed message is kept when it takes at most this share."""


def compressed(raw: bytes) -> bytes | None:
    """The octets compressed; None when that is not worth it."""
    packed = zstd.compress(raw, LEVEL)
    return packed if len(packed) <= len(raw) * WORTH else None


def decompressed(packed: bytes, size: int) -> bytes:
    """The `size` octets that were compressed. OSError when they are damaged: it never gives more octets than that."""
    try:
        raw = zstd.ZstdDecompressor().decompress(packed, max_length=size + 1)
    except zstd.ZstdError as fault:
        raise OSError("a compressed message is damaged") from fault
    if len(raw) != size:
        raise OSError("a compressed message is damaged")
    return raw
