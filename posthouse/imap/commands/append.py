"""APPEND (RFC 9051 §6.3.12): MULTIAPPEND (RFC 3502), APPENDUID (RFC 4315), CATENATE (RFC 4469), UTF8 (RFC 6855 §4).

The messages come as literals which this runner reads itself: small ones into memory, large ones into
staging. All messages of one command are one commit: either every one is kept or none. What can be refused
(no such mailbox, too large, over quota) is refused before a synchronising literal is sent; the octets of
the other kind are read past. `session.message` always tells what of the command has not been read, so that
`skip_messages` can find its end.
"""

from __future__ import annotations

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound
from posthouse.imap import acl
from posthouse.imap.append_args import (
    AppendArgs,
    Awaited,
    MessageHead,
    Pieces,
    message_heads,
    parse_append,
    pieces_after,
)
from posthouse.imap.catenate import Assembly, bad_url, check_url_size, piece_of
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


class Upload:
    """The messages of one APPEND, or the one of a REPLACE, as they come in."""

    __slots__ = ("_copied", "_pieces", "in_memory", "ops", "room", "session", "staged", "target")

    def __init__(self, session: Session, target: Seen, room: int | None) -> None:
        """`room`: octets that may be stored; None: any number."""
        self.session = session
        self.target = target
        self.room = room
        self.in_memory = 0
        self._pieces = self._copied = 0
        self.staged: list[Staging] = []
        self.ops: list[AddEmail] = []

    async def take(self, heads: tuple[MessageHead, ...]) -> tuple[MessageHead, ...]:
        """Read these messages; the result are those that follow."""
        following: tuple[MessageHead, ...] = ()
        for head in heads:
            if len(self.ops) >= limits.IMAP_APPEND_MESSAGES:
                raise No(b"LIMIT", "Too many messages in one APPEND")
            content, following = await self._content(head.pieces)
            self.ops.append(
                AddEmail(
                    account_id=self.target.mailbox.account_id,
                    mailbox_id=self.target.mailbox.mailbox_id,
                    content=content,
                    # RFC 4314 §4: flags for which there is no right are left out
                    flags=acl.settable(self.target.rights, head.flags),
                    received_at=int(self.session.now()) if head.received_at is None else head.received_at,
                )
            )
        return following

    async def _content(self, pieces: Pieces) -> tuple[Content, tuple[MessageHead, ...]]:
        """One message, and those that begin on the line that ends it."""
        assembly = Assembly(self.session.store, limits.IMAP_APPEND_MEMORY - self.in_memory, self.staged)
        following: tuple[MessageHead, ...] = ()
        more: Pieces | None = pieces
        while more is not None:
            self._pieces += more.count
            if self._pieces > limits.IMAP_CATENATE_PIECES:
                raise No(b"LIMIT", "Too many pieces in one APPEND")
            for url in more.urls:
                await self._copy(assembly, url)
            if more.awaited is None:
                break
            reader = await self._literal(assembly, more)
            more = pieces_after(reader, more)
            if more is None and not reader.at_end():
                following = message_heads(reader)
        if assembly.size == 0:
            # RFC 3502 §6.3.11: an empty message aborts the whole command
            raise No(b"", "An empty message cannot be stored")
        self.in_memory += assembly.held
        return await assembly.finish(), following

    async def _copy(self, assembly: Assembly, url: bytes) -> None:
        piece = await piece_of(self.session, url)
        self._copied += piece.size
        if self._copied > max(limits.IMAP_CATENATE_OCTETS, self.session.services.message_size):
            raise No(b"LIMIT", "Too much is to be copied by one APPEND")
        self._make_room(assembly, piece.size)
        try:
            async for octets in piece.octets:
                await assembly.write(octets)
        except NotFound:
            raise bad_url(url, "The message has been removed") from None

    async def _literal(self, assembly: Assembly, pieces: Pieces) -> Reader:
        """Read the literal that is awaited; the result is what stands behind it."""
        session = self.session
        literal = session.message
        assert literal is not None
        if pieces.utf8 and not session.utf8:
            raise Bad("UTF8 is not enabled")
        if pieces.awaited is Awaited.URL:
            check_url_size(literal.size)
        else:
            if literal.size == 0 and pieces.awaited is Awaited.MESSAGE:
                raise No(b"", "An empty message cannot be stored")
            self._make_room(assembly, literal.size)
        if literal.synchronizing:
            session.send(b"+ Ready\r\n")
            await session.flush()
        if pieces.awaited is Awaited.URL:
            url = await session.connection.read_exactly(literal.size)
            session.message = _unread(0)
            await self._copy(assembly, url)
        else:
            await self._receive(assembly, literal.size)
        session.message = None
        line = await session.read_line()
        session.message = announced_literal(line)
        return Reader(line, utf8=session.utf8)

    def _make_room(self, assembly: Assembly, size: int) -> None:
        """Before so many octets are asked for. No: they are too many."""
        if assembly.size + size > self.session.services.message_size:
            # RFC 7889 §4: larger than APPENDLIMIT; RFC 4469 §4.2
            raise No(b"TOOBIG", "The message is too large")
        if self.room is not None:
            self.room -= size
            if self.room < 0:
                raise No(b"OVERQUOTA", "The message does not fit into the quota")

    async def _receive(self, assembly: Assembly, size: int) -> None:
        session = self.session
        if assembly.takes(size):
            raw = await session.connection.read_exactly(size)
            session.message = _unread(0)
            await assembly.write(raw)
            return
        left = size
        async for chunk in session.connection.octets(left):
            left -= len(chunk)
            session.message = _unread(left)
            await assembly.write(chunk)

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


async def run_append(session: Session, args: AppendArgs) -> Completion:
    """Store the messages; the OK tells their UIDs."""
    # RFC 9051 §6.3.12: the client may create it and try again
    target = await opened(session, args.mailbox, "i", otherwise=b"TRYCREATE")
    upload = Upload(session, target, await session.services.directory.room(target.owner or session.account))
    try:
        heads = args.heads
        while heads:
            heads = await upload.take(heads)
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
    capabilities=(b"MULTIAPPEND", b"UIDPLUS", b"CATENATE"),
    rfc="RFC 9051 §6.3.12, RFC 3502, RFC 4315, RFC 4469, RFC 6855",
)
ROWS = (APPEND,)
