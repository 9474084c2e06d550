"""Whether a message says of itself that a program wrote it (RFC 3834 §5)."""

from __future__ import annotations

from posthouse.message.charsets import decode_unlabelled
from posthouse.message.headers import Headers
from posthouse.message.parameters import without_comments


def is_automatic(headers: Headers) -> bool:
    """Whether any Auto-Submitted says something else than "no": comments and parameters may stand behind it."""
    return any(_keyword(value) != "no" for value in headers.all("auto-submitted"))


def is_answer(headers: Headers) -> bool:
    """Whether it says that it answers another message by itself (RFC 3834 §5)."""
    return any(_keyword(value) == "auto-replied" for value in headers.all("auto-submitted"))


def _keyword(value: bytes) -> str:
    return without_comments(decode_unlabelled(value)).partition(";")[0].strip().lower()
