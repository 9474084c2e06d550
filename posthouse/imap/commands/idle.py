"""IDLE (RFC 2177, RFC 9051 §6.3.13): changes are pushed as they happen, until the client says DONE."""

from __future__ import annotations

from typing import Final

from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, Completion, no_arguments
from posthouse.imap.pusher import PacedPusher, Pusher
from posthouse.imap.session import Session


async def run_idle(session: Session, args: None) -> Completion:
    """Push until DONE. RFC 5465 §4: with NOTIFY exactly what it asks for."""
    session.send(b"+ idling\r\n")
    await session.flush()  # before anything is pushed: two tasks must not wait for one slow client at once
    pusher: Pusher | None = None
    if session.notices is not None:
        pusher = PacedPusher(session, between=False)
    elif session.view is not None:
        pusher = Pusher(session)
    if pusher is not None:
        pusher.start()
    try:
        # Thousands wait here: what is waited for stands in this very function, so that a session has one frame less.
        line = await session.read_line()
    finally:
        if pusher is not None:
            await pusher.stop()
    if line.strip().upper() != b"DONE":
        raise Bad("DONE expected")
    return Completion(text="IDLE completed")


IDLE: Final = Command(
    name=b"IDLE",
    states=AUTHENTICATED,
    parse=no_arguments,
    run=run_idle,
    waits=True,
    capabilities=(b"IDLE",),
    rfc="RFC 9051 §6.3.13",
)
ROWS: Final = (IDLE,)
