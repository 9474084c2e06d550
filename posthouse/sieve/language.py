"""All rows of the language in one place: the base and every extension (`extensions/__init__.py` lists them)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

import msgspec

from posthouse.sieve.base import BASE
from posthouse.sieve.extensions import EXTENSIONS
from posthouse.sieve.tables import AddressPart, Comparator, Extension, MatchType, Spec, Tag

Row = TypeVar("Row", Spec, Tag, MatchType, Comparator, AddressPart)


class Language(msgspec.Struct, frozen=True):
    """What scripts may say. Each row has the capability that it needs in it."""

    extensions: tuple[Extension, ...]
    capabilities: frozenset[str]
    commands: Mapping[str, Spec]
    tests: Mapping[str, Spec]
    tags: Mapping[str, Mapping[str, Tag]]
    """By the command or test, then by the tag."""
    match_types: Mapping[str, MatchType]
    comparators: Mapping[str, Comparator]
    address_parts: Mapping[str, AddressPart]


def _owned(rows: Iterable[Row], extension: Extension) -> list[Row]:
    """Rows with the capability of their extension where they name none."""
    if not extension.capabilities:
        return list(rows)
    first = extension.capabilities[0]
    return [row if row.capability else msgspec.structs.replace(row, capability=first) for row in rows]


def _tags(extensions: Iterable[Extension]) -> dict[str, dict[str, Tag]]:
    found: dict[str, dict[str, Tag]] = {}
    for extension in extensions:
        for tag in _owned(extension.tags, extension):
            for owner in tag.on:
                found.setdefault(owner, {})[tag.name] = tag
    return found


def assemble(extensions: tuple[Extension, ...]) -> Language:
    """The language of the base and these extensions."""
    parts = (BASE, *extensions)
    return Language(
        extensions=extensions,
        capabilities=frozenset(name for part in parts for name in part.capabilities),
        commands={row.name: row for part in parts for row in _owned(part.commands, part)},
        tests={row.name: row for part in parts for row in _owned(part.tests, part)},
        tags=_tags(parts),
        match_types={row.name: row for part in parts for row in _owned(part.match_types, part)},
        comparators={row.name: row for part in parts for row in _owned(part.comparators, part)},
        address_parts={row.name: row for part in parts for row in _owned(part.address_parts, part)},
    )


LANGUAGE: Final = assemble(EXTENSIONS)
CAPABILITIES: Final = tuple(sorted(LANGUAGE.capabilities))
"""The names of all extensions, as ManageSieve and JMAP announce them (RFC 5804 §1.7)."""
