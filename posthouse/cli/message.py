"""`posthouse message`: the life of a message."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import (
    Noun,
    Session,
    moment,
    octets,
    plain,
    read_duration,
    say,
    take_session,
)


@click.group(cls=Noun)
def message() -> None:
    """The life of a message."""


@message.command("log")
@click.argument("what", metavar="ID|ADDRESS")
@click.option("--messages", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@take_session
def log(session: Session, what: str, messages: int) -> None:
    """Everything that happened to a message, or to the latest ones about an address."""
    stories = session.one("message.log", what=what, messages=messages)
    session.show(stories, lambda: _print(stories))


@message.command("deleted")
@click.argument("address")
@click.option("--since", callback=read_duration, help="Deleted in the last so long, as 3d or 2h.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="At most so many.")
@take_session
def deleted(session: Session, address: str, since: float, limit: int) -> None:
    """Deleted mail of ADDRESS that can be brought back (store.deleted), the latest first."""
    columns = {
        "id": plain,
        "deleted_at": moment,
        "mailbox": plain,
        "received_at": moment,
        "size": octets,
        "sender": plain,
        "subject": plain,
    }
    session.table(session.one("message.deleted", address=address, since=since, limit=limit), columns)


@message.command("undelete")
@click.argument("address")
@click.argument("ids", nargs=-1, type=int)
@click.option(
    "--since", callback=read_duration, help="All that was deleted in the last so long, as 3d or 2h."
)
@click.option("--into", default="", help="The mailbox; without: where each was, or INBOX after the Trash.")
@take_session
def undelete(session: Session, address: str, ids: tuple[int, ...], since: float, into: str) -> None:
    """Bring deleted mail of ADDRESS back: some by the IDs that `deleted` tells, or all since a time."""
    if bool(ids) == bool(since):
        raise click.UsageError("give IDs or --since, one of them")
    count = session.one("message.undelete", address=address, ids=ids, since=since, into=into)
    session.show({"restored": count}, lambda: click.echo(f"restored {count}"))


def _print(stories: list[dict[str, Any]]) -> None:
    for story in stories:
        click.secho(story["trace_id"], bold=True)
        for event in story["events"]:
            address = event["address"] or "<>"
            say(f"  {moment(event['at'])}  {event['kind']:<10}  {address}  {event['detail']}".rstrip())
