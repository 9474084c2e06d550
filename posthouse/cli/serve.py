"""`posthouse serve`: run the post office."""

from __future__ import annotations

import os
from pathlib import Path

import click

from posthouse.cli.session import Session, take_session


@click.command()
@click.option(
    "--roles",
    metavar="LIST",
    default="",
    help="Only these: mx, submission, lmtp, imap, pop3, sieve, web, queue, jobs.",
)
@click.option(
    "--ready-file", metavar="PATH", type=click.Path(path_type=Path), help="Written when all listens."
)
@click.option("--pid-file", metavar="PATH", type=click.Path(path_type=Path), help="Our process id.")
@click.option(
    "--until-eof", is_flag=True, help="Stop also when standard input ends (for programs that start one)."
)
@take_session
def serve(
    session: Session, roles: str, ready_file: Path | None, pid_file: Path | None, until_eof: bool
) -> None:
    """Run the post office until SIGTERM.

    Prints `ready` when every listener accepts; SIGHUP rereads the configuration.
    """
    from posthouse.config import find
    from posthouse.supervisor import Run, supervise

    code = supervise(
        Run(
            config=session.config,
            config_file=find(session.config_file, os.environ),
            roles=tuple(role.strip() for role in roles.split(",") if role.strip()),
            ready_file=ready_file,
            pid_file=pid_file,
            until_eof=until_eof,
        )
    )
    click.get_current_context().exit(code)
