"""Durations and sizes as people write them in the configuration and on the command line."""

from __future__ import annotations

import math
import re
from typing import Final

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS: Final = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def duration(text: str) -> float:
    """Seconds of "90s", "1h30m", "5d" or a plain number. Raises ValueError."""
    parts = _DURATION.findall(text)
    try:
        if parts and _DURATION.sub("", text).strip() == "":
            seconds = float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
        else:
            seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError(f'"{text}" is no duration (like "90s", "5m", "4h", "5d")')
    return seconds


def size(text: str) -> int:
    """Octets of "50MB", "64KB" or a plain number. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    octets = float(match[1]) * 1024 ** _POWERS[match[2].upper()] if match is not None else math.inf
    if not math.isfinite(octets):
        raise ValueError(f'"{text}" is no size (like "64KB", "50MB", "2GB")')
    return int(octets)
