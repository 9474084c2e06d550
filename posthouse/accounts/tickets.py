"""Short notes that we hand out and believe again when they come back: sealed with a key, good for minutes.

They carry a login between its steps (password → code, challenge → passkey), so that strangers who begin logins cost
no room in the store. Whoever has one still needs the other proof.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Final

import msgspec

_SEAL: Final = 32


class Ticket(msgspec.Struct, frozen=True):
    """What is sealed."""

    purpose: str
    until: float
    text: str


class Tickets:
    """Seals and opens. `secret`: 32 octets, the same over restarts."""

    def __init__(self, secret: bytes, now: Callable[[], float] = time.time) -> None:
        self._key = hashlib.blake2b(b"tickets", key=secret[:64], digest_size=32).digest()
        self._now = now

    def seal(self, purpose: str, text: str, seconds: float) -> str:
        """A ticket that is good for some seconds."""
        body = msgspec.json.encode(Ticket(purpose, self._now() + seconds, text))
        return base64.urlsafe_b64encode(self._mac(body) + body).decode().rstrip("=")

    def open(self, purpose: str, ticket: str) -> str | None:
        """What was sealed for this purpose; None: it is not ours, or too old."""
        try:
            raw = base64.urlsafe_b64decode(ticket + "=" * (-len(ticket) % 4))
        except (binascii.Error, ValueError):
            return None
        mac, body = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        found = msgspec.json.decode(body, type=Ticket)
        return found.text if found.purpose == purpose and found.until > self._now() else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")
