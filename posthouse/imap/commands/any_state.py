"""CAPABILITY, NOOP, LOGOUT (RFC 9051 §6.1) and ID (RFC 2971), for every state; CHECK (RFC 3501 §6.4.1)."""

from __future__ import annotations

import logging

from posthouse import __version__, limits
from posthouse.imap import encode
from posthouse.imap.capabilities import capabilities
from posthouse.imap.commands.row import ANY, SELECTED, Command, no_arguments
from posthouse.imap.grammar import Reader
from posthouse.imap.session import Session, State

log = logging.getLogger("posthouse.imap")


async def run_capability(session: Session, args: None) -> None:
    """Tell what this connection may use now."""
    session.send(b"* CAPABILITY %b\r\n" % capabilities(session))


async def run_noop(session: Session, args: None) -> None:
    """Nothing: the updates come by themselves."""


async def run_logout(session: Session, args: None) -> None:
    """Say goodbye; the server closes after the tagged OK."""
    # RFC 9051 §6.1.3: BYE comes before the tagged OK.
    session.send(b"* BYE %b\r\n" % session.words("Logging out"))
    session.close_view()
    session.state = State.LOGOUT


def parse_id(reader: Reader, uid: bool) -> dict[bytes, bytes | None]:
    """`SP ("NIL" / "(" field value … ")")`."""
    reader.sp()
    fields: dict[bytes, bytes | None] = {}
    if reader.accept(b"NIL"):
        reader.end()
        return fields

    def pair() -> tuple[bytes, bytes | None]:
        name = reader.string()
        reader.sp()
        return name.lower(), reader.nstring()

    for name, value in reader.parenthesized(pair, empty=True):
        if name in fields or len(fields) >= limits.IMAP_ID_FIELDS:
            # RFC 2971 §3.3: no field twice, and at most 30 of them
            raise reader.fail("A field of ID is repeated, or there are too many")
        fields[name] = value
    reader.end()
    return fields


async def run_id(session: Session, fields: dict[bytes, bytes | None]) -> None:
    """Note the client's program for the log; tell ours (the version only to those who logged in)."""
    shown = " ".join(
        f"{name.decode()}={value.decode('utf-8', 'replace')!r}"
        for name in (b"name", b"version", b"os")
        if (value := fields.get(name)) is not None
    )
    log.info("client session=%s %s", session.connection.session_id, shown)
    if session.state is State.NOT_AUTHENTICATED:
        session.send(b'* ID ("name" "Posthouse")\r\n')
    else:
        version = encode.string(__version__.encode("ascii"))
        session.send(b'* ID ("name" "Posthouse" "version" %b)\r\n' % version)


ROWS: tuple[Command[None] | Command[dict[bytes, bytes | None]], ...] = (
    Command(name=b"CAPABILITY", states=ANY, parse=no_arguments, run=run_capability, rfc="RFC 9051 §6.1.1"),
    Command(name=b"NOOP", states=ANY, parse=no_arguments, run=run_noop, rfc="RFC 9051 §6.1.2"),
    # RFC 3501 §6.4.1: a checkpoint; everything here is on disk already, so it is a NOOP
    Command(name=b"CHECK", states=SELECTED, parse=no_arguments, run=run_noop, rfc="RFC 3501 §6.4.1"),
    Command(name=b"LOGOUT", states=ANY, parse=no_arguments, run=run_logout, rfc="RFC 9051 §6.1.3"),
    Command(name=b"ID", states=ANY, parse=parse_id, run=run_id, capabilities=(b"ID",), rfc="RFC 2971"),
)
