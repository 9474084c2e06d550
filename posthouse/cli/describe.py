"""The configuration described from its own structs: every key with its default and the text below it in config.py.

docs/config.md is `posthouse config describe --markdown`; a test compares the two.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from posthouse import config, config_tls

WIDTH: Final = 100
HEAD: Final = """\
# Configuration

One TOML file, found by `-c`, `$POSTHOUSE_CONFIG`, `./posthouse.toml`, `/etc/posthouse/posthouse.toml`, in this
order. Only `hostname` is required. An unknown key is an error that names the nearest one. Paths are relative to the
file. Durations are seconds or text such as `"90s"`, `"1h30m"`, `"5d"`; sizes are octets or text such as `"64KB"`,
`"50MB"`. Any text may be written `{file = "…"}` or `{env = "…"}` to keep a secret out of the file.

`SIGHUP` rereads the file and the certificate. What cannot change while serving is named in the log: `hostname`,
`public_name`, `data`, `workers`, `proxies`, `xclient`, `run_as`, `[listen]`, where the store is,
`auth.password_hash`. Sessions that have begun end as they began.

This page is written by `posthouse config describe --markdown` from `posthouse/config.py`.
"""


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the file."""

    table: str
    name: str
    default: str
    """In TOML; empty: the key is required."""
    text: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the file with its keys."""

    name: str
    text: str
    keys: tuple[Key, ...]
    many: bool = False
    """It may stand several times: `[[name]]`."""

    @property
    def head(self) -> str:
        """How it begins in the file."""
        return f"[[{self.name}]]" if self.many else f"[{self.name}]"


def keys() -> list[Table]:
    """The whole file, the top level first."""
    texts = _texts()
    found: list[Table] = []

    def walk(kind: type[msgspec.Struct], name: str, many: bool = False) -> None:
        own: list[Key] = []
        below: list[tuple[type[msgspec.Struct], str, bool]] = []
        for field in msgspec.structs.fields(kind):
            path = f"{name}.{field.encode_name}".lstrip(".")
            if _is_table(field.type):
                below.append((field.type, path, False))
                continue
            if get_origin(field.type) is tuple and _is_table(get_args(field.type)[0]):
                below.append((get_args(field.type)[0], path, True))
            default = "" if field.required else _toml(field.default)
            text = texts.get((kind.__name__, field.name), "")
            own.append(Key(table=name, name=field.encode_name, default=default, text=text))
        found.append(Table(name=name, text=_joined(inspect.getdoc(kind) or ""), keys=tuple(own), many=many))
        for deeper in below:
            walk(*deeper)

    walk(config.Config, "")
    return found


def as_file() -> str:
    """A commented configuration file: every key with its default."""
    out: list[str] = []
    for table in keys():
        if table.name:
            out += ["", f"# {table.head}" if table.many else table.head, *_remark(table.text)]
        for key in table.keys:
            out += [
                *_remark(key.text),
                f"# {key.name} = {key.default}" if key.default else _required(table, key),
            ]
    return "\n".join(out) + "\n"


def as_page() -> str:
    """The page docs/config.md."""
    out = [HEAD]
    for table in keys():
        out.append(f"## `{table.head}`\n\n{table.text}\n" if table.name else "## At the top of the file\n")
        out += ["| key | default | meaning |", "|---|---|---|"]
        for key in table.keys:
            path = f"{table.name}.{key.name}" if table.name else key.name
            default = f"`{key.default}`" if key.default else "required"
            out.append(f"| `{path}` | {default} | {key.text.replace('|', chr(92) + '|')} |")
        out.append("")
    return "\n".join(out)


def _required(table: Table, key: Key) -> str:
    """A key that has no default: of tables that need not be there it stays a remark."""
    return f'# {key.name} = "…"' if table.many else f'{key.name} = "mx.example.org"'


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _texts() -> dict[tuple[str, str], str]:
    """(struct, field) → the docstring below the field."""
    found: dict[tuple[str, str], str] = {}
    for node in (
        each for module in (config, config_tls) for each in ast.parse(inspect.getsource(module)).body
    ):
        if not isinstance(node, ast.ClassDef):
            continue
        for item, after in zip(node.body, [*node.body[1:], ast.Pass()], strict=True):
            if (
                isinstance(item, ast.AnnAssign)
                and isinstance(item.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[node.name, item.target.id] = _joined(str(after.value.value))
    return found


def _joined(text: str) -> str:
    return " ".join(text.split())


def _remark(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _toml(value: Any) -> str:
    """A default as TOML."""
    if value is None:
        return '""'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)
