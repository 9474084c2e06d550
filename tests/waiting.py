"""Waiting for a condition: as soon as it is so, never by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any


async def until(true: Callable[[], Any], seconds: float = 30.0) -> None:
    """Wait until something is so; it is looked at again and again."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
