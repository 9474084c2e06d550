"""One row of METHODS, and the base of every method's arguments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from posthouse.jmap.ids import Id


class Arguments(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Arguments of a method on one account. Unknown ones are refused (RFC 8620 §3.6.2 invalidArguments)."""

    account_id: Id


class Method(msgspec.Struct, frozen=True):
    """How a method is called.

    `run` returns the response's arguments, or a list of (name, arguments) when there are several responses.
    """

    capability: str
    """Must be in `using`."""
    arguments: type[msgspec.Struct] | None
    """None: any object."""
    run: Callable[[Any, Any], Awaitable[Any]]
