"""`posthouse mx DOMAIN`: where mail for a domain goes, as we would send it."""

from __future__ import annotations

import click

from posthouse.cli.session import Session, Verb, plain, say, take_session


@click.command(cls=Verb)
@click.argument("domain")
@take_session
def mx(session: Session, domain: str) -> None:
    """The mail hosts of DOMAIN in delivery order, with their addresses. Exit code 1 when it takes no mail."""
    route = session.one("mx", domain=domain)
    if session.as_json:
        session.show(route, lambda: None)
    else:
        session.table(route["hosts"], dict.fromkeys(("preference", "host", "addresses", "note"), plain))
        if route["note"]:
            say(route["note"])
    if not route["usable"]:
        click.get_current_context().exit(1)
