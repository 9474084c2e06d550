"""Every named limit: value, unit, reason. `docs/limits.md` lists them and a test compares the two.

A limit that an administrator may change lives in `config.Limits` with its default taken from here. One block
per part of the program; a comment gives the unit and where the number comes from.
"""

from __future__ import annotations

from typing import Final

KB: Final = 1024
MB: Final = 1024 * 1024

# --- connections (net) ---------------------------------------------------------------------------

CONNECTIONS: Final = 20_000
"""Open connections in all: below the usual file descriptor limit of 65,536 with room for files."""

CONNECTIONS_PER_ADDRESS: Final = 200
"""Open connections from one address: a household behind one address with a few dozen IMAP sessions each."""

TIMER_TICK: Final = 0.1
"""Seconds: the precision of all idle, total and write time limits."""

READ_HIGH_WATER: Final = 64 * KB
"""Octets received and unread at which we stop reading; uvloop reads up to 250 KB more in one go."""

WRITE_HIGH_WATER: Final = 64 * KB
"""Octets written and unsent above which `drain` waits, until a quarter of it is left."""

TRANSFER_GRACE: Final = 300.0
"""Seconds of waiting for the peer that any transfer may take, whatever its size (RFC 5321 §4.5.3.2.7)."""

TRANSFER_RATE: Final = 200
"""Octets a second that a transfer must reach after its grace: a 50 MB message has three days, a drip a minute."""

WRITE_TIMEOUT: Final = 60.0
"""Seconds in which a peer must read at least TRANSFER_RATE of what we have for it, each time anew."""

CLOSE_TIMEOUT: Final = 10.0
"""Seconds for our last octets to be taken after we closed; then the connection is aborted."""

HANDSHAKE_TIMEOUT: Final = 30.0
"""Seconds for one TLS handshake."""

LISTEN_BACKLOG: Final = 4096
"""Connections that the system keeps for us until we accept them: Linux's own default ceiling."""

ACCEPT_BATCH: Final = 32
"""Connections accepted before the other work of the loop gets its turn."""

ACCEPT_PAUSE: Final = 1.0
"""Seconds without accepting after the system refused us one (out of file descriptors or memory)."""

STOP_GRACE: Final = 10.0
"""Seconds that sessions get to finish their command when a listener stops."""

STOP_TIMEOUT: Final = 2.0
"""Seconds that cancelled sessions get to clean up when a listener stops."""

PROXY_HEADER: Final = 4 * KB
"""Octets of one PROXY protocol header; the specification's own addresses need 232."""

PROXY_TIMEOUT: Final = 5.0
"""Seconds for a trusted proxy to send its header."""

CERTIFICATE_DAYS: Final = 800
"""Days that a certificate made by ourselves is good; Apple's programs take at most 825."""

CERTIFICATE_RENEW_DAYS: Final = 30
"""Days before its end at which a certificate made by ourselves is made anew."""

DNS_TIMEOUT: Final = 10.0
"""Seconds for one DNS question with all its tries."""

# --- messages (message) --------------------------------------------------------------------------

# --- SMTP in (smtp, inbound) ---------------------------------------------------------------------

SMTP_RECIPIENTS: Final = 1000
"""Recipients of one transaction; RFC 5321 §4.5.3.1.8 asks for at least 100."""

# --- SMTP out (outbound) -------------------------------------------------------------------------

OUTBOUND_CONCURRENCY: Final = 100
"""Deliveries under way at once, all destinations together."""

OUTBOUND_PER_DESTINATION: Final = 10
"""Connections at once to one destination domain: below what large receivers cut off at."""

# --- IMAP (imap) ---------------------------------------------------------------------------------

# --- POP3 (pop3) ---------------------------------------------------------------------------------

# --- store (store) -------------------------------------------------------------------------------

# --- login and accounts (sasl, accounts) ---------------------------------------------------------

# --- care of the house (operations, cli, playground) ---------------------------------------------
