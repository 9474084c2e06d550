"""Lines of ✓, ! and ✗ with the fix in words; exit code 1 when something is wrong."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Session
from posthouse.operations.logs import without_controls

SIGNS = {"fine": ("✓", "green"), "look": ("!", "yellow"), "wrong": ("✗", "red")}


def show_findings(session: Session, findings: list[dict[str, Any]]) -> None:
    """Print them and leave with 1 when any is wrong, 0 otherwise."""
    session.show(findings, lambda: print_findings(findings))
    if any(finding["level"] == "wrong" for finding in findings):
        click.get_current_context().exit(1)


def print_findings(findings: list[dict[str, Any]]) -> None:
    """One line each."""
    for finding in findings:
        sign, colour = SIGNS[finding["level"]]
        fix = f"  → {finding['fix']}" if finding["fix"] else ""
        words = without_controls(f"{finding['subject']}: {finding['text']}{fix}")
        click.echo(f"{click.style(sign, fg=colour)} {words}")
