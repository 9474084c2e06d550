"""`posthouse status`: is the house in order?"""

from __future__ import annotations

import click

from posthouse.cli.findings import show_findings
from posthouse.cli.session import Session, Verb, take_session


@click.command(cls=Verb)
@take_session
def status(session: Session) -> None:
    """Is the house in order? Exit code 1 when something is wrong."""
    show_findings(session, session.one("status"))
