"""The POP3 server on a connection: login, the loop over commands, messages out, deletion at QUIT.

RFC 1939 whole (but APOP), CAPA and response codes (2449, 3206), STLS (2595), AUTH (5034), UTF8 and LANG
(6856). Nothing a client does changes the store before QUIT, which is one commit; a session that ends
otherwise deletes nothing, and reading sets no flag.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.errors import NotFound, Temporary
from posthouse.net.buffer import BareLineFeed, LineTooLong
from posthouse.net.connection import Connection
from posthouse.net.faults import ConnectionFault, ShuttingDown
from posthouse.pop3 import core
from posthouse.pop3.core import Command, Refusal, State
from posthouse.pop3.entrance import Entrance, Services
from posthouse.pop3.languages import DEFAULT, Say
from posthouse.pop3.locks import LocalLocks, MaildropLocks
from posthouse.pop3.surrogate import surrogate
from posthouse.pop3.text import Stuffer, Top, stuff
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, Store
from posthouse.store.model import Stored

log: Final = logging.getLogger(__name__)

BUSY: Final = core.error(DEFAULT, Refusal(Say.BUSY, code="SYS/TEMP"))
"""What the listener says to a connection over the limit."""


class Pop3Server:
    """Serves connections; `serve` is what a listener calls."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        hostname: str,
        plaintext: str = "loopback",
        tls: ssl.SSLContext | None = None,
        locks: MaildropLocks | None = None,
    ) -> None:
        """`plaintext`: as config.Auth; `tls`: for STLS; `locks`: shared by all servers on one store."""
        self._services = Services(
            store=store,
            directory=directory,
            hostname=hostname,
            plaintext=plaintext,
            tls=tls,
            locks=locks or LocalLocks(),
        )

    async def serve(self, connection: Connection) -> None:
        """Talk to one client until it leaves or is sent away. The caller closes the connection."""
        session = Session(self._services, connection)
        try:
            await session.converse()
        except ShuttingDown:
            session.refuse(Refusal(Say.SHUTTING_DOWN, code="SYS/TEMP"))
        except ConnectionFault as fault:
            # RFC 1939 §3: the autologout timer closes without any response, and removes nothing.
            log.debug("ended session=%s reason=%s", connection.session_id, fault)
        finally:
            await session.let_go()


class Session(Entrance):
    """One conversation: the loop, and the commands on an open maildrop."""

    __slots__ = ()

    # --- the loop --------------------------------------------------------------------------------

    async def converse(self) -> None:
        """Greet, and answer commands until QUIT or too many errors. Raises ConnectionFault."""
        connection = self._connection
        connection.set_idle_timeout(limits.POP3_AUTOLOGOUT)
        connection.set_total_timeout(limits.POP3_LOGIN_TIME)
        self._say(Say.READY, self._services.hostname)
        in_a_row = 0
        while self._state is not State.UPDATE:
            try:
                await self._answer(await self._read_command())
                self._bad = 0
            except Refusal as refusal:
                self.refuse(refusal)
                if refusal.bad:
                    self._bad += 1
                if self._bad >= limits.POP3_BAD or self._failed_logins >= limits.POP3_LOGINS:
                    self.refuse(Refusal(Say.TOO_MANY_ERRORS))
                    return
            await connection.drain()
            in_a_row = in_a_row + 1 if connection.buffered else 0
            if in_a_row >= limits.POP3_TURN:
                in_a_row = 0
                await asyncio.sleep(0)

    async def _read_command(self) -> Command:
        try:
            line = await self._connection.read_line(limits.POP3_LINE)
        except BareLineFeed as told:
            line = told.line  # people who type into a bare socket; nothing here depends on the CR
        except LineTooLong:
            raise Refusal(Say.LINE_TOO_LONG, bad=True) from None
        return core.parse(line, self._state)

    async def _answer(self, command: Command) -> None:
        try:
            await HANDLERS[command.rule.name](self, command)
        except NotFound:
            raise Refusal(Say.TRY_LATER, code="SYS/PERM") from None
        except Temporary as error:
            log.warning("deferred session=%s reason=%s", self._connection.session_id, error.public)
            raise Refusal(Say.TRY_LATER, code="SYS/TEMP") from error
        except (Refusal, ConnectionFault):
            raise
        except Exception:
            fault = secrets.token_hex(4)
            log.exception("fault id=%s session=%s", fault, self._connection.session_id)
            raise Refusal(Say.FAULT, fault, code="SYS/TEMP") from None

    # --- the maildrop ----------------------------------------------------------------------------

    async def _stat(self, command: Command) -> None:
        self._connection.write(self._maildrop.stat())

    async def _list(self, command: Command) -> None:
        if command.numbers:
            self._connection.write(self._maildrop.list_one(command.numbers[0]))
            return
        first = core.ok(self._language, Say.LISTING, self._maildrop.total)
        self._connection.write(first + self._maildrop.list_all())

    async def _uidl(self, command: Command) -> None:
        if command.numbers:
            self._connection.write(self._maildrop.uidl_one(command.numbers[0]))
            return
        first = core.ok(self._language, Say.LISTING, self._maildrop.total)
        self._connection.write(first + self._maildrop.uidl_all())

    async def _delete(self, command: Command) -> None:
        self._maildrop.delete(command.numbers[0])
        self._say(Say.MARKED, command.numbers[0])

    async def _reset(self, command: Command) -> None:
        self._maildrop.reset()
        self._say(Say.MAILDROP, self._maildrop.total, self._maildrop.octets)

    async def _noop(self, command: Command) -> None:
        self._say(Say.NOTHING_DONE)

    async def _retrieve(self, command: Command) -> None:
        stored = await self._find(command.numbers[0])
        if stored.size > limits.POP3_WHOLE:
            await self._send_chunks(stored, None)
            return
        message = self._readable(await self._services.store.read(stored))
        self._connection.write(core.ok(self._language, Say.OCTETS, len(message)) + stuff(message))

    async def _top(self, command: Command) -> None:
        stored = await self._find(command.numbers[0])
        await self._send_chunks(stored, Top(command.numbers[1]))

    async def _find(self, number: int) -> Stored:
        email_id = self._maildrop.email_ids[self._maildrop.position(number)]
        (stored,) = await self._services.store.stored(self._account_id, (email_id,))
        if stored is None:
            raise Refusal(Say.MESSAGE_GONE, number)
        return stored

    def _readable(self, beginning: bytes) -> bytes:
        return beginning if self._utf8 or beginning.isascii() else surrogate(beginning)

    async def _send_chunks(self, stored: Stored, top: Top | None) -> None:
        """Send a message, or its top, in pieces. The first reply line goes out with the first piece."""
        connection, stuffer, begun = self._connection, Stuffer(), False
        try:
            async for chunk in self._services.store.chunks(stored):
                if not begun:
                    first = self._readable(chunk)
                    octets = stored.size + len(first) - len(chunk)
                    chunk, begun = first, True
                    say = (Say.OCTETS, octets) if top is None else (Say.TOP_FOLLOWS,)
                    connection.write(core.ok(self._language, *say))
                connection.write(stuffer.take(chunk if top is None else top.take(chunk)))
                await connection.drain()
                if top is not None and top.done:
                    break
        except Exception:  # faults of ours too: -ERR would be taken for a line of the message
            if begun:  # never let half a message look like a whole one
                log.warning("message cut off session=%s", connection.session_id)
                connection.abort()
            raise
        connection.write(stuffer.end())

    # --- the end ---------------------------------------------------------------------------------

    async def _quit(self, command: Command) -> None:
        # RFC 1939 §6: only QUIT in the TRANSACTION state enters the UPDATE state and removes messages.
        uids = self._maildrop.deleted_uids()
        account_id = self._account_id
        self._state = State.UPDATE
        try:
            if uids:
                await self._services.store.apply(
                    Expunge(
                        account_id=account_id,
                        mailbox_id=self._mailbox_id,
                        uids=Ranges.of_sorted(uids),
                        force=True,
                    )
                )
        except Temporary as error:
            log.warning("not removed session=%s reason=%s", self._connection.session_id, error.public)
            raise Refusal(Say.NOT_REMOVED, code="SYS/TEMP") from error
        finally:
            await self.let_go()
        if uids:
            log.info("removed session=%s messages=%d", self._connection.session_id, len(uids))
            self._say(Say.REMOVED, len(uids))
        else:
            self._say(Say.GOODBYE)


Handler = Callable[[Session, Command], Awaitable[None]]
HANDLERS: Final[Mapping[str, Handler]] = {
    "USER": Session._user_name,
    "PASS": Session._password,
    "AUTH": Session._auth,
    "STLS": Session._stls,
    "UTF8": Session._utf8_mode,
    "STAT": Session._stat,
    "LIST": Session._list,
    "UIDL": Session._uidl,
    "RETR": Session._retrieve,
    "TOP": Session._top,
    "DELE": Session._delete,
    "RSET": Session._reset,
    "NOOP": Session._noop,
    "CAPA": Session._capa,
    "LANG": Session._lang,
    "QUIT": Session._quit,
}
