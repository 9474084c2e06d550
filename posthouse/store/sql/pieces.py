"""The rest of a long operation, which the writer runs piece by piece between other commits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec


class Pieces(msgspec.Struct):
    """The iterator gives None after each piece, and at last the result; it ends without one when there is none."""

    pieces: Iterator[Any]
