"""APPEND (RFC 9051 §6.3.12), with MULTIAPPEND (RFC 3502), APPENDUID (RFC 4315), UTF8 (RFC 6855 §4), LITERAL+.

The messages come as literals which this runner reads itself: small ones into memory, large ones into
staging. All messages of one command are one commit: either every one is kept or none. What can be refused
(no such mailbox, too large, over quota) is refused before a synchronising literal is sent; the octets of
the other kind are read past. `session.message` always tells what of the command has not been read, so that
`skip_messages` can find its end.
"""

from __future__ import annotations

import re

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.imap import acl
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, Completion, No
from posthouse.imap.framing import Literal, announced_literal
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import Seen, opened
from posthouse.imap.refusal import Goodbye
from posthouse.imap.session import Session, State
from posthouse.net.buffer import LineTooLong
from posthouse.ranges import Ranges
from posthouse.store.interface import AddEmail, Staging
from posthouse.store.model import Content

_LITERAL_HEADER = re.compile(rb"~?\{[0-9]{1,20}\+?\}\Z")


class MessageHead(msgspec.Struct, frozen=True):
    """What stands before one message literal."""

    flags: frozenset[str]
    received_at: int | None
    """The date-time given, or None."""
    utf8: bool
    """Whether it came as `UTF8 (~{…}…)`."""


class AppendArgs(msgspec.Struct, frozen=True):
    """APPEND up to its first literal."""

    mailbox: str
    head: MessageHead


def parse_append(reader: Reader, uid: bool) -> AppendArgs:
    """`SP mailbox` and what stands before the first message."""
    reader.sp()
    mailbox = reader.mailbox()
    return AppendArgs(mailbox, message_head(reader))


def message_head(reader: Reader) -> MessageHead:
    """append-message (RFC 4466 §3), up to its literal."""
    reader.sp()
    flags: frozenset[str] = frozenset()
    received_at = None
    if reader.peek(b"("):
        flags = reader.flag_list()
        reader.sp()
    if reader.peek(b'"'):
        received_at = reader.date_time()
        reader.sp()
    utf8 = reader.accept(b"UTF8 (")
    reader.match(_LITERAL_HEADER, "A message literal")
    return MessageHead(flags, received_at, utf8)


class Upload:
    """The messages of one APPEND, or the one of a REPLACE, as they come in."""

    __slots__ = ("in_memory", "ops", "room", "session", "staged", "target")

    def __init__(self, session: Session, target: Seen, room: int | None) -> None:
        """`room`: octets that may be stored; None: any number."""
        self.session = session
        self.target = target
        self.room = room
        self.in_memory = 0
        self.staged: list[Staging] = []
        self.ops: list[AddEmail] = []

    async def take(self, head: MessageHead) -> MessageHead | None:
        """Read one message; the result says that another follows."""
        session = self.session
        literal = session.message
        assert literal is not None
        self._check(literal, head)
        if literal.synchronizing:
            session.send(b"+ Ready\r\n")
            await session.flush()
        content = await self._receive(literal)
        self.ops.append(
            AddEmail(
                account_id=self.target.mailbox.account_id,
                mailbox_id=self.target.mailbox.mailbox_id,
                content=content,
                # RFC 4314 §4: flags for which there is no right are left out
                flags=acl.settable(self.target.rights, head.flags),
                received_at=int(session.now()) if head.received_at is None else head.received_at,
            )
        )
        session.message = None
        line = await session.read_line()
        session.message = announced_literal(line)
        reader = Reader(line, utf8=session.utf8)
        if head.utf8:
            reader.expect(b")")
        if reader.at_end():
            return None
        return message_head(reader)

    def _check(self, literal: Literal, head: MessageHead) -> None:
        if head.utf8 and not self.session.utf8:
            raise Bad("UTF8 is not enabled")
        if literal.size > self.session.services.message_size:
            # RFC 7889 §4: larger than APPENDLIMIT
            raise No(b"TOOBIG", "The message is too large")
        if literal.size == 0:
            # RFC 3502 §6.3.11: an empty message aborts the whole command
            raise No(b"", "An empty message cannot be stored")
        if len(self.ops) >= limits.IMAP_APPEND_MESSAGES:
            raise No(b"LIMIT", "Too many messages in one APPEND")
        if self.room is not None:
            self.room -= literal.size
            if self.room < 0:
                raise No(b"OVERQUOTA", "The message does not fit into the quota")

    async def _receive(self, literal: Literal) -> Content:
        connection = self.session.connection
        if self.in_memory + literal.size <= limits.IMAP_APPEND_MEMORY:
            raw = await connection.read_exactly(literal.size)
            self.session.message = _unread(0)
            _check_octets(raw)
            self.in_memory += literal.size
            return Content.of(raw)
        staging = self.session.store.stage()
        self.staged.append(staging)
        left = literal.size
        async for chunk in connection.octets(left):
            left -= len(chunk)
            self.session.message = _unread(left)
            _check_octets(chunk)
            await staging.write(chunk)
        return await staging.finish()

    async def allowed(self, name: str) -> list[AddEmail]:
        """What is to be kept, when the rights to another's mailbox are still there: an upload may take long."""
        if self.target.owner is None:
            return self.ops
        now = await opened(self.session, name, "i")
        if now.mailbox.mailbox_id != self.target.mailbox.mailbox_id:
            raise No(b"NONEXISTENT", "No such mailbox")
        return [msgspec.structs.replace(op, flags=acl.settable(now.rights, op.flags)) for op in self.ops]

    async def discard(self) -> None:
        """Forget what was staged."""
        for staging in self.staged:
            await staging.discard()


def _unread(size: int) -> Literal:
    """Octets that come without our asking, and the rest of their line."""
    return Literal(size, False, False, 0)


def _check_octets(raw: bytes) -> None:
    if b"\0" in raw:
        # RFC 3516 §4.4: NUL needs the binary transfer encoding, which the mailboxes here do not store.
        raise No(b"UNKNOWN-CTE", "A message with NUL octets cannot be stored")


async def run_append(session: Session, args: AppendArgs) -> Completion:
    """Store the messages; the OK tells their UIDs."""
    # RFC 9051 §6.3.12: the client may create it and try again
    target = await opened(session, args.mailbox, "i", otherwise=b"TRYCREATE")
    upload = Upload(session, target, await session.services.directory.room(target.owner or session.account))
    try:
        head: MessageHead | None = args.head
        while head is not None:
            head = await upload.take(head)
        try:
            added = await session.store.commit(*await upload.allowed(args.mailbox))
        except NotFound:
            raise No(b"TRYCREATE", "No such mailbox") from None
        except Conflict as error:
            raise No(b"LIMIT", "Too many different keywords") from error
    except BaseException:
        await upload.discard()
        raise
    uids = Ranges.of_sorted(one.uid for one in added)
    # RFC 4315 §3: UIDs in the order of the messages, which here always ascend
    return Completion(b"APPENDUID %d %b" % (added[0].uid_validity, str(uids).encode("ascii")))


async def skip_messages(session: Session) -> None:
    """Read past the message literals of an APPEND that was refused, up to the command's end.

    A synchronising literal ends it: that one is never sent. Raises Goodbye when too much would come.
    """
    literal, session.message = session.message, None
    stranger = session.state is State.NOT_AUTHENTICATED
    allowed = limits.IMAP_COMMAND if stranger else limits.IMAP_SKIP
    while literal is not None and not literal.synchronizing:
        allowed -= literal.size
        if allowed < 0:
            raise Goodbye(b"TOOBIG", "The literal is too long")
        async for _ in session.connection.octets(literal.size):
            pass
        try:
            literal = announced_literal(await session.read_line())
        except LineTooLong:
            return  # that line has been passed over, and the command with it


APPEND: Command[AppendArgs] = Command(
    name=b"APPEND",
    states=AUTHENTICATED,
    parse=parse_append,
    run=run_append,
    capabilities=(b"MULTIAPPEND", b"UIDPLUS"),
    rfc="RFC 9051 §6.3.12, RFC 3502, RFC 4315, RFC 6855",
)
ROWS = (APPEND,)
