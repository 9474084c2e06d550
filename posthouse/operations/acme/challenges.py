"""What the authority must find while it proves names (RFC 8555 §8), and how it is shown over HTTP.

Written by the thread that speaks with the authority, read by the web server; one token is one entry.
"""

from __future__ import annotations

from typing import Final, Protocol


class Offered(Protocol):
    """Where answers to challenges of one kind are shown."""

    @property
    def kind(self) -> str:
        """As RFC 8555 §9.7.8 registers it."""

    @property
    def wait(self) -> float:
        """Seconds from offering an answer until it can be seen."""

    def offer(self, name: str, token: str, answer: str) -> None:
        """Show the answer to a name's challenge. Blocks. AcmeFault."""

    def withdraw(self, token: str) -> None:
        """Show it no more. Blocks."""


class Challenges:
    """Tokens with their key authorizations that are open now (http-01, RFC 8555 §8.3)."""

    kind: Final = "http-01"
    wait: Final = 0.0

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}

    def offer(self, name: str, token: str, answer: str) -> None:  # the token tells them apart
        """Answer whoever asks for this token."""
        self._answers[token] = answer

    def withdraw(self, token: str) -> None:
        """Answer it no more."""
        self._answers.pop(token, None)

    def answer(self, token: str) -> str | None:
        """The key authorization of a token; None: nobody offered it."""
        return self._answers.get(token)
