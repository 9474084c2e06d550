#!/usr/bin/env python3
"""Write docs/limits.md from posthouse/limits.py and docs/commands.md from the commands, so that they never differ."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
LIMITS_HEAD = """\
# Limits

Every buffer, loop, recursion, look-up and wait has a limit. This table is written from `posthouse/limits.py` by
`scripts/document.py`; a test compares the two. Those that an administrator may change are keys of `[limits]`
and its neighbours in [config.md](config.md), with these as defaults.
"""


COMMANDS_HEAD = """\
# Commands

`posthouse [-c FILE] NOUN VERB …`: a table on a terminal, `--json` for scripts; exit code 0 fine, 1 a finding,
2 wrong usage. Account, domain, alias, queue and message commands work whether the server runs or not, and take
effect at once. Written by
`scripts/document.py` from the commands themselves.
"""


def write_limits() -> None:
    """Read the constants with the text below each, and write the page."""
    from posthouse import limits

    source = (ROOT / "posthouse" / "limits.py").read_text()
    body = ast.parse(source).body
    lines = source.splitlines()
    out = [LIMITS_HEAD]
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        if node.target.id in {"KB", "MB"}:
            continue
        section = next(
            (m[1] for i in range(node.lineno - 2, -1, -1) if (m := re.match(r"# --- (.+?) -+$", lines[i]))),
            "",
        )
        heading = f"\n## {section[:1].upper()}{section[1:]}\n\n| limit | value | meaning |\n|---|---|---|"
        if heading not in out:
            out.append(heading)
        reason = (
            after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        )
        value = getattr(limits, node.target.id)
        shown = f"{value:,}" if isinstance(value, int | float) else str(value)
        out.append(f"| `{node.target.id}` | {shown} | {' '.join(str(reason).split())} |")
    (ROOT / "docs" / "limits.md").write_text("\n".join(out) + "\n")


def write_commands() -> None:
    """Walk the commands and write the page."""
    import click

    from posthouse.cli import main as menu

    out = [COMMANDS_HEAD]

    def walk(command: click.Command, words: tuple[str, ...]) -> None:
        context = click.Context(command, info_name=" ".join(("posthouse", *words)))
        if isinstance(command, click.Group):
            if words:
                title = f"## {words[0]}" if len(words) == 1 else f"### `posthouse {' '.join(words)} …`"
                out.append(f"\n{title}\n\n{paragraph(command.help)}")
            for name in command.list_commands(context):
                found = command.get_command(context, name)
                if found is not None:
                    walk(found, (*words, name))
            return
        usage = " ".join(command.collect_usage_pieces(context)).replace("[OPTIONS]", "").strip()
        line = " ".join(part for part in ("posthouse", *words, usage) if part)
        out.append(f"\n### `{line}`\n\n{paragraph(command.help)}")
        options = [p.get_help_record(context) for p in command.params if isinstance(p, click.Option)]
        rows = [record for record in options if record is not None]
        if rows:
            out.append("\n| option | meaning |\n|---|---|")
            out.extend(f"| `{cell(name)}` | {cell(text)} |" for name, text in rows)

    walk(menu, ())
    (ROOT / "docs" / "commands.md").write_text("\n".join(out) + "\n")


def cell(text: str) -> str:
    """Text inside a table."""
    return " ".join(text.split()).replace("|", "\\|")


def paragraph(text: str | None) -> str:
    """Help text as Markdown."""
    return inspect.cleandoc(text or "").replace("\b\n", "")


def main() -> None:
    """Both pages."""
    write_limits()
    write_commands()


if __name__ == "__main__":
    main()
