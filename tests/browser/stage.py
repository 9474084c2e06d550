"""The stage of the browser tests: a playground on free ports with an ordinary week in alice's mailboxes.

python -m tests.browser.stage        open it, print its addresses as one line of JSON, close at the end of stdin
"""

from __future__ import annotations

import asyncio
import imaplib
import json
import smtplib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from posthouse.playground.host import Host
from posthouse.playground.network import Playground
from tests.browser import office
from tests.browser.letters import letters, strangers

PASSWORD: Final = "posthouse"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is."""

    north: str
    """The web address of alice's post office."""
    name: str
    """The same by the one name that is taken for secure without TLS (a passkey belongs to a name, and needs that)."""
    south: str
    """The web address of bob's and carol's."""
    imap: dict[str, tuple[str, int]]
    """Domain → host and port of plain IMAP."""
    smtp: tuple[str, int]
    """Where strangers bring mail for north.test."""
    submission: tuple[str, int]
    """Where north.test's own hand in mail."""


def connect(stage: Stage, address: str) -> imaplib.IMAP4:
    """An IMAP connection of an account."""
    host, port = stage.imap[address.partition("@")[2]]
    client = imaplib.IMAP4(host, port)
    client.login(address, PASSWORD)
    return client


def fill(stage: Stage) -> None:
    """Put the week into alice's mailboxes."""
    client = connect(stage, "alice@north.test")
    now = datetime.now(UTC)
    for name in ("Projects", "Projects/Lighthouse", "Reisen", "合同"):
        client.create(_quoted(name))
    for letter in sorted(letters(now), key=lambda each: -each.minutes):
        moment = now - timedelta(minutes=letter.minutes)
        flags = " ".join(flag for flag in letter.keywords if flag.isascii())
        stamp = imaplib.Time2Internaldate(moment)
        client.append(_quoted(letter.mailbox), f"({flags})", stamp, letter.raw)
    client.logout()


def bring(stage: Stage) -> None:
    """Mail that strangers bring by SMTP, so that it is judged: one pretends, one writes for the first time."""
    with smtplib.SMTP(*stage.smtp) as client:
        for letter in strangers():
            client.sendmail(letter.sender, ["alice@north.test"], letter.raw)


def _quoted(name: str) -> str:
    """A mailbox name in the modified UTF-7 of RFC 3501 §5.1.3."""
    if name.isascii():
        return f'"{name}"'
    packed = name.encode("utf-7").decode("ascii").replace("/", ",")
    return f'"{packed.replace("+", "&")}"'


@asynccontextmanager
async def opened(*, furnished: bool = True, administered: bool = False) -> AsyncIterator[Stage]:
    """A running stage. `administered`: alice is the administrator of a house that has seen a week (`office.py`)."""
    async with office.network() if administered else Playground(published=False) as net:
        north, south = net.host("mx.north.test"), net.host("mx.south.test")
        stage = Stage(
            north=_web(north),
            name=f"http://localhost:{north.ports['http']}",
            south=_web(south),
            imap={"north.test": _door(north, "imap"), "south.test": _door(south, "imap")},
            smtp=_door(north, "smtp"),
            submission=_door(north, "submission"),
        )
        if furnished:
            await asyncio.to_thread(fill, stage)
            await asyncio.to_thread(bring, stage)
        if administered:
            await office.furnish(north)
        yield stage


def _door(host: Host, name: str) -> tuple[str, int]:
    return host.address, host.ports[name]


def _web(host: Host) -> str:
    return f"http://{host.address}:{host.ports['http']}"


async def _main() -> None:
    async with opened(administered=True) as stage:
        print(json.dumps(msgspec.to_builtins(stage)), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_main())
