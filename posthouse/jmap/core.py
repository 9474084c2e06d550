"""Core/echo (RFC 8620 §4)."""

from __future__ import annotations

from typing import Any

from posthouse.jmap.context import Context


async def echo(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments, unchanged."""
    return arguments
