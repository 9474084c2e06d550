"""`posthouse spam`: the junk filter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, octets, plain, say, take_session


@click.group(cls=Noun)
def spam() -> None:
    """Teach the junk filter, and ask it why."""


@spam.command("train")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--junk/--good", "junk", default=None, required=True, help="What the messages are.")
@click.option(
    "--account", metavar="ADDRESS", default="", help="Only for this account; else for the whole house."
)
@take_session
def train(session: Session, files: tuple[Path, ...], junk: bool, account: str) -> None:
    """Learn from messages: FILES are messages, mboxes, or folders of messages (a Maildir too).

    Moving mail to and from Junk teaches an account's filter by itself; this is for a start with old mail.
    """
    learnt, last = 0, {}
    for file in _expanded(files):
        last = session.one("spam.train", file.read_bytes(), junk=junk, account=account)
        learnt += last["messages"]
    result = {**last, "messages": learnt}
    known = f"; it knows {last.get('junk', 0)} junk, {last.get('good', 0)} good"
    session.show(
        result, lambda: click.echo(f"learnt {learnt} messages as {'junk' if junk else 'good'}{known}")
    )


@spam.command("explain")
@click.argument("file", type=click.File("rb"))
@click.option("--account", metavar="ADDRESS", default="", help="As if it came to this account.")
@click.option(
    "--peer", metavar="IP", default="", help="As if it came from this address: asks SPF, DKIM, DMARC."
)
@click.option("--helo", metavar="NAME", default="", help="The peer's name, with --peer.")
@click.option("--sender", metavar="ADDRESS", default="", help="The envelope sender, with --peer.")
@take_session
def explain(session: Session, file: Any, account: str, peer: str, helo: str, sender: str) -> None:
    """What would become of the message in FILE (- for standard input), and why. Delivers nothing."""
    verdict = session.one("spam.explain", file.read(), account=account, peer=peer, helo=helo, sender=sender)
    session.show(verdict, lambda: _show(verdict))


def _show(verdict: dict[str, Any]) -> None:
    click.echo(f"{verdict['decision']}: {verdict['score']:.1f} of {verdict['junk_at']:.1f}")
    for check in verdict["checks"]:
        say(f"  {check.get('weight', 0.0):+5.1f}  {check['check']}: {check.get('evidence', '')}")
    for fact in verdict["facts"]:
        words = " ".join(
            filter(None, (fact.get("value", ""), f"like {fact['of']}" if fact.get("of") else ""))
        )
        say(f"  fact   {fact['fact']}{': ' if words else ''}{words}")
    for change in verdict["would_change"]:
        say(f"  if     {change}")


@spam.command("rejects")
@click.argument("account", metavar="[ADDRESS]", default="")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True, help="At most so many.")
@take_session
def rejects(session: Session, account: str, limit: int) -> None:
    """What was refused as junk and kept in Rejects (junk.rejects), for ADDRESS or everybody, the newest first."""
    columns = {
        "address": plain,
        "id": plain,
        "received_at": moment,
        "size": octets,
        "score": lambda score: f"{score:.1f}",
        "sender": plain,
        "subject": plain,
    }
    session.table(session.one("rejects.list", address=account, limit=limit), columns)


@spam.command("rescue")
@click.argument("address")
@click.argument("ids", nargs=-1, required=True, type=int)
@take_session
def rescue(session: Session, address: str, ids: tuple[int, ...]) -> None:
    """Move refused messages of ADDRESS to the inbox; its filter learns that they are good."""
    count = session.one("rejects.rescue", address=address, ids=ids)
    session.show({"rescued": count}, lambda: click.echo(f"rescued {count}"))


def _expanded(files: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for file in files:
        found += sorted(each for each in file.rglob("*") if each.is_file()) if file.is_dir() else [file]
    return found
