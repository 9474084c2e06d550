"""`posthouse account masked`: addresses that lead to an account and are thrown away alone."""

from __future__ import annotations

import click

from posthouse.cli.session import Noun, Session, moment, plain, take_session

COLUMNS = {
    "address": plain,
    "state": plain,
    "site": plain,
    "note": plain,
    "last_mail_at": moment,
    "created_at": moment,
    "made_by": plain,
}


@click.group(cls=Noun)
def masked() -> None:
    """Addresses for one site each, that lead to an account and can be switched off alone."""


@masked.command("list")
@click.argument("address")
@take_session
def list_(session: Session, address: str) -> None:
    """Masked addresses of the account ADDRESS, the latest first."""
    session.table(session.one("masked.list", address=address), COLUMNS)


@masked.command("add")
@click.argument("address")
@click.option("--site", default="", help='What it is for, as "https://shop.example".')
@click.option("--note", default="", help="A note for its owner.")
@click.option("--prefix", default="", help="How it shall begin: a-z, 0-9 and _.")
@take_session
def add(session: Session, address: str, site: str, note: str, prefix: str) -> None:
    """Make one up for the account ADDRESS."""
    row = session.one("masked.add", address=address, site=site, note=note, prefix=prefix)
    session.show(row, lambda: click.echo(row["address"]))


@masked.command("enable")
@click.argument("masked")
@take_session
def enable(session: Session, masked: str) -> None:
    """Let mail to it come in (again)."""
    session.table([session.one("masked.set", masked=masked, state="enabled")], COLUMNS)


@masked.command("disable")
@click.argument("masked")
@click.option("--refuse", is_flag=True, help="Refuse its mail (550 5.1.1); without: it goes to Trash.")
@take_session
def disable(session: Session, masked: str, refuse: bool) -> None:
    """Switch it off; its owner may switch it on again."""
    state = "deleted" if refuse else "disabled"
    session.table([session.one("masked.set", masked=masked, state=state)], COLUMNS)


@masked.command("remove")
@click.argument("masked")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@take_session
def remove(session: Session, masked: str, sure: bool) -> None:
    """Take it away for good: its mail is refused, and nobody ever gets the address again."""
    if not sure:
        click.confirm(f"Remove {masked} for good?", abort=True, err=True)
    session.one("masked.remove", masked=masked)
    session.show({"removed": masked}, lambda: click.echo(f"removed {masked}"))
