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

DNS_TRY_TIMEOUT: Final = 2.0
"""Seconds that one name server gets in the first round; doubled in each further round."""

DNS_UDP_SIZE: Final = 1232
"""Octets of a UDP answer that we offer to take (EDNS0): fits every path without fragments."""

DNS_CNAME_CHAIN: Final = 12
"""Aliases followed for one question; longer chains are loops or mischief."""

DNS_CACHE: Final = 10_000
"""Answers remembered; the least recently used goes first. About 10 MB."""

DNS_TTL_LEAST: Final = 1.0
"""Seconds that any answer is kept, also one with TTL 0 and a failure: one message asks the same thing often."""

DNS_TTL_MOST: Final = 86_400.0
"""Seconds that an answer is kept at most: a wrong TTL of years must not outlive a day."""

DNS_TTL_NONE: Final = 3600.0
"""Seconds that "no such record" is kept at most (RFC 2308 §5 allows 1-3 hours)."""

DNS_AT_ONCE: Final = 256
"""Questions under way at once: each has a socket of its own, so that its port is hard to guess."""

DNS_STRAY_PACKETS: Final = 32
"""Packets that do not answer the question, thrown away while waiting for the one that does."""

DNS_SYSTEM_SERVERS: Final = 3
"""Name servers taken from the system's list, as the C library does."""

DNS_SYSTEM_REREAD: Final = 60.0
"""Seconds after which the system's list of name servers is read again."""

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

OUTBOUND_CONNECT_TIMEOUT: Final = 30.0
"""Seconds for a TCP connection: six lost SYN packets on a good path; the next address is tried then."""

OUTBOUND_GREETING_TIMEOUT: Final = 300.0
"""Seconds for the greeting (RFC 5321 §4.5.3.2.1: 5 minutes)."""

OUTBOUND_COMMAND_TIMEOUT: Final = 300.0
"""Seconds for the reply to EHLO, MAIL, RCPT and other commands (RFC 5321 §4.5.3.2.2-3: 5 minutes)."""

OUTBOUND_DATA_TIMEOUT: Final = 120.0
"""Seconds for the reply to DATA (RFC 5321 §4.5.3.2.4: 2 minutes)."""

OUTBOUND_BLOCK_TIMEOUT: Final = 180.0
"""Seconds for each block of a message to go out (RFC 5321 §4.5.3.2.5: 3 minutes)."""

OUTBOUND_FINAL_TIMEOUT: Final = 600.0
"""Seconds for the reply to the final dot (RFC 5321 §4.5.3.2.6: 10 minutes; a shorter one makes duplicates)."""

OUTBOUND_QUIT_TIMEOUT: Final = 5.0
"""Seconds for the reply to QUIT: nothing depends on it."""

OUTBOUND_RECIPIENTS: Final = 100
"""Recipients of one transaction: what every server must take (RFC 5321 §4.5.3.1.8)."""

OUTBOUND_TRANSACTIONS: Final = 100
"""Transactions on one connection, then a new one: some servers count and slow down."""

OUTBOUND_IDLE_SESSIONS: Final = 50
"""Open sessions kept for the next message, all hosts together."""

OUTBOUND_IDLE_SECONDS: Final = 5.0
"""Seconds that a session without work is kept: long enough for a burst, short enough to be no burden to others."""

OUTBOUND_SESSION_AGE: Final = 300.0
"""Seconds after which a session is not used again: a destination's DNS or TLS may have changed."""

OUTBOUND_ADDRESSES: Final = 10
"""Addresses tried in one attempt, all hosts together (RFC 5321 §5.1: at least two)."""

OUTBOUND_ATTEMPT: Final = 3600.0
"""Seconds for one attempt over all hosts: 50 MB at 15 KB/s; beside it the limits of each step hold."""

OUTBOUND_REPLY_TEXT: Final = 1000
"""Characters of a reply that are kept with the recipient and shown in a DSN."""

OUTBOUND_BDAT: Final = 256 * KB
"""Octets from which a message goes by BDAT where CHUNKING is offered: it saves the look for dots."""

MX_HOSTS: Final = 16
"""Mail servers of a domain that are looked up, best first (RFC 5321 §5.1: at least two)."""

MX_ADDRESSES: Final = 6
"""Addresses of one mail server that are tried, both families together (RFC 5321 §5.1: at least two)."""

# --- IMAP (imap) ---------------------------------------------------------------------------------

# --- POP3 (pop3) ---------------------------------------------------------------------------------

# --- store (store) -------------------------------------------------------------------------------

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
