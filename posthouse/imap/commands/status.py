"""STATUS (RFC 9051 §6.3.11), also as LIST returns it (RFC 5819).

It is polled all day: it reads only the counts that the store keeps of each mailbox. DELETED-STORAGE alone looks at the
messages, where any is marked \\Deleted at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from posthouse.imap import encode
from posthouse.imap.commands.row import AUTHENTICATED, Command
from posthouse.imap.grammar import Reader
from posthouse.imap.mailboxes_seen import opened
from posthouse.imap.session import Services, Session
from posthouse.store.model import DELETED, Mailbox

StatusItem = Callable[[Mailbox, Services], bytes]

_COUNTED: Final[dict[bytes, StatusItem]] = {
    b"MESSAGES": lambda mailbox, _: b"%d" % mailbox.total,
    b"RECENT": lambda mailbox, _: b"0",
    b"UIDNEXT": lambda mailbox, _: b"%d" % mailbox.uid_next,
    b"UIDVALIDITY": lambda mailbox, _: b"%d" % mailbox.uid_validity,
    b"UNSEEN": lambda mailbox, _: b"%d" % mailbox.unseen,
    b"DELETED": lambda mailbox, _: b"%d" % mailbox.deleted,
    b"SIZE": lambda mailbox, _: b"%d" % mailbox.size,
    b"HIGHESTMODSEQ": lambda mailbox, _: b"%d" % mailbox.highest_modseq,
    b"MAILBOXID": lambda mailbox, _: b"(%b)" % encode.mailbox_id(mailbox.mailbox_id),
    b"APPENDLIMIT": lambda mailbox, services: b"%d" % services.message_size,
}
"""RFC 9051 §6.3.11; RECENT 3501, HIGHESTMODSEQ 7162, SIZE 8438, MAILBOXID 8474, APPENDLIMIT 7889."""
_RECLAIMED: Final = b"DELETED-STORAGE"
_ITEMS: Final = frozenset(_COUNTED) | {_RECLAIMED}


class StatusArgs(msgspec.Struct, frozen=True):
    """A mailbox and what to tell of it."""

    mailbox: str
    items: tuple[bytes, ...]


def parse_status(reader: Reader, uid: bool) -> StatusArgs:
    """`SP mailbox SP "(" item … ")"`."""
    reader.sp()
    mailbox = reader.mailbox()
    reader.sp()
    items = status_items(reader)
    reader.end()
    return StatusArgs(mailbox, items)


def status_items(reader: Reader) -> tuple[bytes, ...]:
    """`"(" item … ")"`, each once."""
    items = tuple(dict.fromkeys(reader.parenthesized(reader.keyword)))
    for item in items:
        if item not in _ITEMS:
            raise reader.fail(f"Unknown status item {item.decode('ascii')}")
    return items


async def run_status(session: Session, args: StatusArgs) -> None:
    """Tell a mailbox's counts."""
    mailbox = (await opened(session, args.mailbox, "r")).mailbox
    if b"HIGHESTMODSEQ" in args.items:
        session.enable_condstore()
    session.send(await status_line(session, mailbox, args.items))


async def status_line(session: Session, mailbox: Mailbox, items: tuple[bytes, ...]) -> bytes:
    """The untagged STATUS of a mailbox."""
    reclaimed = await _reclaimed(session, mailbox) if _RECLAIMED in items else 0
    return counted_line(session, mailbox, items, reclaimed)


def counted_line(session: Session, mailbox: Mailbox, items: tuple[bytes, ...], reclaimed: int = 0) -> bytes:
    """The same of what is counted all the time; `reclaimed`: DELETED-STORAGE."""
    pairs = []
    for item in items:
        value = b"%d" % reclaimed if item == _RECLAIMED else _COUNTED[item](mailbox, session.services)
        pairs.append(b"%b %b" % (item, value))
    name = encode.mailbox(mailbox.name, utf8=session.utf8)
    return b"* STATUS %b (%b)\r\n" % (name, b" ".join(pairs))


async def _reclaimed(session: Session, mailbox: Mailbox) -> int:
    """RFC 9208 §4.1.4: octets that EXPUNGE would free, as the quota counts them."""
    if not mailbox.deleted:
        return 0
    index = await session.store.index(mailbox.account_id, mailbox.mailbox_id)
    return sum(size for size, flags in zip(index.sizes, index.flags, strict=True) if flags & DELETED)


STATUS: Command[StatusArgs] = Command(
    name=b"STATUS",
    states=AUTHENTICATED,
    parse=parse_status,
    run=run_status,
    capabilities=(b"STATUS=SIZE",),
    rfc="RFC 9051 §6.3.11, RFC 8438, RFC 9208 §4.1.4",
)
ROWS = (STATUS,)
