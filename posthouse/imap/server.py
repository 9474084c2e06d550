"""The IMAP server on a connection: greeting, the loop over commands, time limits, and the last word.

RFC 9051 (IMAP4rev2) and RFC 3501 (IMAP4rev1) from one code. A client may send many commands at once: they
are answered in order, and their replies leave together. Each connection holds one small Session while it
waits.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Final

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.config import Auth
from posthouse.errors import LocalProtocolError
from posthouse.imap import encode
from posthouse.imap.capabilities import capabilities, from_rows
from posthouse.imap.commands import TABLE
from posthouse.imap.dispatch import serve_command
from posthouse.imap.pusher import line_between_commands
from posthouse.imap.refusal import Goodbye
from posthouse.imap.session import Services, Session, State
from posthouse.net.buffer import LineTooLong
from posthouse.net.connection import Connection
from posthouse.net.faults import (
    BadlyCompressed,
    ConnectionFault,
    IdleTimeout,
    SentAway,
    ShuttingDown,
    TotalTimeout,
)
from posthouse.store.interface import Store

log = logging.getLogger("posthouse.imap")

_AUTH: Final = Auth()

BUSY: Final = b"* BYE [UNAVAILABLE] Too many connections\r\n"
"""What the listener says to a connection over the limit."""


class ImapServer:
    """Serves connections; `serve` is what a listener calls."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        hostname: str,
        message_size: int,
        auth: Auth = _AUTH,
        tls: ssl.SSLContext | None = None,
        jmap_url: str = "",
        now: Callable[[], float] = time.time,
        names: Callable[[], Iterable[str]] | None = None,
    ) -> None:
        """`message_size`: octets; `tls`: for STARTTLS; `jmap_url`: the JMAP session; `now`: POSIX seconds.

        `names`: all of ours, else `hostname`.
        """
        offered = from_rows(tuple(row.capabilities for row in TABLE.values()), message_size)
        self._services = Services(
            store=store,
            directory=directory,
            hostname=hostname,
            names=names or (lambda: (hostname,)),
            plaintext=auth.plaintext,
            message_size=message_size,
            tls=tls,
            unauthenticate=auth.unauthenticate,
            jmap_url=jmap_url,
            now=now,
            capabilities=tuple(name for name in offered if auth.unauthenticate or name != b"UNAUTHENTICATE"),
        )

    async def serve(self, connection: Connection) -> None:
        """Talk to one client until it leaves or is sent away. The caller closes the connection."""
        session = Session(self._services, connection)
        connection.set_idle_timeout(limits.IMAP_LOGIN_TIME)
        connection.set_total_timeout(limits.IMAP_LOGIN_TIME)
        words = encode.text(f"{self._services.hostname} Posthouse ready")
        session.send(b"* OK [CAPABILITY %b] %b\r\n" % (capabilities(session), words))
        try:
            await session.flush()
            await _converse(session)
        except Goodbye as error:
            _bye(session, error.code, error.public)
        except (IdleTimeout, TotalTimeout):
            # RFC 9051 §5.4: the autologout timer
            _bye(session, b"", "Logged out for inactivity")
        except ShuttingDown:
            _bye(session, b"UNAVAILABLE", "The server is shutting down")
        except SentAway:
            _bye(session, b"", "The login is not good any more")
        except BadlyCompressed:
            _bye(session, b"", "What you send is not compressed by DEFLATE")
        except ConnectionFault:
            pass
        except LocalProtocolError:
            log.exception("broken off session=%s", connection.session_id)
            connection.abort()
        except Exception:
            fault = secrets.token_hex(4)
            log.exception("fault id=%s session=%s", fault, connection.session_id)
            _bye(session, b"SERVERBUG", f"Internal fault {fault}")
        finally:
            session.close()
            session.log_out()


async def _converse(session: Session) -> None:
    connection = session.connection
    in_a_row = 0
    while session.state is not State.LOGOUT:
        try:
            if session.notices is not None and session.notices.at_once:
                line = await line_between_commands(session)
            else:
                line = await session.read_line()
        except LineTooLong:
            session.bad += 1
            session.send(b"* BAD [TOOBIG] The line is too long\r\n")
            line = b""
        else:
            if not line:
                session.bad += 1
                session.send(b"* BAD Empty command\r\n")
        if line:
            await serve_command(session, line)
        session.check_patience()
        if not connection.buffered or session.full:
            await session.flush()
            continue
        in_a_row += 1
        if in_a_row % limits.IMAP_TURN:
            # More commands wait: their replies leave together as soon as nothing more can be read at once.
            asyncio.get_running_loop().call_soon(session.push)
        else:
            session.push()
            await asyncio.sleep(0)
    session.push()


def _bye(session: Session, code: bytes, words: str) -> None:
    # RFC 9051 §7.1.5
    text = session.words(words)
    session.send(b"* BYE [%b] %b\r\n" % (code, text) if code else b"* BYE %b\r\n" % text)
    session.push()
