"""A POP3 session up to its login: CAPA, LANG, UTF8, STLS, USER, PASS, AUTH, and the opening of the maildrop.

RFC 1939 §4, 2449, 2595 §4, 3206, 5034, 6856. Passwords are taken only where `auth.plaintext` allows it. What
follows the login is in `pop3.server`.
"""

from __future__ import annotations

import base64
import binascii
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Final

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
from posthouse.errors import NotFound, PosthouseError
from posthouse.net.buffer import BareLineFeed, LineTooLong
from posthouse.net.connection import Connection
from posthouse.pop3 import core
from posthouse.pop3.core import Command, Refusal, State
from posthouse.pop3.languages import DEFAULT, Say, choose_language
from posthouse.pop3.locks import MaildropLocks
from posthouse.pop3.maildrop import Maildrop
from posthouse.store.interface import Store

log: Final = logging.getLogger(__name__)

INBOX: Final = "INBOX"


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What every session needs."""

    store: Store
    directory: Directory
    hostname: str
    plaintext: str
    tls: ssl.SSLContext | None
    locks: MaildropLocks


class Entrance:
    """The state of a session, and its commands that need no login."""

    __slots__ = (
        "_account_id",
        "_bad",
        "_connection",
        "_failed_logins",
        "_language",
        "_log_out",
        "_mailbox_id",
        "_maildrop",
        "_services",
        "_state",
        "_user",
        "_utf8",
    )

    def __init__(self, services: Services, connection: Connection) -> None:
        self._services = services
        self._connection = connection
        self._state = State.AUTHORIZATION
        self._language = DEFAULT
        self._utf8 = False
        self._user = ""
        self._bad = 0
        self._failed_logins = 0
        self._log_out: Callable[[], None] | None = None
        self._account_id = 0
        self._mailbox_id = 0
        self._maildrop = Maildrop(0, (), (), ())

    # --- replies -----------------------------------------------------------------------------------

    def _say(self, say: Say, *arguments: object) -> None:
        self._connection.write(core.ok(self._language, say, *arguments))

    def refuse(self, refusal: Refusal) -> None:
        """Write -ERR."""
        self._connection.write(core.error(self._language, refusal))

    async def let_go(self) -> None:
        """Give the maildrop's lock back; nobody is logged in any more."""
        if self._log_out is not None:
            self._log_out()
        if self._account_id:
            account_id, self._account_id = self._account_id, 0
            await self._services.locks.release(account_id, self._connection.session_id)

    # --- before login ----------------------------------------------------------------------------

    def _facts(self) -> ConnectionFacts:
        connection = self._connection
        return ConnectionFacts(
            door="pop3",
            peer=connection.peer.host,
            tls=connection.tls is not None,
            loopback=connection.is_loopback,
            plaintext_policy=self._services.plaintext,
            server_end_point=connection.server_end_point,
            exporter=connection.exporter,
        )

    def _passwords_allowed(self) -> bool:
        return "PLAIN" in self._facts().mechanisms()

    async def _capa(self, command: Command) -> None:
        stls = self._services.tls is not None and self._connection.tls is None
        mechanisms = self._facts().mechanisms()
        lines = core.capabilities(stls=stls, user="PLAIN" in mechanisms, mechanisms=mechanisms)
        self._connection.write(core.ok(self._language, Say.CAPABILITIES) + lines)

    async def _lang(self, command: Command) -> None:
        if not command.text.strip():
            self._connection.write(core.ok(self._language, Say.LANGUAGES) + core.languages())
            return
        chosen = choose_language(command.text.strip())
        if chosen is None:
            raise Refusal(Say.LANGUAGE_UNKNOWN)
        self._language = chosen
        self._connection.write(core.chosen(chosen))

    async def _utf8_mode(self, command: Command) -> None:
        self._utf8 = True
        self._say(Say.UTF8_ON)

    async def _stls(self, command: Command) -> None:
        connection, context = self._connection, self._services.tls
        if connection.tls is not None:
            raise Refusal(Say.TLS_ACTIVE)
        if context is None:
            raise Refusal(Say.TLS_NOT_OFFERED)
        if self._utf8:
            raise Refusal(Say.TLS_AFTER_UTF8)  # RFC 6856 §2.1
        self._say(Say.BEGIN_TLS)
        await connection.start_tls(context)
        # RFC 2595 §4: what was said before TLS is forgotten, for somebody else may have said it.
        self._user = ""
        self._language = DEFAULT

    async def _user_name(self, command: Command) -> None:
        if not self._passwords_allowed():
            raise Refusal(Say.TLS_FIRST, code="SYS/PERM")
        self._user = command.text.strip()
        self._say(Say.SEND_PASSWORD)

    async def _password(self, command: Command) -> None:
        user, self._user = self._user, ""
        if not user:
            raise Refusal(Say.USER_FIRST, bad=True)
        services, peer = self._services, self._connection.peer.host
        await self._log_in(services.directory.authenticate(user, command.text, peer, "USER", "pop3"))

    async def _auth(self, command: Command) -> None:
        facts = self._facts()
        mechanism, _, initial = command.text.strip().partition(" ")
        if not mechanism:  # mechanisms are listed by CAPA; old clients still ask so
            self._connection.write(core.ok(self._language, Say.MECHANISMS) + core.listing(facts.mechanisms()))
            return
        try:
            response = _decode(initial.encode()) if initial else None
        except ResponseMalformed:
            raise Refusal(Say.RESPONSE_WRONG, bad=True) from None
        await self._log_in(authenticate_sasl(self._services.directory, mechanism, response, self._ask, facts))

    async def _ask(self, challenge: bytes) -> bytes:
        # RFC 5034 §4: "+", a space, base64; the client answers in base64, or "*" to give up
        self._connection.write(b"+ %b\r\n" % base64.b64encode(challenge))
        await self._connection.drain()
        try:
            line = await self._connection.read_line(limits.POP3_AUTH_LINE)
        except BareLineFeed as told:
            line = told.line
        except LineTooLong:
            raise ResponseMalformed("the response is too long") from None
        if line == b"*":
            raise Cancelled("given up by the client")
        return _decode(line)

    async def _log_in(self, proving: Awaitable[Login]) -> None:
        try:
            login = await proving
        except MechanismUnknown:
            allowed = self._passwords_allowed() or self._services.tls is None
            raise Refusal(Say.MECHANISM_UNKNOWN if allowed else Say.TLS_FIRST, code="SYS/PERM") from None
        except Cancelled:
            raise Refusal(Say.LOGIN_CANCELLED) from None
        except ResponseMalformed:
            self._failed_logins += 1
            raise Refusal(Say.RESPONSE_WRONG, bad=True) from None
        except LoginFailed:
            self._failed_logins += 1
            raise Refusal(Say.LOGIN_FAILED, code="AUTH") from None  # RFC 3206 §4
        except LoginDelayed:
            self._failed_logins += 1
            raise Refusal(Say.LOGIN_LATER, code="SYS/TEMP") from None
        await self._open(login)

    async def _open(self, login: Login) -> None:
        """Lock the maildrop and take stock of it (RFC 1939 §4)."""
        account_id, services = login.account.account_id, self._services
        if not await services.locks.acquire(account_id, self._connection.session_id):
            raise Refusal(Say.IN_USE, code="IN-USE")  # RFC 2449 §8.1.2
        self._account_id = account_id
        try:
            mailbox = await services.store.mailbox(account_id, INBOX)
            if mailbox is None:
                raise NotFound("There is no INBOX.")
            index = await services.store.index(account_id, mailbox.mailbox_id)
        except PosthouseError:
            await self.let_go()
            raise
        self._mailbox_id = mailbox.mailbox_id
        self._maildrop = Maildrop(index.uid_validity, index.uids[:], index.sizes[:], index.email_ids[:])
        self._state = State.TRANSACTION
        self._log_out = services.directory.open_logins.add(login, "pop3", self._connection.send_away)
        self._connection.set_total_timeout(None)
        self._say(Say.MAILDROP, self._maildrop.total, self._maildrop.octets)
        log.info(
            "login session=%s peer=%s account=%s mechanism=%s messages=%d",
            *(self._connection.session_id, self._connection.peer, login.account.address),
            *(login.mechanism, self._maildrop.total),
        )


def _decode(response: bytes) -> bytes:
    """Base64 as RFC 5034 §4 has it: "=" alone is an empty response. Raises ResponseMalformed."""
    if response == b"=":
        return b""
    try:
        return base64.b64decode(response, validate=True)
    except binascii.Error:
        raise ResponseMalformed("not base64") from None
