"""`posthouse import` and `posthouse export`: mail from and to other people's forms. Both go on after a cut."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from posthouse.cli.session import Session, Verb, say, take_session

if TYPE_CHECKING:
    from posthouse.operations.transfer.carry import Step
    from posthouse.operations.transfer.model import Source, Target

FORMS = click.Choice(["mbox", "maildir"])


def _server_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """What an IMAP server needs."""
    for option in (
        click.option(
            "--password-stdin", is_flag=True, help="Read the IMAP server's password from standard input."
        ),
        click.option("--insecure", is_flag=True, help="Take any certificate of the IMAP server."),
        click.option(
            "--folder", "folders", metavar="NAME", multiple=True, help="Only this mailbox (repeatable)."
        ),
    ):
        function = option(function)
    return function


@click.command("import", cls=Verb)
@click.argument("source", metavar="SOURCE")
@click.argument("address", metavar="ADDRESS")
@click.option("--format", "form", type=FORMS, help="Of SOURCE, where it cannot be told by looking.")
@click.option("--into", metavar="MAILBOX", default="", help="Put all below this mailbox.")
@click.option("--again", is_flag=True, help="Take again what earlier runs took.")
@click.option("--over-quota", is_flag=True, help="Let the account grow beyond its quota.")
@_server_options
@take_session
def import_(
    session: Session,
    /,
    source: str,
    address: str,
    form: str | None,
    into: str,
    again: bool,
    over_quota: bool,
    **server: Any,
) -> None:
    """Take mail into the account ADDRESS from SOURCE: an mbox file, a folder of them, a Maildir, imaps://user@host.

    Mailboxes, flags and dates are kept; UIDs where the mailbox here is fresh. Run again, it takes only what is new.
    """
    from posthouse.operations.transfer.carry import Plan, carry_in

    plan = Plan(
        address=address,
        folders=frozenset(server["folders"]),
        into=into.strip("/"),
        over_quota=over_quota,
        again=str(time.time()) if again else "",
    )
    opened = _source(source, form, server)
    try:
        with session.held():
            show_steps(session, carry_in(opened, session, plan), "imported")
    finally:
        opened.close()


@click.command(cls=Verb)
@click.argument("address", metavar="ADDRESS")
@click.argument("target", metavar="TARGET")
@click.option(
    "--format", "form", type=FORMS, default="maildir", show_default=True, help="Of the folder TARGET."
)
@_server_options
@take_session
def export(session: Session, /, address: str, target: str, form: str, **server: Any) -> None:
    """Give the mail of the account ADDRESS to TARGET: a folder (Maildir, or mbox files), imaps://user@host.

    Mailboxes, flags, dates and UIDs go along. Run again, it adds only what is new.
    """
    from posthouse.operations.transfer.carry import Plan, carry_out

    plan = Plan(address=address, folders=frozenset(server["folders"]))
    opened = _target(target, form, server)
    try:
        with session.held():
            show_steps(session, carry_out(opened, session, plan), "exported")
    finally:
        opened.close()


def _source(text: str, form: str | None, server: dict[str, Any]) -> Source:
    from posthouse.operations.transfer.imap_server import ImapSource, is_address
    from posthouse.operations.transfer.maildir import MaildirSource, is_maildir
    from posthouse.operations.transfer.mbox import MboxSource

    if is_address(text):
        return ImapSource(text, _password(server), verify=not server["insecure"])
    place = Path(text)
    if not place.exists():
        raise click.UsageError(f"{text}: no such file or folder")
    below = place.is_dir() and any(is_maildir(path) for path in (place, *place.iterdir()) if path.is_dir())
    if form == "maildir" or (form is None and below):
        return MaildirSource(place)
    return MboxSource(place)


def _target(text: str, form: str, server: dict[str, Any]) -> Target:
    from posthouse.operations.transfer.imap_server import ImapTarget, is_address
    from posthouse.operations.transfer.maildir import MaildirTarget
    from posthouse.operations.transfer.mbox import MboxTarget

    if is_address(text):
        return ImapTarget(text, _password(server), verify=not server["insecure"])
    return MboxTarget(Path(text)) if form == "mbox" else MaildirTarget(Path(text))


def _password(server: dict[str, Any]) -> str:
    if server["password_stdin"]:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("give --password-stdin")
    return str(click.prompt("Password of the IMAP server", hide_input=True))


# --- showing ------------------------------------------------------------------------------------------------


def show_steps(session: Session, steps: Iterator[Step], word: str, **more: Any) -> None:
    """A bar on a terminal, a line per mailbox on a pipe, at the end the sum. Exit code 1: something was left out.

    `more`: what else the answer in JSON has.
    """
    last: dict[str, Step] = {}
    watched = _with_bar(steps) if sys.stderr.isatty() and not session.as_json else steps
    for step in watched:
        last[step.folder] = step
    count = sum(step.done for step in last.values())
    refused = [each for step in last.values() for each in step.refused]
    result = {
        word: count,
        "folders": [{"name": step.folder, word: step.done, "before": step.before} for step in last.values()],
        "refused": refused,
        **more,
    }
    if session.as_json:
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        for step in last.values():
            before = f" ({step.before} were taken before)" if step.before else ""
            say(f"{step.folder}: {step.done}{before}")
        for each in refused:
            say(f"left out: {each}", err=True)
        click.echo(f"{word} {count} messages")
    if refused:
        click.get_current_context().exit(1)


def _with_bar(steps: Iterator[Step]) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, Any] = {}
        for step in steps:
            if step.folder not in tasks:
                tasks[step.folder] = progress.add_task(step.folder, total=step.total or None)
            progress.update(tasks[step.folder], completed=step.done)
            yield step
