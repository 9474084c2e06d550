#!/usr/bin/env python3
"""Write docs/limits.md's table from posthouse/limits.py, so that the two never differ."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "limits.md"
HEAD = """\
# Limits

Every buffer, loop, recursion, look-up and wait has a limit. This table is written from `posthouse/limits.py` by
`scripts/document.py`; a test compares the two. Those that an administrator may change are keys of `[limits]`
and its neighbours in [config.md](config.md), with these as defaults.
"""


def main() -> None:
    """Read the constants with the text below each, and write the page."""
    from posthouse import limits

    source = (ROOT / "posthouse" / "limits.py").read_text()
    body = ast.parse(source).body
    lines = source.splitlines()
    out = [HEAD]
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
    PAGE.write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
