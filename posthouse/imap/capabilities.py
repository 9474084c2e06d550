"""CAPABILITY, computed from the command table and the configuration: nothing is advertised that is not there.

RFC 9051 §6.1.1 and §7.2.2. What does not change with login is listed from the start, since several clients
read the list only once; the login mechanisms, STARTTLS and LOGINDISABLED stand there only while they mean
something.
"""

from __future__ import annotations

from typing import Final

from posthouse.accounts.sasl_login import ConnectionFacts
from posthouse.imap.session import Session, State

_PROTOCOLS: Final = (b"IMAP4rev1", b"IMAP4rev2")
_GENERAL: Final = (
    b"LITERAL+",  # RFC 7888: framing
    b"UTF8=ACCEPT",  # RFC 6855: names, strings, APPEND
    b"OBJECTID",  # RFC 8474: SELECT, STATUS, CREATE, FETCH, SEARCH
)
"""What belongs to no single command."""


def connection_facts(session: Session) -> ConnectionFacts:
    """What logging in must know of the connection."""
    connection = session.connection
    return ConnectionFacts(
        door="imap",
        peer=connection.peer.host,
        tls=connection.tls is not None,
        loopback=connection.is_loopback,
        plaintext_policy=session.services.plaintext,
        server_end_point=connection.server_end_point,
        exporter=connection.exporter,
    )


def capabilities(session: Session) -> bytes:
    """The list for this connection in its present state."""
    # RFC 9698 §3: only where the login's own credentials open JMAP too
    jmap = (b"JMAPACCESS",) if session.jmap else ()
    return b" ".join((*_PROTOCOLS, *_login(session), *_GENERAL, *jmap, *session.services.capabilities))


def from_rows(rows: tuple[tuple[bytes, ...], ...], message_size: int) -> tuple[bytes, ...]:
    """What the command table brings, each once, in table order; with APPENDLIMIT (RFC 7889)."""
    found = dict.fromkeys(name for row in rows for name in row)
    return (*found, b"APPENDLIMIT=%d" % message_size)


def _login(session: Session) -> list[bytes]:
    if session.state is not State.NOT_AUTHENTICATED:
        return []
    facts = connection_facts(session)
    mechanisms = facts.mechanisms()
    found = [b"AUTH=%b" % name.encode("ascii") for name in mechanisms]
    if session.services.tls is not None and not facts.tls:
        found.append(b"STARTTLS")
    if "PLAIN" not in mechanisms:
        # RFC 9051 §6.2.3: a password in the clear is not taken here
        found.append(b"LOGINDISABLED")
    return found
