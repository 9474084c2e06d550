"""What a client may set of an email: its keywords and mailboxes (RFC 8621 §4.1.1), read strictly."""

from __future__ import annotations

import re
from typing import Any, Final

from posthouse import limits
from posthouse.jmap import ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.mail import FLAG_OF

_KEYWORD: Final = re.compile(r"[!-~]{1,255}")
_FORBIDDEN: Final = frozenset('(){]%*"\\')


def keywords_of(value: Any) -> frozenset[str]:
    """The keywords of a property, in lower case. Rejected invalidProperties."""
    if not isinstance(value, dict) or any(each is not True for each in value.values()):
        raise invalid("an object whose values are all true is wanted", "keywords")
    for word in value:
        if not _KEYWORD.fullmatch(word) or _FORBIDDEN & set(word):
            raise invalid(f"{word!r} is no keyword", "keywords")
        if word.lower() in {"$recent", "$deleted"}:
            raise invalid(f"{word} has no keyword in JMAP", "keywords")
    return frozenset(word.lower() for word in value)


def flags_of(keywords: frozenset[str]) -> frozenset[str]:
    """The flags that IMAP shows for keywords."""
    return frozenset(FLAG_OF.get(word, word) for word in keywords)


def mailboxes_of(context: Context, value: Any, boxes: set[int]) -> frozenset[int]:
    """The mailboxes of a mailboxIds property. Rejected invalidProperties, tooManyMailboxes."""
    if not isinstance(value, dict) or not value:
        raise invalid("an email is in at least one mailbox", "mailboxIds")
    if any(each is not True for each in value.values()):
        raise invalid("each value is true", "mailboxIds")
    numbers = [ids.decode(ids.MAILBOX, context.resolve_id(name) or "") for name in value]
    found = frozenset(number for number in numbers if number in boxes and number is not None)
    if len(found) != len(value):
        raise invalid("there is no such mailbox", "mailboxIds")
    if len(found) > limits.JMAP_MAILBOXES_PER_EMAIL:
        raise Rejected("tooManyMailboxes")
    return found
