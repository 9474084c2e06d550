"""SMTP and LMTP sessions over connections: MX (25), submission (587, 465) and LMTP (RFC 5321, 6409, 8314, 2033).

Drives `server_core`, asks `inbound.policy` and `inbound.pipeline`. Replies to what was pipelined are written at
once, when no whole line is left to read (RFC 2920 §3.2). A fault is a 451 with an id, and the session goes on.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login
from posthouse.accounts.sasl_login import ConnectionFacts, authenticate_sasl
from posthouse.errors import LocalProtocolError, StoreUnavailable, Temporary
from posthouse.inbound.mail import Via, new_trace_id
from posthouse.inbound.pipeline import Pipeline, reply_to_fault
from posthouse.inbound.policy import Peer, Policy, Transaction
from posthouse.inbound.refusals import Refusals
from posthouse.net.connection import (
    BareLineFeed,
    Connection,
    ConnectionFault,
    IdleTimeout,
    LineTooLong,
    SentAway,
    ShuttingDown,
    TotalTimeout,
)
from posthouse.smtp import events
from posthouse.smtp.arrival import Arrival, mail_of
from posthouse.smtp.extensions import Role
from posthouse.smtp.fronted import NO_LOGIN, TOO_MANY, Fronted, login_of
from posthouse.smtp.login_refusals import login_refusal
from posthouse.smtp.reception import MemoryBudget, Reception
from posthouse.smtp.replies import CommandError, Reply
from posthouse.smtp.server_core import ServerCore
from posthouse.smtp.states import State
from posthouse.smtp.stay import SENT_AWAY, Stay, facts_of
from posthouse.smtp.xclient import WITH_LOGIN, WITHOUT_LOGIN, Told
from posthouse.store.interface import Store
from posthouse.store.model import Event

log: Final = logging.getLogger(__name__)

_DOORS: Final = {Role.MX: Via.MX, Role.SUBMISSION: Via.SUBMISSION, Role.LMTP: Via.LMTP}
_DISK_FULL: Final = Reply(452, "4.3.1", "The store cannot take mail now, try again later")


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What all sessions share."""

    directory: Directory
    policy: Policy
    pipeline: Pipeline
    refusals: Refusals
    store: Store
    budget: MemoryBudget
    clock: Callable[[], float] = time.time
    """POSIX seconds."""


class SmtpServer:
    """One listener's sessions: `serve` is what `net.listener.Listener` calls for each connection."""

    def __init__(
        self,
        settings: events.Settings,
        services: Services,
        *,
        tls_context: ssl.SSLContext | None = None,
        plaintext_policy: str = "loopback",
    ) -> None:
        """`tls_context`: for STARTTLS, needed when `settings.tls_available`; the policy is `auth.plaintext`."""
        self.settings = settings
        self.services = services
        self.tls_context = tls_context
        self.plaintext_policy = plaintext_policy

    @property
    def busy_line(self) -> bytes:
        """For the connection gate (RFC 5321 §3.8: 421 and close)."""
        return Reply(421, "4.3.2", f"{self.settings.hostname} Too many connections, try later").encode()

    async def serve(self, connection: Connection) -> None:
        """Run one session to its end."""
        await Session(self, connection).run()


class Session:
    """One connection's conversation."""

    def __init__(self, server: SmtpServer, connection: Connection) -> None:
        self._server = server
        self._services = server.services
        self._connection = connection
        self._core = ServerCore(server.settings)
        self._via = _DOORS[server.settings.role]
        self._login: Login | None = None
        self._peer = Peer(via=self._via, address=connection.peer.host)
        self._transaction = Transaction(reverse_path="")
        self._trace_id = ""
        self._stay = Stay(server.services.directory.open_logins, connection)
        self._fronted = Fronted(connection)
        self._reception: Reception | None = None
        self._out: list[bytes] = []

    async def run(self) -> None:
        """Greet, then answer until somebody ends it."""
        connection = self._connection
        connection.set_idle_timeout(limits.SMTP_IDLE)
        try:
            await self._converse()
        except ShuttingDown:
            self._say(Reply(421, "4.3.2", f"{self._server.settings.hostname} Shutting down"))
        except (IdleTimeout, TotalTimeout):
            # RFC 5321 §4.2.3, §4.5.3.2: a server that gives up waiting says so.
            self._say(Reply(421, "4.4.2", f"{self._server.settings.hostname} Timed out"))
        except SentAway:
            self._say(SENT_AWAY)
        except ConnectionFault:
            pass  # a session that dies in the middle leaves nothing behind
        except Exception:
            self._say(Reply(421, "4.3.0", f"{self._server.settings.hostname} Fault here, try again later"))
            raise
        finally:
            self._stay.end()
            if self._reception is not None:
                await self._reception.discard()
            self._flush()
            # When it is we who end it the peer may be in the middle of sending, and should still hear why.
            connection.close(still_coming=self._core.closing and not self._core.quit)

    async def _converse(self) -> None:
        core, connection = self._core, self._connection
        core.tls = connection.tls is not None
        if self._fronted.believed:
            core.xclient = WITH_LOGIN if self._server.settings.login_required else WITHOUT_LOGIN
        self._offer_login()
        self._say(core.greet(talked_first=self._via is not Via.LMTP and connection.buffered > 0))
        while not core.closing:
            line = await self._next_line(limits.SMTP_COMMAND_LINE)
            if line is None:
                continue
            outcome = core.receive_line(line)
            if isinstance(outcome, Reply):
                self._say(outcome)
            else:
                await self._act(outcome)

    async def _next_line(self, limit: int) -> bytes | None:
        """The next line, with what waits written before any wait; None: it was answered already."""
        connection, core = self._connection, self._core
        try:
            if len(self._out) >= limits.SMTP_GROUP:
                self._flush()
                await connection.drain()
                await asyncio.sleep(0)  # one peer's long group must not keep the others waiting
            line = connection.take_line(limit)
            if line is None:
                self._flush()
                await connection.drain()
                line = await connection.read_line(limit)
            return line
        except LineTooLong:
            self._say(core.line_too_long())
        except BareLineFeed:
            self._say(core.bare_line_feed())
        return None

    def _say(self, reply: Reply) -> None:
        self._out.append(reply.encode())

    def _flush(self) -> None:
        out = self._out
        if out:
            self._connection.write(out[0] if len(out) == 1 else b"".join(out))
            self._out = []

    async def _act(self, event: events.Event) -> None:
        if isinstance(event, events.RcptTo):
            self._say(self._core.answered(await self._judge_recipient(event)))
        elif isinstance(event, events.MailFrom):
            self._say(self._core.answered(await self._judge_sender(event)))
        elif isinstance(event, events.ReceiveData):
            await self._receive_data(event)
        elif isinstance(event, events.ReceiveChunk):
            await self._receive_chunk(event)
        elif isinstance(event, events.StartTls):
            await self._start_tls(event)
        elif isinstance(event, events.Login):
            self._say(self._core.login_ended(await self._log_in(event)))
        elif isinstance(event, events.ClientTold):
            self._say(self._core.restarted(await self._be_told(event.told), self._login is not None))

    # --- MAIL and RCPT --------------------------------------------------------------------------------

    async def _judge_sender(self, event: events.MailFrom) -> Reply:
        await self._forget_text()  # of a transaction that RSET ended between two chunks
        self._trace_id = new_trace_id(self._services.clock())
        self._transaction = Transaction(reverse_path=event.reverse_path, size=event.parameters.size or 0)
        try:
            reply = await self._services.policy.mail(self._peer, self._transaction)
        except Exception as fault:
            reply = reply_to_fault(fault, self._trace_id)
        if not reply.accepted:
            self._note_refusal(event.reverse_path, reply)
        return reply

    async def _judge_recipient(self, event: events.RcptTo) -> Reply:
        try:
            reply = await self._services.policy.rcpt(self._peer, self._transaction, event.address)
        except Exception as fault:
            reply = reply_to_fault(fault, self._trace_id)
        if not reply.accepted:
            self._note_refusal(event.address, reply)
        return reply

    def _note_refusal(self, address: str, reply: Reply) -> None:
        if not self._trace_id:
            return  # a chunk without a transaction is nobody's mail
        sender = self._transaction.reverse_path
        detail = f"{self._via} {self._core.helo} [{self._peer.address}] from <{sender}>: {reply}"
        self._services.refusals.note(
            Event(
                trace_id=self._trace_id,
                at=self._services.clock(),
                kind="refused",
                address=address,
                detail=detail,
            )
        )

    # --- message text ---------------------------------------------------------------------------------

    async def _receive_data(self, event: events.ReceiveData) -> None:
        self._say(event.reply)
        self._flush()
        self._reception = Reception(self._services.store, self._services.budget)
        connection = self._connection
        await self._receive(connection.dotted(), self._reception)
        await self._text_ended(connection.bare_cr_or_lf)

    async def _receive_chunk(self, event: events.ReceiveChunk) -> None:
        reception = self._reception
        if reception is None:
            reception = self._reception = Reception(self._services.store, self._services.budget)
        if event.size > self._connection.buffered:
            self._flush()
        await self._receive(self._connection.octets(event.size), reception, look=True)
        await self._text_ended(reception.bare_cr_or_lf(final=self._core.incoming.last))

    async def _receive(self, pieces: AsyncIterator[bytes], into: Reception, look: bool = False) -> None:
        """Read a text or a chunk to its end; what isn't wanted is passed over."""
        core = self._core
        incoming = core.incoming
        self._connection.set_total_timeout(limits.SMTP_DATA_TOTAL)
        async for piece in pieces:
            if not core.content(len(piece)):
                return
            if not incoming.keeping:
                continue
            if look:
                into.look_at_line_ends(piece)
            try:
                await into.add(piece)
            except StoreUnavailable:
                incoming.refuse(_DISK_FULL)
            except Exception as fault:
                incoming.refuse(reply_to_fault(fault, self._trace_id))
        self._connection.set_total_timeout(None)

    async def _text_ended(self, bare_cr_or_lf: bool) -> None:
        core = self._core
        outcome = core.content_ended(bare_cr_or_lf)
        if isinstance(outcome, events.MessageReceived):
            outcome = core.delivered(await self._hand_on(outcome.envelope))
        elif outcome and not outcome[0].accepted:
            self._note_refusal(self._transaction.reverse_path, outcome[0])
        for reply in outcome:
            self._say(reply)
        if core.state is not State.BDAT or not core.incoming.keeping:
            await self._forget_text()
        if core.state is not State.BDAT:
            self._trace_id = ""

    async def _forget_text(self) -> None:
        reception, self._reception = self._reception, None
        if reception is not None:
            await reception.discard()

    async def _hand_on(self, envelope: events.Envelope) -> tuple[Reply, ...]:
        """Give the message to the pipeline: one reply, or for LMTP one for each recipient (RFC 2033 §4.2)."""
        try:
            if self._reception is None:
                raise Temporary("the text is gone, try again")
            mail = mail_of(envelope, await self._reception.finish(), self._arrival())
        except Exception as fault:
            replies = (reply_to_fault(fault, self._trace_id),) * len(envelope.recipients)
        else:
            replies = await self._stay.answered(self._services.pipeline.accept(mail))
        if self._via is Via.LMTP:
            return replies
        accepted = next((reply for reply in replies if reply.accepted), None)
        return (accepted or min(replies, key=lambda reply: reply.code),)

    def _arrival(self) -> Arrival:
        core, told = self._core, self._fronted.told
        return Arrival(
            trace_id=self._trace_id,
            at=self._services.clock(),
            helo=core.helo,
            extended=core.extended if not told.protocol else told.protocol == "ESMTP",
            peer=self._peer,
            tls=self._connection.tls,
        )

    # --- TLS and login --------------------------------------------------------------------------------

    async def _start_tls(self, event: events.StartTls) -> None:
        context = self._server.tls_context
        if context is None:
            raise LocalProtocolError("TLS was offered without a certificate")
        self._say(event.reply)
        self._flush()
        await self._connection.start_tls(context)
        self._core.tls_started()
        self._fronted.forget()
        self._begin_anew(None)

    def _begin_anew(self, login: Login | None) -> None:
        self._login = login
        self._stay.end()
        if login is not None:
            self._stay.begin(login)
        self._peer = Peer(via=self._via, address=self._connection.peer.host, login=login)
        self._offer_login()

    async def _be_told(self, told: Told) -> Reply | None:
        """Go by another client from now on (`smtp.fronted`); the reply when that is not possible."""
        told = told.after(self._fronted.told)
        try:
            login = await login_of(told, self._services.directory)
        except Exception as fault:
            return login_refusal(fault, self._trace_id)
        if login is None and told.login:
            return NO_LOGIN
        if not self._fronted.hear(told):
            return TOO_MANY
        self._core.told_helo = self._fronted.told.helo
        self._begin_anew(login)
        return None

    def _facts(self) -> ConnectionFacts:
        return facts_of(self._connection, self._server.plaintext_policy)

    def _offer_login(self) -> None:
        if self._server.settings.login_required:
            self._core.mechanisms = self._facts().mechanisms()

    async def _log_in(self, event: events.Login) -> Reply:
        self._connection.set_total_timeout(limits.SMTP_LOGIN_TOTAL)
        try:
            login = await authenticate_sasl(
                self._services.directory, event.mechanism, event.initial, self._ask, self._facts()
            )
        except ConnectionFault:
            raise
        except Exception as fault:
            self._connection.set_total_timeout(None)
            reply = login_refusal(fault, self._trace_id)
            log.info("login refused peer=%s mechanism=%s: %s", self._peer.address, event.mechanism, reply)
            return reply
        self._connection.set_total_timeout(None)
        self._login = login
        self._stay.begin(login)
        self._peer = Peer(via=self._via, address=self._peer.address, login=login)
        who = (self._peer.address, login.account.address, login.mechanism)
        log.info("login peer=%s account=%s mechanism=%s", *who)
        return Reply(235, "2.7.0", "Logged in")

    async def _ask(self, challenge: bytes) -> bytes:
        """Send a challenge and give the decoded response (RFC 4954 §4)."""
        self._say(Reply(334, "", b64encode(challenge).decode()))
        self._flush()
        try:
            line = await self._connection.read_line(limits.SMTP_AUTH_LINE)
        except LineTooLong:
            raise CommandError(500, "5.5.6", "Line too long") from None  # RFC 4954 §4
        except BareLineFeed:
            raise CommandError(501, "5.5.2", "Lines end with CR LF") from None
        return self._core.login_response(line)
