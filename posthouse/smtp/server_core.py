"""The server's half of SMTP and LMTP as a pure state machine (RFC 5321 §4, RFC 2033).

Lines and counts of octets go in; replies and events come out. It decides no policy: after MailFrom, RcptTo,
StartTls, Login or MessageReceived it waits for the answer and takes nothing else. It owns its limits and knows
neither sockets nor time. It guards: no command out of order, no transaction half remembered, nothing known from
before TLS (RFC 3207 §4.2), nothing but CRLF ends a line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from posthouse.errors import LocalProtocolError
from posthouse.limits import SMTP_ERRORS, SMTP_IDLE_COMMANDS, SMTP_SURPLUS, SMTP_TRANSACTIONS
from posthouse.smtp import grammar, states, xclient
from posthouse.smtp import server_replies as replies
from posthouse.smtp.events import (
    ClientTold,
    Envelope,
    Event,
    Login,
    MailFrom,
    MessageReceived,
    RcptTo,
    ReceiveChunk,
    ReceiveData,
    Settings,
    StartTls,
)
from posthouse.smtp.extensions import EXTENSIONS, Offer, Role, mail_parameters, offered, rcpt_parameters
from posthouse.smtp.incoming import Incoming, too_large
from posthouse.smtp.replies import CommandError, Reply
from posthouse.smtp.states import LEGAL, NOT_IN, WITHIN, State


class ServerCore:
    """One session. `state` is for reading; `closing` says that the last reply ends the connection."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State.CONNECTED
        self.helo = ""
        """The name that the peer gave itself."""
        self.extended = False
        """EHLO or LHLO was said: extensions are in force."""
        self.tls = False
        self.logged_in = False
        self.mechanisms: tuple[str, ...] = ()
        """What AUTH offers now; the server sets it at the start and after TLS."""
        self.xclient: tuple[str, ...] = ()
        """What the peer may tell of the clients whose mail it hands on; the server sets it at the start."""
        self.told_helo: str | None = None
        """By which name the client greeted the host before us."""
        self.incoming = Incoming(settings.message_size)
        """The message that is coming in."""
        self.quit = False  # until the peer says it
        self._known: frozenset[str] = frozenset()
        self._pending: MailFrom | RcptTo | StartTls | Login | ClientTold | MessageReceived | None = None
        self._sender: MailFrom | None = None
        self._recipients: list[RcptTo] = []
        self._transactions = self._errors = self._idle_commands = self._surplus = 0

    @property
    def closing(self) -> bool:
        """The session is over once the last reply is sent."""
        return self.state is State.CLOSED

    def greet(self, talked_first: bool = False) -> Reply:
        """The first reply. A peer that talks before it is no mail server (RFC 5321 §4.3.1)."""
        if talked_first:
            self.state = State.CLOSED
            return Reply(554, "5.5.1", "Wait for the greeting before you talk")
        self.state = State.GREETED
        protocol = "LMTP" if self.settings.role is Role.LMTP else "ESMTP"
        return Reply(220, "", f"{self.settings.hostname} {protocol} Posthouse")

    # --- commands -------------------------------------------------------------------------------------

    def receive_line(self, line: bytes) -> Reply | Event:
        """One command line, without its CRLF."""
        if self._pending is not None or self.state in (State.CONNECTED, State.CLOSED):
            raise LocalProtocolError("a line came while an answer was awaited")
        if b"\r" in line:
            return self._close(replies.LINE_ENDS)
        if self._errors >= SMTP_ERRORS:
            return self._close(replies.TOO_MANY_ERRORS)
        verb, argument = grammar.split_command(line)
        legal = LEGAL.get(verb)
        try:
            if verb in states.FOREIGN:
                return self._close(Reply(421, "4.7.0", "This is a mail server"))
            if legal is None or verb in NOT_IN[self.settings.role]:
                raise CommandError(500, "5.5.2", "Command not known")
            self._idle_commands += verb not in states.PROGRESS
            if self._idle_commands > SMTP_IDLE_COMMANDS:
                return self._close(replies.TOO_IDLE)
            if self.state not in legal:
                raise CommandError(503, "5.5.1", states.out_of_order(self.state, verb, self.settings.role))
            outcome = _HANDLERS[verb](self, verb, argument)
        except CommandError as error:
            outcome = error.reply
        if isinstance(outcome, Reply) and outcome.code >= 400:
            self._surplus += outcome is replies.RECIPIENTS_FULL
            self._errors += outcome is not replies.RECIPIENTS_FULL or self._surplus > SMTP_SURPLUS
        return outcome

    def line_too_long(self) -> Reply:
        """The peer sent a line over the limit; it is thrown away."""
        self._errors += 1
        return self._close(replies.TOO_MANY_ERRORS) if self._errors > SMTP_ERRORS else replies.TOO_LONG

    def bare_line_feed(self) -> Reply:
        """A line ended with LF alone: what follows cannot be trusted to be commands."""
        return self._close(replies.LINE_ENDS)

    def _close(self, reply: Reply) -> Reply:
        self.state = State.CLOSED
        return reply

    def _hello(self, verb: bytes, argument: bytes) -> Reply:
        self.helo = grammar.parse_helo(argument)
        if self.told_helo is not None:
            self.helo = self.told_helo
        self.reset()  # RFC 5321 §4.1.4: EHLO within a transaction aborts it like RSET.
        self.state = State.READY
        self.extended = verb != b"HELO"
        if not self.extended:
            self._known = frozenset()
            return Reply(250, "", self.settings.hostname)
        lines = offered(self._offer())
        self._known = frozenset(line.partition(" ")[0] for line in lines)
        return Reply(250, "", "\n".join((self.settings.hostname, *lines)))

    def _offer(self) -> Offer:
        return Offer(
            role=self.settings.role,
            size=self.settings.message_size,
            recipients=self.settings.recipients,
            starttls=self.settings.tls_available and not self.tls,
            mechanisms=() if self.logged_in else self.mechanisms,
            xclient=self.xclient,
        )

    def _mail(self, verb: bytes, argument: bytes) -> Reply | MailFrom:
        if self.settings.login_required and not self.logged_in:
            # RFC 4954 §6: 530 5.7.0 to any command but AUTH, EHLO, HELO, NOOP, RSET, QUIT.
            raise CommandError(530, "5.7.0", "Log in first")
        path = grammar.parse_reverse_path(argument)
        known = self._known | {"AUTH"} if self.logged_in else self._known
        parameters = mail_parameters(path.parameters, known)
        if not path.address.isascii() and not parameters.smtputf8:
            # RFC 6531 §3.5: 5.6.7 with 550 or 553 for an address that needs SMTPUTF8.
            raise CommandError(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
        if parameters.size is not None and parameters.size > self.settings.message_size:
            # RFC 1870 §6.1 (2): refused before it is sent.
            return too_large(self.settings.message_size)
        self._transactions += 1
        if self._transactions > SMTP_TRANSACTIONS:
            return self._close(replies.TOO_MANY_TRANSACTIONS)  # RFC 9422 §4.1: MAILMAX was told.
        self._pending = MailFrom(reverse_path=path.address, parameters=parameters)
        return self._pending

    def _rcpt(self, verb: bytes, argument: bytes) -> Reply | RcptTo:
        path = grammar.parse_forward_path(argument)
        parameters = rcpt_parameters(path.parameters, self._known)
        if not path.address.isascii() and not (self._sender and self._sender.parameters.smtputf8):
            raise CommandError(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
        if len(self._recipients) >= self.settings.recipients:
            # RFC 5321 §4.5.3.1.10: 452, and what is accepted already stays.
            return replies.RECIPIENTS_FULL
        self._pending = RcptTo(address=path.address, parameters=parameters)
        return self._pending

    def _data(self, verb: bytes, argument: bytes) -> Reply | ReceiveData:
        grammar.no_argument(argument)
        if not self._recipients or self._sender is None:
            # RFC 5321 §3.3, RFC 2033 §4.2: 503 when no RCPT succeeded.
            return replies.NO_RECIPIENTS
        if self._sender.parameters.body == "BINARYMIME":
            raise CommandError(503, "5.5.1", "BINARYMIME needs BDAT")  # RFC 3030 §3
        self.incoming = Incoming(self.settings.message_size)
        return ReceiveData(Reply(354, "", "Send the message, end with CRLF.CRLF"))

    def _bdat(self, verb: bytes, argument: bytes) -> Reply | ReceiveChunk:
        try:
            chunk = grammar.parse_chunk(argument)
        except CommandError as error:
            # How many octets of text follow is not known, so nothing after it may be read as a command.
            return self._close(error.reply)
        if self.state is not State.BDAT:
            self.incoming = Incoming(self.settings.message_size)
            # RFC 3030 §2: a chunk that is refused is still received and thrown away.
            if self._sender is None:
                self.incoming.refuse(Reply(503, "5.5.1", "Say MAIL first"))
            elif not self._recipients:
                self.incoming.refuse(replies.NO_RECIPIENTS)
            elif "CHUNKING" not in self._known:
                self.incoming.refuse(Reply(503, "5.5.1", "Say EHLO first"))
        if not self.incoming.begin_chunk(chunk):
            return self._close(too_large(self.settings.message_size))
        return ReceiveChunk(chunk.size)

    def _rset(self, verb: bytes, argument: bytes) -> Reply:
        grammar.no_argument(argument)
        self.reset()
        return Reply(250, "2.0.0", "Reset")

    def _noop(self, verb: bytes, argument: bytes) -> Reply:
        return replies.HERE

    def _quit(self, verb: bytes, argument: bytes) -> Reply:
        grammar.no_argument(argument)
        self.quit = True
        return self._close(Reply(221, "2.0.0", "Goodbye"))

    def _vrfy(self, verb: bytes, argument: bytes) -> Reply:
        if not argument:
            raise CommandError(501, "5.5.4", "Syntax: VRFY address")
        # RFC 5321 §3.5.3, §7.3: 252 tells nothing to harvesters and breaks no client.
        return Reply(252, "2.5.2", "Send the mail and see")

    def _expn(self, verb: bytes, argument: bytes) -> Reply:
        return replies.NO_EXPANSION

    def _help(self, verb: bytes, argument: bytes) -> Reply:
        role = self.settings.role
        verbs = " ".join(v.decode() for v in LEGAL if v not in NOT_IN[role])
        return Reply(214, "2.0.0", f"Commands: {verbs}\nExtensions: {' '.join(k for k, _ in EXTENSIONS)}")

    # --- answers --------------------------------------------------------------------------------------

    def answered(self, reply: Reply) -> Reply:
        """The policy's word on the pending MailFrom or RcptTo."""
        event, self._pending = self._pending, None
        if not isinstance(event, MailFrom | RcptTo):
            raise LocalProtocolError("an answer came that nothing asked for")
        if reply.code == 421:
            return self._close(reply)
        if not reply.accepted:
            self._errors += 1
            return reply
        if isinstance(event, MailFrom):
            self._sender = event
            self.state = State.MAIL
        else:
            self._recipients.append(event)
            self.state = State.RCPT
        self._idle_commands = 0
        return reply

    def reset(self) -> None:
        """Forget the transaction (RFC 5321 §4.1.1.5)."""
        self._sender, self._recipients, self._surplus = None, [], 0
        if self.state in (State.MAIL, State.RCPT, State.BDAT):
            self.state = State.READY

    # --- message text ---------------------------------------------------------------------------------

    def content(self, octets: int) -> bool:
        """So many octets more have come. False: stop reading; `content_ended` then closes the session."""
        if self.incoming.count(octets):
            return True
        self.state = State.CLOSED
        return False

    def content_ended(self, bare_cr_or_lf: bool) -> MessageReceived | tuple[Reply, ...]:
        """The text or the chunk is over; the flag says that a CR or LF stood alone in it."""
        incoming, sender = self.incoming, self._sender
        binary = sender is not None and sender.parameters.body == "BINARYMIME"
        refusal = incoming.end(bare_cr_or_lf, binary)
        if refusal is not None:
            return self._content_failed(refusal)
        if not incoming.last:
            self.state = State.BDAT
            return (Reply(250, "2.0.0", "Chunk received"),)
        if sender is None:
            raise LocalProtocolError("a message ended that had not begun")
        envelope = Envelope(
            reverse_path=sender.reverse_path,
            parameters=sender.parameters,
            recipients=tuple(self._recipients),
        )
        self._pending = MessageReceived(envelope)
        return self._pending

    def _content_failed(self, refusal: Reply) -> tuple[Reply, ...]:
        self._errors += 1
        if self.state is State.CLOSED:
            return (refusal,)
        if not self.incoming.last:
            # RFC 3030 §2: the chunks that follow are refused too, until RSET or the last one.
            if self.state in WITHIN:
                self.state = State.BDAT
            return (refusal,)
        # RFC 2033 §4.2, §4.3: LMTP answers the end of the text once for each recipient, even if there is none.
        once = self.settings.role is not Role.LMTP or self._sender is None
        times = 1 if once else len(self._recipients)
        self.reset()
        return (refusal,) * times

    def delivered(self, replies: tuple[Reply, ...]) -> tuple[Reply, ...]:
        """What became of the message: one reply, or in LMTP one for each recipient in their order."""
        if not isinstance(self._pending, MessageReceived):
            raise LocalProtocolError("an outcome came of no message")
        self._pending = None
        self._errors = 0 if any(reply.accepted for reply in replies) else self._errors + 1
        self.reset()
        return replies

    # --- TLS and login --------------------------------------------------------------------------------

    def _starttls(self, verb: bytes, argument: bytes) -> Reply | StartTls:
        grammar.no_argument(argument)
        if self.tls:
            raise CommandError(503, "5.5.1", "TLS is on already")
        if not self.settings.tls_available:
            raise CommandError(502, "5.5.1", "TLS is not offered here")
        self._pending = StartTls(Reply(220, "2.0.0", "Begin the handshake"))
        return self._pending

    def tls_started(self) -> None:
        """The handshake is done. RFC 3207 §4.2: everything known from before it is forgotten."""
        self._begin_anew()
        self.tls, self.told_helo = True, None

    def _begin_anew(self) -> None:
        self._pending = None
        self.reset()
        self.logged_in = self.extended = False
        self.helo, self._known = "", frozenset()
        self.state = State.GREETED

    def _xclient(self, verb: bytes, argument: bytes) -> Reply | ClientTold:
        if not self.xclient:
            return replies.NOT_A_FRONT
        self._pending = ClientTold(xclient.parse(argument, self.xclient))
        return self._pending

    def restarted(self, reply: Reply | None, logged_in: bool = False) -> Reply:
        """What was told is believed (None), or why not: then the session is as it was."""
        self._pending = None
        if reply is None:
            self._begin_anew()
            self.logged_in = logged_in
            return self.greet()
        return self._close(reply) if reply.code == 421 else reply

    def _auth(self, verb: bytes, argument: bytes) -> Reply | Login:
        if self.logged_in:
            raise CommandError(503, "5.5.1", "Logged in already")  # RFC 4954 §4
        if not self.mechanisms:
            raise CommandError(502, "5.5.1", "Login is not offered here")
        mechanism, initial = grammar.parse_auth(argument)
        if mechanism not in self.mechanisms and mechanism in states.SHOWS_PASSWORD and not self.tls:
            raise CommandError(538, "5.7.11", "This mechanism needs TLS")
        if mechanism not in self.mechanisms:
            raise CommandError(504, "5.5.4", "Mechanism not known here")
        self._pending = Login(mechanism, initial)
        return self._pending

    def login_response(self, line: bytes) -> bytes:
        """A line of the exchange, decoded. CommandError: the exchange is over, answer it by `login_ended`."""
        if line == b"*":
            raise CommandError(501, "5.7.0", "Cancelled")  # RFC 4954 §4
        return grammar.decode_base64(line)

    def login_ended(self, reply: Reply) -> Reply:
        """The exchange is over; 2xx: the peer is logged in."""
        if not isinstance(self._pending, Login):
            raise LocalProtocolError("a login ended that had not begun")
        self._pending = None
        if reply.code == 421:
            return self._close(reply)
        self.logged_in = reply.accepted
        self._errors += not reply.accepted
        return reply


_HANDLERS: Final[Mapping[bytes, Callable[[ServerCore, bytes, bytes], Reply | Event]]] = MappingProxyType(
    {
        b"EHLO": ServerCore._hello,
        b"HELO": ServerCore._hello,
        b"LHLO": ServerCore._hello,
        b"MAIL": ServerCore._mail,
        b"RCPT": ServerCore._rcpt,
        b"DATA": ServerCore._data,
        b"BDAT": ServerCore._bdat,
        b"RSET": ServerCore._rset,
        b"NOOP": ServerCore._noop,
        b"QUIT": ServerCore._quit,
        b"VRFY": ServerCore._vrfy,
        b"EXPN": ServerCore._expn,
        b"HELP": ServerCore._help,
        b"STARTTLS": ServerCore._starttls,
        b"AUTH": ServerCore._auth,
        b"XCLIENT": ServerCore._xclient,
    }
)
