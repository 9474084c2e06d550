"""`posthouse certificate`: what our TLS listeners show."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, take_session


@click.group(cls=Noun)
def certificate() -> None:
    """The certificate of our TLS listeners."""


@certificate.command("show")
@take_session
def show(session: Session) -> None:
    """Its names, who issued it, until when it is good."""
    row = session.one("certificate.show")
    session.show(row, lambda: _tell(row))


def _tell(row: dict[str, Any]) -> None:
    click.echo(f"{row['path']}{'' if row['own'] else '  (self-signed, made by us)'}")
    click.echo(f"for {', '.join(row['names'])}, issued by {row['issuer']}")
    click.echo(f"{moment(row['not_before'])} to {moment(row['not_after'])}, {row['days_left']} days left")
    click.echo(f"SHA-256 {row['fingerprint']}")
