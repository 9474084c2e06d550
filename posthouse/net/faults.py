"""Why a connection did not give what was asked of it. All are ConnectionError, so one clause catches them.

After IdleTimeout, TotalTimeout, TooSlow, ShuttingDown, SentAway and BadlyCompressed the connection can still be
written to: a last reply, then `close()`. After the others it is gone.
"""

from __future__ import annotations


class ConnectionFault(ConnectionError):
    """Base of these."""


class ConnectionClosed(ConnectionFault):
    """The peer ended or broke the connection, or we closed it."""


class ShuttingDown(ConnectionClosed):
    """We stop serving: say goodbye in the protocol's words and close."""


class SentAway(ConnectionClosed):
    """The peer may not be here any longer: say so in the protocol's words and close."""


class IdleTimeout(ConnectionFault):
    """The peer sent nothing (or not the whole of a line) for the idle time limit."""


class TotalTimeout(ConnectionFault):
    """The total time limit has passed."""


class TooSlow(TotalTimeout):
    """A transfer fell below the least data rate (`limits.TRANSFER_RATE`)."""


class BadlyCompressed(ConnectionFault):
    """What the peer sends is not the compressed stream that was agreed on."""


class WriteTimeout(ConnectionClosed):
    """The peer does not read what we send; the connection was aborted."""


class TlsFailed(ConnectionClosed):
    """The TLS handshake failed; `__cause__` is the ssl module's error."""
