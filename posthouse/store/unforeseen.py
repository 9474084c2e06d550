"""What a job that nobody waits for does with a fault: says it, and is tried again. None may end of one."""

from __future__ import annotations

import logging

from posthouse.errors import PosthouseError


def told(log: logging.Logger, what: str, fault: Exception) -> None:
    """Log a fault: one of the disk or the database in a line, any other with all that helps to find it."""
    if isinstance(fault, PosthouseError):
        log.warning("%s: %s", what, fault)
    else:
        log.error("%s", what, exc_info=fault)
