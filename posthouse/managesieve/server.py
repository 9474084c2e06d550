"""The ManageSieve server on a connection: the loop over commands, and what they do with an account's scripts.

RFC 5804 whole, but SCRAM with SHA-256 only (sasl/scram.py) and no referrals. Every command that changes something is
one commit (accounts/sieve_scripts.py), and OK comes after that.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.accounts.sieve_shelf import NameTaken, ScriptActive, ScriptTooLarge, TooManyScripts
from posthouse.config import Auth
from posthouse.errors import NotFound, PosthouseError, Temporary
from posthouse.managesieve import replies
from posthouse.managesieve.core import Command, Refusal, State
from posthouse.managesieve.entrance import Entrance, Goodbye, Services
from posthouse.net.connection import Connection
from posthouse.net.faults import ConnectionFault, IdleTimeout, SentAway, ShuttingDown, TotalTimeout
from posthouse.sieve.faults import SieveError

log: Final = logging.getLogger(__name__)

BUSY: Final = replies.bye("Too many connections", b"TRYLATER")
"""What the listener says to a connection over the limit."""

_AUTH: Final = Auth()

# RFC 5804 §1.3: what a fault is called; the first that fits
_CODES: Final[tuple[tuple[type[PosthouseError], str], ...]] = (
    (NotFound, "NONEXISTENT"),
    (NameTaken, "ALREADYEXISTS"),
    (ScriptActive, "ACTIVE"),
    (TooManyScripts, "QUOTA/MAXSCRIPTS"),
    (ScriptTooLarge, "QUOTA/MAXSIZE"),
    (Temporary, "TRYLATER"),
)


class SieveServer:
    """Serves connections; `serve` is what a listener calls."""

    def __init__(
        self,
        *,
        scripts: SieveScripts[Any],
        directory: Directory,
        hostname: str,
        extensions: Sequence[str],
        auth: Auth = _AUTH,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`extensions`: of Sieve; `tls`: for STARTTLS."""
        self._services = Services(
            scripts=scripts,
            directory=directory,
            hostname=hostname,
            plaintext=auth.plaintext,
            tls=tls,
            unauthenticate=auth.unauthenticate,
            extensions=tuple(extensions),
        )

    async def serve(self, connection: Connection) -> None:
        """Talk to one client until it leaves or is sent away. The caller closes the connection."""
        session = Session(self._services, connection)
        try:
            await session.converse()
        except Goodbye as error:
            connection.write(replies.bye(str(error)))
        except (IdleTimeout, TotalTimeout):
            connection.write(replies.bye("Logged out for inactivity"))
        except ShuttingDown:
            connection.write(replies.bye("The server is shutting down", b"TRYLATER"))
        except SentAway:
            connection.write(replies.bye("The login is not good any more"))
        except ConnectionFault as fault:
            log.debug("ended session=%s reason=%s", connection.session_id, fault)
        finally:
            session.let_go()


class Session(Entrance):
    """One conversation: the loop, and the commands on an account's scripts."""

    __slots__ = ()

    async def converse(self) -> None:
        """Greet, and answer commands until LOGOUT. Raises Goodbye, ConnectionFault."""
        connection = self._connection
        self.expect_login()
        self.greet()
        in_a_row = 0
        while self._state is not State.LOGOUT:
            try:
                await self._answer(await self._read_command())
                self._bad = 0
            except Refusal as refusal:
                connection.write(replies.no(refusal))
                self._bad += refusal.bad
                if self._failed_logins >= limits.SIEVE_LOGINS:
                    raise Goodbye("Too many failed logins") from None
                if self._bad >= limits.SIEVE_BAD:
                    raise Goodbye("Too many errors") from None
            await connection.drain()
            in_a_row = in_a_row + 1 if connection.buffered else 0
            if in_a_row >= limits.SIEVE_TURN:
                in_a_row = 0
                await asyncio.sleep(0)

    async def _answer(self, command: Command) -> None:
        try:
            await HANDLERS[command.rule.name](self, command)
        except SieveError as error:
            # RFC 5804 §2.6: all that is wrong, each with its line
            raise Refusal("\r\n".join(map(str, error.faults))) from None
        except PosthouseError as error:
            if isinstance(error, Temporary):
                log.warning("deferred session=%s reason=%s", self._connection.session_id, error.public)
            code = next((code for kind, code in _CODES if isinstance(error, kind)), "")
            raise Refusal(error.public, code) from error
        except (Refusal, Goodbye, ConnectionFault):
            raise
        except Exception:
            fault = secrets.token_hex(4)
            log.exception("fault id=%s session=%s", fault, self._connection.session_id)
            raise Refusal(f"Internal fault {fault}", "TRYLATER") from None

    # --- the scripts -----------------------------------------------------------------------------

    async def _have_space(self, command: Command) -> None:
        shelf = await self._services.scripts.shelf(self._account_id)
        shelf.check_room(command.text(0), command.number(1))
        self._done("There is room")

    async def _put_script(self, command: Command) -> None:
        name, text = command.text(0), command.octets(1)
        if not text:  # RFC 5804 §2.6
            raise Refusal("The script is empty")
        await self._services.scripts.put(self._account_id, name, text)
        self._changed("put", "The script is kept")

    async def _list_scripts(self, command: Command) -> None:
        shelf = await self._services.scripts.shelf(self._account_id)
        names = replies.listing([(each.name, each.active) for each in shelf.scripts])
        self._connection.write(names + replies.ok())

    async def _set_active(self, command: Command) -> None:
        scripts, name = self._services.scripts, command.text(0)
        if name:
            await scripts.activate(self._account_id, name)
            self._changed("activated", "The script is active")
        else:  # RFC 5804 §2.8: no script is active then
            await scripts.deactivate(self._account_id)
            self._changed("deactivated", "No script is active")

    async def _get_script(self, command: Command) -> None:
        script = await self._services.scripts.get(self._account_id, command.text(0))
        self._connection.write(replies.literal(script.raw) + b"\r\n" + replies.ok())

    async def _delete_script(self, command: Command) -> None:
        await self._services.scripts.delete(self._account_id, command.text(0))
        self._changed("deleted", "The script is gone")

    async def _rename_script(self, command: Command) -> None:
        await self._services.scripts.rename(self._account_id, command.text(0), command.text(1))
        self._changed("renamed", "The script has its new name")

    async def _check_script(self, command: Command) -> None:
        await self._services.scripts.check(command.octets(0))
        self._done("The script can be used")

    def _done(self, text: str) -> None:
        self._connection.write(replies.ok(text))

    def _changed(self, what: str, text: str) -> None:
        log.info("script %s session=%s account=%s", what, self._connection.session_id, self._owner)
        self._done(text)


Handler = Callable[[Session, Command], Awaitable[None]]
HANDLERS: Final[Mapping[str, Handler]] = {
    "AUTHENTICATE": Session._authenticate,
    "STARTTLS": Session._starttls,
    "LOGOUT": Session._logout,
    "CAPABILITY": Session._capability,
    "NOOP": Session._noop,
    "HAVESPACE": Session._have_space,
    "PUTSCRIPT": Session._put_script,
    "LISTSCRIPTS": Session._list_scripts,
    "SETACTIVE": Session._set_active,
    "GETSCRIPT": Session._get_script,
    "DELETESCRIPT": Session._delete_script,
    "RENAMESCRIPT": Session._rename_script,
    "CHECKSCRIPT": Session._check_script,
    "UNAUTHENTICATE": Session._unauthenticate,
}
