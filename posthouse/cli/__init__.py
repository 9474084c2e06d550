"""The command `posthouse [-c FILE] NOUN VERB …`: thin. What a command does is in `operations`, `app` and their kin.

A noun's module is imported only when it is used, so that `posthouse --help` and completion answer at once. Exit
codes: 0 fine, 1 a finding or a refusal, 2 wrong usage or configuration.
"""

from __future__ import annotations

import importlib
import io
import sys
from typing import Any, Final, NoReturn

import click

from posthouse import __version__

COMMANDS: Final = {
    "serve": "Run the post office.",
    "quickstart": "Configuration, domain, first account, keys, DNS records, checks.",
    "playground": "A small internet on this machine, to look at and to test with.",
    "domain": "Domains whose mail we take.",
    "account": "People with mailboxes.",
    "alias": "Addresses that stand for others.",
    "list": "Mailing lists and their members.",
    "sieve": "The filter scripts of accounts.",
    "queue": "Mail that waits to leave.",
    "mx": "The mail hosts of a domain, in delivery order.",
    "trace": "Explain the whole route to an address.",
    "spam": "Teach the junk filter, ask it why.",
    "message": "The life of a message.",
    "reports": "DMARC and TLS reports, received and sent.",
    "certificate": "The certificate of our TLS listeners.",
    "import": "Take mail from mbox files, a Maildir, an IMAP server.",
    "export": "Give an account's mail to mbox files, a Maildir, an IMAP server.",
    "store": "Move the mail store to a cluster's database, and back.",
    "backup": "Copy everything, while it is in use.",
    "restore": "Everything, an account or a message from a backup.",
    "verify": "Read everything, and mend what can be mended.",
    "sendmail": "Hand in a message (for local programs).",
    "config": "Check, show, describe the configuration.",
    "status": "Is the house in order?",
}
"""Name → the line in `posthouse --help`. Each lives in the module of its name, but for those of ELSEWHERE."""

ELSEWHERE: Final = {
    "list": ("mailing_list", "mailing_list"),
    "import": ("transfer", "import_"),
    "export": ("transfer", "export"),
    "verify": ("backup", "verify"),
}
"""Name → module and function."""


class Menu(click.Group):
    """The nouns, imported when used; turns our errors into a line and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All nouns, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The noun's command, from its module."""
        if cmd_name not in COMMANDS:
            return None
        place, function = ELSEWHERE.get(cmd_name, (cmd_name, cmd_name))
        found = getattr(importlib.import_module(f"posthouse.cli.{place}"), function)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest noun when there is none of this name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"no command {args[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run; an error of ours is one line on standard error and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has gone: nothing to say
            ctx.exit(1)
        except Exception as fault:
            _fail(ctx, fault)


def _fail(ctx: click.Context, fault: Exception) -> NoReturn:
    from posthouse.cli.session import say
    from posthouse.config import ConfigError
    from posthouse.errors import PosthouseError, told_to_administrators

    if not isinstance(fault, PosthouseError | ValueError | OSError):
        raise fault
    say(f"posthouse: {told_to_administrators(fault)}", err=True)
    usage = isinstance(fault, ConfigError | ValueError) or getattr(fault, "kind", "") == "Usage"
    ctx.exit(2 if usage else 1)


@click.group(cls=Menu, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-c", "--config", "config", metavar="FILE", help="The configuration file.")
@click.version_option(__version__, prog_name="posthouse")
@click.pass_context
def main(ctx: click.Context, config: str | None) -> None:
    """A post office: mail in by SMTP, out by MX, read by POP3 and IMAP.

    The configuration is -c FILE, $POSTHOUSE_CONFIG, ./posthouse.toml or /etc/posthouse/posthouse.toml.
    """
    from posthouse.cli.session import Session

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another character set shows what it can
            stream.reconfigure(errors="backslashreplace")
    ctx.obj = Session(config)
