"""`posthouse trace ADDRESS`: explain the whole route, step by step."""

from __future__ import annotations

import json

import click

from posthouse.cli.session import Session, Verb, say, take_session


@click.command(cls=Verb)
@click.argument("address")
@click.option("--send", is_flag=True, help="Deliver a probe message, too.")
@take_session
def trace(session: Session, address: str, send: bool) -> None:
    """How a message to ADDRESS would travel: who it is to us, DNS, MX order, TLS, the hosts' replies.

    Exit code 1 when it would not arrive.
    """
    fine = True
    for step in session.each("trace", address=address, send=send):
        fine = step["ok"]
        if session.as_json:
            click.echo(json.dumps(step, ensure_ascii=False))
        else:
            say(step["text"])
    if not fine:
        click.get_current_context().exit(1)
