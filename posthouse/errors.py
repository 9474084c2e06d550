"""The error tree. Every error says whose fault it is and whether trying again can help.

    PosthouseError
    ├── ProtocolError            somebody broke a protocol rule
    │   ├── LocalProtocolError       we did (a bug: the connection is closed, the fault logged)
    │   └── RemoteProtocolError      the peer did (it is told so, in its protocol's words)
    ├── Temporary                try again later: SMTP 4xx, IMAP NO [UNAVAILABLE]
    │   └── StoreUnavailable         disk full, database away, engine closing
    │       └── Damaged                  octets are not those that were stored
    ├── Permanent                trying again cannot help: SMTP 5xx
    ├── NotFound                 the named thing does not exist
    ├── Conflict                 it exists already, or changed under us
    └── OverQuota                the account's storage limit would be exceeded

Each holds a text that is safe to show to a stranger (`public`) and, in `__cause__`, the private reason. Only
floors 4 to 6 turn errors into replies.
"""

from __future__ import annotations


class PosthouseError(Exception):
    """Base of all errors that this program raises on purpose. `public` is safe to show to anybody."""

    def __init__(self, public: str) -> None:
        super().__init__(public)
        self.public = public


def told_to_administrators(fault: BaseException) -> str:
    """An error's text, and the private reason behind it where the text does not say it already."""
    text, cause = str(fault), fault.__cause__
    reason = str(cause) if cause is not None else ""
    # OSError repeats, with its number, what its text says
    known = reason in text or (isinstance(cause, OSError) and (cause.strerror or reason) in text)
    return text if known else f"{text} ({reason})"


class ProtocolError(PosthouseError):
    """A protocol rule was broken."""


class LocalProtocolError(ProtocolError):
    """We broke it: a bug of ours."""


class RemoteProtocolError(ProtocolError):
    """The peer broke it."""


class Temporary(PosthouseError):
    """It failed now; the same request may succeed later."""


class StoreUnavailable(Temporary):
    """The store cannot take or give anything now (disk full, database away, closing)."""


class Damaged(StoreUnavailable):
    """Octets are not those that were stored, or are not where they should be. Everything else can be had."""


class Permanent(PosthouseError):
    """It failed and would fail again."""


class NotFound(PosthouseError):
    """The named thing does not exist."""


class Conflict(PosthouseError):
    """The thing exists already, or was changed by somebody else meanwhile."""


class OverQuota(PosthouseError):
    """The account's storage limit would be exceeded (SMTP 452/552, IMAP NO [OVERQUOTA])."""
