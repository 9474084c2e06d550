"""`posthouse account`: people with mailboxes."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.masked import masked
from posthouse.cli.session import (
    Noun,
    Session,
    moment,
    octets,
    password_options,
    plain,
    quota,
    read_file,
    read_password,
    read_size,
    take_session,
    yes,
)

COLUMNS = {
    "address": plain,
    "name": plain,
    "messages": plain,
    "octets": octets,
    "quota": quota,
    "admin": yes,
    "disabled": yes,
}


@click.group(cls=Noun)
def account() -> None:
    """People with mailboxes."""


account.add_command(masked)
quota_option = click.option("--quota", metavar="SIZE", callback=read_size, help='As "2GB"; 0: the default.')


@account.command("add")
@click.argument("address")
@password_options
@click.option("--name", default="", help="The person's name.")
@quota_option
@click.option("--admin", is_flag=True, help="An administrator: gets mail for postmaster.")
@take_session
def add(
    session: Session,
    address: str,
    password: str | None,
    password_stdin: bool,
    name: str,
    quota: int | None,
    admin: bool,
) -> None:
    """Give somebody mailboxes."""
    secret = read_password(password, password_stdin)
    row = session.one(
        "account.add", address=address, password=secret, name=name, quota=quota or 0, admin=admin
    )
    session.show(row, lambda: click.echo(f"added {row['address']}"))


@account.command("import")
@click.argument("file", metavar="FILE.csv")
@take_session
def import_(session: Session, file: str) -> None:
    """Add accounts from a CSV file (- for standard input).

    Columns by its first line: address, password or hash, and any of scram, name, quota, admin, disabled.
    """
    answer = session.one("account.import", read_file(file))
    session.show(answer, lambda: _imported(answer))
    if answer["refused"]:
        click.get_current_context().exit(1)


def _imported(answer: dict[str, Any]) -> None:
    for item in answer["refused"]:
        click.echo(f"line {item['line']}: {item['address']}: {item['reason']}", err=True)
    click.echo(f"added {answer['added']}, refused {len(answer['refused'])}")


@account.command("list")
@click.argument("domain", default="")
@take_session
def list_(session: Session, domain: str) -> None:
    """All accounts, or those of a domain."""
    session.table(session.one("account.list", domain=domain), COLUMNS)


@account.command("show")
@click.argument("address")
@take_session
def show(session: Session, address: str) -> None:
    """All about one account."""
    detail = session.one("account.show", address=address)
    session.show(detail, lambda: _detail(detail))


def _detail(detail: dict[str, Any]) -> None:
    for key, write in COLUMNS.items():
        click.echo(f"{key:<14}{write(detail[key])}")
    click.echo(f"{'since':<14}{moment(detail['created_at'])}")
    click.echo(f"{'aliases':<14}{plain(detail['aliases'])}")
    for name, messages, unseen in detail["mailboxes"]:
        click.echo(f"{'mailbox':<14}{name}: {messages} messages, {unseen} unseen")
    for item in detail["app_passwords"]:
        used = moment(item["last_used_at"]) or "never"
        click.echo(f"{'app password':<14}{item['id']}: {item['name']}, last used {used}")


@account.command("passwd")
@click.argument("address")
@password_options
@take_session
def passwd(session: Session, address: str, password: str | None, password_stdin: bool) -> None:
    """Set a new password."""
    session.one("account.passwd", address=address, password=read_password(password, password_stdin))
    session.show({"changed": address}, lambda: click.echo(f"changed the password of {address}"))


@account.command("set")
@click.argument("address")
@click.option("--name", help="The person's name.")
@click.option("--admin/--no-admin", default=None, help="An administrator, or not.")
@take_session
def set_(session: Session, address: str, name: str | None, admin: bool | None) -> None:
    """Change an account."""
    session.table([session.one("account.set", address=address, name=name, admin=admin)], COLUMNS)


@account.command("disable")
@click.argument("address")
@take_session
def disable(session: Session, address: str) -> None:
    """Let nobody log in; the mail stays."""
    session.table([session.one("account.set", address=address, disabled=True)], COLUMNS)


@account.command("enable")
@click.argument("address")
@take_session
def enable(session: Session, address: str) -> None:
    """Undo `disable`."""
    session.table([session.one("account.set", address=address, disabled=False)], COLUMNS)


@account.command("quota")
@click.argument("address")
@click.argument("size", required=False, callback=read_size)
@take_session
def quota_(session: Session, address: str, size: int | None) -> None:
    """Show or set how much an account may hold ("2GB"; 0: the default)."""
    if size is None:
        row = session.one("account.show", address=address)
    else:
        row = session.one("account.set", address=address, quota=size)
    session.table([row], {key: COLUMNS[key] for key in ("address", "octets", "messages", "quota")})


@account.command("remove")
@click.argument("address")
@click.option("--yes", "sure", is_flag=True, help="Do not ask.")
@take_session
def remove(session: Session, address: str, sure: bool) -> None:
    """Remove an account with all its mail."""
    if not sure:
        click.confirm(f"Remove {address} and all its mail?", abort=True, err=True)
    session.one("account.remove", address=address)
    session.show({"removed": address}, lambda: click.echo(f"removed {address}"))


@account.command("app-password")
@click.argument("address")
@click.argument("name", required=False)
@click.option("--revoke", type=int, metavar="ID", help="End one.")
@take_session
def app_password(session: Session, address: str, name: str | None, revoke: int | None) -> None:
    """Make a password for one device (NAME), end one, or list them."""
    if revoke is not None:
        session.one("app-password.revoke", address=address, id=revoke)
        session.show({"revoked": revoke}, lambda: click.echo(f"revoked {revoke}"))
    elif name is not None:
        made = session.one("app-password.add", address=address, name=name)
        session.show(made, lambda: click.echo(f"{made['password']}    (shown this once)"))
    else:
        known = session.one("account.show", address=address)["app_passwords"]
        columns = {"id": plain, "name": plain, "created_at": moment, "last_used_at": moment}
        session.table(known, columns)


@account.command("release")
@click.argument("address", required=False)
@take_session
def release(session: Session, address: str | None) -> None:
    """Let go what an account sent while it was held for sending in an unusual way; without ADDRESS list who is held."""
    if address is None:
        session.table(session.one("account.held"), {"address": plain, "why": plain})
        return
    done = session.one("account.release", address=address)
    session.show(
        done, lambda: click.echo(f"released {done['address']}: {done['recipients']} recipients may go")
    )
