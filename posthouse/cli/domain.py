"""`posthouse domain`: domains whose mail we take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posthouse.cli.findings import show_findings
from posthouse.cli.session import Noun, Session, octets, plain, read_size, take_session


def _quota(count: int) -> str:
    return octets(count) if count else ""


COLUMNS = {
    "name": plain,
    "kind": plain,
    "accounts": plain,
    "aliases": plain,
    "catch_all": plain,
    "recipients": plain,
    "quota": _quota,
}


@click.group(cls=Noun)
def domain() -> None:
    """Domains whose mail we take."""


def _known(recipients: str, listing: str | None) -> tuple[str, ...]:
    """The addresses of `--recipients list FILE`, one a line, # begins a remark."""
    if recipients != "list" or listing is None:
        if listing is not None:
            raise click.UsageError("a file of recipients goes with --recipients list")
        return ()
    lines = (line.partition("#")[0].strip() for line in Path(listing).read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


@domain.command("add")
@click.argument("name")
@click.option("--backup", is_flag=True, help="Be a backup MX: hold its mail while the primary is away.")
@click.option(
    "--recipients",
    type=click.Choice(["ask", "list"]),
    default="ask",
    help="Backup: ask the primary who exists, or take the addresses of --recipients-file.",
)
@click.option("--recipients-file", metavar="FILE", help="Addresses, one a line.")
@click.option("--catch-all", metavar="ADDRESS", default="", help="Who gets mail for unknown addresses.")
@click.option(
    "--quota", metavar="SIZE", callback=read_size, help='For each account without its own, as "2GB"; 0: none.'
)
@take_session
def add(
    session: Session,
    name: str,
    backup: bool,
    recipients: str,
    recipients_file: str | None,
    catch_all: str,
    quota: int | None,
) -> None:
    """Take mail for a domain."""
    if not backup and (recipients_file or recipients != "ask"):
        raise click.UsageError("--recipients is for a --backup domain: others have accounts and aliases")
    row = session.one(
        "domain.add",
        name=name,
        backup=backup,
        recipients=recipients,
        known=_known(recipients, recipients_file),
        catch_all=catch_all,
        quota=quota or 0,
    )
    what = "we are a backup MX of" if backup else "we take mail for"
    session.show(row, lambda: click.echo(f"{what} {row['name']}"))


@domain.command("set")
@click.argument("name")
@click.option("--recipients", type=click.Choice(["ask", "list"]))
@click.option("--recipients-file", metavar="FILE", help="Addresses, one a line, added to the known ones.")
@click.option("--catch-all", metavar="ADDRESS", help='Who gets mail for unknown addresses; "": nobody.')
@click.option(
    "--quota", metavar="SIZE", callback=read_size, help='For each account without its own, as "2GB"; 0: none.'
)
@take_session
def set_(
    session: Session,
    name: str,
    recipients: str | None,
    recipients_file: str | None,
    catch_all: str | None,
    quota: int | None,
) -> None:
    """Change a domain."""
    arguments: dict[str, Any] = {
        "name": name,
        "recipients": recipients,
        "known": _known(recipients or "list", recipients_file),
        "catch_all": catch_all,
        "quota": quota,
    }
    row = session.one("domain.set", **arguments)
    session.table([row], COLUMNS)


@domain.command("list")
@take_session
def list_(session: Session) -> None:
    """All domains."""
    session.table(session.one("domain.list"), COLUMNS)


@domain.command("show")
@click.argument("name")
@take_session
def show(session: Session, name: str) -> None:
    """One domain."""
    row = session.one("domain.show", name=name)
    session.show(row, lambda: _lines(row))


def _lines(row: dict[str, Any]) -> None:
    for key, write in COLUMNS.items():
        click.echo(f"{key.replace('_', ' '):<10}  {write(row[key])}")


@domain.command("remove")
@click.argument("name")
@take_session
def remove(session: Session, name: str) -> None:
    """Take no more mail for a domain; its aliases and mailing lists go too."""
    session.one("domain.remove", name=name)
    session.show({"removed": name}, lambda: click.echo(f"removed {name}"))


@domain.command("dns")
@click.argument("name")
@click.option("--zone", is_flag=True, help="As zone text, to paste.")
@take_session
def dns(session: Session, name: str, zone: bool) -> None:
    """The DNS records to publish."""
    answer = session.one("domain.dns", name=name)
    if zone and not session.as_json:
        click.echo(answer["zone"], nl=False)
        return
    if session.as_json:
        session.show(answer, lambda: None)
        return
    session.table(answer["records"], dict.fromkeys(("name", "type", "value", "why"), plain))


@domain.command("check")
@click.argument("name")
@take_session
def check(session: Session, name: str) -> None:
    """Ask the DNS whether a domain is set up."""
    show_findings(session, session.one("domain.check", name=name))


@domain.command("mute")
@click.argument("name")
@click.argument("kind")
@click.option("--reason", required=True, help="Why nobody need hear of it.")
@take_session
def mute(session: Session, name: str, kind: str, reason: str) -> None:
    """Let `domain check` not look at one kind of record (MX, SPF, DKIM, DMARC, PTR, ...)."""
    session.one("domain.mute", name=name, kind=kind, reason=reason)
    session.show({"muted": kind.upper()}, lambda: click.echo(f"muted {kind.upper()} of {name}"))


@domain.command("unmute")
@click.argument("name")
@click.argument("kind")
@take_session
def unmute(session: Session, name: str, kind: str) -> None:
    """Let `domain check` look at it again."""
    session.one("domain.unmute", name=name, kind=kind)
    session.show({"unmuted": kind.upper()}, lambda: click.echo(f"looking at {kind.upper()} of {name} again"))


KEY_COLUMNS = dict.fromkeys(("selector", "algorithm", "state", "name", "record"), plain)


@domain.command("dkim")
@click.argument("name")
@take_session
def dkim(session: Session, name: str) -> None:
    """The DKIM keys that sign its mail."""
    session.table(session.one("domain.dkim", name=name), KEY_COLUMNS)


@domain.command("rotate")
@click.argument("name")
@click.option("--now", is_flag=True, help="Use new keys at once, whatever the DNS shows.")
@take_session
def rotate(session: Session, name: str, now: bool) -> None:
    """Replace its DKIM keys: first make new ones to publish; run again to use them once the DNS shows them."""
    session.table(session.one("domain.rotate", name=name, now=now), KEY_COLUMNS)


@domain.command("forget-key")
@click.argument("name")
@click.argument("selector")
@take_session
def forget_key(session: Session, name: str, selector: str) -> None:
    """Forget a DKIM key that signs no more."""
    session.one("domain.forget-key", name=name, selector=selector)
    session.show({"forgotten": selector}, lambda: click.echo(f"forgot {selector} of {name}"))
