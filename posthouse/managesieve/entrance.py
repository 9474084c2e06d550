"""A ManageSieve session's first part: reading commands, capabilities, STARTTLS, the SASL login and its end.

RFC 5804 §1.7, §2.1-2.4, §2.13, §2.14.1. Passwords are taken only where `auth.plaintext` allows it. What follows the
login is in `managesieve.server`.
"""

from __future__ import annotations

import base64
import binascii
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login, LoginDelayed, LoginFailed
from posthouse.accounts.sasl_login import (
    Cancelled,
    ConnectionFacts,
    MechanismUnknown,
    ResponseMalformed,
    authenticate_sasl,
)
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.managesieve import replies
from posthouse.managesieve.core import Command, Refusal, State, parse
from posthouse.managesieve.framing import Gathering, Literal, Malformed, Unbearable
from posthouse.managesieve.replies import Capabilities
from posthouse.net.buffer import BareLineFeed, LineTooLong
from posthouse.net.connection import Connection

log: Final = logging.getLogger(__name__)

_SERVER_FIRST: Final = frozenset({"LOGIN"})
"""Mechanisms that begin with a challenge of ours."""


class Goodbye(Exception):
    """The connection ends with BYE and this text."""


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What every session needs."""

    scripts: SieveScripts[Any]
    directory: Directory
    hostname: str
    plaintext: str
    tls: ssl.SSLContext | None
    unauthenticate: bool
    extensions: Sequence[str]
    """Those of Sieve that scripts may require."""


class Entrance:
    """The state of a session, and its commands that need no login."""

    __slots__ = (
        "_account_id",
        "_bad",
        "_connection",
        "_failed_logins",
        "_log_out",
        "_owner",
        "_services",
        "_state",
    )

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._state = State.NOT_AUTHENTICATED
        self._bad = 0
        self._failed_logins = 0
        self._account_id = 0
        self._owner = ""
        self._log_out: Callable[[], None] | None = None

    def let_go(self) -> None:
        """Nobody is logged in any more."""
        if self._log_out is not None:
            self._log_out()
            self._log_out = None
        self._account_id = 0
        self._owner = ""

    # --- reading ---------------------------------------------------------------------------------

    async def _read(self) -> Gathering:
        """A whole command, or answer to a challenge. Refusal, Goodbye, ConnectionFault."""
        stranger = self._state is State.NOT_AUTHENTICATED
        gathering = Gathering(limits.SIEVE_LITERAL_STRANGER if stranger else limits.SIEVE_SCRIPT)
        try:
            while (literal := gathering.line(await self._line())) is not None:
                if literal.kept:
                    gathering.literal(await self._connection.read_exactly(literal.octets))
                else:
                    await self._pass_over(literal, stranger)
        except Unbearable as error:
            raise Goodbye(str(error)) from None
        return gathering

    async def _line(self) -> bytes:
        try:
            return await self._connection.read_line(limits.SIEVE_LINE)
        except BareLineFeed as told:
            return told.line  # people who type into a bare socket; nothing here depends on the CR
        except LineTooLong:
            # whether a literal follows cannot be known any more
            raise Goodbye("The line is too long") from None

    async def _pass_over(self, literal: Literal, stranger: bool) -> None:
        if stranger:
            raise Goodbye("The literal is too long")
        async for _ in self._connection.octets(literal.octets):
            pass

    async def _read_command(self) -> Command:
        return parse(await self._read(), self._state)

    # --- what holds in all states --------------------------------------------------------------------

    def _capabilities(self) -> bytes:
        services = self._services
        stranger = self._state is State.NOT_AUTHENTICATED
        return replies.capabilities(
            Capabilities(
                extensions=services.extensions,
                redirects=limits.SIEVE_REDIRECTS,
                notify=("mailto",) if "enotify" in services.extensions else (),
                mechanisms=self._facts().mechanisms(),
                # RFC 5804 §1.7: not once either has succeeded
                starttls=stranger and services.tls is not None and self._connection.tls is None,
                unauthenticate=services.unauthenticate,
                owner=self._owner,
            )
        )

    def greet(self) -> None:
        """Say who we are and what we can."""
        words = f"{self._services.hostname} Posthouse ManageSieve ready"
        self._connection.write(self._capabilities() + replies.ok(words))

    async def _capability(self, command: Command) -> None:
        self._connection.write(self._capabilities() + replies.ok())

    async def _noop(self, command: Command) -> None:
        code = b""
        if command.values:
            code = b"TAG " + replies.string(command.octets(0))
        self._connection.write(replies.ok("Done", code))

    async def _logout(self, command: Command) -> None:
        self._state = State.LOGOUT
        self._connection.write(replies.ok("Goodbye"))

    # --- before login ----------------------------------------------------------------------------

    def _facts(self, conclude: Callable[[bytes], None] | None = None) -> ConnectionFacts:
        connection = self._connection
        return ConnectionFacts(
            door="sieve",
            peer=connection.peer.host,
            tls=connection.tls is not None,
            loopback=connection.is_loopback,
            plaintext_policy=self._services.plaintext,
            server_end_point=connection.server_end_point,
            exporter=connection.exporter,
            conclude=conclude,
        )

    async def _starttls(self, command: Command) -> None:
        connection, context = self._connection, self._services.tls
        if connection.tls is not None:
            raise Refusal("TLS is active already")
        if context is None:
            raise Refusal("TLS is not available")
        connection.write(replies.ok("Begin TLS negotiation now"))
        # RFC 5804 §2.2: what came behind the command was sent in the clear; `start_tls` throws it away.
        await connection.start_tls(context)
        self._bad = 0
        connection.write(self._capabilities() + replies.ok("TLS is active"))

    async def _authenticate(self, command: Command) -> None:
        mechanism = command.text(0).upper()
        if mechanism in _SERVER_FIRST and len(command.values) > 1:  # RFC 5804 §2.1: MUST be refused
            raise Refusal("This mechanism takes no initial response")
        final: list[bytes] = []
        self._log_in(await self._proved(self._exchange(mechanism, command, final)))
        # RFC 5804 §1.3: the last data of the mechanism goes with the reply
        code = b"SASL " + replies.string(base64.b64encode(final[0])) if final else b""
        self._connection.write(replies.ok("Logged in", code))

    async def _exchange(self, mechanism: str, command: Command, final: list[bytes]) -> Login:
        initial = _decoded(command.octets(1)) if len(command.values) > 1 else None
        facts = self._facts(final.append)
        return await authenticate_sasl(self._services.directory, mechanism, initial, self._ask, facts)

    async def _ask(self, challenge: bytes) -> bytes:
        self._connection.write(replies.string(base64.b64encode(challenge)) + b"\r\n")
        await self._connection.drain()
        try:
            response = (await self._read()).string()
        except Malformed as error:
            raise ResponseMalformed(str(error)) from None
        if response == b"*":
            raise Cancelled("cancelled by the client")
        return _decoded(response)

    async def _proved(self, proving: Awaitable[Login]) -> Login:
        try:
            return await proving
        except MechanismUnknown:
            if self._connection.tls is None and self._services.tls is not None:
                raise Refusal("This mechanism is not offered without TLS", "ENCRYPT-NEEDED") from None
            raise Refusal("This mechanism is not offered") from None
        except Cancelled:
            raise Refusal("Authentication cancelled") from None
        except ResponseMalformed:
            self._count_failure()
            raise Refusal("The response breaks the rules of the mechanism", bad=True) from None
        except LoginFailed as error:
            self._count_failure()
            raise Refusal(error.public) from None
        except LoginDelayed as error:
            self._count_failure()
            raise Refusal(error.public, "TRYLATER") from None

    def _count_failure(self) -> None:
        self._failed_logins += 1
        connection = self._connection
        log.info("refused login session=%s peer=%s", connection.session_id, connection.peer.host)

    def _log_in(self, login: Login) -> None:
        connection = self._connection
        self._state = State.AUTHENTICATED
        self._account_id = login.account.account_id
        self._owner = login.account.address
        self._failed_logins = 0
        self._log_out = self._services.directory.open_logins.add(login, "sieve", connection.send_away)
        connection.set_total_timeout(None)
        connection.set_idle_timeout(limits.SIEVE_AUTOLOGOUT)
        log.info(
            "login session=%s peer=%s account=%s mechanism=%s",
            *(connection.session_id, connection.peer, self._owner, login.mechanism),
        )

    def expect_login(self) -> None:
        """Let the time for the login begin."""
        self._connection.set_idle_timeout(limits.SIEVE_LOGIN_TIME)
        self._connection.set_total_timeout(limits.SIEVE_LOGIN_TIME)

    async def _unauthenticate(self, command: Command) -> None:
        if not self._services.unauthenticate:
            raise Refusal("There is no such command", bad=True)
        log.info("unauthenticate session=%s account=%s", self._connection.session_id, self._owner)
        self.let_go()
        self._state = State.NOT_AUTHENTICATED
        self.expect_login()
        self._connection.write(replies.ok("Logged out"))


def _decoded(response: bytes) -> bytes:
    try:
        return base64.b64decode(response, validate=True)
    except binascii.Error:
        raise ResponseMalformed("not base64") from None
