"""How an IMAP command or a whole connection is refused.

Raised by parsers and runners; `dispatch` and `server` turn them into replies.
"""

from __future__ import annotations

from posthouse.errors import PosthouseError, RemoteProtocolError


class No(PosthouseError):
    """The command is refused: tagged NO, with a response code (RFC 9051 §7.1, RFC 5530) or none."""

    def __init__(self, code: bytes, public: str) -> None:
        super().__init__(public)
        self.code = code


class Bad(RemoteProtocolError):
    """The command makes no sense here: tagged BAD."""

    def __init__(self, public: str, code: bytes = b"") -> None:
        super().__init__(public)
        self.code = code


class Goodbye(PosthouseError):
    """We end the connection: an untagged BYE with a response code (or none), then close."""

    def __init__(self, code: bytes, public: str) -> None:
        super().__init__(public)
        self.code = code
