"""`posthouse sendmail`: hand in a message, as local programs call /usr/sbin/sendmail.

The options that programs really use; the rest of sendmail's are taken and ignored, as every replacement does.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from posthouse.cli.session import Session, say, take_session

EX_USAGE = 64
EX_UNAVAILABLE = 69
EX_TEMPFAIL = 75
"""sysexits.h: what a program that calls sendmail understands."""


IGNORED: Final = "ABCDLMNORVXehp"
"""Sendmail's further options with a value: it goes with them, and is neither a recipient nor options of its own."""


def _ignored(function: Callable[..., Any]) -> Callable[..., Any]:
    for letter in IGNORED:
        function = click.option(f"-{letter}", f"ignored_{letter}", hidden=True, expose_value=False)(function)
    return function


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("-t", "from_header", is_flag=True, help="Also send to the addresses of To, Cc, Bcc.")
@click.option("-i", "ignore_dots", is_flag=True, help="A line with only a dot does not end the message.")
@click.option("-f", "-r", "sender", metavar="ADDRESS", help="The envelope sender.")
@click.option("-F", "full_name", metavar="NAME", default="", help="The sender's name, when From is missing.")
@click.option("-o", "options", multiple=True, metavar="X", help="Sendmail's options: -oi is -i.")
@click.option("-b", "mode", metavar="X", default="m", help="Only -bm, from standard input.")
@click.argument("recipients", nargs=-1)
@_ignored
@take_session
def sendmail(
    session: Session,
    from_header: bool,
    ignore_dots: bool,
    sender: str | None,
    full_name: str,
    options: tuple[str, ...],
    mode: str,
    recipients: tuple[str, ...],
) -> None:
    """Hand in the message on standard input, for RECIPIENTS and with -t those of its header."""
    context = click.get_current_context()
    if mode != "m":
        click.echo(f"posthouse sendmail: -b{mode} is not supported", err=True)
        context.exit(EX_USAGE)
    wanted = [address for address in recipients if not address.startswith("-")]
    if not wanted and not from_header:
        click.echo("posthouse sendmail: no recipients; give them, or -t", err=True)
        context.exit(EX_USAGE)
    message = _read(whole=ignore_dots or "i" in options)
    answer = session.one(
        "sendmail",
        message,
        sender=sender,
        user=getpass.getuser(),
        full_name=full_name,
        recipients=wanted,
        from_header=from_header,
    )
    refused = [one for one in answer["recipients"] if not one["accepted"]]
    for one in refused:
        say(f"{one['address']}: {one['reply']}", err=True)
    if refused:
        context.exit(EX_TEMPFAIL if all(one["reply"].startswith("4") for one in refused) else EX_UNAVAILABLE)


def _read(*, whole: bool) -> bytes:
    """Standard input; up to a line with only a dot unless `whole` is wanted."""
    if whole:
        return sys.stdin.buffer.read()
    lines: list[bytes] = []
    for line in sys.stdin.buffer:
        if line.rstrip(b"\r\n") == b".":
            break
        lines.append(line)
    return b"".join(lines)
