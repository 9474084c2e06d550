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

IMAP_LINE: Final = 64 * KB
"""Octets of one command line: RFC 7162 §4 asks for 8,192 at least; message sets of offline clients are long."""

IMAP_LITERAL: Final = 64 * KB
"""Octets of a literal that is not an APPEND message: mailbox names, search words, passwords."""

IMAP_COMMAND: Final = 256 * KB
"""Octets of one command, all lines and literals together, APPEND messages apart."""

IMAP_OUTPUT: Final = 64 * KB
"""Octets of output that a command gathers before it hands them to the connection: one full socket buffer."""

IMAP_NESTING: Final = 64
"""Levels of parentheses in a command: SEARCH keys; RFC 9051 sets no bound, people write a handful."""

IMAP_SEQUENCE_SET: Final = 64 * KB
"""Octets of one message set."""

KEYWORD_LENGTH: Final = 128
"""Octets of one keyword flag: the longest registered ones have about 30."""

MAILBOX_NAME: Final = 1024
"""Octets of a whole mailbox name in UTF-8."""

MAILBOX_LEVELS: Final = 32
"""Levels of a mailbox name."""

# --- POP3 (pop3) ---------------------------------------------------------------------------------

# --- store (store) -------------------------------------------------------------------------------

# --- login and accounts (sasl, accounts) ---------------------------------------------------------

# --- care of the house (operations, cli, playground) ---------------------------------------------
