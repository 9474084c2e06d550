"""The documents tell the truth: limits, RFCs, configuration keys and commands are all written down."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec
import pytest

from posthouse import config, limits

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted((ROOT / "posthouse").rglob("*.py"))
CITATION = re.compile(r"RFC (\d{3,5})")


def limit_names() -> list[str]:
    return [name for name in vars(limits) if name.isupper() and name not in {"KB", "MB"}]


def page(name: str) -> str:
    return (DOCS / name).read_text()


def test_every_limit_is_in_the_table() -> None:
    table = page("limits.md")
    assert [name for name in limit_names() if f"`{name}`" not in table] == [], "run scripts/document.py"


def test_every_limit_limits_something() -> None:
    used: set[str] = set()
    for path in SOURCES:
        if path.name != "limits.py":
            used.update(re.findall(r"\b[A-Z][A-Z0-9_]+\b", path.read_text()))
    assert [name for name in limit_names() if name not in used] == []


def test_every_limit_says_its_reason() -> None:
    body = ast.parse((ROOT / "posthouse" / "limits.py").read_text()).body
    silent = [
        node.target.id
        for node, after in zip(body, [*body[1:], ast.Pass()], strict=True)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id not in {"KB", "MB"}
        and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant))
    ]
    assert silent == []


def test_every_cited_rfc_is_in_the_index() -> None:
    index = (DOCS / "rfc.md").read_text()
    cited = {number for path in SOURCES for number in CITATION.findall(path.read_text())}
    assert sorted(number for number in cited if f"| {number} |" not in index) == []


def rows_of_the_index() -> list[list[str]]:
    rows = []
    for line in (DOCS / "rfc.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0].isdigit():
            rows.append(cells)
    return rows


def test_every_yes_in_the_index_is_cited_in_the_code() -> None:
    text = "\n".join(path.read_text() for path in SOURCES)
    wrong = [cells[0] for cells in rows_of_the_index() if cells[2] == "yes" and f"RFC {cells[0]}" not in text]
    assert wrong == []


def test_places_named_in_the_index_exist() -> None:
    missing = [
        f"RFC {cells[0]}: {place}"
        for cells in rows_of_the_index()
        for place in re.findall(r"`([\w/]+\.py)`", cells[3])
        if not (ROOT / "posthouse" / place).exists()
    ]
    assert missing == []


def keys_of(struct: type[msgspec.Struct], path: str = "") -> list[str]:
    found = []
    for field in msgspec.structs.fields(struct):
        name = f"{path}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            found += keys_of(field.type, f"{name}.")
        else:
            found.append(name)
    return found


def test_every_configuration_key_is_documented() -> None:
    text = page("config.md")
    assert [key for key in keys_of(config.Config) if f"`{key}`" not in text] == []


def test_every_command_is_documented() -> None:
    click = pytest.importorskip("click")
    from posthouse.cli import main

    page = (DOCS / "commands.md").read_text()
    missing = []

    def walk(group: object, words: tuple[str, ...]) -> None:
        if isinstance(group, click.Group):
            context = click.Context(group)
            for name in group.list_commands(context):
                walk(group.get_command(context, name), (*words, name))
        elif f"`posthouse {' '.join(words)}" not in page:
            missing.append(" ".join(words))

    walk(main, ())
    assert missing == []


def test_both_readmes_name_the_two_commands() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text()
        assert "make run" in text
        assert "make test" in text


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "tests").rglob("*.md")]
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_method_of_our_own_is_documented() -> None:
    from posthouse.jmap.own_methods import OWN_METHODS

    page = (ROOT / "docs" / "jmap-extensions.md").read_text()
    assert [name for name in OWN_METHODS if f"| `{name}`" not in page] == []
