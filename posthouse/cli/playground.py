"""`posthouse playground`: a small internet on this machine."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from posthouse.playground import Playground


@click.command()
@click.option("--tour", is_flag=True, help="Take free ports, tell the story, leave.")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep everything here; a second start continues.",
)
@click.option(
    "--scenario",
    metavar="NAME",
    default="standard",
    help="Begin as: standard, primary-away, null-mx, signed.",
)
def playground(tour: bool, keep: Path | None, scenario: str) -> None:
    """A small internet on this machine: DNS, two domains, a backup MX, made of ordinary post offices."""
    from posthouse.playground import Playground

    net = Playground(keep, scenario=scenario, published=not tour)
    click.get_current_context().exit(asyncio.run(_tell(net) if tour else _show(net)))


async def _tell(net: Playground) -> int:
    from posthouse.playground.tour import tour

    async with net:
        await tour(net, click.echo)
    return 0


async def _show(net: Playground) -> int:
    from posthouse.playground.panel import show_live, show_plain

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with net:
        if sys.stdout.isatty():
            from rich.console import Console

            await show_live(net, Console(), ended)
        else:
            await show_plain(net, _say_at_once, ended)
    return 0


def _say_at_once(line: str) -> None:
    click.echo(line)
    sys.stdout.flush()
