"""The log's lines: one for one event, not to be forged from outside."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from posthouse.operations.logs import start_logging


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, threads = root.handlers[:], root.level, logging.logThreads
    source = logging._srcfile
    yield io.StringIO()
    root.handlers[:], logging.logThreads = before, threads
    root.setLevel(level)
    logging.logProcesses = logging.logMultiprocessing = logging.raiseExceptions = True
    logging._srcfile = source


def test_a_line_has_time_level_place_and_event(stream: io.StringIO) -> None:
    start_logging("info", {}, stream)
    logging.getLogger("posthouse.smtp.server").info("login peer=%s account=%s", "192.0.2.1", "a@north.test")
    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info smtp\.server login peer=192\.0\.2\.1 account=a@north\.test\n",
        line,
    )


def test_nothing_from_outside_begins_a_line(stream: io.StringIO) -> None:
    start_logging("info", {"JOURNAL_STREAM": "8:1"}, stream)
    logging.getLogger("posthouse.x").info("helo=%s", "evil\r\n2026 info forged\x1b[2J\u2028")
    assert stream.getvalue() == "info x helo=evil\\x0d\\x0a2026 info forged\\x1b[2J\\x2028\n"


def test_levels_below_are_left_out(stream: io.StringIO) -> None:
    start_logging("warning", {}, stream)
    logging.getLogger("posthouse.x").info("quiet")
    logging.getLogger("posthouse.x").warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_traceback_is_set_in(stream: io.StringIO) -> None:
    start_logging("info", {"JOURNAL_STREAM": "8:1"}, stream)
    try:
        raise KeyError("gone")
    except KeyError:
        logging.getLogger("posthouse.x").exception("fault id=1")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "error x fault id=1"
    assert all(line.startswith("    ") for line in lines[1:])
    assert len(lines) > 2
