"""`posthouse alias`: addresses that stand for others."""

from __future__ import annotations

import click

from posthouse.cli.session import Noun, Session, plain, take_session

COLUMNS = {"address": plain, "targets": plain}


@click.group(cls=Noun)
def alias() -> None:
    """Addresses that stand for others."""


@alias.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@click.option("--replace", is_flag=True, help="Change it when it is there already.")
@take_session
def add(session: Session, address: str, targets: tuple[str, ...], replace: bool) -> None:
    """Let ADDRESS stand for TARGETS."""
    session.table([session.one("alias.add", address=address, targets=targets, replace=replace)], COLUMNS)


@alias.command("list")
@click.argument("domain", default="")
@take_session
def list_(session: Session, domain: str) -> None:
    """All aliases, or those of a domain."""
    session.table(session.one("alias.list", domain=domain), COLUMNS)


@alias.command("remove")
@click.argument("address")
@take_session
def remove(session: Session, address: str) -> None:
    """Remove an alias."""
    session.one("alias.remove", address=address)
    session.show({"removed": address}, lambda: click.echo(f"removed {address}"))
