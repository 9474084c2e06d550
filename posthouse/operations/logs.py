"""The log: one line per decision, `time level logger event key=value …`, to standard error.

Lines carry session and message ids, never passwords or message text. The time is left out when systemd or another
collector adds its own (`JOURNAL_STREAM` is set). Control characters from outside cannot forge a line.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Final, TextIO

from posthouse.counts import LOG_LINES

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_ESCAPES: Final = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(0x80, 0xA0), 0x2028, 0x2029)}


def without_controls(text: str) -> str:
    """Text on one line, what steers a terminal or ends a line written out: `\\x1b`."""
    return (
        text if text.isprintable() else text.translate(_ESCAPES)
    )  # every character of _ESCAPES is not printable


class LineFormatter(logging.Formatter):
    """One line for a record; a traceback follows it, each of its lines set in."""

    def __init__(self, *, with_time: bool) -> None:
        super().__init__()
        self._with_time = with_time
        self._second = (0, "")
        """The latest second and how it is written: lines come by the thousand in one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text without the final newline."""
        name = record.name.removeprefix("posthouse.")
        line = f"{record.levelname.lower()} {name} {without_controls(record.getMessage())}"
        if self._with_time:
            line = f"{self._moment(int(record.created))}.{int(record.msecs):03d}Z {line}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n    {without_controls(part)}" for part in trace.splitlines())
        return line

    def _moment(self, second: int) -> str:
        known, text = self._second
        if second != known:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second, text
        return text


class CountingHandler(logging.StreamHandler[TextIO]):
    """Writes lines, and counts those that ask for a look."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        if record.levelno >= logging.WARNING:
            LOG_LINES.add("error" if record.levelno >= logging.ERROR else "warning")
        super().emit(record)


def start_logging(level: str, environment: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Send the program's log to standard error from now on. `level` is one of LEVELS; call again to change it."""
    handler = CountingHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(with_time="JOURNAL_STREAM" not in environment))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    # What no line shows is not looked for ("Optimization" in the logging HOWTO): it was half the cost of a line.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.raiseExceptions = False  # a full pipe must not stop the mail
    logging.getLogger("asyncio").setLevel(max(LEVELS[level], logging.WARNING))
