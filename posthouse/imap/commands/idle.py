"""IDLE (RFC 2177, RFC 9051 §6.3.13): changes are pushed as they happen, until the client says DONE.

While idle a session is one coroutine that waits for a line, and a callback on its view. Each change starts one short
task that tells and writes; further changes during it are told by the same task. No timer runs but the connection's.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from posthouse.errors import Temporary
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, Completion, no_arguments
from posthouse.imap.session import Session
from posthouse.net.faults import ConnectionFault

log = logging.getLogger("posthouse.imap")


class Pusher:
    """Tells an idle client what changes, one task at a time."""

    __slots__ = ("_again", "_session", "_task")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def heard(self) -> None:
        """Something may have changed."""
        if self._task is not None:
            self._again = True
        elif self._session.behind(expunges=True):
            self._task = asyncio.get_running_loop().create_task(self._push())

    async def _push(self) -> None:
        try:
            self._again = True
            while self._again:
                self._again = False
                # RFC 2177 §3: all updates may come during IDLE, EXPUNGE too: the command is in progress.
                await self._session.tell(expunges=True)
                await self._session.flush()
        except Temporary:
            pass  # what could not be read now is told with the next change or command
        except ConnectionFault:
            pass  # the waiting read hears of it as well, and ends the session
        except Exception:
            log.exception("fault session=%s command=IDLE", self._session.connection.session_id)
        finally:
            self._task = None

    async def stop(self) -> None:
        """Let a push under way finish, so that lines do not mix with the next command's."""
        if self._task is not None:
            await asyncio.wait((self._task,))


async def run_idle(session: Session, args: None) -> Completion:
    """Push until DONE."""
    sources = [each for each in (session.view, session.notices) if each is not None]
    session.send(b"+ idling\r\n")
    await session.flush()  # before anything is pushed: two tasks must not wait for one slow client at once
    pusher = None
    if sources:
        pusher = Pusher(session)
        for source in sources:
            source.rest()
            source.on_change = pusher.heard
        pusher.heard()
    try:
        line = await session.read_line()
    finally:
        for source in sources:
            source.on_change = None
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
