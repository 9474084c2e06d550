"""What goes wrong in a method, as the "error" response that tells of it (RFC 8620 §3.6.2).

Shared by the dispatcher and by the calls that a method makes after itself: what that method has done stays done, so its
own response must reach the client though the call after it fails (RFC 8620 §5.4 says so of copies).
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable
from typing import Any, Final

from posthouse.errors import Temporary
from posthouse.jmap.errors import MethodError

log: Final = logging.getLogger(__name__)


def error_arguments(fault: Exception, method: str) -> dict[str, Any]:
    """The arguments of the response "error"; what is no plain condition is logged with an id."""
    if isinstance(fault, MethodError):
        return fault.arguments()
    if isinstance(fault, Temporary):
        log.warning("deferred method=%s reason=%s", method, fault.public)
        return {"type": "serverUnavailable", "description": fault.public}
    number = secrets.token_hex(4)
    log.error("fault id=%s method=%s", number, method, exc_info=fault)
    return {"type": "serverFail", "description": f"fault {number}"}


async def implicit_response(method: str, answer: Awaitable[Any]) -> tuple[str, Any]:
    """The response of a call that another method makes after itself."""
    try:
        return method, await answer
    except Exception as fault:
        return "error", error_arguments(fault, method)
