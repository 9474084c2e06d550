"""What the rights to mailboxes allow somebody to do with emails that are another's (RFC 8621 §2 myRights)."""

from __future__ import annotations

from collections.abc import Iterable

from posthouse.accounts.mailbox_rights import NONE, MailboxRights
from posthouse.jmap.errors import Rejected
from posthouse.jmap.mail import AccountMail

SEEN = "\\Seen"


async def rights_of(mail: AccountMail) -> dict[int, MailboxRights]:
    """Mailbox → what the caller may do with it."""
    return {box.mailbox_id: mail.rights(box) for box in await mail.mailboxes()}


def check_additions(rights: dict[int, MailboxRights], mailboxes: Iterable[int]) -> None:
    """Emails come into these mailboxes. Rejected forbidden."""
    if not all(rights.get(number, NONE).may_add_items for number in mailboxes):
        raise Rejected("forbidden", "this needs mayAddItems of each mailbox that it comes into")


def check_removals(rights: dict[int, MailboxRights], mailboxes: Iterable[int]) -> None:
    """Emails leave these mailboxes. Rejected forbidden."""
    if not all(rights.get(number, NONE).may_remove_items for number in mailboxes):
        raise Rejected("forbidden", "this needs mayRemoveItems of each mailbox that it leaves")


def settable(
    rights: dict[int, MailboxRights], mailboxes: Iterable[int], flags: frozenset[str]
) -> frozenset[str]:
    """Those of some flags that may be set or removed in all these mailboxes."""
    allowed = [rights.get(number, NONE) for number in mailboxes]
    seen = all(each.may_set_seen for each in allowed)
    others = all(each.may_set_keywords for each in allowed)
    return frozenset(flag for flag in flags if (seen if flag == SEEN else others))


def check_flags(rights: dict[int, MailboxRights], mailboxes: Iterable[int], flags: frozenset[str]) -> None:
    """Flags of emails change that are in these mailboxes. Rejected forbidden."""
    if settable(rights, mailboxes, flags) != flags:
        raise Rejected("forbidden", "this needs maySetSeen or maySetKeywords of each mailbox that it is in")
