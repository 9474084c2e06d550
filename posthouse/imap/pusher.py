"""Tells a client what changes while it has nothing to say: during IDLE, and with NOTIFY between commands too.

While it waits a session is one coroutine that reads a line, and a callback. Each change starts one short task that
tells and writes; further changes during it are told by the same task. A client that is slow to take what it is told
has one task waiting for it, and nothing gathers behind that. With NOTIFY, where all changes of an account are heard, a
pause follows each push.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.imap.session import Session
from posthouse.net.faults import ConnectionFault

log = logging.getLogger("posthouse.imap")


class Pusher:
    """Tells a client what changes, one task at a time."""

    __slots__ = ("_again", "_session", "_task")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._task: asyncio.Task[None] | None = None
        self._again = False

    @property
    def expunges(self) -> bool:
        """Whether expunges may be told. RFC 2177 §3: in IDLE all updates may come: the command is in progress."""
        return True

    def start(self) -> None:
        """Push what is to be told now and from now on. All output must have been handed over before."""
        if self._session.view is not None:
            self._session.view.rest()
        self._listen(self.heard)
        self.heard()

    def _listen(self, heard: Callable[[], None] | None) -> None:
        session = self._session
        if session.view is not None:
            session.view.on_change = heard
        if session.notices is not None:
            session.notices.on_change = heard

    def heard(self) -> None:
        """Something may have changed."""
        if self._task is not None:
            self._again = True
        elif self._session.behind(self.expunges):
            self._task = asyncio.get_running_loop().create_task(self._push())

    async def _push(self) -> None:
        try:
            await self._tell()
        except Temporary:
            pass  # what could not be read now is told with the next change or command
        except ConnectionFault:
            pass  # the waiting read hears of it as well, and ends the session
        except Exception:
            log.exception("fault session=%s command=IDLE", self._session.connection.session_id)
        finally:
            self._task = None

    async def _tell(self) -> None:
        self._again = True
        while self._again:
            self._again = False
            await self._session.tell(self.expunges)
            await self._session.flush()

    async def stop(self) -> None:
        """Let a push under way finish, so that lines do not mix with the next command's."""
        self._listen(None)
        if self._task is not None:
            await asyncio.wait((self._task,))


class PacedPusher(Pusher):
    """The same with a pause after each push."""

    __slots__ = ("_between", "_timer")

    def __init__(self, session: Session, *, between: bool) -> None:
        """`between`: no command is in progress."""
        super().__init__(session)
        self._between = between
        self._timer: asyncio.TimerHandle | None = None

    @property
    def expunges(self) -> bool:
        """RFC 5465 §6.1.2: with SELECTED-DELAYED they wait for a command."""
        notices = self._session.notices
        return not (self._between and notices is not None and notices.delayed)

    def heard(self) -> None:
        """Something may have changed."""
        if self._timer is None:
            super().heard()

    async def _tell(self) -> None:
        await self._session.tell(self.expunges)
        await self._session.flush()
        self._timer = asyncio.get_running_loop().call_later(limits.NOTIFY_PAUSE, self._rested)

    def _rested(self) -> None:
        self._timer = None
        self.heard()

    async def stop(self) -> None:
        """See `Pusher.stop`; what waits for the pause is told with the command that comes."""
        await super().stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


async def line_between_commands(session: Session) -> bytes:
    """The client's next line; until it comes, it is told at once of what happens."""
    pusher = PacedPusher(session, between=True)
    pusher.start()
    try:
        return await session.read_line()
    finally:
        await pusher.stop()
