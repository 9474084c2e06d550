"""What happens around every IMAP command: row, state check, parsing, running, errors, updates, tagged line.

Runners do none of this themselves. Whatever goes wrong inside a runner ends as a tagged NO or BAD and the
connection lives on; only errors of the connection itself, and our own breach of the protocol in mid-
response, pass through.
"""

from __future__ import annotations

import logging
import secrets
import time

from posthouse import limits
from posthouse.errors import (
    Conflict,
    LocalProtocolError,
    NotFound,
    OverQuota,
    Permanent,
    PosthouseError,
    RemoteProtocolError,
    Temporary,
)
from posthouse.imap.commands import TABLE
from posthouse.imap.commands.append import skip_messages
from posthouse.imap.commands.row import Bad, Command, Completion, No
from posthouse.imap.framing import Frame, Literal, Step, tag_of
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.refusal import Goodbye
from posthouse.imap.session import Session, State
from posthouse.net.buffer import LineTooLong
from posthouse.net.faults import ConnectionFault

log = logging.getLogger("posthouse.imap")

_STORE_ERRORS: tuple[tuple[type[PosthouseError], bytes], ...] = (
    # RFC 5530 §3: response codes for what the store refuses
    (OverQuota, b"OVERQUOTA"),
    (NotFound, b"NONEXISTENT"),
    (Conflict, b"ALREADYEXISTS"),
    (Temporary, b"UNAVAILABLE"),
    (Permanent, b"CANNOT"),
)


async def serve_command(session: Session, line: bytes) -> None:
    """Take one command whose first line has been read, and answer it."""
    if line[-1:] != b"}":
        await _answer(session, line)
        return
    frame = Frame(
        literal_limit=session.literal_limit,
        command_limit=session.command_limit,
        appends=session.state is not State.NOT_AUTHENTICATED,
    )
    try:
        step = await _collect(session, frame, line)
    except LineTooLong as error:
        _reject(session, tag_of(line), b"", error.public)
        return
    if step is Step.REFUSE:
        await _refuse(session, line, frame.literal)
        return
    if step is Step.MESSAGE:
        session.message = frame.literal
    try:
        await _answer(session, frame.command())
    finally:
        session.message = None


async def _collect(session: Session, frame: Frame, line: bytes) -> Step:
    step = frame.line(line)
    while step is Step.LITERAL and frame.literal is not None:
        if frame.literal.synchronizing:
            session.send(b"+ Ready\r\n")
            await session.flush()
        frame.take(await session.connection.read_exactly(frame.literal.size))
        step = frame.line(await session.read_line())
    return step


def _reject(session: Session, tag: bytes, code: bytes, words: str) -> None:
    session.bad += 1
    session.send(_tagged(session, tag, b"BAD", code, words))


async def _refuse(session: Session, line: bytes, literal: Literal | None) -> None:
    if literal is not None and not literal.synchronizing:
        # RFC 7888 §4: the octets are under way already; read past them, or close when they are too many.
        session.message = literal
        await skip_messages(session)
    # RFC 9051 §4.3: a literal refused gets no continuation but a tagged answer
    words = line.split(b" ", 2)
    row = TABLE.get(words[1].upper()) if len(words) > 1 else None
    if row is not None and row.too_large and session.state in row.states:
        session.send(_tagged(session, tag_of(line), b"NO", row.too_large, "The value is too large"))
        return
    _reject(session, tag_of(line), b"TOOBIG", "The command is too long")


async def _answer(session: Session, raw: bytes) -> None:
    reader = Reader(raw, utf8=session.utf8)
    began = time.perf_counter()
    row: Command[object] | None = None
    name = tag = b"*"
    then = None
    try:
        session.tag = tag = reader.tag()
        reader.sp()
        name, row, uid = _find_row(reader)
        if session.state not in row.states:
            raise Bad(f"{name.decode('ascii')} is not valid when {session.state.value}")
        arguments = row.parse(reader, uid)
        if session.view is not None and session.view.in_doubt:
            await session.view.look()  # RFC 4314 §5.1.1: rights are as they are now
        completion = await row.run(session, arguments) or Completion()
        words = completion.text or f"{name.decode('ascii')} completed"
        reply = _tagged(session, tag, b"OK", completion.code, words)
        then = completion.then
        session.bad = 0
    except No as error:
        reply = _tagged(session, tag, b"NO", error.code, error.public)
    except (Bad, BadSyntax, LineTooLong) as error:
        reply = _bad(session, tag, error)
    except (LocalProtocolError, ConnectionFault, Goodbye):
        raise
    except PosthouseError as error:
        reply = _store_error(session, tag, error)
    except Exception as error:
        reply = _fault(session, tag, name, error)
    if session.message is not None:
        await skip_messages(session)  # nobody took the messages of a refused APPEND
    if row is not None and session.state is not State.LOGOUT:
        # RFC 9051 §7.5.1: no EXPUNGE while FETCH, STORE or SEARCH by sequence number is being answered
        try:
            await session.tell(row.expunges or name.startswith(b"UID "))
        except Temporary:
            pass  # the updates wait in the view; the command itself is done
    session.send(reply)
    _note(session, name, reply, time.perf_counter() - began, row is not None and row.waits)
    if then is not None:
        await session.flush()
        await then(session)


def _find_row(reader: Reader) -> tuple[bytes, Command[object], bool]:
    name = word = reader.keyword()
    uid = word == b"UID"
    if uid:
        reader.sp()
        word = reader.keyword()
        name = b"UID " + word
    row = TABLE.get(word)
    if row is None or not (row.uid if uid else not row.uid_only):
        raise Bad("Unknown command")
    return name, row, uid


def _tagged(session: Session, tag: bytes, status: bytes, code: bytes, words: str) -> bytes:
    text = session.words(words)
    if code:
        return b"%b %b [%b] %b\r\n" % (tag, status, code, text)
    return b"%b %b %b\r\n" % (tag, status, text)


def _bad(session: Session, tag: bytes, error: RemoteProtocolError) -> bytes:
    session.bad += 1
    if isinstance(error, BadSyntax):
        return _tagged(session, tag, b"BAD", b"", f"{error.public} (at octet {error.offset})")
    return _tagged(session, tag, b"BAD", error.code if isinstance(error, Bad) else b"", error.public)


def _store_error(session: Session, tag: bytes, error: PosthouseError) -> bytes:
    for kind, code in _STORE_ERRORS:
        if isinstance(error, kind):
            return _tagged(session, tag, b"NO", code, error.public)
    return _tagged(session, tag, b"NO", b"", error.public)


def _fault(session: Session, tag: bytes, name: bytes, error: Exception) -> bytes:
    # RFC 5530 §3 SERVERBUG: the reply carries the id under which the log tells more
    fault = secrets.token_hex(4)
    log.error(
        "fault id=%s session=%s command=%s",
        fault,
        session.connection.session_id,
        name.decode("ascii", "replace"),
        exc_info=error,
    )
    return _tagged(session, tag, b"NO", b"SERVERBUG", f"Internal fault {fault}")


def _note(session: Session, name: bytes, reply: bytes, seconds: float, waits: bool) -> None:
    if seconds > limits.IMAP_SLOW and not waits:
        log.warning(
            "slow session=%s command=%s seconds=%.3f",
            session.connection.session_id,
            name.decode("ascii", "replace"),
            seconds,
        )
    elif log.isEnabledFor(logging.DEBUG):
        log.debug(
            "command session=%s command=%s ms=%.2f reply=%s",
            session.connection.session_id,
            name.decode("ascii", "replace"),
            seconds * 1000,
            reply.rstrip().decode("ascii", "replace"),
        )
