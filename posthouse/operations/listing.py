"""Accounts as CSV, for `account import`: pure reading, one value per line, faults told by line.

The first line names the columns: `address` and `password` or `hash` (argon2 or scram-sha-256 in PHC form), and any
of `scram` (beside an argon2 hash: scram-sha-256 of the same password, for programs that log in so), `name`, `quota`
(octets, or "2GB"), `admin`, `disabled` (yes/no), between them commas, semicolons or tabs. Without such a line
they are address, password, name, quota.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import msgspec

from posthouse.units import size

COLUMNS = ("address", "password", "name", "quota")
KNOWN = frozenset({*COLUMNS, "hash", "scram", "admin", "disabled"})
_LINE_END = re.compile(r"\r\n|\n|\r")
YES = frozenset({"yes", "true", "1", "y"})


class AccountLine(msgspec.Struct, frozen=True, kw_only=True):
    """An account to be."""

    line: int
    address: str
    password: str = ""
    hash: str = ""
    scram: str = ""
    name: str = ""
    quota: int = 0
    admin: bool = False
    disabled: bool = False


class BadLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that makes no sense."""

    line: int
    reason: str


def read_accounts(text: str) -> Iterator[AccountLine | BadLine]:
    """Each line's account or what is wrong with it. Raises ValueError when the columns themselves are wrong."""
    lines = _LINE_END.split(text.removeprefix("\ufeff"))
    delimiter = _delimiter(lines[0])
    columns: tuple[str, ...] = COLUMNS
    for number, line in enumerate(lines, 1):
        try:
            # Each line by itself: a quote that is never closed must not swallow the accounts behind it.
            row = next(csv.reader([line], delimiter=delimiter, strict=True), [])
        except csv.Error as fault:
            yield BadLine(
                line=number, reason=f"quotes: {fault}; a value stands on one line, quotes in it twice"
            )
            continue
        if not "".join(row).strip():
            continue
        if number == 1 and row[0].strip().lower() == "address":
            columns = tuple(cell.strip().lower() for cell in row)
            if unknown := sorted(set(columns) - KNOWN):
                raise ValueError(f"unknown column {', '.join(unknown)}; known are {', '.join(sorted(KNOWN))}")
            continue
        yield _read_row(number, columns, row)


def _delimiter(head: str) -> str:
    """What stands between the columns' names: where commas are decimal, spreadsheets write semicolons."""
    words = [word for word in ",;\t" if head.partition(word)[0].strip(' "').lower() == "address"]
    return words[0] if words else ","


def _read_row(line: int, columns: tuple[str, ...], row: list[str]) -> AccountLine | BadLine:
    if len(row) > len(columns):
        return BadLine(line=line, reason=f"{len(row)} fields, but {len(columns)} columns")
    cells = dict(zip(columns, row, strict=False))
    address = cells.get("address", "").strip()
    if not address:
        return BadLine(line=line, reason="no address")
    if not cells.get("password") and not cells.get("hash"):
        return BadLine(line=line, reason="neither password nor hash")
    try:
        quota = size(cells.get("quota") or "0")
    except ValueError as fault:
        return BadLine(line=line, reason=f"quota: {fault}")
    return AccountLine(
        line=line,
        address=address,
        password=cells.get("password", ""),
        hash=cells.get("hash", "").strip(),
        scram=cells.get("scram", "").strip(),
        name=cells.get("name", "").strip(),
        quota=quota,
        admin=cells.get("admin", "").strip().lower() in YES,
        disabled=cells.get("disabled", "").strip().lower() in YES,
    )
