"""What a mailbox index has missed because another node changed the mailbox, and how it takes that over."""

from __future__ import annotations

import msgspec

from posthouse.ranges import EMPTY, Ranges
from posthouse.store.mailbox_index import MailboxIndex, NewRows


class Missed(msgspec.Struct):
    """What an index has to take over to be as of `modseq`. `gone`: the mailbox itself is."""

    modseq: int = 0
    uid_next: int = 1
    rows: NewRows = msgspec.field(default_factory=NewRows)
    flagged: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    """(UID, flags, mod-sequence)."""
    vanished: Ranges = EMPTY
    gone: bool = False
    whole: MailboxIndex | None = None
    """Instead of the rest: the index as it is now."""


def take_over(index: MailboxIndex, missed: Missed) -> tuple[Ranges, Ranges, Ranges]:
    """Bring an index up to date: UIDs (added, flagged, vanished)."""
    if missed.whole is not None:
        return _replace(index, missed.whole)
    index.remove(missed.vanished)
    flagged = []
    for uid, flags, modseq in missed.flagged:
        i = index.position(uid)
        if i is not None and index.modseqs[i] != modseq:
            index.flags[i] = flags
            index.modseqs[i] = modseq
            flagged.append(uid)
    added = Ranges.of_array(missed.rows.uids)
    index.append(missed.rows)
    return added, Ranges.of_sorted(flagged), missed.vanished


def _replace(index: MailboxIndex, present: MailboxIndex) -> tuple[Ranges, Ranges, Ranges]:
    """Take over the arrays of an index that was read whole."""
    before, after = Ranges.of_array(index.uids), Ranges.of_array(present.uids)
    old = dict(zip(index.uids, index.modseqs, strict=True))
    flagged = [
        uid
        for uid, modseq in zip(present.uids, present.modseqs, strict=True)
        if old.get(uid, modseq) != modseq
    ]
    index.become(present)
    return after - before, Ranges.of_sorted(flagged), before - after
