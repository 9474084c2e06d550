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

IMAP_FETCH_ITEMS: Final = 100
"""Data items of one FETCH; clients ask for up to a dozen, bodies by part for a few dozen."""

IMAP_FETCH_FIELDS: Final = 200
"""Header field names of one BODY[HEADER.FIELDS (…)]; the longest lists seen in clients have about 40."""

IMAP_PART_DEPTH: Final = 100
"""Numbers in one part specifier: at least as deep as the MIME scanner goes."""

IMAP_FETCH_ROWS: Final = 2_000
"""Messages that FETCH reads and renders in one step: about 1 MB of ENVELOPE and BODYSTRUCTURE."""

IMAP_FLAG_ROWS: Final = 4_096
"""Messages whose flags are rendered in one step: about 256 KB, 2 ms."""

IMAP_FETCH_BYTES: Final = MB
"""Octets of message text that FETCH reads in one step; the next step's are read while these are written."""

IMAP_WHOLE: Final = 256 * KB
"""Octets up to which a message is read as one piece; a larger one streams by offsets."""

IMAP_HEADER_READ: Final = 4 * MB
"""Octets of a header that are searched for the fields of BODY[HEADER.FIELDS]; real ones are under 100 KB."""

IMAP_SEARCH_KEYS: Final = 1_000
"""Search keys of one SEARCH, nested ones counted: long OR chains of offline clients have a few hundred."""

IMAP_SEARCH_TEXTS: Final = 50
"""Keys of one SEARCH that look into texts: each may scan the whole mailbox."""

IMAP_IDLE: Final = 30 * 60.0
"""Seconds of an IDLE: RFC 2177 §3 lets clients renew every 29 minutes and a server hang up after 30."""

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
