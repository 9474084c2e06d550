"""`posthouse message`: the life of a message."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, say, take_session


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


def _print(stories: list[dict[str, Any]]) -> None:
    for story in stories:
        click.secho(story["trace_id"], bold=True)
        for event in story["events"]:
            address = event["address"] or "<>"
            say(f"  {moment(event['at'])}  {event['kind']:<10}  {address}  {event['detail']}".rstrip())
