"""The tokens of mailing lists: who of the members an address or a link of a list is about. Pure.

    team-bounces+TOKEN@example.org       what comes back from one member
    team-unsubscribe+TOKEN@example.org   one member leaves
    /unsubscribe/team@example.org/TOKEN  the same by HTTPS (RFC 8058 §3.1: hard to forge)

A token is a keyed hash over its purpose, the list and the member, so that nobody can make another's, and that one to
leave by is not told by one that came back. It names nobody: who is meant is found among the members. Case does not
count, since hosts on the way may change it.
"""

from __future__ import annotations

import base64
import enum
import hmac
from typing import Final

from posthouse.store.mailing_lists import MailingList

_OCTETS: Final = 10
"""Of a token, sixteen digits: 80 bits."""


class Purpose(enum.StrEnum):
    """What a token is for."""

    BOUNCES = "bounces"
    UNSUBSCRIBE = "unsubscribe"


class ListTokens:
    """Makes and reads tokens with the key of the house."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, purpose: Purpose, address: str, member: str) -> str:
        """For a member of a list."""
        text = "\0".join((purpose, address, member)).encode()
        return base64.b32encode(hmac.digest(self._key, text, "sha256")[:_OCTETS]).decode("ascii").lower()

    def member(self, purpose: Purpose, mailing_list: MailingList, token: str) -> str:
        """Whom a token is about; empty: none of the members."""
        given = token.lower().encode("utf-8", "replace")
        for one in mailing_list.members:
            made = self.token(purpose, mailing_list.address, one.address)
            if hmac.compare_digest(made.encode(), given):
                return one.address
        return ""
