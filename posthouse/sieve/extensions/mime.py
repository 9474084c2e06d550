"""`:mime` and `:anychild` of `header`, `address` and `exists` (RFC 5703 §4): fields of parts, and what they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from posthouse.message.headers import Headers
from posthouse.message.mime import below
from posthouse.message.parameters import parameter, parse_disposition, parse_media_type
from posthouse.sieve.extensions.foreverypart import At, current
from posthouse.sieve.parts import root_part
from posthouse.sieve.tables import Call, Extension, Kind, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"header", "address", "exists"})
_OPTIONS: Final = frozenset({"header"})
_GROUP: Final = "mime"
_READING: Final = 60
"""Behind `:index`, which counts fields."""
_PART: Final = 2_000
"""What looking into the header section of a part costs, counted in characters looked at."""
_SCANNING: Final = 4
"""What reading an octet of a header section costs, counted in characters looked at."""


def _fields(call: Call, machine: Machine, name: str, found: list[bytes]) -> list[bytes]:
    """RFC 5703 §4.1: of the part at hand, of the message outside a loop; with `:anychild` of all in it too."""
    if not name or ":" in name:
        return []
    at = current(machine)
    if not call.has("anychild"):
        return machine.headers.all(name) if at is None else _of_part(at, machine, name)
    if at is None:
        at = At(machine.content, root_part(machine))
    return [raw for part in below(at.part) for raw in _of_part(At(at.content, part), machine, name)]


def _of_part(at: At, machine: Machine, name: str) -> list[bytes]:
    start, end = at.part.header_start, at.part.body_start
    machine.charge(_PART + _SCANNING * (end - start))
    return Headers(at.content, start, end).all(name)


def _read(pick: Callable[[str, bytes], str]) -> Callable[[Call, Machine, str, list[bytes]], list[bytes]]:
    """An option that looks at one thing in a field; what cannot be read counts for nothing (RFC 5703 §4.1)."""

    def select(call: Call, machine: Machine, name: str, found: list[bytes]) -> list[bytes]:
        machine.charge(10 * sum(map(len, found)))
        values = [pick(name.lower(), raw).encode() for raw in found]
        return [value for value in values if value or not call.counts]

    return select


def _type(name: str, raw: bytes) -> str:
    if name == "content-type":
        return parse_media_type(raw)[0]
    return parse_disposition(raw)[0] if name == "content-disposition" else ""


def _subtype(name: str, raw: bytes) -> str:
    return parse_media_type(raw)[1] if name == "content-type" else ""


def _content_type(name: str, raw: bytes) -> str:
    if name != "content-type":
        return _type(name, raw)
    type_, subtype, _ = parse_media_type(raw)
    return f"{type_}/{subtype}" if subtype else type_


def _param(call: Call, machine: Machine, name: str, found: list[bytes]) -> list[bytes]:
    wanted = [text.lower() for text in machine.texts(call, "param")]
    values: list[bytes] = []
    for raw in found:
        machine.charge(10 * len(raw) * (1 + len(wanted)))
        given = parse_media_type(raw)[2] if name.lower() == "content-type" else parse_disposition(raw)[1]
        values += [value.encode() for one in wanted if (value := parameter(given, one)) is not None]
    return values


def _check(call: Call, checker: Checker) -> None:
    if not call.has("mime"):
        names = [tag.name for tag in call.tags if tag.check is _check]
        checker.fault(call.line, f":{names[0]} needs :mime")


EXTENSION: Final = Extension(
    capabilities=("mime",),
    tags=(
        Tag(name="mime", on=_ON, select=_fields),
        Tag(name="anychild", on=_ON, reads_text=True, check=_check),
        Tag(name="type", on=_OPTIONS, group=_GROUP, order=_READING, select=_read(_type), check=_check),
        Tag(name="subtype", on=_OPTIONS, group=_GROUP, order=_READING, select=_read(_subtype), check=_check),
        Tag(
            name="contenttype",
            on=_OPTIONS,
            group=_GROUP,
            order=_READING,
            select=_read(_content_type),
            check=_check,
        ),
        Tag(
            name="param",
            on=_OPTIONS,
            kind=Kind.STRINGS,
            group=_GROUP,
            order=_READING,
            select=_param,
            check=_check,
        ),
    ),
)
