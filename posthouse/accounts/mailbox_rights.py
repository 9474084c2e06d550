"""What somebody may do with a mailbox (RFC 8621 §2 myRights), and how it is kept in a grant."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec

from posthouse.store.grants import Share
from posthouse.store.model import Mailbox, Role


class MailboxRights(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8621 §2."""

    may_read_items: bool = True
    may_add_items: bool = True
    may_remove_items: bool = True
    may_set_seen: bool = True
    may_set_keywords: bool = True
    may_create_child: bool = True
    may_rename: bool = True
    may_delete: bool = True
    may_submit: bool = True


NAMES: Final = {f.encode_name: f.name for f in msgspec.structs.fields(MailboxRights)}
"""A right as clients write it → as it is called here."""
READ: Final = "mayReadItems"
NOT_GIVEN: Final = frozenset({"maySubmit"})
"""Rights that nobody but the owner has: who sends, sends in their own name."""
NONE: Final = MailboxRights(**dict.fromkeys(MailboxRights.__struct_fields__, False))


def of_owner(box: Mailbox) -> MailboxRights:
    """Everything, but that the inbox keeps its name and stays."""
    fixed = box.role is Role.INBOX
    return MailboxRights(may_rename=not fixed, may_delete=not fixed)


def of_share(share: Share | None, box: Mailbox) -> MailboxRights:
    """What a grant says of a mailbox; nothing beyond what its owner may do."""
    if share is None:
        return NONE
    whole = of_owner(box)
    given = {name: right in share.rights and getattr(whole, name) for right, name in NAMES.items()}
    return MailboxRights(**given)


def shown(rights: Collection[str], names: Collection[str] = tuple(NAMES)) -> dict[str, bool]:
    """Rights as they stand in `shareWith` and in notifications."""
    return {name: name in rights for name in names}
