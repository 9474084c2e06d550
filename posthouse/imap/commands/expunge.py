r"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9; RFC 4315 §2.1; RFC 7162 §3.2.7, §3.2.9).

The two differ in their arguments only: without a set, all that is \Deleted goes. The responses are those of the
view, which tells expunges by others in the same breath.
"""

from __future__ import annotations

from typing import Final

from posthouse.imap.commands.row import SELECTED, Command, Completion
from posthouse.imap.grammar import Reader
from posthouse.imap.sequence import SequenceSet, parse_sequence_set
from posthouse.imap.session import Session
from posthouse.store.interface import Expunge


def parse_expunge(reader: Reader, uid: bool) -> SequenceSet | None:
    """Nothing behind `EXPUNGE`, a set of UIDs behind `UID EXPUNGE`."""
    messages = None
    if uid:
        reader.sp()
        try:
            messages = parse_sequence_set(reader.sequence_set())
        except ValueError as error:
            raise reader.fail(str(error)) from None
    reader.end()
    return messages


async def run_expunge(session: Session, messages: SequenceSet | None) -> Completion:
    """Remove for good, and tell."""
    view = session.view
    assert view is not None
    view.need("e")
    uids = None if messages is None else view.select(messages, uid=True)
    expunged = await session.store.apply(
        Expunge(account_id=view.index.account_id, mailbox_id=view.index.mailbox_id, uids=uids)
    )
    await view.tell(session, expunges=True)
    if expunged.uids and session.qresync:
        # RFC 7162 §3.2.7: the tagged OK carries the mod-sequence of what the client now knows.
        return Completion(b"HIGHESTMODSEQ %d" % view.highest_modseq)
    return Completion()


EXPUNGE: Final = Command(
    name=b"EXPUNGE",
    states=SELECTED,
    parse=parse_expunge,
    run=run_expunge,
    uid=True,
    rfc="RFC 9051 §6.4.3",
)
ROWS: Final = (EXPUNGE,)
