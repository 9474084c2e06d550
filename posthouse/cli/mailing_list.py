"""`posthouse list`: mailing lists and their members."""

from __future__ import annotations

from typing import Any, Final

import click

from posthouse.cli.session import Noun, Session, moment, plain, read_file, take_session

COLUMNS: Final = {"address": plain, "title": plain, "posting": plain, "members": plain, "owners": plain}
MEMBERS: Final = {"address": plain, "added_at": moment, "bounces": plain, "bounced_at": moment}
_POSTING: Final = click.Choice(["anyone", "members", "owners"])
_REWRITING: Final = click.Choice(["strict", "always", "never"])


@click.group("list", cls=Noun)
def mailing_list() -> None:
    """Mailing lists: addresses whose mail goes to many members (docs/lists.md)."""


@mailing_list.command("add")
@click.argument("address")
@click.option("--title", default="", help="What it is called in mail programs.")
@click.option("--posting", type=_POSTING, default="members", show_default=True, help="Who may post.")
@click.option(
    "--rewrite",
    "rewriting",
    type=_REWRITING,
    default="strict",
    show_default=True,
    help="When From becomes the list's; strict: where the author's DMARC policy insists.",
)
@click.option("--owner", "owners", multiple=True, help="Who looks after it; may be given again.")
@click.option("--member", "members", multiple=True, help="A member; may be given again.")
@take_session
def add(session: Session, /, address: str, **given: Any) -> None:
    """Make the list ADDRESS."""
    session.table([session.one("list.add", address=address, **given)], COLUMNS)


@mailing_list.command("set")
@click.argument("address")
@click.option("--title", help="What it is called in mail programs.")
@click.option("--posting", type=_POSTING, help="Who may post.")
@click.option("--rewrite", "rewriting", type=_REWRITING, help="When From becomes the list's.")
@click.option("--owner", "owners", multiple=True, help="Who looks after it, instead of those before.")
@click.option("--no-owners", is_flag=True, help="The domain's postmaster looks after it.")
@take_session
def set_(session: Session, /, address: str, owners: tuple[str, ...], no_owners: bool, **given: Any) -> None:
    """Change the list ADDRESS; what is not given stays."""
    if owners and no_owners:
        raise click.UsageError("--owner and --no-owners exclude each other")
    wanted = {name: value for name, value in given.items() if value is not None}
    if owners or no_owners:
        wanted["owners"] = owners
    if not wanted:
        raise click.UsageError("nothing to change is given")
    session.table([session.one("list.set", address=address, **wanted)], COLUMNS)


@mailing_list.command("list")
@click.argument("domain", default="")
@take_session
def list_(session: Session, domain: str) -> None:
    """All lists, or those of a domain."""
    session.table(session.one("list.list", domain=domain), COLUMNS)


@mailing_list.command("show")
@click.argument("address")
@take_session
def show(session: Session, address: str) -> None:
    """All about the list ADDRESS but its members."""
    row = session.one("list.show", address=address)

    def text() -> None:
        for key, value in row.items():
            words = moment(value) if key == "created_at" else plain(value)
            click.echo(f"{key.replace('_', ' '):10}  {words}".rstrip())

    session.show(row, text)


@mailing_list.command("members")
@click.argument("address")
@take_session
def members_(session: Session, address: str) -> None:
    """The members of the list ADDRESS, and on how many days copies came back from each."""
    session.table(session.one("list.members", address=address), MEMBERS)


@mailing_list.command("join")
@click.argument("address")
@click.argument("members", nargs=-1)
@click.option("--from", "file", metavar="FILE", help="More of them, one a line; - is standard input.")
@take_session
def join(session: Session, address: str, members: tuple[str, ...], file: str | None) -> None:
    """Make MEMBERS members of the list ADDRESS: people here or elsewhere, aliases, other lists. All or none."""
    _change(session, "join", "joined", address, (*members, *_lines(file)))


@mailing_list.command("drop")
@click.argument("address")
@click.argument("members", nargs=-1)
@click.option("--from", "file", metavar="FILE", help="More of them, one a line; - is standard input.")
@take_session
def drop(session: Session, address: str, members: tuple[str, ...], file: str | None) -> None:
    """Take MEMBERS from the list ADDRESS."""
    _change(session, "drop", "left", address, (*members, *_lines(file)))


def _lines(file: str | None) -> tuple[str, ...]:
    if file is None:
        return ()
    lines = (line.strip() for line in read_file(file).decode().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _change(session: Session, verb: str, done: str, address: str, members: tuple[str, ...]) -> None:
    if not members:
        raise click.UsageError("no members are given")
    found = session.one(f"list.{verb}", address=address, members=members)
    session.show(found, lambda: click.echo(f"{found['changed']} {done}, {found['members']} members"))


@mailing_list.command("remove")
@click.argument("address")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@take_session
def remove(session: Session, address: str, sure: bool) -> None:
    """Take the list ADDRESS away, with its members."""
    if not sure:
        click.confirm(f"Remove {address} and forget its members?", abort=True, err=True)
    session.one("list.remove", address=address)
    session.show({"removed": address}, lambda: click.echo(f"removed {address}"))
