"""`posthouse certificate`: what our TLS listeners show."""

from __future__ import annotations

from typing import Any

import click

from posthouse.cli.session import Noun, Session, moment, say, take_session


@click.group(cls=Noun)
def certificate() -> None:
    """The certificate of our TLS listeners."""


@certificate.command("show")
@take_session
def show(session: Session) -> None:
    """Its names, who issued it, until when it is good."""
    row = session.one("certificate.show")
    session.show(row, lambda: _tell(row))


@certificate.command("plan")
@take_session
def plan(session: Session) -> None:
    """What would be ordered of the authority (`tls.acme`) now: the names that lead here, those left out, and when.

    Exit code 1 when nothing can be ordered.
    """
    row = session.one("certificate.plan")
    session.show(row, lambda: _tell_plan(row))
    if row["why_not"]:
        raise SystemExit(1)


@certificate.command("renew")
@click.option("--new-key", is_flag=True, help="With a new key: TLSA records must then be published anew.")
@take_session
def renew(session: Session, new_key: bool) -> None:
    """Order a new certificate of the authority (`tls.acme`) now, with all names, and show it without a restart.

    The server must run: the authority looks for its answers there. Nobody needs this for renewals, which come by
    themselves; authorities limit how many there may be in a week.
    """
    session.one("certificate.renew", new_key=new_key)
    row = session.one("certificate.show")
    session.show(row, lambda: _tell(row))


def _tell(row: dict[str, Any]) -> None:
    say(f"{row['path']}{'' if row['own'] else '  (self-signed, made by us)'}")
    say(f"for {', '.join(row['names'])}, issued by {row['issuer']}")
    click.echo(f"{moment(row['not_before'])} to {moment(row['not_after'])}, {row['days_left']} days left")
    click.echo(f"SHA-256 {row['fingerprint']}")
    if (standing := row["acme"]) is not None:
        _tell_standing(standing)


def _tell_standing(standing: dict[str, Any]) -> None:
    if standing["renew_at"]:
        say(f"renewed by {standing['directory']}, about {moment(standing['renew_at'])}")
    else:
        say(f"to be ordered of {standing['directory']}")
    if standing["fault"]:
        again = f", tried again {moment(standing['try_at'])}" if standing["try_at"] else ""
        say(f"failed {moment(standing['fault_at'])}{again}: {standing['fault']}")
    _tell_left_out(standing)


def _tell_left_out(row: dict[str, Any]) -> None:
    for one in row["left_out"]:
        say(f"left out: {one['name']} ({one['why']})")


def _tell_plan(row: dict[str, Any]) -> None:
    say(f"of {row['directory']}")
    say(f"for {', '.join(row['names'])}")
    _tell_left_out(row)
    if row["why_not"]:
        say(f"nothing can be ordered: {row['why_not']}")
    elif row["due"]:
        say(f"due now: {row['due']}")
    else:
        say(f"not due before {moment(row['renew_at'])}")
    if row["try_at"]:
        say(f"after a failure not tried before {moment(row['try_at'])}")
