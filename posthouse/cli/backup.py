"""`posthouse backup` and `posthouse verify`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from posthouse.cli.session import Session, Verb, moment, octets, plain, take_session


@click.command(cls=Verb)
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@take_session
def backup(session: Session, folder: Path | None) -> None:
    """Copy everything into DIR, as it is at one moment, while the server goes on; a second run copies what is new.

    In it: mail, accounts, queue, keys, certificates, the configuration. Keep it as safe as the original. Without DIR:
    show the last one of each folder.
    """
    if folder is None:
        columns = {"folder": plain, "made_at": moment, "accounts": plain, "octets": octets}
        session.table(session.one("backup.list"), columns)
        return
    folder = folder.absolute()
    last: dict[str, Any] = {"octets": 0, "total": 0, "written": 0}
    with _Line() as line:
        for last in session.each("backup.make", folder=str(folder)):
            line.say(f"{octets(last['octets'])} of {octets(last['total'])}")
    copy_configuration(session.configuration, folder)
    result = {"folder": str(folder), "octets": last["octets"], "written": last["written"]}
    text = f"{folder}: {octets(last['octets'])}, of which {octets(last['written'])} were written now"
    session.show(result, lambda: click.echo(text))


def copy_configuration(source: Path, folder: Path) -> None:
    """By whoever gave the command; also root's copy is the folder's owner's, who renews it every night."""
    from posthouse.durable import write_private
    from posthouse.operations.backup import CONFIGURATION

    write_private(folder / CONFIGURATION, source.read_bytes())
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(folder / CONFIGURATION, owner.st_uid, owner.st_gid)


@click.command(cls=Verb)
@click.option("--fix", is_flag=True, help="Mend what can be mended: counts, remains, owners of bytes.")
@click.option(
    "--backup",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Verify this backup instead.",
)
@take_session
def verify(session: Session, fix: bool, folder: Path | None) -> None:
    """Read everything and compare: every message's bytes, what points at what, the counts.

    Exit code 1: a flaw is left.
    """
    if folder is not None:
        if fix:
            raise click.UsageError("a backup is not mended: make a new one")
        from posthouse.operations.restore import damaged_in

        flaws = [{"kind": "damaged message", "what": text, "mended": False} for text in damaged_in(folder)]
    else:
        flaws = _verified(session, fix)
    mended = {(flaw["kind"], flaw["what"]) for flaw in flaws if flaw["mended"]}
    left = [flaw for flaw in flaws if (flaw["kind"], flaw["what"]) not in mended]
    found = left + [flaw for flaw in flaws if flaw["mended"]]
    session.show(found, lambda: _tell(found))
    if left:
        click.get_current_context().exit(1)


def _verified(session: Session, fix: bool) -> list[dict[str, Any]]:
    flaws = []
    with _Line() as line:
        for found in session.each("store.verify", fix=fix):
            if "kind" in found:
                flaws.append(found)
            else:
                line.say(f"{found['messages']} of {found['total']} messages")
    return flaws


def _tell(flaws: list[dict[str, Any]]) -> None:
    for flaw in flaws:
        sign = click.style("✓", fg="green") if flaw["mended"] else click.style("✗", fg="red")
        click.echo(f"{sign} {flaw['kind']}: {flaw['what']}{'  mended' if flaw['mended'] else ''}")
    if not flaws:
        click.echo(f"{click.style('✓', fg='green')} everything is as it should be")


class _Line:
    """How far something has come, on one line of the terminal; silent on a pipe."""

    def __enter__(self) -> _Line:
        self._shown = sys.stderr.isatty()
        return self

    def say(self, text: str) -> None:
        """Replace what the line says."""
        if self._shown:
            click.echo(f"\r\033[K{text}", nl=False, err=True)

    def __exit__(self, *_: object) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)
