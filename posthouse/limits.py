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
"""Octets of one command line: RFC 7162 §4 asks for 8,192 at least; offline clients send long sets."""

IMAP_LITERAL: Final = 64 * KB
"""Octets of a literal that is not an APPEND message: mailbox names, search words, passwords."""

IMAP_LITERAL_STRANGER: Final = 8 * KB
"""Octets of a literal before login: names, passwords and SASL responses are far below."""

IMAP_COMMAND: Final = 256 * KB
"""Octets of one command, all lines and literals together, APPEND messages apart."""

IMAP_TAG: Final = 128
"""Octets of a tag that is echoed when nothing else of a command can be read."""

IMAP_QUOTED: Final = 1000
"""Octets of a string that we send quoted; longer ones go as literals, which clients read without scanning."""

IMAP_OUTPUT: Final = 64 * KB
"""Octets of output that a command gathers before it hands them to the connection: one full socket buffer."""

IMAP_SKIP: Final = 128 * MB
"""Octets of refused literals (LITERAL+) that are read past before the connection is closed instead."""

IMAP_APPEND_MEMORY: Final = 256 * KB
"""Octets of an appended message kept in memory; larger ones are staged in a file (architecture.md §5)."""

IMAP_APPEND_MESSAGES: Final = 1000
"""Messages of one APPEND (MULTIAPPEND), which is one commit."""

IMAP_BAD: Final = 100
"""BAD answers in a row after which a client that logged in is closed: it is looping."""

IMAP_BAD_STRANGER: Final = 10
"""BAD answers in a row before login after which the connection is closed: it speaks something else."""

IMAP_LOGINS: Final = 5
"""Failed logins after which the connection is closed; the directory slows down the next ones."""

IMAP_LOGIN_TIME: Final = 180.0
"""Seconds from the connection's start in which the login must be done, time to type a password included."""

IMAP_AUTOLOGOUT: Final = 1800.0
"""Seconds without a command (also in IDLE): RFC 9051 §5.4 asks for at least 30 minutes."""

IMAP_SLOW: Final = 1.0
"""Seconds after which a command is logged as slow."""

IMAP_TURN: Final = 64
"""Pipelined commands answered in a row before other connections get their turn."""

IMAP_ID_FIELDS: Final = 30
"""Field-value pairs of ID (RFC 2971 §3.3)."""

LIST_PATTERNS: Final = 100
"""Patterns of one LIST."""

LIST_WILDCARDS: Final = 32
"""Wildcards of one LIST pattern: matching costs the square of the name's length at worst."""

MAILBOXES: Final = 10_000
"""Mailboxes of one account: a LIST of all of them stays under a tenth of a second."""

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

IMAP_SEARCH_TEXTS: Final = 250
"""Keys of one SEARCH that look into texts: each may scan the mailbox; offline clients look for 100 Message-IDs."""

IMAP_SEQUENCE_MATCHES: Final = 10_000
"""Pairs of QRESYNC's sequence match data (RFC 7162 §3.2.5.2): clients send a dozen or so."""

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
