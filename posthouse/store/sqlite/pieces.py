"""The rest of a long operation, which the writer runs piece by piece between other commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


class Pieces(msgspec.Struct):
    """Each item of the iterator is the result so far; the last one is the operation's."""

    pieces: Iterator[Any]
