"""What one node tells the others after it has committed: small enough for a NOTIFY, and losing it costs only time."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from posthouse.store.memory import changes

AccountNotice = tuple[int, int, list[tuple[int, int]]]
"""(account, its mod-sequence, [(mailbox, its mod-sequence)])."""


class Notice(msgspec.Struct, omit_defaults=True):
    """A batch of commits. Field names are short on the wire: `encode` and `decode`."""

    node: str = msgspec.field(default="", name="n")
    accounts: list[AccountNotice] = msgspec.field(default_factory=list, name="a")
    gone: list[int] = msgspec.field(default_factory=list, name="g")
    """Accounts that were removed."""
    people: bool = msgspec.field(default=False, name="p")
    queue: bool = msgspec.field(default=False, name="q")
    came: bool = msgspec.field(default=False, name="c")
    """There is new mail to be derived and indexed."""
    went: bool = msgspec.field(default=False, name="w")
    """There is something to sweep."""

    told: list[tuple[str, ...]] = msgspec.field(default_factory=list, name="t")
    """Small things of other parts of the house: a topic and words."""

    def __bool__(self) -> bool:
        return bool(
            self.accounts or self.gone or self.told or self.people or self.queue or self.came or self.went
        )


def notice_of(published: Iterable[changes.Change]) -> Notice:
    """What other nodes must hear of some changes."""
    notice = Notice()
    modseqs: dict[int, int] = {}
    mailboxes: dict[int, dict[int, int]] = {}
    for change in published:
        if isinstance(change, changes.Appended | changes.Flagged | changes.Vanished):
            mailboxes.setdefault(change.account_id, {})[change.mailbox_id] = change.modseq
            modseqs[change.account_id] = max(change.modseq, modseqs.get(change.account_id, 0))
            notice.came |= isinstance(change, changes.Appended)
            notice.went |= isinstance(change, changes.Vanished)
        elif isinstance(change, changes.AccountChanged):
            modseqs[change.account_id] = max(change.modseq, modseqs.get(change.account_id, 0))
        elif isinstance(change, changes.MailboxGone):
            mailboxes.setdefault(change.account_id, {})[change.mailbox_id] = 1 << 62
            modseqs.setdefault(change.account_id, 0)
            notice.went = True
        elif isinstance(change, changes.AccountGone):
            notice.gone.append(change.account_id)
        elif isinstance(change, changes.PeopleChanged | changes.RecipientKnown):
            notice.people = True
        elif isinstance(change, changes.QueueChanged):
            notice.queue = True
    notice.accounts = [
        (account_id, modseq, list(mailboxes.get(account_id, {}).items()))
        for account_id, modseq in modseqs.items()
    ]
    return notice
