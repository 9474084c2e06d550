"""The floors of docs/flow.md hold: imports go downward only, and never between two folders of one floor."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "posthouse"

BY_MODULE = {
    "imap.session": 5,
    "imap.view": 5,
    "imap.shared_view": 5,
    "imap.mailboxes_seen": 5,
    "imap.flag_rights": 5,
    "imap.copy_across": 5,
    "imap.dispatch": 5,
    "imap.capabilities": 5,
    "imap.commands": 5,
    "imap.rows": 5,
    "imap.notices": 5,
    "imap.metadata_news": 5,
    "imap.noted_store": 5,
    "imap.notify_names": 5,
    "imap.notify_watch": 5,
    "imap.pusher": 5,
    "imap.sight": 5,
    "imap.search_key_parser": 5,
    "imap.search_filters": 5,
    "imap.search_keys": 5,
    "imap.search_parser": 5,
    "imap.searching": 5,
    "imap.sorting": 5,
    "imap.fuzzy": 5,
    "imap.catenate": 5,
    "imap.fetch_plan": 5,
    "imap.fetch_large": 5,
    "imap.server": 6,
    "smtp.arrival": 6,
    "smtp.fronted": 6,
    "smtp.server": 6,
    "smtp.reception": 6,
    "smtp.login_refusals": 6,
    "smtp.stay": 6,
    "pop3.server": 6,
    "pop3.entrance": 6,
    "managesieve.server": 6,
    "managesieve.entrance": 6,
}
"""Modules whose floor is not that of their folder (longest match counts)."""

BY_FOLDER = {
    "errors": 0,
    "limits": 0,
    "config": 0,
    "config_checks": 0,
    "config_reader": 0,
    "config_tls": 0,
    "ranges": 0,
    "ip_addresses": 0,
    "units": 0,
    "durable": 0,
    "clock": 0,
    "steady_clock": 0,
    "counts": 0,
    "resolver": 0,
    "dns_exchange": 0,
    "name_servers": 0,
    "dns_resolver": 0,
    "dns_shares": 0,
    "message": 0,
    "net": 0,
    "smtp": 1,
    "imap": 1,
    "pop3": 1,
    "managesieve": 1,
    "sasl": 1,
    "sieve": 1,
    "msgauth": 1,
    "milter": 1,
    "store": 2,
    "accounts": 3,
    "inbound": 4,
    "outbound": 4,
    "operations": 4,
    "junk": 4,
    "jmap": 5,
    "web": 6,
    "playground": 6,
    "cli": 7,
    "app": 7,
    "browsers": 7,
    "doors": 7,
    "reloading": 7,
    "own_status": 7,
    "renewing": 7,
    "worker": 7,
    "workers": 7,
    "supervisor": 7,
    "house": 7,
    "servers": 7,
    "pytest_plugin": 7,
    "notices": 7,
    "judging": 7,
    "sending": 7,
    "storage": 7,
    "places": 7,
    "privileges": 7,
    "__main__": 7,
}
SHARED_VALUES = {
    "counts",
    "errors",
    "limits",
    "config",
    "config_checks",
    "config_reader",
    "config_tls",
    "ranges",
    "units",
    "durable",
    "resolver",
    "dns_exchange",
    "dns_shares",
    "name_servers",
    "ip_addresses",
}
"""Single modules of floor 0 that everything may import, also from floor 0."""

PURE = ("message",)
"""Folders that touch no clock, file, socket or chance; so do all modules of floor 1."""

IMPURE = {"asyncio", "socket", "ssl", "time", "random", "secrets", "os", "pathlib", "threading", "uvloop"}


def name_of(path: Path) -> str:
    """`posthouse/imap/view.py` is `imap.view`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor_of(module: str) -> int | None:
    """The floor of a module by its dotted name below the package."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        found = BY_MODULE.get(".".join(parts[:length]))
        if found is not None:
            return found
    return BY_FOLDER.get(parts[0])


@cache
def imports_of(path: Path) -> list[tuple[int, str]]:
    """(line, dotted name) of every import, also those inside functions; not those for types only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append((node.lineno, node.module))
            if node.module.startswith("posthouse"):
                found += [
                    (node.lineno, f"{node.module}.{alias.name}")
                    for alias in node.names
                    if (PACKAGE.parent / Path(*node.module.split("."), alias.name))
                    .with_suffix(".py")
                    .exists()
                    or (PACKAGE.parent / Path(*node.module.split("."), alias.name)).is_dir()
                ]
    return found


def nodes_of(path: Path, word: str) -> Iterator[ast.AST]:
    """All of a module that has the word somewhere: to read all modules as syntax takes seconds."""
    text = path.read_text()
    return ast.walk(ast.parse(text)) if word in text else iter(())


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if name_of(path))


def test_every_module_has_a_floor() -> None:
    assert [name_of(path) for path in MODULES if floor_of(name_of(path)) is None] == []


def test_imports_go_downward() -> None:
    broken = []
    for path in MODULES:
        module = name_of(path)
        floor = floor_of(module)
        assert floor is not None
        for line, imported in imports_of(path):
            other = imported.removeprefix("posthouse.")
            other_floor = floor_of(other)
            if other == imported or other_floor is None or other.split(".")[0] in SHARED_VALUES:
                continue
            same_folder = other.split(".")[0] == module.split(".")[0]
            if other_floor > floor or (other_floor == floor and not same_folder and floor < 7):
                broken.append(f"{module}:{line} (floor {floor}) imports {other} (floor {other_floor})")
    assert broken == []


def test_pure_modules_are_pure() -> None:
    impure = [
        f"{name_of(path)}:{line}: {name}"
        for path in MODULES
        if floor_of(name_of(path)) == 1 or name_of(path).startswith(PURE)
        for line, name in imports_of(path)
        if name.split(".")[0] in IMPURE
    ]
    assert impure == []


def test_only_the_top_floor_sees_the_whole_configuration() -> None:
    seeing = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        if floor_of(name_of(path)) != 7 and name_of(path) not in ("config", "config_checks")
        for node in nodes_of(path, "Config")
        if isinstance(node, ast.ImportFrom) and node.module == "posthouse.config"
        if "Config" in [alias.name for alias in node.names]
    ]
    assert seeing == []


def test_nobody_waits_with_wait_for() -> None:
    """Before Python 3.12 it loses a cancellation that comes with what it waits for; `asyncio.timeout` does not."""
    calls = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in nodes_of(path, "wait_for")
        if isinstance(node, ast.Attribute) and node.attr == "wait_for"
    ]
    assert calls == []


def test_sql_lives_in_the_store_and_sqlite3_nowhere() -> None:
    """Two SQLite libraries on one file end in SIGBUS: apsw only, and only there."""
    wrong = [
        f"{name_of(path)}:{line}: {name}"
        for path in MODULES
        for line, name in imports_of(path)
        if name.split(".")[0] == "sqlite3"
        or (name.split(".")[0] == "apsw" and not name_of(path).startswith("store"))
    ]
    assert wrong == []
