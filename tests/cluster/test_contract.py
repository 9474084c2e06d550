"""Both engines implement the whole contract, and both are held to the same kits."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType

import pytest

from posthouse.store import interface
from posthouse.store.operations import Op
from posthouse.store.postgres import PostgresStore
from posthouse.store.postgres import operations as postgres
from posthouse.store.sqlite import SqliteStore
from posthouse.store.sqlite import operations as sqlite


def every_operation() -> set[type]:
    """All operations that any module of the store defines."""
    found: set[type] = set()
    waiting: list[type] = [Op]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind.__module__.startswith("posthouse.store"):
                found.add(kind)
    return {kind for kind in found if kind.__name__ != "Op" and not kind.__subclasses__()}


@pytest.mark.parametrize("engine", [sqlite, postgres], ids=["sqlite", "postgres"])
def test_an_engine_carries_out_every_operation(engine: ModuleType) -> None:
    assert {kind.__name__ for kind in every_operation() - engine.OPERATIONS.keys()} == set()


@pytest.mark.parametrize("engine", [SqliteStore, PostgresStore])
def test_an_engine_has_every_method_of_the_store(engine: type) -> None:
    wanted = {
        name for name, each in inspect.getmembers(interface.Store, callable) if not name.startswith("_")
    }
    missing = {name for name in wanted if not callable(getattr(engine, name, None))}
    assert missing == set()
    assert not getattr(engine, "__abstractmethods__", None)


def test_both_engines_are_held_to_the_same_kits() -> None:
    tests = Path(__file__).parents[1]
    embedded, cluster = (tests / folder / "test_kits.py" for folder in ("store", "cluster"))
    assert embedded.read_text().partition("\n")[2] == cluster.read_text().partition("\n")[2]
