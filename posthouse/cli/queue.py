"""`posthouse queue`: mail that waits to leave."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, octets, plain, say, take_session


@click.group(cls=Noun)
def queue() -> None:
    """Mail that waits to leave."""


@queue.command("list")
@click.option("--destination", metavar="DOMAIN", default="", help="Only what goes to this domain.")
@click.option("--address", default="", help="Only what is from or to this address.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="At most so many.")
@take_session
def list_(session: Session, destination: str, address: str, limit: int) -> None:
    """What waits, oldest first."""
    rows = session.one("queue.list", destination=destination, address=address, limit=limit)
    if session.as_json:
        session.show(rows, lambda: None)
        return
    flat = [
        {
            "id": row["id"],
            "since": row["created_at"],
            "size": row["size"],
            "from": row["sender"] or "<>",
            "to": recipient["address"],
            "state": recipient["state"],
            "tries": recipient["attempts"],
            "next": recipient["next_attempt_at"],
            "deliver_by": _deliver_by(row),
            "last_reply": recipient["last_reply"],
        }
        for row in rows
        for recipient in row["recipients"]
    ]
    columns = dict.fromkeys(
        ("id", "since", "size", "from", "to", "state", "tries", "next", "deliver_by", "last_reply"), plain
    )
    if not any(row["by_mode"] for row in rows):  # few senders set a time
        del columns["deliver_by"]
    session.table(flat, columns | {"since": moment, "size": octets, "next": moment})


def _deliver_by(row: dict[str, Any]) -> str:
    """The time that the sender has set, and what happens then (RFC 2852 §4); empty: none."""
    if not row["by_mode"]:
        return ""
    then = "returned" if row["by_mode"].startswith("R") else "sender told"
    return f"{moment(row['deliver_by'])} ({then})"


@queue.command("show")
@click.argument("id", type=int)
@take_session
def show(session: Session, id: int) -> None:
    """One queued message with the outcome of every recipient's last attempt."""
    row = session.one("queue.show", id=id)
    session.show(row, lambda: _detail(row))


def _detail(row: dict[str, Any]) -> None:
    say(f"{row['id']}  {row['trace_id']}  from <{row['sender']}>  {octets(row['size'])}")
    click.echo(f"queued {moment(row['created_at'])}")
    if by := _deliver_by(row):
        click.echo(f"deliver by {by}")
    for recipient in row["recipients"]:
        say(f"  {recipient['address']}: {recipient['state']}, {recipient['attempts']} attempts")
        if recipient["last_at"]:
            where = " ".join(filter(None, (recipient["last_host"], recipient["last_tls"])))
            say(f"    {moment(recipient['last_at'])}  {where}  {recipient['last_reply']}")
        if recipient["state"] == "waiting":
            click.echo(f"    next attempt {moment(recipient['next_attempt_at'])}")


def _change(session: Session, action: str, ids: tuple[int, ...], everything: bool) -> None:
    if bool(ids) == everything:
        raise click.UsageError("give IDs, or --all")
    if everything:
        count = session.one("queue.change-all", action=action)
    else:
        count = session.one("queue.change", action=action, ids=ids)
    session.show({"recipients": count}, lambda: click.echo(f"{action}: {count} recipients"))


def _verb(action: str, what: str) -> None:
    """A verb that acts on messages."""

    @queue.command(action, help=what)
    @click.argument("ids", nargs=-1, type=int)
    @click.option("--all", "everything", is_flag=True, help="Everything in the queue.")
    @take_session
    def act(session: Session, ids: tuple[int, ...], everything: bool) -> None:
        _change(session, action, ids, everything)


for _action, _what in (
    ("retry", "Try messages now."),
    ("hold", "Keep messages back until they are released."),
    ("release", "Let held messages go."),
    ("drop", "Take messages out of the queue without a bounce."),
    ("fail", "Try messages once more, then give them up with a bounce."),
):
    _verb(_action, _what)


@queue.command("flush")
@click.argument("domain", default="")
@take_session
def flush(session: Session, domain: str) -> None:
    """Try everything for a domain (or all) now."""
    count = session.one("queue.flush", destination=domain)
    session.show({"recipients": count}, lambda: click.echo(f"{count} recipients are due now"))


@queue.command("suppress")
@click.argument("addresses", nargs=-1)
@click.option("--reason", metavar="TEXT", default="", help="Why; senders are told.")
@click.option("--remove", is_flag=True, help="Send to ADDRESSES again.")
@click.option(
    "--limit", type=click.IntRange(1), default=1000, show_default=True, help="List at most so many."
)
@take_session
def suppress(session: Session, addresses: tuple[str, ...], reason: str, remove: bool, limit: int) -> None:
    """Send nothing to ADDRESSES; without any, show the suppression list.

    What other hosts refuse again and again because nobody has the address is added by itself
    (outbound.suppress_after); until then it is shown as suggested.
    """
    if addresses and remove:
        if reason:
            raise click.UsageError("--reason goes with adding")
        count = session.one("suppress.remove", addresses=addresses)
        session.show({"removed": count}, lambda: click.echo(f"removed {count}"))
    elif addresses:
        count = session.one("suppress.add", addresses=addresses, reason=reason)
        session.show({"added": count}, lambda: click.echo(f"added {count}"))
    elif remove or reason:
        raise click.UsageError("give ADDRESSES")
    else:
        _suppressed(session, session.one("suppress.list", limit=limit))


def _suppressed(session: Session, rows: list[dict[str, Any]]) -> None:
    columns = {
        "address": plain,
        "active": lambda active: "suppressed" if active else "suggested",
        "failures": lambda failures: str(failures) if failures else "by hand",
        "at": moment,
        "reason": plain,
    }
    session.table(rows, columns)
