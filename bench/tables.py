"""Results of the load generator, read from their lines and set beside each other as Markdown."""

from __future__ import annotations

import json
import statistics
import sys

import places
from servers import CHECKED

LOWER_IS_BETTER = {"ms p50", "ms", "s", "KiB/session", "bytes allocated/msg"}


class Cell:
    """All runs of one test with one set of parameters on one server."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.cpu: list[float] = []
        self.p99: list[float] = []


NAMING = ("size", "conns", "reuse", "mailbox", "fresh_session", "sessions")


def read(name: str) -> dict[tuple[str, str, str], Cell]:
    """A server's results by (test, parameters, unit)."""
    path = places.RESULTS / f"{name}.jsonl"
    rows: dict[tuple[str, str, str], Cell] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        entry = json.loads(line)
        if entry["test"].endswith("_FAILED"):
            print(f"{name}: {entry['test']}: {entry.get('err')}", file=sys.stderr)
        if entry.get("value") is None:
            continue
        parameters = " ".join(f"{key}={entry[key]}" for key in NAMING if key in entry)
        cell = rows.setdefault((entry["test"], parameters, entry["unit"]), Cell())
        cell.values.append(entry["value"])
        if entry.get("srv_ms_per_op") is not None:
            cell.cpu.append(entry["srv_ms_per_op"])
        if entry.get("p99_ms") is not None:
            cell.p99.append(entry["p99_ms"])
    return rows


def median(values: list[float]) -> float | None:
    """The median, or None of nothing."""
    return statistics.median(values) if values else None


def number(value: float | None) -> str:
    """Three significant digits."""
    return "" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def ratio(ours: float | None, theirs: float | None, lower_is_better: bool) -> str:
    """How many times better we are."""
    if not ours or not theirs:
        return ""
    times = theirs / ours if lower_is_better else ours / theirs
    return f"**{times:.2g}x**" if times < 100 else f"**{times:.0f}x**"


def table() -> str:
    """The comparison as Markdown."""
    ours, peers = read("posthouse"), {name: read(name) for name in ("maildir", "mdbox")}
    lines = [
        "| test | parameters | unit | Maildir | mdbox | Posthouse | ratio | p99 ms: better peer | p99 ms: ours "
        "| CPU ms/op: better peer | CPU ms/op: ours | CPU ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, cell in ours.items():
        test, parameters, unit = key
        lower = unit in LOWER_IS_BETTER
        found = {name: rows[key] for name, rows in peers.items() if key in rows}
        values = {name: median(c.values) for name, c in found.items()}
        best = (min if lower else max)((v for v in values.values() if v is not None), default=None)
        cpu = min((median(c.cpu) for c in found.values() if c.cpu), default=None)  # type: ignore[type-var]
        p99 = min((median(c.p99) for c in found.values() if c.p99), default=None)  # type: ignore[type-var]
        cells = [test, parameters, unit, number(values.get("maildir")), number(values.get("mdbox"))]
        cells += [number(median(cell.values)), ratio(median(cell.values), best, lower)]
        cells += [number(p99), number(median(cell.p99)), number(cpu), number(median(cell.cpu))]
        cells += [ratio(median(cell.cpu), cpu, True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def checked_table() -> str:
    """Delivery with every check on, as Markdown."""
    one, more = (read(name) for name in CHECKED)
    peers = [read(name) for name in ("maildir", "mdbox")]
    lines = [
        "| delivered | better peer, msg/s | Posthouse, msg/s | ratio | two workers, msg/s | ratio "
        "| CPU ms/op: better peer | CPU ms/op: ours | CPU ratio |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for key, cell in one.items():
        test, parameters, _ = key
        if test != "smtp_delivered":
            continue
        found = [rows[key] for rows in peers if key in rows]
        best = max((median(c.values) or 0 for c in found), default=None)
        cpu = min((median(c.cpu) for c in found if c.cpu), default=None)  # type: ignore[type-var]
        cells = [parameters, number(best)]
        for values in (cell.values, more[key].values if key in more else []):
            cells += [number(median(values)), ratio(median(values), best, False)]
        cells += [number(cpu), number(median(cell.cpu)), ratio(median(cell.cpu), cpu, True)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_into_page(mark: str, text: str) -> None:
    """Put a table between its two marks in docs/benchmark.md."""
    page = places.ROOT / "docs" / "benchmark.md"
    before, _, after = page.read_text().partition(mark)
    _, _, after = after.partition(mark)
    page.write_text(f"{before}{mark}\n{text}\n{mark}{after}")
