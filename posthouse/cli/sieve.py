"""`posthouse sieve`: people's filter scripts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from posthouse.cli.session import Noun, Session, octets, plain, say, take_session, yes

COLUMNS: Mapping[str, Callable[[Any], str]] = {"name": plain, "active": yes, "octets": octets}


@click.group(cls=Noun)
def sieve() -> None:
    """The filter scripts of accounts (docs/filters.md): looked at, put, checked, tried."""


@sieve.command("list")
@click.argument("address")
@take_session
def list_(session: Session, address: str) -> None:
    """The scripts of ADDRESS."""
    session.table(session.one("sieve.list", address=address), COLUMNS)


@sieve.command("show")
@click.argument("address")
@click.argument("name", default="")
@take_session
def show(session: Session, address: str, name: str) -> None:
    """The text of one script of ADDRESS; without NAME, of the active one."""
    found = session.one("sieve.show", address=address, name=name)
    session.show(found, lambda: click.echo(found["text"].encode(), nl=False))


@sieve.command("put")
@click.argument("address")
@click.argument("name")
@click.argument("file", type=click.File("rb"))
@click.option("--activate", is_flag=True, help="Let it act on what comes, instead of another one.")
@take_session
def put(session: Session, address: str, name: str, file: Any, activate: bool) -> None:
    """Keep FILE (- for standard input) as the script NAME of ADDRESS, when it is one."""
    kept = session.one("sieve.put", file.read(), address=address, name=name, activate=activate)
    session.show(kept, lambda: say(f"kept {kept['name']}{', active' if kept['active'] else ''}"))


@sieve.command("activate")
@click.argument("address")
@click.argument("name", default="")
@click.option("--none", is_flag=True, help="No script acts any more; without NAME.")
@take_session
def activate(session: Session, address: str, name: str, none: bool) -> None:
    """Let the script NAME of ADDRESS act on what comes, instead of another one."""
    if bool(name) == none:
        raise click.UsageError("say either NAME or --none")
    if none:
        session.one("sieve.deactivate", address=address)
    else:
        session.one("sieve.activate", address=address, name=name)
    session.show({"active": name or None}, lambda: say(f"{name} is active" if name else "none is active"))


@sieve.command("remove")
@click.argument("address")
@click.argument("name")
@take_session
def remove(session: Session, address: str, name: str) -> None:
    """Remove a script of ADDRESS that is not active."""
    session.one("sieve.remove", address=address, name=name)
    session.show({"removed": name}, lambda: say(f"removed {name}"))


@sieve.command("check")
@click.argument("file", type=click.File("rb"))
@take_session
def check(session: Session, file: Any) -> None:
    """Whether FILE (- for standard input) can be a script; exit 1 and its faults by line when it cannot."""
    from posthouse.sieve.faults import SieveError
    from posthouse.sieve.validate import compile_script

    try:
        requires = sorted(compile_script(file.read()).requires)
    except SieveError as error:
        faults = [{"line": fault.line, "text": fault.text} for fault in error.faults]
        said = "\n".join(map(str, error.faults))
        session.show({"faults": faults}, lambda: say(said))
        raise SystemExit(1) from None
    needs = f"; it requires {', '.join(requires)}" if requires else ""
    session.show({"faults": [], "requires": requires}, lambda: say(f"a script{needs}"))


@sieve.command("test")
@click.argument("address")
@click.argument("message", type=click.File("rb"))
@click.option("--script", type=click.File("r"), help="This file, instead of the active script.")
@click.option(
    "--from", "sender", metavar="ADDRESS", default="", help="Its envelope sender; else the null one."
)
@click.option(
    "--to", "recipient", metavar="ADDRESS", default="", help="Its envelope recipient; else ADDRESS."
)
@click.option(
    "--spam", type=click.IntRange(0, 100), help="How surely it is junk, in percent; else not judged."
)
@take_session
def test(
    session: Session, address: str, message: Any, script: Any, sender: str, recipient: str, spam: int | None
) -> None:
    """What the script of ADDRESS would do with MESSAGE (a file, - for standard input). Delivers and sends nothing."""
    trial = session.one(
        "sieve.test",
        message.read(),
        address=address,
        script=script.read() if script is not None else "",
        sender=sender,
        recipient=recipient,
        spam=-1 if spam is None else spam,
    )
    session.show(trial, lambda: _print(trial))
    if trial["fault"]:
        raise SystemExit(1)


def _print(trial: dict[str, Any]) -> None:
    if trial["fault"]:
        say(f"fails at {trial['fault']}")
    for deed in trial["deeds"]:
        at = f"  (line {deed['line']})" if deed["line"] else ""
        say(f"{deed['action']:<10}  {deed['what']}{at}")
    for field in trial["fields"]:
        say(f"    {field}")
