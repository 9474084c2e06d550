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

HEADER_FIELDS: Final = 10_000
"""Header fields that are looked at in one header section; mail in the wild has below 200. Later ones count as text."""

HEADER_VALUE: Final = 256 * KB
"""Octets of one header field's value that are read (about 8,000 addresses); the rest of the value is passed over."""

HEADER_PARAMETERS: Final = 100
"""Parameters of one Content-Type or Content-Disposition, RFC 2231 pieces counted singly."""

LOCAL_PART: Final = 255
"""Octets of a local part. RFC 5321 §4.5.3.1.1 asks for 64; bounce addresses that carry another address are longer."""

DOMAIN: Final = 253
"""Octets of a domain in A-label form: 255 in DNS (RFC 1035 §2.3.4) with its lengths, without the root."""

HEADER_ADDRESSES: Final = 5000
"""Mailboxes and groups read from one header value: five times what one SMTP transaction takes."""

COMMENT_DEPTH: Final = 100
"""Comments within comments in an address list (RFC 5322 §3.2.2 allows any; mail has one level)."""

MIME_DEPTH: Final = 100
"""Parts within parts, messages within messages counted too; deeper ones are leaves. Postfix stops at 100 as well."""

MIME_PARTS: Final = 1000
"""Parts of one message: a large digest has some hundred. The last one holds whatever follows."""

MIME_FALSE_DELIMITERS: Final = 100_000
"""Lines of one message that only look like a delimiter; after so many no more parts are looked for (about 40 ms)."""

BOUNDARY_SIZE: Final = 1000
"""Octets of a boundary; RFC 2046 §5.1.1 allows 70, some programs make longer ones."""

PREVIEW_CHARACTERS: Final = 200
"""RFC 8970 §3.3: characters of a preview."""

PREVIEW_SOURCE: Final = 64 * KB
"""Octets of a text part that a preview is made from: HTML mail often opens with tens of kilobytes of style sheets."""

CHARSET_SAMPLE: Final = 2 * KB
"""Octets by which the charset of undeclared 8-bit text is guessed."""

COMPOSED_LINE: Final = 78
"""Characters of a header line that we write (RFC 5322 §2.1.1)."""

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

# --- full-text search (store.search) -------------------------------------------------------------

SEARCH_TERMS: Final = 100_000
"""Different terms of one message: a megabyte of prose has 20,000. Messages with more are scanned, not indexed."""

SEARCH_HEAD: Final = 4 * KB
"""Characters of subject, From, To and Cc that the index keeps of a message; longer ones are read from the message."""

SEARCH_TERMS_ASKED: Final = 500
"""Terms in one question to the index: a few milliseconds, and below what its grammar takes."""

SEARCH_BATCH: Final = 200
"""Messages indexed in one transaction: 50 to 100 ms of a background thread."""

SEARCH_BATCH_OCTETS: Final = 8 * MB
"""Message octets after which a batch is closed early: bounds its memory."""

SEARCH_DELAY: Final = 1.0
"""Seconds after which new mail is indexed: a burst comes together, and stays off the way to its replies."""

SEARCH_REST: Final = 3.0
"""Times a batch's duration that the indexer rests after it: it takes a quarter of one core at most."""

SEARCH_WAITING: Final = 500_000
"""Messages noted as waiting (40 MB); beyond it they are forgotten and found again by a comparison with the store."""

SEARCH_CACHED_IDS: Final = 300_000
"""Ids of indexed messages kept in memory (20 MB), of the accounts that searched last; one account may exceed it."""

SEARCH_KNOWN_TERMS: Final = 300_000
"""Terms remembered as listed already (30 MB at most), so that frequent words are not offered to the list again."""

SEARCH_RETRY: Final = 30.0
"""Seconds until indexing is tried again after a fault of the disk."""

SEARCH_SWEEP: Final = 1000
"""Removed messages after which an account's unused terms are dropped, at least; also as many terms at a time."""

SEARCH_THREADS: Final = 2
"""Threads that answer searches; a scan holds one for long."""

# --- login and accounts (sasl, accounts) ---------------------------------------------------------

LOGIN_OCTETS: Final = 1024
"""Octets of a login name or a password: far above any real one, so that nobody has us hash megabytes."""

SASL_RESPONSE: Final = 9216
"""Octets of one SASL response: what fits in the 12,288 octets of base64 of RFC 4954 §4."""

SASL_STEPS: Final = 6
"""Responses in one exchange: the longest mechanism here (SCRAM without an initial response) takes four."""

ARGON2_MEMORY: Final = 19 * 1024
"""KiB for one argon2id hash: OWASP's floor of 19 MiB with two passes, so that a small machine stands ten at once."""

ARGON2_PASSES: Final = 2
"""Passes of argon2id over its memory; with ARGON2_MEMORY about 30 ms of one core."""

SCRAM_ITERATIONS: Final = 32_768
"""PBKDF2 rounds of SCRAM keys: eight times the least of RFC 7677 §4; the client computes them at each login."""

SCRAM_ITERATIONS_LEAST: Final = 4096
"""PBKDF2 rounds that a key from elsewhere must have (RFC 7677 §4)."""

HASH_THREADS: Final = 4
"""Passwords hashed at once, and no more than there are cores: bounds memory and leaves cores for mail."""

HASH_WAITING: Final = 500
"""Password checks waiting for a thread: some ten seconds of work; beyond that a login is told to come later."""

LOGIN_MEMORY: Final = 300.0
"""Seconds that a right password is remembered (as a keyed hash): a mail program logs in every few minutes."""

LOGIN_MEMORIES: Final = 20_000
"""Right passwords remembered at once: one for each connection we can hold."""

LOGIN_FREE_FAILURES: Final = 3
"""Wrong passwords before the answer is delayed: people do mistype."""

LOGIN_DELAY: Final = 0.5
"""Seconds of the first delay after a wrong password; each further failure doubles it."""

LOGIN_DELAY_MOST: Final = 8.0
"""Seconds of the longest delay after a wrong password: below what mail programs wait for."""

LOGIN_FAILURES_PER_ADDRESS: Final = 30
"""Wrong passwords from one address (IPv6: one /64) before it is not even asked: a household's worth."""

LOGIN_FAILURES_PER_ACCOUNT: Final = 20
"""Wrong passwords for one login name, from addresses that it never logged in from, before it is not even asked."""

LOGIN_FORGIVE: Final = 30.0
"""Seconds after which one wrong password is forgiven: at most 2,880 guesses a day for one name."""

LOGIN_TABLE: Final = 50_000
"""Addresses, names and known pairs whose failures are counted at once; the longest untouched goes first."""

DIRECTORY_CACHE: Final = 50_000
"""Answers of the directory kept in memory, of each kind: some 20 MB at most."""

ALIAS_TARGETS: Final = 10_000
"""Addresses that one address may stand for in the end."""

APP_PASSWORDS: Final = 50
"""App passwords of one account: one for each device with room to spare."""

APP_PASSWORD_TOUCH: Final = 3600
"""Seconds between two notes of when an app password was last used: a login is no reason for a write."""

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
