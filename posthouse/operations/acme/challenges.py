"""What the authority must find here while it proves names: tokens with their key authorizations (RFC 8555 §8.3).

Written by the thread that speaks with the authority, read by the web server; one token is one entry.
"""

from __future__ import annotations


class Challenges:
    """The answers that are open now."""

    def __init__(self) -> None:
        self._answers: dict[str, str] = {}

    def offer(self, token: str, answer: str) -> None:
        """Answer whoever asks for this token."""
        self._answers[token] = answer

    def withdraw(self, token: str) -> None:
        """Answer it no more."""
        self._answers.pop(token, None)

    def answer(self, token: str) -> str | None:
        """The key authorization of a token; None: nobody offered it."""
        return self._answers.get(token)
