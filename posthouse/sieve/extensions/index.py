"""`:index` and `:last` (RFC 5260 §6): of fields with the same name, a test looks at one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.tables import Call, Extension, Kind, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"header", "address", "date"})
_ORDER: Final = 50
"""Behind the tags that say which fields there are (`:mime`)."""


def _select(call: Call, machine: Machine, name: str, found: list[bytes]) -> list[bytes]:
    """RFC 5260 §6: the fields of all named headers are counted in the order in which they are named."""
    number, before, total = call.number("index"), 0, len(found)
    names = list(dict.fromkeys(other.lower() for other in machine.texts(call, "headers")))
    if len(names) > 1:
        counts = [len(_all(call, machine, other)) for other in names]
        before, total = sum(counts[: names.index(name.lower())]), sum(counts)
    wanted = total - number if call.has("last") else number - 1
    at = wanted - before
    return found[at : at + 1] if at >= 0 else []


def _all(call: Call, machine: Machine, name: str) -> list[bytes]:
    """The fields of a name that the tags before this one leave."""
    found = machine.headers.all(name)
    for tag in call.tags:
        if tag.select is not None and tag.order < _ORDER:
            found = tag.select(call, machine, name, found)
    return found


def check_index(call: Call, checker: Checker) -> None:
    """Refuse `:index 0`, and `:last` without `:index` (RFC 5260 §6, RFC 5293 §5)."""
    if call.has("last") and not call.has("index"):
        checker.fault(call.line, ":last needs :index")
    if call.number("index", 1) < 1:
        checker.fault(call.line, ":index counts from 1")


EXTENSION: Final = Extension(
    capabilities=("index",),
    tags=(
        Tag(name="index", on=_ON, kind=Kind.NUMBER, order=_ORDER, select=_select, check=check_index),
        Tag(name="last", on=_ON, order=_ORDER, check=check_index),
    ),
)
