"""Names and paths of mailboxes, as Mailbox/set takes them (RFC 8621 §2)."""

from __future__ import annotations

import unicodedata

from posthouse import limits
from posthouse.jmap.errors import invalid
from posthouse.store.model import SEPARATOR, Mailbox


def checked_name(name: object) -> str:
    """A name as it is kept. Rejected invalidProperties."""
    if not isinstance(name, str):
        raise invalid("a name is wanted", "name")
    name = unicodedata.normalize("NFC", name)
    if not name.strip() or len(name.encode("utf-8", "replace")) > limits.JMAP_MAILBOX_NAME:
        raise invalid(f"a name has 1 to {limits.JMAP_MAILBOX_NAME} octets", "name")
    if SEPARATOR in name or not name.isprintable():
        raise invalid("a name has no slash and no control characters", "name")
    return name


def path_below(parent: Mailbox, name: str) -> str:
    """Where a mailbox of that name below another is. Rejected invalidProperties."""
    if parent.name.count(SEPARATOR) + 1 >= limits.JMAP_MAILBOX_DEPTH:
        raise invalid("mailboxes are nested too deep", "parentId")
    return f"{parent.name}{SEPARATOR}{name}"
