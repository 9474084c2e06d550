"""What the server knows about one IMAP connection, and the way out for its untagged data.

Thousands of sessions sit in IDLE, so a session is small: slots, no dict of its own, everything shared in
`Services`. Output is gathered and goes to the connection in one write per command, or at `flush` when much
has come together.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from ssl import SSLContext
from typing import TYPE_CHECKING

import msgspec

from posthouse import limits
from posthouse.accounts.model import Login
from posthouse.imap.framing import Literal
from posthouse.imap.languages import DEFAULT, say
from posthouse.imap.refusal import Goodbye
from posthouse.net.buffer import BareLineFeed
from posthouse.store.interface import Store
from posthouse.store.model import Account

if TYPE_CHECKING:
    from posthouse.accounts.directory import Directory
    from posthouse.imap.notices import Notices
    from posthouse.imap.view import View
    from posthouse.net.connection import Connection


class State(enum.Enum):
    """RFC 9051 §3: what the connection has come to."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What all sessions share: the house behind the protocol, and its settings."""

    store: Store
    directory: Directory
    hostname: str
    names: Callable[[], Iterable[str]]
    """All that URLs may call us: `hostname`, the name that people's programs are told, other hosts of the house."""
    plaintext: str = "loopback"
    """A password without TLS: "never", "loopback", "always" (config.Auth)."""
    message_size: int
    """Octets of one appended message (RFC 7889 APPENDLIMIT)."""
    tls: SSLContext | None = None
    """For STARTTLS; None: not offered."""
    unauthenticate: bool = False
    """Whether a connection may log in again as somebody else (config.Auth)."""
    jmap_url: str = ""
    """Where the JMAP session of the same mail is (RFC 9698); empty: nobody can be told."""
    now: Callable[[], float]
    """POSIX seconds."""
    capabilities: tuple[bytes, ...] = ()
    """What the command table and the settings bring (`capabilities.from_rows`)."""


class Session:
    """One connection: its state, its login, the selected view, what the client enabled, and its output."""

    __slots__ = (
        "_out",
        "_out_size",
        "bad",
        "condstore",
        "connection",
        "failed_logins",
        "jmap",
        "language",
        "log_out",
        "login",
        "message",
        "notices",
        "qresync",
        "rev2",
        "services",
        "state",
        "tag",
        "utf8_accept",
        "view",
    )

    def __init__(self, services: Services, connection: Connection) -> None:
        self.services = services
        self.connection = connection
        self.tag = b""
        """The tag of the command that is being answered (ESEARCH repeats it)."""
        self.message: Literal | None = None
        """The message literal of an APPEND that nobody has read yet."""
        self.bad = 0
        """BAD answers in a row."""
        self.failed_logins = 0
        """Since the connection began."""
        self._out: list[bytes] = []
        self._out_size = 0
        self._begin()

    def _begin(self) -> None:
        """All that belongs to a login: as it is before there is one."""
        self.state = State.NOT_AUTHENTICATED
        self.login: Login | None = None
        self.log_out: Callable[[], None] = _nothing
        """To be called when the session ends."""
        self.view: View | None = None
        """The selected mailbox; set and cleared by the commands that select."""
        self.notices: Notices | None = None
        """What the client asked to be told beyond that; None, as for most: nothing."""
        self.language = DEFAULT
        """What replies say to people is said in it (RFC 8437 §4: until another logs in)."""
        self.jmap = False
        """What proved the login is good for JMAP too (RFC 9698)."""
        self.condstore = False
        """RFC 7162 §3.1: the client has shown that it knows mod-sequences."""
        self.qresync = False
        self.rev2 = False
        """ENABLE IMAP4rev2: RFC 9051 instead of RFC 3501 where they differ."""
        self.utf8_accept = False

    @property
    def store(self) -> Store:
        """The mail."""
        return self.services.store if self.notices is None else self.notices.store

    @property
    def account(self) -> Account:
        """Who is logged in; only where the state says that somebody is."""
        assert self.login is not None
        return self.login.account

    @property
    def account_id(self) -> int:
        """The number of the account logged in."""
        return self.account.account_id

    @property
    def utf8(self) -> bool:
        """Whether mailbox names and other strings are UTF-8 on the wire (RFC 9051 §5.1, RFC 6855 §3)."""
        return self.rev2 or self.utf8_accept

    def words(self, text: str) -> bytes:
        """A text for people, in their language."""
        return say(self.language, text)

    def now(self) -> float:
        """POSIX seconds."""
        return self.services.now()

    @property
    def literal_limit(self) -> int:
        """Octets of one literal (APPEND messages apart); a stranger gets little."""
        stranger = self.state is State.NOT_AUTHENTICATED
        return limits.IMAP_LITERAL_STRANGER if stranger else limits.IMAP_LITERAL

    @property
    def command_limit(self) -> int:
        """Octets of one command, its lines and literals together; a stranger gets little."""
        stranger = self.state is State.NOT_AUTHENTICATED
        return limits.IMAP_COMMAND_STRANGER if stranger else limits.IMAP_COMMAND

    def enable_condstore(self) -> None:
        """A CONDSTORE enabling command was given (RFC 7162 §3.1)."""
        if not self.condstore and self.view is not None:
            # RFC 7162 §3.1: the first one with a mailbox selected is answered with HIGHESTMODSEQ.
            self.send(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % self.view.highest_modseq)
        self.condstore = True

    def check_patience(self) -> None:
        """Raises Goodbye when the client has done too much nonsense or failed to log in too often."""
        stranger = self.state is State.NOT_AUTHENTICATED
        if self.bad > (limits.IMAP_BAD_STRANGER if stranger else limits.IMAP_BAD):
            raise Goodbye(b"", "Too many commands that make no sense")
        if self.failed_logins >= limits.IMAP_LOGINS:
            raise Goodbye(b"", "Too many failed logins")

    def log_in(self, login: Login) -> None:
        """Somebody has proved who they are; when that is good no more, the session ends."""
        self.login = login
        self.state = State.AUTHENTICATED
        self.log_out = self.services.directory.open_logins.add(login, "imap", self.connection.send_away)

    def forget_login(self) -> None:
        """Nobody is logged in any more, and nothing is left of what somebody did (RFC 8437 §4.1)."""
        self.close()
        self.log_out()
        self._begin()

    def close_view(self) -> None:
        """Let go of the selected mailbox, if any."""
        if self.view is not None:
            self.view.close()
            self.view = None

    def close(self) -> None:
        """The connection ends: watch nothing any more."""
        self.close_view()
        if self.notices is not None:
            self.notices.close()
            self.notices = None

    # --- telling what changed -------------------------------------------------------------------------

    def behind(self, expunges: bool) -> bool:
        """Whether there may be something to tell; expunges count only when they may be told."""
        if self.notices is not None:
            return self.notices.behind(self, expunges)
        return self.view is not None and self.view.behind(expunges)

    async def tell(self, expunges: bool) -> None:
        """Send what the client does not know yet, of the selected mailbox and of all that it asked for."""
        if self.notices is not None:
            await self.notices.tell(self, expunges)
        elif self.view is not None:
            await self.view.tell(self, expunges)

    # --- output ---------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Add whole response lines (with CRLF) or pieces of them to the output."""
        self._out.append(data)
        self._out_size += len(data)

    @property
    def full(self) -> bool:
        """Whether so much output waits that the runner should `await flush()`."""
        return self._out_size >= limits.IMAP_OUTPUT

    async def flush(self) -> None:
        """Hand the output to the connection; waits only while the client is slow to take it."""
        self.push()
        await self.connection.drain()

    def push(self) -> None:
        """Hand the output to the connection without waiting."""
        if self._out:
            out, self._out, self._out_size = self._out, [], 0
            self.connection.write(b"".join(out) if len(out) > 1 else out[0])

    async def read_line(self) -> bytes:
        """A line of the client, without its end. A LF alone is forgiven: nothing in IMAP depends on the CR."""
        try:
            return await self.connection.read_line(min(limits.IMAP_LINE, self.command_limit))
        except BareLineFeed as error:
            return error.line


def _nothing() -> None:
    """Nobody has logged in."""
