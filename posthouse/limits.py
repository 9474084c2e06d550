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

SMTP_COMMAND_LINE: Final = 2048
"""Octets of a command line with CRLF: RFC 5321 §4.5.3.1.4 asks for 512; the parameters of SIZE, DSN (RFC 3461
§5.4), AUTH (RFC 4954 §5: 500) and SMTPUTF8 add to it."""

SMTP_AUTH_LINE: Final = 12_288
"""Octets of a base64 line in a login exchange (RFC 4954 §4)."""

SMTP_PATH: Final = 320
"""Characters of a path without its brackets: 64 + "@" + 255 (RFC 5321 §4.5.3.1.1-3 ask for 256 in all). Local
parts alone aren't bounded at 64, since variable return paths of large senders are longer."""

SMTP_PARAMETERS: Final = 20
"""ESMTP parameters of one command: more than all that are registered."""

SMTP_REPLY_LINE: Final = 512
"""Octets of a reply line with CRLF that we send (RFC 5321 §4.5.3.1.5)."""

SMTP_REPLY_LINE_READ: Final = 4096
"""Octets of a reply line with CRLF that we read: some servers exceed 512."""

SMTP_REPLY_LINES: Final = 100
"""Lines of one reply that we read: EHLO of the richest servers has about 25."""

SMTP_TRANSACTIONS: Final = 10_000
"""MAIL commands on one connection, told as LIMITS MAILMAX (RFC 9422 §4.1): a bound for loops."""

SMTP_ERRORS: Final = 50
"""4xx and 5xx replies on one connection since its last accepted message, then 421: a mailing list has some
dead recipients, a dictionary attack has nothing else."""

SMTP_IDLE_COMMANDS: Final = 500
"""Commands since the last step of a transaction (NOOP, RSET, VRFY, …), then 421."""

SMTP_DRAIN: Final = 64 * MB
"""Octets read and thrown away of a message that is refused already, so that the peer hears the reply; above
it the reply comes at once and the connection is closed."""

SMTP_IDLE: Final = 300.0
"""Seconds without an octet from the peer (RFC 5321 §4.5.3.2.7: at least 5 minutes)."""

SMTP_LOGIN_TOTAL: Final = 120.0
"""Seconds for a whole login exchange: a person may have to confirm on a device."""

SMTP_COMMAND_TOTAL: Final = 600.0
"""Seconds for one command line from first wait to its CRLF: slow drips end here."""

SMTP_DATA_TOTAL: Final = 3600.0
"""Seconds for one message's octets: 50 MB at 15 KB/s, and slow drips end here."""

SMTP_GREETING_PAUSE: Final = 0.0
"""Seconds to wait before the greeting for a peer that talks first (RFC 5321 §4.3.1)."""

SMTP_MEMORY_MESSAGE: Final = 4 * MB
"""Octets of one message kept in memory while it comes in; longer ones go to the store's staging."""

SMTP_MEMORY_TOTAL: Final = 256 * MB
"""Octets of all messages coming in that are kept in memory; above it every message is staged."""

SMTP_CHUNK: Final = 256 * KB
"""Octets taken from the connection in one piece of a BDAT chunk."""

MESSAGE_HEADER: Final = 256 * KB
"""Octets of a message's header section, then 552 5.3.4: the largest seen in the wild have about 100 KB."""

HOPS: Final = 100
"""Received fields, then 554 5.4.6 (RFC 5321 §6.3: at least 100)."""

ALIAS_DEPTH: Final = 10
"""Aliases followed in a row: deeper is a mistake."""

ALIAS_MEMBERS: Final = 10_000
"""Final recipients of one message after all aliases."""

DELIVERY_RETRIES: Final = 3
"""Commits tried for one message when accounts fill up between our question and the commit."""

# --- SMTP out (outbound) -------------------------------------------------------------------------

OUTBOUND_CONCURRENCY: Final = 100
"""Deliveries under way at once, all destinations together."""

OUTBOUND_PER_DESTINATION: Final = 10
"""Connections at once to one destination domain: below what large receivers cut off at."""

# --- IMAP (imap) ---------------------------------------------------------------------------------

# --- POP3 (pop3) ---------------------------------------------------------------------------------

# --- store (store) -------------------------------------------------------------------------------

EMAILS_PER_READ: Final = 5_000
"""Emails asked for in one `Store.emails`, `stored` or `messages`: about 2 MB of texts, 5 ms of a reader's time."""

BLOB_CHUNK: Final = 256 * KB
"""Octets of one piece of a message that is streamed: few hops between threads, little memory a connection."""

INLINE_OCTETS: Final = 16 * KB
"""Message bytes up to this ride in the database; larger go to segment files, where 50 KB ones are twice as fast."""

SEGMENT_OCTETS: Final = 128 * MB
"""Size at which a segment file is closed: compaction rewrites one at a time."""

BATCH_SUBMISSIONS: Final = 1_000
"""Commits gathered into one transaction: about 50 ms of the writer's time."""

BATCH_OCTETS: Final = 32 * MB
"""Message bytes gathered into one transaction: a tenth of a second of a plain disk's time."""

PIECE_ROWS: Final = 5_000
"""Rows of a long change after which waiting commits go first: 2-5 ms."""

WAL_OCTETS: Final = 16 * MB
"""Size of the write-ahead log at which it is copied into the database: a restart reads at most little more."""

WAL_OCTETS_FORCED: Final = 64 * MB
"""Size at which the writer waits for that copy: under load without a pause the log would grow for ever."""

READERS: Final = 3
"""Threads that read: disk waits overlap, more would only contend."""

STATES_CACHED: Final = 2_000
"""Accounts whose mailbox lists are in memory, in the writer and on the loop each: 10-20 MB."""

PEOPLE_CACHED: Final = 20_000
"""Looked-up addresses (found or not) in memory: strangers' guesses cannot grow it."""

UNSAVED_ADDS: Final = 500
"""New messages of a mailbox after which its row is written; a cold start counts at most these."""

KEYWORDS: Final = 58
"""Keywords of one account: bits left beside five system flags in SQLite's signed 64."""

INDEX_OCTETS: Final = 128 * MB
"""Mailbox indexes kept in memory for nobody in particular (3.7 million messages); watched ones stay beyond it."""

INDEXES: Final = 10_000
"""Mailbox indexes kept in memory for nobody in particular, whatever their size."""

INDEX_CHANGES_UNSAVED: Final = 2_000
"""Changes after which a loaded index is packed into its snapshot again: bounds what a cold start replays."""

JOURNAL_ROWS: Final = 10_000
"""Change journal rows of one mailbox; older ones are merged, so a client long away hears too much, never too little."""

MESSAGE_CACHE_OCTETS: Final = 64 * MB
"""Message bytes kept in memory: recent mail is read soon after it came."""

MESSAGE_CACHE_ITEM: Final = 1 * MB
"""Largest message kept there: one big message must not push out a hundred small ones."""

STORED_CACHED: Final = 50_000
"""Places of message bytes kept in memory: about 300 octets each."""

READ_AHEAD: Final = 32
"""Messages read together when one is asked for: POP3 clients take them in order."""

READ_AHEAD_OCTETS: Final = 1 * MB
"""Octets of one read-ahead."""

STAGE_MEMORY: Final = 4 * MB
"""Octets of a staged message kept in memory before it gets a file of its own."""

STAGE_MEMORY_ALL: Final = 64 * MB
"""Octets of all staged messages in memory together; beyond it they go to files early."""

STAGE_HEAD: Final = 256 * KB
"""Octets of a staged message's beginning that stay in memory: the header is looked at before it is stored."""

LEASES: Final = 1_000
"""Leases given out at once."""

EVENTS_PER_COMMIT: Final = 10_000
"""Timeline lines of one operation."""

SPACE_RESERVE: Final = 16 * MB
"""Disk space held back, so that reading and deleting go on when the disk is full."""

DERIVE_BATCH: Final = 50
"""Messages whose envelopes are computed between two looks at whether mail is waiting: about 10 ms."""

SWEEP_BATCH: Final = 500
"""Emails whose remains are removed in one transaction: about 5 ms."""

COMPACT_DEAD_SHARE: Final = 0.4
"""Share of a closed segment that must be dead before it is rewritten: each octet is moved at most 2.5 times."""

COMPRESS_AFTER: Final = 86_400.0
"""Seconds after which a closed segment counts as cold and is compressed."""

COMPRESS_OCTETS: Final = 4 * MB
"""Largest message compressed: reading a part of one unpacks the whole."""

OPEN_SEGMENTS: Final = 32
"""Segment files that one reader keeps open."""

# --- login and accounts (sasl, accounts) ---------------------------------------------------------

# --- care of the house (operations, cli, playground) ---------------------------------------------

PLAYGROUND_CNAME_CHAIN: Final = 8
"""Aliases that the playground's name server follows for one question; longer chains are loops."""

PLAYGROUND_START: Final = 30.0
"""Seconds that a host of the playground may take to accept connections."""

PLAYGROUND_STOP: Final = 20.0
"""Seconds that a host of the playground may take to finish; then it is killed."""

PLAYGROUND_REPLY: Final = 30.0
"""Seconds that the tour waits for one line of a server."""

PLAYGROUND_WAIT: Final = 60.0
"""Seconds that the tour waits for a message to arrive."""

PLAYGROUND_COMMAND: Final = 60.0
"""Seconds that one command of the playground may take."""
