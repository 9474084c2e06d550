"""The SMTP client as a pure state machine (RFC 5321; STARTTLS 3207, AUTH 4954, PIPELINING 2920, BDAT 3030).

Lines of replies in, octets to send out. `want` says what the driver must do next; `timeout` how long it may take
(RFC 5321 §4.5.3.2). The core decides no policy: which host, whether TLS is needed, what a refusal means for a
recipient. One core serves one connection and any number of transactions on it, one after the other.

    want        the driver does                                     and calls
    REPLY       waits for a line, at most `timeout` seconds         receive_line
    HANDSHAKE   starts TLS                                          tls_started | tls_failed
    READY       may begin a transaction or end the session          begin | quit
    CONTENT     sends the message, chunk by chunk                   content …, end_content
    DONE        takes `results`                                     begin | quit
    CLOSED      closes the connection; `problem` says why, if it was not meant
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from posthouse import limits
from posthouse.errors import LocalProtocolError, RemoteProtocolError
from posthouse.smtp.client_states import (
    NO_TLS,
    TIMEOUTS,
    WANTED,
    Command,
    Credentials,
    Result,
    State,
    TlsUse,
    Verb,
    Want,
)
from posthouse.smtp.client_values import Envelope, ServerOffer, mail_command, rcpt_command, refusal
from posthouse.smtp.dot_stuffing import DotStuffer
from posthouse.smtp.replies import Reply, ReplyReader


class ClientCore:
    """One client session."""

    def __init__(
        self,
        hostname: str,
        *,
        tls: TlsUse = TlsUse.IF_OFFERED,
        encrypted: bool = False,
        login: Credentials | None = None,
        password_in_clear: bool = False,
    ) -> None:
        """`encrypted`: TLS is on already; `password_in_clear`: the path needs no TLS for a password."""
        self.state = State.GREETING
        self.offer = ServerOffer()
        self.greeting = Reply(0, "", "")
        self.problem: Reply | None = None
        """Why the session cannot be used; the server's word, or ours when `problem_is_ours`."""
        self.problem_is_ours = False
        self.results: list[Result] = []
        """One for each recipient of the last envelope, in order, once `want` is DONE."""
        self.transactions = 0
        """Transactions begun on this connection."""
        self._hostname = hostname
        self._tls = tls
        self._encrypted = encrypted
        self._login = login
        self._password_in_clear = password_in_clear
        self._reader = ReplyReader()
        self._auth_lines: deque[bytes] = deque()
        self._to_send: deque[Command] = deque()
        self._awaiting: deque[Command] = deque()
        self._slots: list[Result | None] = []
        self._accepted: list[int] = []
        self._size = 0
        self._mail_refused: Reply | None = None
        self._data_go = False
        self._chunked = False
        self._probe = False
        self._needs_reset = False
        self._closing = False
        self._stuffer = DotStuffer()
        self._sent = 0

    # --- what the driver asks ----------------------------------------------------------------------

    @property
    def want(self) -> Want:
        """What the driver must do next."""
        return WANTED[self.state]

    @property
    def timeout(self) -> float:
        """Seconds that the next reply, or one block of the message, may take."""
        if self.state is State.ENVELOPE and self._awaiting:
            return TIMEOUTS[self._awaiting[0].verb]
        return TIMEOUTS.get(self.state, limits.OUTBOUND_COMMAND_TIMEOUT)

    @property
    def reusable(self) -> bool:
        """Whether another transaction may follow on this connection (RFC 9422 §4.1 MAILMAX)."""
        most = self.offer.limit("MAILMAX", limits.OUTBOUND_TRANSACTIONS)
        return self.want in (Want.READY, Want.DONE) and not self._closing and self.transactions < most

    @property
    def recipients_most(self) -> int:
        """Recipients that one transaction may have (RFC 9422 §4.2 RCPTMAX)."""
        return min(self.offer.limit("RCPTMAX", limits.OUTBOUND_RECIPIENTS), limits.OUTBOUND_RECIPIENTS)

    def receive_line(self, line: bytes) -> bytes:
        """Take one line without its CRLF; the octets to send now."""
        try:
            reply = self._reader.receive_line(line)
        except RemoteProtocolError as error:
            self.lost(error.public)
            return b""
        if reply is None:
            return b""
        if self.state is not State.EHLO or not reply.accepted:  # all but an offer is kept for each recipient
            reply = reply.cut(limits.OUTBOUND_REPLY_TEXT)
        if reply.code == 421:  # RFC 5321 §3.8: it may answer anything, and the server closes after it
            return self._closed_by_server(reply)
        return _ON_REPLY[self.state](self, reply)

    # --- the session before any mail ------------------------------------------------------------------

    def _on_greeting(self, reply: Reply) -> bytes:
        self.greeting = reply
        if not reply.accepted:
            return self._fail(reply)  # RFC 5321 §3.1: 554 instead of 220: no SMTP service here
        return self._say_ehlo()

    def _say_ehlo(self) -> bytes:
        self.state = State.EHLO
        return f"EHLO {self._hostname}\r\n".encode()

    def _on_ehlo(self, reply: Reply) -> bytes:
        if reply.permanent:
            # RFC 5321 §3.2: a server that does not know EHLO is greeted with HELO.
            self.state = State.HELO
            return f"HELO {self._hostname}\r\n".encode()
        if not reply.accepted:
            return self._fail(reply)
        self.offer = ServerOffer.parse(reply)
        return self._after_hello()

    def _on_helo(self, reply: Reply) -> bytes:
        if not reply.accepted:
            return self._fail(reply)
        self.offer = ServerOffer()
        return self._after_hello()

    def _after_hello(self) -> bytes:
        if not self._encrypted and self._tls is not TlsUse.NEVER:
            if "STARTTLS" in self.offer:
                self.state = State.STARTTLS
                return b"STARTTLS\r\n"
            if self._tls is TlsUse.REQUIRED:
                return self._fail_ourselves(NO_TLS, "The server offers no TLS, which is required here")
        return self._log_in() if self._login is not None else self._ready()

    def _on_starttls(self, reply: Reply) -> bytes:
        if reply.accepted:
            self.state = State.HANDSHAKE
            return b""
        if self._tls is TlsUse.REQUIRED:
            return self._fail(reply)
        # RFC 7435 §3: without TLS is better than not at all, when nobody required it.
        return self._log_in() if self._login is not None else self._ready()

    def tls_started(self) -> bytes:
        """The handshake is done: begin anew inside TLS."""
        self._encrypted = True
        # RFC 3207 §4.2: what was learnt before TLS must be forgotten, and EHLO said again.
        self.offer = ServerOffer()
        self._reader = ReplyReader()
        return self._say_ehlo()

    def tls_failed(self, why: str) -> None:
        """The handshake failed: this connection is of no use any more."""
        self._fail_ourselves("4.7.5", f"TLS failed: {why}")

    def _ready(self) -> bytes:
        self.state = State.READY
        return b""

    # --- login ---------------------------------------------------------------------------------------

    def _log_in(self) -> bytes:
        assert self._login is not None
        if not (self._encrypted or self._password_in_clear):
            return self._fail_ourselves("4.7.4", "The relay offers no TLS: the password is not sent in clear")
        name, password = self._login.name.encode(), self._login.password.encode()
        self.state = State.AUTH
        if "PLAIN" in self.offer.mechanisms:
            # RFC 4616 §2: [authzid] NUL authcid NUL passwd; RFC 4954 §4: as initial response.
            return b"AUTH PLAIN " + b64encode(b"\0" + name + b"\0" + password) + b"\r\n"
        if "LOGIN" in self.offer.mechanisms:
            self._auth_lines.extend((b64encode(name), b64encode(password)))
            return b"AUTH LOGIN\r\n"
        return self._fail_ourselves("4.7.0", "The relay offers no login by PLAIN or LOGIN")

    def _on_auth(self, reply: Reply) -> bytes:
        if reply.code == 334 and self._auth_lines:
            return self._auth_lines.popleft() + b"\r\n"
        if reply.accepted:
            return self._ready()
        return self._fail(reply)

    # --- a transaction -----------------------------------------------------------------------------

    def begin(self, envelope: Envelope, *, probe: bool = False) -> bytes:
        """Begin a transaction; the octets to send now. `probe`: end it before DATA.

        An envelope that the server cannot take is DONE at once, with our own refusal as results.
        """
        if self.want not in (Want.READY, Want.DONE) or len(envelope.recipients) > self.recipients_most:
            raise LocalProtocolError("no transaction can begin now")
        self._size, self._probe = envelope.size, probe
        self._slots = [None] * len(envelope.recipients)
        self._accepted, self._mail_refused, self._data_go = [], None, False
        refused = refusal(envelope, self.offer)
        if refused is not None:
            self._settle(Result(reply=refused, verb="", local=True))
            return self._done()
        self.transactions += 1
        self._chunked = "CHUNKING" in self.offer and (
            envelope.body == "BINARYMIME" or envelope.size >= limits.OUTBOUND_BDAT
        )
        if self._needs_reset:
            self._to_send.append(Command(Verb.RSET, b"RSET\r\n"))
        self._to_send.append(Command(Verb.MAIL, mail_command(envelope, self.offer)))
        self._to_send.extend(
            Command(Verb.RCPT, rcpt_command(recipient, self.offer), number)
            for number, recipient in enumerate(envelope.recipients)
        )
        if not (self._chunked or probe):
            self._to_send.append(Command(Verb.DATA, b"DATA\r\n"))
        self.state = State.ENVELOPE
        return self._pump()

    def _pump(self) -> bytes:
        """RFC 2920 §3.1: all of the envelope at once, with DATA last; without PIPELINING one command."""
        out = []
        while self._to_send and ("PIPELINING" in self.offer or not self._awaiting):
            command = self._to_send.popleft()
            if command.verb is Verb.DATA and not self._awaiting and not self._accepted:
                continue  # every recipient was refused: there is nothing to send
            self._awaiting.append(command)
            out.append(command.line)
        return b"".join(out)

    def _on_envelope(self, reply: Reply) -> bytes:
        command = self._awaiting.popleft()
        if reply.code < 400 and not (reply.accepted if command.verb is not Verb.DATA else reply.code == 354):
            self.lost(f"The server answered {command.verb.value} with {reply.code}")
            return b""
        if command.verb is Verb.MAIL and not reply.accepted:
            self._mail_refused = reply
            self._to_send.clear()
            self._settle(Result(reply=reply, verb="MAIL"))
        elif command.verb is Verb.RCPT and self._mail_refused is None:
            if reply.accepted:
                self._accepted.append(command.recipient)
            else:
                self._slots[command.recipient] = Result(reply=reply, verb="RCPT")
        elif command.verb is Verb.DATA and reply.code == 354:
            self._data_go = True
        elif command.verb is Verb.DATA:
            self._settle(Result(reply=reply, verb="DATA"))
        out = self._pump()
        return out if self._awaiting else out + self._after_envelope()

    def _after_envelope(self) -> bytes:
        """All replies to the envelope are here."""
        self._needs_reset = self._mail_refused is None
        if self._data_go and not self._accepted:
            # RFC 2920 §3.1: DATA went with the rest and was accepted, though no recipient was: end it empty.
            self.state = State.FINAL
            return b".\r\n"
        if self._accepted and not self._probe and (self._data_go or self._chunked):
            self.state = State.CONTENT
            self._stuffer, self._sent = DotStuffer(), 0
            return b""
        if self._probe:
            self._settle(Result(reply=Reply(250, "2.1.5", "The recipient would be accepted"), verb="RCPT"))
        return self._done()

    def content(self, chunk: bytes) -> bytes:
        """The next octets of the message, as they are sent."""
        if not self._chunked:
            return self._stuffer.encode(chunk)
        begin = self._begin_chunk() if chunk and not self._sent else b""
        self._sent += len(chunk)
        if self._sent == self._size > 0:
            # RFC 3030 §2: no mark follows the last octet: from here on the server may have the message.
            self.state = State.FINAL
        return begin + chunk if begin else chunk

    def _begin_chunk(self) -> bytes:
        # RFC 3030 §2: one chunk with the exact size, followed by the octets as they are.
        return b"BDAT %d LAST\r\n" % self._size

    def end_content(self) -> bytes:
        """The whole message has been given: what ends it. Raises LocalProtocolError for a wrong size."""
        self.state = State.FINAL
        if not self._chunked:
            return self._stuffer.end()
        if self._sent != self._size:
            raise LocalProtocolError("the message is not as long as its envelope says")
        return b"" if self._sent else self._begin_chunk()

    def _on_final(self, reply: Reply) -> bytes:
        if reply.code < 400 and not reply.accepted:
            self.lost(f"The server answered the message with {reply.code}")
            return b""
        self._needs_reset = False
        self._settle(Result(reply=reply, verb="end of message"))
        return self._done()

    def _on_content(self, reply: Reply) -> bytes:
        """A reply in the middle of the message: the server gave up."""
        self._closing = True
        if reply.accepted or reply.code < 400:
            reply = Reply(451, "4.5.0", "The server replied before the message had ended")
        self._settle(Result(reply=reply, verb="end of message"))
        return self._done()

    def _settle(self, result: Result) -> None:
        """Give all recipients that have no result yet this one."""
        self._slots = [slot or result for slot in self._slots]

    def _done(self) -> bytes:
        self.results = [slot for slot in self._slots if slot is not None]
        self.state = State.DONE
        return b""

    # --- the end --------------------------------------------------------------------------------------

    def quit(self) -> bytes:
        """End the session (RFC 5321 §4.1.1.10)."""
        self.state = State.QUIT
        return b"QUIT\r\n"

    def _on_quit(self, _reply: Reply) -> bytes:
        self.state = State.CLOSED
        return b""

    def lost(self, why: str) -> None:
        """The connection broke, or the server broke the protocol. A transaction under way is DONE by it."""
        reply = Reply(421, "4.4.2", why)
        self._closing = True
        if self.state in (State.ENVELOPE, State.CONTENT, State.FINAL):
            ambiguous = self.state is State.FINAL and bool(self._accepted)
            self._settle(Result(reply=reply, verb="", local=True, ambiguous=ambiguous))
            self._abandon()
        elif self.state not in (State.DONE, State.CLOSED):
            self._fail_ourselves("4.4.2", why)

    def _closed_by_server(self, reply: Reply) -> bytes:
        self._closing = True
        if self.state in (State.ENVELOPE, State.CONTENT, State.FINAL):
            verb = self._awaiting[0].verb.value if self._awaiting else "end of message"
            self._settle(Result(reply=reply, verb=verb))
            self._abandon()
            return b""
        return self._fail(reply)

    def _abandon(self) -> None:
        self._to_send.clear()
        self._awaiting.clear()
        self._done()

    def _fail(self, reply: Reply) -> bytes:
        self.problem = reply
        self._closing = True
        self.state = State.CLOSED
        return b""

    def _fail_ourselves(self, status: str, text: str) -> bytes:
        self.problem_is_ours = True
        return self._fail(Reply(421 if status == "4.4.2" else 451, status, text))


_ON_REPLY: Final[Mapping[State, Callable[[ClientCore, Reply], bytes]]] = MappingProxyType(
    {
        State.GREETING: ClientCore._on_greeting,
        State.EHLO: ClientCore._on_ehlo,
        State.HELO: ClientCore._on_helo,
        State.STARTTLS: ClientCore._on_starttls,
        State.AUTH: ClientCore._on_auth,
        State.ENVELOPE: ClientCore._on_envelope,
        State.CONTENT: ClientCore._on_content,
        State.FINAL: ClientCore._on_final,
        State.QUIT: ClientCore._on_quit,
    }
)
"""What a reply means in each state where one may come."""
