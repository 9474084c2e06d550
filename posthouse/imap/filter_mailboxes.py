"""filter-mailboxes: which mailboxes, other than the selected one, a NOTIFY or an ESEARCH means. Pure.

RFC 5465 §6.2-6.6, RFC 7377 §2.2.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import Final

from posthouse.imap.grammar import Reader
from posthouse.imap.mailbox_name import SEPARATOR, above


class Scope(enum.Enum):
    """A specifier. The value is how closely it names them."""

    PERSONAL = 0
    SUBSCRIBED = 1
    SUBTREE = 2
    SUBTREE_ONE = 3
    MAILBOXES = 4


SCOPES: Final = {
    b"PERSONAL": Scope.PERSONAL,
    # RFC 5465 §6.3: filters put mail into any mailbox, so this is the same.
    b"INBOXES": Scope.PERSONAL,
    b"SUBSCRIBED": Scope.SUBSCRIBED,
    b"SUBTREE": Scope.SUBTREE,
    b"MAILBOXES": Scope.MAILBOXES,
}
"""Those that both know; SUBTREE-ONE is ESEARCH's."""
_NAMED: Final = frozenset({Scope.SUBTREE, Scope.SUBTREE_ONE, Scope.MAILBOXES})


def parse_names(reader: Reader, scope: Scope) -> list[str]:
    """`SP (mailbox / "(" mailbox *(SP mailbox) ")")` behind a specifier that has names; behind another, nothing."""
    if scope not in _NAMED:
        return []
    reader.sp()
    found = reader.parenthesized(reader.mailbox) if reader.peek(b"(") else [reader.mailbox()]
    return [name.removesuffix(SEPARATOR) for name in found]


def is_meant(scope: Scope, names: Collection[str], name: str, *, personal: bool, subscribed: bool) -> bool:
    """Whether a specifier means the mailbox of that name. `personal`: it is one's own."""
    match scope:
        case Scope.PERSONAL:
            return personal
        case Scope.SUBSCRIBED:
            return subscribed
        case Scope.SUBTREE:
            return "" in names or name in names or any(level in names for level in above(name))
        case Scope.SUBTREE_ONE:
            return name in names or name.rpartition(SEPARATOR)[0] in names
        case Scope.MAILBOXES:
            return name in names
