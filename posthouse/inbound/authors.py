"""Whose name a message bears: every address that some reader may find in a From or Sender (RFC 5322 §3.6.2).

A well-formed value leaves no doubt, and `message.mailboxes` reads it. Of a broken one (`<a@b> <c@d>`, a quote that
does not end, a dot behind the domain) each reader makes its own sense, so here each address in it counts, and the
checks ask about all of them. Quoted names and comments are no addresses. Time is linear in the size of the value.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from typing import Final

from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list

_NAME: Final = re.compile(r'"(?:[^"\\]|\\.)*+("?)(\s*+@)?|\([^()]*+\)', re.DOTALL)
_LOCAL_BACKWARDS: Final = re.compile(r'\s*+("[^"]*+"|[^\s<>(),;:"\\]*+)')
_DOMAIN: Final = re.compile(r'\s*+([^\s<>(),;:"@\\]*+)')


def claimed_addresses(value: bytes, mailboxes: Iterable[Mailbox] | None = None) -> frozenset[str]:
    """Addresses that may be taken for the author's; the local part is empty where nobody could tell it.

    `mailboxes`: those of the value, where it was read already.
    """
    if mailboxes is None:
        mailboxes = flat(parse_mailbox_list(value))
    read = {mailbox.address for mailbox in mailboxes if mailbox.domain}
    if len(read) == 1 and value.count(b"@") == 1:
        (address,) = read
        # As nearly all mail has it, nothing else there could be an address; but for a dot behind the domain.
        if not address.endswith(".") and value.endswith(f"<{address}>".encode("utf-8", "surrogateescape")):
            return frozenset(read)
    text = _NAME.sub(_without_name, value.decode("utf-8", "surrogateescape"))
    pieces = text.split("@")
    for before, behind in itertools.pairwise(pieces):
        local = _LOCAL_BACKWARDS.match(before[::-1])
        domain = _DOMAIN.match(behind)
        if domain is not None and (name := domain[1].strip(".")):
            read.add(f"{local[1][::-1] if local is not None else ''}@{name}")
    return frozenset(read)


def _without_name(found: re.Match[str]) -> str:
    """A quoted local part stays, a quoted name or a comment goes, and a quote without end hides nothing."""
    if found[1] == "" and not found[2]:
        return found[0][1:]
    return found[0] if found[2] else " "
