"""How often things have happened in this process since it began, counted where they happen.

Only numbers: no address, no subject, nobody's name. `operations/metrics.py` tells them to whoever watches the
house. Each count is made by one thread; a label's values are words of ours, so that none grows without bound.
"""

from __future__ import annotations

from typing import Final

Snapshot = dict[str, dict[tuple[str, ...], float]]
"""Name → label values → count."""


class Count:
    """A number that only grows, for each combination of its labels' values."""

    __slots__ = ("by_labels", "help", "labels", "name")

    def __init__(self, name: str, help: str, *labels: str) -> None:
        """`name` as it is told, without the program's name before it."""
        self.name = name
        self.help = help
        self.labels = labels
        self.by_labels: dict[tuple[str, ...], float] = {}

    def add(self, *values: str, by: float = 1) -> None:
        """Count once, or `by` at once; a value for each label, in their order."""
        self.by_labels[values] = self.by_labels.get(values, 0) + by


CONNECTIONS: Final = Count("connections", "Connections that were let in.", "door")
TURNED_AWAY: Final = Count("connections_refused", "Connections that met a limit.", "door")
LOGINS: Final = Count(
    "logins", "Logins by programs and in the browser: proved, failed, or not looked at (delayed).", "result"
)
MESSAGES: Final = Count(
    "messages", "Messages that came in wholly: accepted, refused for good, or deferred.", "via", "result"
)
SENDER_CHECKS: Final = Count("sender_checks", "What checking strangers' mail came to.", "check", "result")
ATTEMPTS: Final = Count("attempts", "What came of each attempt to send to a recipient elsewhere.", "result")
COMMITS: Final = Count("commits", "Commits of the store; each makes durable all that waited for it.")
COMMIT_SECONDS: Final = Count("commit_seconds", "Seconds that the store's commits took.")
LOG_LINES: Final = Count("log_lines", "Lines of the log that ask for a look.", "level")

COUNTS: Final = (
    CONNECTIONS,
    TURNED_AWAY,
    LOGINS,
    MESSAGES,
    SENDER_CHECKS,
    ATTEMPTS,
    COMMITS,
    COMMIT_SECONDS,
    LOG_LINES,
)
"""All of them, in the order in which they are told."""


def snapshot() -> Snapshot:
    """What this process has counted."""
    return {count.name: dict(count.by_labels) for count in COUNTS}


def add_up(*parts: Snapshot) -> Snapshot:
    """The sum of what several processes have counted."""
    total: Snapshot = {count.name: {} for count in COUNTS}
    for part in parts:
        for name, by_labels in part.items():
            into = total.setdefault(name, {})
            for values, number in by_labels.items():
                into[values] = into.get(values, 0) + number
    return total
