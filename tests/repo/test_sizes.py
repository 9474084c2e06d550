"""No module is longer than fits in the head, and none is a drawer for odds and ends."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "posthouse").rglob("*.py"))
LINES = 400
FUNCTION_LINES = 70
"""style.md asks for about 40; this is where a test says no (tables and docstrings count too)."""


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_modules_fit_in_the_head() -> None:
    long = [
        f"{relative(path)}: {lines} lines"
        for path in MODULES
        if path.name != "limits.py"  # one table
        if (lines := len(path.read_text().splitlines())) > LINES
    ]
    assert long == []


def test_no_drawer_for_odds_and_ends() -> None:
    drawers = {"utils", "util", "helpers", "common", "misc"}
    assert [relative(path) for path in MODULES if path.stem in drawers] == []


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every module as syntax, read once for all tests."""
    return {path: ast.parse(path.read_text()) for path in MODULES}


def test_every_module_says_what_it_is(trees: dict[Path, ast.Module]) -> None:
    silent = [
        relative(path)
        for path, tree in trees.items()
        if path.read_text().strip() and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_functions_are_short(trees: dict[Path, ast.Module]) -> None:
    long = [
        f"{relative(path)}:{node.lineno}: {node.name} has {lines} lines"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
        if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES
    ]
    assert long == []
