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
