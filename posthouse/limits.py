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

ALIAS_DEPTH: Final = 8
"""Aliases that lead to aliases: deeper nests are mistakes."""

ALIAS_TARGETS: Final = 10_000
"""Addresses that one address may stand for in the end."""

APP_PASSWORDS: Final = 50
"""App passwords of one account: one for each device with room to spare."""

APP_PASSWORD_TOUCH: Final = 3600
"""Seconds between two notes of when an app password was last used: a login is no reason for a write."""

# --- care of the house (operations, cli, playground) ---------------------------------------------
