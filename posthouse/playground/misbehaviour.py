"""How a test wants a playground's host to misbehave towards others: rules for its replies, faults of its TLS."""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

import msgspec

from posthouse import limits


class Act(enum.Enum):
    """What can stand in place of a reply."""

    CLOSE = "close"
    """Drop the connection."""
    SILENCE = "silence"
    """Say nothing more; the sender runs into its timeout."""
    TAKE_AND_CLOSE = "take and close"
    """Pass the command on, but drop the connection instead of its reply."""


CLOSE: Final = Act.CLOSE
SILENCE: Final = Act.SILENCE
TAKE_AND_CLOSE: Final = Act.TAKE_AND_CLOSE


class TlsFault(enum.Enum):
    """What is wrong with a host's TLS."""

    NOT_OFFERED = "not offered"
    """EHLO does not name STARTTLS (RFC 3207 §6: what somebody in the middle would do)."""
    REFUSED = "refused"
    """It is offered, and answered with 454."""
    BROKEN = "broken"
    """It is answered with 220; the handshake then ends in noise."""
    EXPIRED = "expired"
    """The certificate's time is over."""
    WRONG_NAME = "wrong name"
    """The certificate is another host's."""


class Rule(msgspec.Struct):
    """What becomes of commands that begin so; no reply: passed on as ever (with `after`: late)."""

    begins: str
    reply: str | Act | None
    after: float
    times: int
    """How often it still holds; negative: always."""


class Misbehaviour:
    """What is asked of one host. Changes hold from the next command on."""

    def __init__(self) -> None:
        self.tls: TlsFault | None = None
        self.blocked: set[str] = set()
        """Addresses whose connections are broken off."""
        self.heard: deque[str] = deque(maxlen=limits.PLAYGROUND_EVENTS)
        """The latest commands of all connections."""
        self._rules: list[Rule] = []

    def say(
        self, begins: str, reply: str | Act | None = None, *, after: float = 0.0, times: int = -1
    ) -> None:
        """Answer commands that begin so with `reply` (lines parted by LF), `after` seconds late, so many times.

        Also CONNECT (the greeting) and MESSAGE (the end of DATA or BDAT). Goes before earlier rules.
        """
        self._rules.insert(0, Rule(begins.upper(), reply, after, times))

    def be_itself(self) -> None:
        """Forget all rules, faults and blocks."""
        self._rules.clear()
        self.blocked.clear()
        self.tls = None

    def rule_for(self, command: str) -> Rule | None:
        """The rule that a command meets; it is then used up once."""
        for rule in self._rules:
            if rule.times != 0 and command.upper().startswith(rule.begins):
                rule.times -= rule.times > 0
                return rule
        return None
