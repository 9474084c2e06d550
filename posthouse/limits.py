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

DEFLATE_STEP: Final = 64 * KB
"""Octets of a compressed connection that one turn of the loop compresses, or inflates at most: 1-2 ms, 0.2 ms."""

DEFLATE_INPUT: Final = 16 * KB
"""Compressed octets that one turn of the loop inflates: the most laborious ones take 3 ms."""

DEFLATE_TURN: Final = 64
"""Flushes of the peer that one turn of the loop inflates up to: pipelined commands have one each."""

DEFLATE_END: Final = 0.2
"""Seconds for the last octets of a flush behind which the peer compresses no more."""

DEFLATE_REST: Final = 0.5
"""Seconds without a word after which a compressed connection lets go of its windows (170 KB): a round trip and more."""

WRITE_TIMEOUT: Final = 60.0
"""Seconds in which a peer must read at least TRANSFER_RATE of what we have for it, each time anew."""

SENT_AWAY_TIME: Final = 0.3
"""Seconds that a session has to say goodbye when its login is good no more; then the connection is broken off."""

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

WORKER_START: Final = 60.0
"""Seconds in which a worker process must be ready to take mail."""

WORKER_STOP: Final = 30.0
"""Seconds that worker processes get to end their sessions; then they are killed."""

WORKER_PAUSE: Final = 0.5
"""Seconds before a worker process that ended by itself is started again; doubled each time it does not last."""

WORKER_PAUSE_MOST: Final = 30.0
"""The longest such pause, in seconds; who has lasted longer begins anew."""

LINK_FRAME: Final = 256 * MB
"""Octets of one request between a worker process and the store: more is a fault of ours, and ends the link."""

LINK_CACHE: Final = 1.0
"""Seconds for which a worker process believes what it knows of an account's mailboxes and kinds of items."""

LINK_CACHED: Final = 20_000
"""Such answers that a worker process remembers."""

PROXY_HEADER: Final = 4 * KB
"""Octets of one PROXY protocol header; the specification's own addresses need 232."""

PROXY_TIMEOUT: Final = 5.0
"""Seconds for a trusted proxy to send its header."""

CERTIFICATE_DAYS: Final = 800
"""Days that a certificate made by ourselves is good; Apple's programs take at most 825."""

CERTIFICATE_RENEW_DAYS: Final = 30
"""Days before its end at which a certificate made by ourselves is made anew."""

ACME_FIRST: Final = 2.0
"""Seconds after the start at which we first look whether to order a certificate: our listeners are open then."""

ACME_LOOK: Final = 600.0
"""Seconds between two such looks; each asks the DNS about the names, and the authority only when something is due."""

ACME_QUESTIONS: Final = 10
"""Names whose addresses are asked for at once."""

ACME_NAMES: Final = 100
"""Names in one certificate; the largest public authority takes no more."""

ACME_LIFE: Final = 2 / 3
"""The part of a certificate's life after which it is renewed when the authority suggests no time of its own."""

ACME_LATEST: Final = 0.9
"""The part of its life after which it is renewed whatever the authority suggests."""

ACME_RETRY: Final = 600.0
"""Seconds from a failed order to the next; doubled each time. Public authorities allow 5 failures an hour of a name."""

ACME_RETRY_MOST: Final = 86_400.0
"""The longest such pause, in seconds, unless the authority asks for a longer one."""

ACME_TOLD_MOST: Final = 8 * 86_400.0
"""Seconds of a pause that the authority asks for (Retry-After) which we keep: its limits are by the week."""

ACME_NAME_RETRY: Final = 3600.0
"""Seconds that a name which could not be proved is left out; doubled each time, up to ACME_NAME_RETRY_MOST."""

ACME_NAME_RETRY_MOST: Final = 7 * 86_400.0
"""The longest time, in seconds, that such a name is left out."""

ACME_ORDERS: Final = 10
"""Orders in a week, renewals and those by hand not counted: names that come and go must not use up what an authority
gives (50 certificates a week for one domain)."""

ACME_ROUNDS: Final = 3
"""Orders made one after another when names fail, each without them."""

ACME_ANSWER: Final = 30.0
"""Seconds that the authority's server may be silent within one request."""

ACME_SIZE: Final = 1 * MB
"""Octets of one answer of the authority: a chain of certificates is some 10 KB."""

ACME_STEP: Final = 600.0
"""Seconds for one step of an order, all requests and waits of it together: longer than a slow authority needs."""

ACME_PROOF: Final = 180.0
"""Seconds that the authority may take to look at all names; the same again to make the certificate."""

ACME_DNS_ANSWER: Final = 10.0
"""Seconds that the name server of our zones may take for one answer."""

ACME_DNS_ALIASES: Final = 8
"""Aliases (CNAME) that are followed to where a name's record belongs."""

ACME_DNS_COMMAND: Final = 60.0
"""Seconds that a program may take to change one record."""

ACME_DNS_WAIT: Final = 300.0
"""Seconds at most that we may be told to wait until changed records are seen: half of ACME_STEP."""

ACME_POLL: Final = 1.0
"""Seconds between two questions to the authority how far it is."""

ACME_NONCES: Final = 20
"""Times that a request is sent anew because the authority did not take its nonce (RFC 8555 §6.5)."""

ACME_ASK_LEAST: Final = 3600.0
"""Seconds at least between two questions for a suggested time of renewal (RFC 9773 §4.3.2), whatever is asked for."""

ACME_ASK: Final = 6 * 3600.0
"""Seconds between them when the authority says nothing or cannot be asked (RFC 9773 §4.3.3)."""

ACME_ASK_MOST: Final = 86_400.0
"""Seconds at most between them."""

ACME_LATE: Final = 3 * 86_400.0
"""Seconds after the time of renewal from which `status` calls failing orders wrong: a month is left then."""

ACME_FAULT: Final = 500
"""Characters that are kept of what the authority says went wrong."""

DNS_TIMEOUT: Final = 10.0
"""Seconds for one DNS question with all its tries."""

DNS_TRY_TIMEOUT: Final = 2.0
"""Seconds that one name server gets in the first round; doubled in each further round."""

DNS_UDP_SIZE: Final = 1232
"""Octets of a UDP answer that we offer to take (EDNS0): fits every path without fragments."""

DNS_CNAME_CHAIN: Final = 12
"""Aliases followed for one question; longer chains are loops or mischief."""

DNS_ANSWER_KEPT: Final = 8 * KB
"""Characters of an answer that is kept, its name and its records: of larger ones honest mail asks only seldom."""

DNS_RECORD_EXTRA: Final = 64
"""Characters that each record counts beside its own: a thousand short ones take as much memory as long ones."""

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

DNS_SHARE: Final = 32
"""Of them about one domain: one whose name servers say nothing must not hold up what others ask."""

DNS_STRAY_PACKETS: Final = 32
"""Packets that do not answer the question, thrown away while waiting for the one that does."""

DNS_SYSTEM_SERVERS: Final = 3
"""Name servers taken from the system's list, as the C library does."""

DNS_SYSTEM_REREAD: Final = 60.0
"""Seconds after which the system's list of name servers is read again."""

# --- messages (message) --------------------------------------------------------------------------

HEADER_FIELDS: Final = 10_000
"""Header fields that are looked at in one header section; mail in the wild has below 200. Later ones count as text."""

HEADER_NAMES_KEPT: Final = 1024
"""Names of header fields kept in the form that they are looked up by."""

HEADER_VALUE: Final = 256 * KB
"""Octets of one header field's value that are read (about 8,000 addresses); the rest of the value is passed over."""

HEADER_PARAMETERS: Final = 100
"""Parameters of one Content-Type or Content-Disposition, RFC 2231 pieces counted singly."""

MEDIA_TYPES_KEPT: Final = 256
"""Values of Content-Type remembered as they were read."""

MEDIA_TYPE_KEPT: Final = 48
"""Octets up to which such a value is remembered; longer ones mostly have a boundary or a file name of their own."""

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

SEARCH_TEXT: Final = 16 * MB
"""Octets of text parts of one message that are searched, in all: ten novels; bounds the memory of one look."""

CHARSET_SAMPLE: Final = 2 * KB
"""Octets by which the charset of undeclared 8-bit text is guessed."""

COMPOSED_LINE: Final = 76
"""Characters of a header line that we write: RFC 2047 §2 for lines with encoded words; RFC 5322 §2.1.1 allows 78."""

THREAD_IDS: Final = 24
"""Message-IDs of one message that can tie it to a conversation: its own, what it answers, its latest references."""

THREAD_DEPTH: Final = 1_000
"""Generations looked up before a message is put below another, whether that would make a circle (RFC 5256 §3); whoever
would come deeper with answers of their own begins a conversation."""

THREAD_REFERENCES: Final = 100
"""Message-IDs of one message's ancestry that THREAD looks at, the latest: mail programs keep about twenty."""

# --- SMTP in (smtp, inbound) ---------------------------------------------------------------------

SMTP_RECIPIENTS: Final = 1000
"""Recipients of one transaction; RFC 5321 §4.5.3.1.8 asks for at least 100."""

SMTP_COMMAND_LINE: Final = 2048
"""Octets of a command line with CRLF: RFC 5321 §4.5.3.1.4 asks for 512; the parameters of SIZE, DSN (RFC 3461
§5.4), AUTH (RFC 4954 §5: 500) and SMTPUTF8 add to it."""

SMTP_AUTH_LINE: Final = 12_288
"""Octets of a base64 line in a login exchange (RFC 4954 §4)."""

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

DELIVERBY_LEAST: Final = 60
"""Seconds that a sender must leave us to deliver a message or return it (RFC 2852 §2): an attempt or two."""

SMTP_ERRORS: Final = 50
"""4xx and 5xx replies on one connection since its last accepted message, surplus recipients apart, then 421: a mailing
list has some dead recipients, a dictionary attack has nothing else."""

SMTP_SURPLUS: Final = 20_000
"""Recipients over the limit of a transaction that are only told to come in another one: a program that knows no limit
names all it has before it sends to those who were accepted (RFC 5321 §4.5.3.1.10). More count as errors."""

SMTP_IDLE_COMMANDS: Final = 500
"""Commands since the last step of a transaction (NOOP, RSET, VRFY, …), then 421."""

SMTP_GROUP: Final = 100
"""Replies to one pipelined group after which they are written and other sessions get their turn."""

SMTP_DRAIN: Final = 64 * MB
"""Octets read and thrown away of a message that is refused already, so that the peer hears the reply; above
it the reply comes at once and the connection is closed."""

SMTP_IDLE: Final = 300.0
"""Seconds without an octet from the peer (RFC 5321 §4.5.3.2.7: at least 5 minutes)."""

SMTP_LOGIN_TOTAL: Final = 120.0
"""Seconds for a whole login exchange: a person may have to confirm on a device."""

SMTP_DATA_TOTAL: Final = 3600.0
"""Seconds for one message's octets: 50 MB at 15 KB/s, and slow drips end here."""

SMTP_MEMORY_MESSAGE: Final = 4 * MB
"""Octets of one message kept in memory while it comes in; longer ones go to the store's staging."""

SMTP_MEMORY_TOTAL: Final = 256 * MB
"""Octets of all messages coming in that are kept in memory; above it every message is staged."""

MESSAGE_HEADER: Final = 256 * KB
"""Octets of a message's header section, then 552 5.3.4: the largest seen in the wild have about 100 KB."""

HOPS: Final = 100
"""Received fields, then 554 5.4.6 (RFC 5321 §6.3: at least 100)."""

AUTHORS: Final = 200
"""Addresses in From and Sender, then 550 5.6.0: each is looked up, and real mail has one."""

ALIAS_DEPTH: Final = 10
"""Aliases followed in a row: deeper is a mistake."""

STAGE_BLOCK: Final = 1 * MB
"""Octets read at a time from a staged message that is rewritten without Bcc."""

SENDMAIL_PIECE: Final = 256 * KB
"""Octets of a message of `sendmail` or JMAP whose line ends are made at once (under 1 ms), not in a thread."""

BACKUP_UNVERIFIED: Final = 5
"""Recipients of one transaction that a backup MX accepts though it can neither know nor ask whether they exist:
people write to a few, dictionaries to many (docs/decisions/backup-recipients.md)."""

SRS_DAYS: Final = 21
"""Days in which notices come back to mail that was sent on: hosts try for five, some for weeks."""

SRS_LOCAL_PART: Final = 64
"""Octets of the local part of a rewritten sender (RFC 5321 §4.5.3.1.1: what every host takes). Of a longer one the
sender itself is kept, and the address has a token."""

RETURNS: Final = 100
"""Messages in RETURNS_WINDOW that strangers may send back to one sender of mail that was sent on; more come later.
One who can see such an address could else send what he likes there through us."""

RETURNS_WINDOW: Final = 3600.0
"""Seconds in which RETURNS are counted, by each process for itself."""

RETURNS_TABLE: Final = 10_000
"""Senders whose returns are counted at once; the longest untouched goes first. About 2 MB."""

REFUSALS_PENDING: Final = 1000
"""Refusals that wait to be written to the timeline; more are only logged, so an attack costs no disk."""

REFUSALS_DELAY: Final = 0.5
"""Seconds after which refusals are written to the timeline, many in one commit."""

LIST_MEMBERS: Final = 1_000
"""Members of a mailing list: a post is one commit, with some operations for each of them."""

LIST_OWNERS: Final = 20
"""Owners of a mailing list."""

LIST_TITLE: Final = 100
"""Characters of a mailing list's title: it stands in List-Id and behind the names of authors."""

LIST_NAME: Final = 34
"""Octets of the local part of a mailing list: "-unsubscribe+" and a token of 16 stand behind it, and RFC 5321
§4.5.3.1.1 lets a local part have 64."""

LIST_DEPTH: Final = 3
"""Mailing lists in a row, each a member of the one before: a company, its sites, their teams."""

LIST_COPIES: Final = 2_000
"""Copies of one post, those of lists that are members of lists too: each may be several timeline lines, and one commit
takes EVENTS_PER_COMMIT."""

LIST_TURN: Final = 8
"""Copies made in one turn of the loop: some 3 ms, then others have theirs."""

LIST_BOUNCE_DAYS: Final = 5
"""Days on which copies came back from a member, after which it is none any more: a mailbox that is full or gone, not a
host's bad weekend."""

LIST_BOUNCE_DAY: Final = 24 * 3600
"""Seconds in which what comes back from one member counts once: one fault returns every copy of a busy day."""

LIST_BOUNCE_MEMORY: Final = 14 * LIST_BOUNCE_DAY
"""Seconds without anything coming back from a member, after which counting begins anew."""

LIST_POSTS: Final = 100
"""Posts to one mailing list in LIST_POSTS_WINDOW; more come later. Two programs that answer each other end here."""

LIST_POSTS_WINDOW: Final = 3600.0
"""Seconds in which LIST_POSTS are counted, by each process for itself."""

MAIL_TARGETS: Final = 9_000
"""Final addresses of one message after all aliases: each is a timeline line, and one commit takes 10,000."""

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

OUTBOUND_LEASE: Final = 2 * 3600.0
"""Seconds that a lease lasts: longer than any attempt with the recording of its outcome, so that none is made twice."""

OUTBOUND_LEASES_AT_ONCE: Final = 50
"""Leases taken in one commit."""

OUTBOUND_POLL: Final = 5.0
"""Seconds after which the queue is looked at again while something is due that cannot be taken yet."""

OUTBOUND_DRAIN: Final = 20.0
"""Seconds that attempts under way get to end by themselves when we stop; then they are broken off."""

OUTBOUND_RECORD_PAUSE: Final = 30.0
"""Seconds between tries to record an outcome while the store takes nothing, at most."""

OUTBOUND_DESTINATIONS: Final = 10_000
"""Destinations remembered as being away; the one that was seen least recently is forgotten first."""

OUTBOUND_AWAY_MOST: Final = 900.0
"""Seconds that a destination that is away is left alone at most; then one message tries."""

OUTBOUND_CLOCK_SLACK: Final = 600.0
"""Seconds beyond the longest interval from which a planned attempt shows that the clock was ahead: nodes differ."""

BACKUP_PROBE: Final = 2.0
"""Seconds between looks at the better hosts of a domain we are backup for, while they are away; grows."""

BACKUP_PROBE_MOST: Final = 10.0
"""Seconds between such looks at most: its mail is to arrive within seconds of its return."""

BACKUP_PROBE_TIMEOUT: Final = 5.0
"""Seconds that one such look may take."""

BACKUP_PROBES: Final = 100
"""Backup domains looked after so; the mail of more waits for the ordinary schedule."""

DNS_WALK: Final = 16
"""Servers that `trace` asks on its way from the root down: names have few delegations."""

DNS_WALK_SERVERS: Final = 4
"""Servers of one zone that `trace` tries."""

TRACE_HOST: Final = 90.0
"""Seconds that `trace` gives one address: a person waits."""

TRACE_TARGETS: Final = 20
"""Final addresses of an alias that `trace` looks at: what a person reads."""

TRACE_POLICY_LINES: Final = 12
"""Lines of a host's TLSA records or its domain's MTA-STS policy that `trace` shows."""

TRACE_POLICY_LINE: Final = 140
"""Characters of each: a record with a SHA-512 digest fits, one with a whole certificate is cut."""

VERIFY_AT_ONCE: Final = 20
"""Recipients that a backup MX asks primaries about at once."""

VERIFY_REFUSED: Final = 50_000
"""Addresses remembered that a primary refused; about 10 MB."""

VERIFY_TIMEOUT: Final = 20.0
"""Seconds for such a question over all hosts: the sender waits for our reply to its RCPT (5 minutes at most)."""

VERIFY_AWAY: Final = 30.0
"""Seconds that a primary which did not answer is not asked again: each RCPT would wait for it."""

DSN_WHOLE: Final = 50 * KB
"""Octets of a message that is returned whole in a DSN where the sender did not say what it wants."""

DSN_WHOLE_ASKED: Final = MB
"""Octets of a message that is returned whole when the sender asked for it (RFC 3461 §6.2 allows a bound)."""

DSN_HEADER: Final = 32 * KB
"""Octets of a header section that is returned in a DSN; the rest is cut off at a line end."""

DSN_TRIES: Final = 3
"""Tries to put a notice into a mailbox that fills up or goes away meanwhile; then the outcome stands without it."""

DSN_RECIPIENTS: Final = 100
"""Recipients told of in one DSN; for more of them there are more DSNs."""

OUTBOUND_BDAT: Final = 256 * KB
"""Octets from which a message goes by BDAT where CHUNKING is offered: it saves the look for dots."""

MX_HOSTS: Final = 16
"""Mail servers of a domain that are looked up, best first (RFC 5321 §5.1: at least two)."""

MX_ADDRESSES: Final = 6
"""Addresses of one mail server that are tried, both families together (RFC 5321 §5.1: at least two)."""

# --- Sieve on delivery (inbound) ---------------------------------------------------------------------

SIEVE_DEPTH: Final = 5
"""Scripts that act on one message in turn, each on what the one before sent; beyond, it is kept unfiltered."""

SIEVE_TEXT: Final = 2 * MB
"""Octets of a message that a script looks into; of a larger one it sees the beginning."""

SIEVE_INLINE: Final = 64 * KB
"""Octets of a message that a script which looks into it runs over on the event loop; beyond, a thread does."""

SIEVE_SLOW: Final = 0.005
"""Seconds of one step on the event loop after which an account's scripts run in a thread from then on."""

SIEVE_SLOW_KEPT: Final = 1_000
"""Accounts of which that is remembered."""

SIEVE_QUESTIONS: Final = 200
"""Questions of one run that are answered from the store: mailboxes, duplicates, scripts to be included."""

SIEVE_SECONDS: Final = 10.0
"""Seconds that one run may take with the answers to its questions; beyond, the message is kept unfiltered."""

SIEVE_SENT: Final = 500
"""Messages that an account's scripts send in an hour: redirected, answers, notices; beyond, mail is only kept."""

SIEVE_TOLD: Final = 86_400
"""Seconds in which the owner of a script that fails is told so once."""

SIEVE_REASON: Final = 4_000
"""Characters of the words with which a script refuses a message."""

SIEVE_REMEMBERED: Final = 90 * 86_400
"""Seconds at most that a script remembers an id (RFC 7352) or an answer (RFC 6131)."""

# --- IMAP (imap) ---------------------------------------------------------------------------------

IMAP_LINE: Final = 64 * KB
"""Octets of one command line: RFC 7162 §4 asks for 8,192 at least; offline clients send long sets."""

IMAP_LITERAL: Final = 64 * KB
"""Octets of a literal that is not an APPEND message: mailbox names, search words, passwords."""

IMAP_LITERAL_STRANGER: Final = 8 * KB
"""Octets of a literal before login: names, passwords and SASL responses are far below."""

IMAP_COMMAND: Final = 256 * KB
"""Octets of one command, all lines and literals together, APPEND messages apart."""

IMAP_COMMAND_STRANGER: Final = 16 * KB
"""Octets of one command or line before login: a SASL response of 12 KB fits, and 20,000 strangers hold 320 MB."""

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

IMAP_CATENATE_PIECES: Final = 1000
"""Pieces of the messages of one APPEND, literals and URLs (CATENATE): a message has as many parts as that at most."""

IMAP_CATENATE_OCTETS: Final = 128 * MB
"""Octets that one APPEND copies by URLs (or one message of the largest size): a short line makes that much work."""

IMAP_URL: Final = 4 * KB
"""Octets of a URL that comes as a literal: the longest mailbox name, percent-encoded, and a section."""

IMAP_COPY_ACROSS: Final = 500
"""Messages of a COPY or MOVE between accounts that are one commit: more would keep new mail waiting."""
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

METADATA_ENTRIES: Final = 100
"""Annotations of one mailbox, or of an account as a whole (RFC 5464 §4.1 asks for 10 at least)."""

METADATA_VALUE: Final = 32 * KB
"""Octets of one annotation (RFC 5464 §4.1 asks for 1,024 at least): comments, colours, a small picture."""

METADATA_NAME: Final = 255
"""Octets of an annotation's name: the longest registered ones have about 60."""

METADATA_OCTETS: Final = 4 * MB
"""Octets of all annotations of an account; they count in no quota."""

METADATA_NAMES_GONE: Final = 100
"""Names of removed annotations that a mailbox keeps, so that sessions which were away are told of them."""

NOTIFY_GROUPS: Final = 100
"""Event groups of one NOTIFY: clients send two or three."""

NOTIFY_NAMES: Final = 2_000
"""Mailbox names in one NOTIFY, of all its groups together; whoever wants more says PERSONAL or SUBTREE."""

NOTIFY_MAILBOXES: Final = 10_000
"""Mailboxes of an account that NOTIFY compares at each change; where there are more it is NOTIFICATIONOVERFLOW."""

NOTIFY_WAITING: Final = 2_000
"""Notifications told at once, of mailboxes other than the selected one; when more wait it is NOTIFICATIONOVERFLOW."""

NOTIFY_RENAMES: Final = 32
"""Renames told as such at once: each looks at all names; further ones are told as names that went and came."""

NOTIFY_PAUSE: Final = 0.1
"""Seconds between two pushes to a NOTIFY session: the first change is told at once, a storm ten times a second."""

IMAP_NESTING: Final = 64
"""Levels of parentheses in a command: SEARCH keys; RFC 9051 sets no bound, people write a handful."""

IMAP_SEQUENCE_SET: Final = 64 * KB
"""Octets of one message set."""

IMAP_FETCH_ITEMS: Final = 100
"""Data items of one FETCH; clients ask for up to a dozen, bodies by part for a few dozen."""

IMAP_FETCHES_REMEMBERED: Final = 500
"""Different lists of FETCH items whose meaning is kept: clients of all kinds use a few each; 1 MB at most."""

IMAP_FETCH_REMEMBERED: Final = 500
"""Octets of the longest such list that is kept."""

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

IMAP_WHOLE_FOR_HEADER: Final = 64 * KB
"""Octets up to which a message is read as one piece when only its header is asked for."""

IMAP_HEADER_READ: Final = 4 * MB
"""Octets of a header that are searched for the fields of BODY[HEADER.FIELDS]; real ones are under 100 KB."""

IMAP_SEARCH_KEYS: Final = 1_000
"""Search keys of one SEARCH, nested ones counted: long OR chains of offline clients have a few hundred."""

IMAP_FILTERS_NESTED: Final = 8
"""Filters within filters in one search: RFC 5466 §3.1 asks for 3 at least; all keys together count as of one search."""

IMAP_FUZZY_QUESTIONS: Final = 500
"""Words that one FUZZY search looks for, similar ones too: as many as twice the text keys of a plain search."""

IMAP_SORT_KEYS: Final = 16
"""Criteria of one SORT: there are nine keys, and a second one of the same kind changes nothing."""

IMAP_CONTEXTS: Final = 16
"""Searches of one session whose results are kept up to date (RFC 5267 §4.3.1): each is asked again at every change."""

IMAP_CONTEXT_SORTED: Final = 5_000
"""Messages of a sorted result that is kept up to date: it is sorted anew when one comes to it, 20 ms of work."""

IMAP_LANGUAGES: Final = 50
"""Language ranges of one LANGUAGE: browsers' lists have under ten."""

IMAP_SEARCH_MAILBOXES: Final = 1_000
"""Mailboxes of one ESEARCH, named or meant (RFC 7377 §2.4): people have dozens; each is loaded and searched."""

IMAP_SEARCH_STEP: Final = 20_000
"""Messages after which a SEARCH key lets other connections have a turn: about 1 ms of work."""

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

POP3_LINE: Final = 2 * KB
"""Octets of a command line with CRLF: RFC 2449 §4 asks for 255; AUTH with an initial response needs more."""

POP3_AUTH_LINE: Final = 12 * KB
"""Octets of a base64 line in a login exchange (RFC 5034 §4)."""

POP3_BAD: Final = 10
"""Commands in a row that are unknown, malformed or out of place, then the connection is closed."""

POP3_LOGINS: Final = 5
"""Failed logins after which the connection is closed; the directory slows down the next ones."""

POP3_LOGIN_TIME: Final = 600.0
"""Seconds from the connection's start in which the login must be done (RFC 1939 §3: no timer below 10 minutes)."""

POP3_AUTOLOGOUT: Final = 600.0
"""Seconds without a command after which a session ends (RFC 1939 §3: at least 10 minutes)."""

POP3_LOGIN_DELAY: Final = 0
"""Seconds that must pass between two logins (RFC 2449 §6.5): none, since a session costs us next to nothing."""

POP3_TURN: Final = 64
"""Pipelined commands answered in a row before other connections get their turn."""

POP3_WHOLE: Final = 256 * KB
"""Octets up to which a message is sent in one piece; larger ones go out in pieces of BLOB_CHUNK."""

# --- Sieve scripts and ManageSieve (accounts, managesieve) -----------------------------------------

SIEVE_SCRIPT: Final = 64 * KB
"""Octets of one Sieve script; long ones that programs write have 10-20 KB."""

SIEVE_SCRIPTS: Final = 32
"""Sieve scripts of an account: a few for seasons, one for each client's habits."""

SIEVE_NAME: Final = 512
"""Octets of a script's name: the 128 characters that RFC 5804 §1.6 asks for, of four octets each."""

SIEVE_WRITES: Final = 20
"""Times that a change of an account's scripts is tried while others change them: each time one of all gets through."""

SIEVE_CACHED: Final = 4 * MB
"""Characters of the scripts that are kept compiled, in all; what is compiled takes ten to twenty times that."""

SIEVE_CACHED_LEAST: Final = 1 * KB
"""Characters that a script, or none, counts for there: thousands of accounts have one of a few lines."""

SIEVE_LINE: Final = 16 * KB
"""Octets of a line of ManageSieve with CRLF: a quoted SASL response of 12 KB fits, and two long names, escaped."""

SIEVE_LITERAL_STRANGER: Final = 12 * KB
"""Octets of a literal before login: what SASL_RESPONSE is in base64; a longer one ends the connection."""

SIEVE_LITERALS: Final = 4
"""Literals of one command: PUTSCRIPT has two."""

SIEVE_SKIP: Final = 4 * MB
"""Octets of too large literals of one command that are read past; for more, the connection is closed instead."""

SIEVE_QUOTED: Final = 1024
"""Octets of a string that we send quoted (RFC 5804 §4); longer ones go as literals."""

SIEVE_BAD: Final = 10
"""Commands in a row that are unknown, malformed or out of place, then the connection is closed."""

SIEVE_LOGINS: Final = 5
"""Failed logins after which the connection is closed; the directory slows down the next ones."""

SIEVE_LOGIN_TIME: Final = 180.0
"""Seconds from the connection's start in which the login must be done, time to type a password included."""

SIEVE_AUTOLOGOUT: Final = 1860.0
"""Seconds without a command: RFC 5804 §1.2 asks for at least 30 minutes."""

SIEVE_TURN: Final = 64
"""Pipelined commands answered in a row before other connections get their turn."""

# --- the browser (web, jmap) ---------------------------------------------------------------------

HTTP_HEAD: Final = 32 * KB
"""Octets of a request's line and fields: browsers send 2 KB, and cookies or URLs of others may add to it."""

HTTP_FIELDS: Final = 100
"""Fields of a request: browsers send about 20."""

HTTP_READ: Final = 64 * KB
"""Octets of a request parsed in one go."""

HTTP_KEEP_ALIVE: Final = 75.0
"""Seconds that a connection may wait for its next request."""

HTTP_HEAD_TIME: Final = 20.0
"""Seconds that a request's head may take beyond that, so that a drip does not help."""

HTTP_BODY_WAIT: Final = 60.0
"""Seconds to wait for the next piece of a request's body."""

HTTP_BODY_TIME: Final = 4 * 3600.0
"""Seconds for a body; one of known length has only TRANSFER_GRACE and its octets at TRANSFER_RATE if that is less."""

HTTP_PIPELINED: Final = 64 * KB
"""Octets of further requests taken in while one is being answered; beyond that the peer is left waiting."""

HTTP_DISCARD: Final = 256 * KB
"""Octets of a body passed over when the answer needed none of it; for longer ones the connection ends."""

HTTP_RETRY_AFTER: Final = 60
"""Seconds after which a delayed login may be tried again (Retry-After)."""

HTTP_PAGES_SIZE: Final = 32 * MB
"""Octets of the built pages, all kept in memory."""

HTTP_WEBSOCKET_IDLE: Final = 60.0
"""Seconds without a word on a WebSocket before a ping, and again before it is given up."""

JMAP_REQUEST_SIZE: Final = 10 * MB
"""Octets of one request (maxSizeRequest; RFC 8620 §2 suggests 10,000,000)."""

JMAP_VALUES: Final = 100_000
"""Strings, commas and opening brackets of one request: what is decoded well within 50 ms, in which nobody is served."""

JMAP_PACKED: Final = 4 * KB
"""Octets from which an answer is compressed: three packets become one or two, for 0.07 ms of a thread."""

JMAP_REQUESTS: Final = 16
"""Requests of one account at once (maxConcurrentRequests; RFC 8620 §2 suggests 4, several devices share it)."""

JMAP_UPLOADS: Final = 8
"""Uploads of one account at once (maxConcurrentUpload; RFC 8620 §2 suggests 4)."""

JMAP_CALLS: Final = 64
"""Method calls in one request (maxCallsInRequest; RFC 8620 §2 suggests 16)."""

JMAP_GET: Final = 1000
"""Objects in one /get (maxObjectsInGet; RFC 8620 §2 suggests 500)."""

JMAP_SET: Final = 1000
"""Objects in one /set (maxObjectsInSet; RFC 8620 §2 suggests 500)."""

JMAP_QUERY: Final = 100_000
"""Ids in one answer of a /query; the position says where the next ones begin."""

JMAP_BEGINNING: Final = 500
"""Ids from the beginning of a result up to which threads are looked up as needed, so many emails at a time (1 ms)."""

JMAP_FILTER_DEPTH: Final = 16
"""Operators of a filter within each other."""

JMAP_FILTER_CONDITIONS: Final = 200
"""Conditions of one filter."""

JMAP_SORTS: Final = 8
"""Comparators of one sort."""

JMAP_SEARCH_WORDS: Final = 50
"""Words and phrases of one text condition."""

JMAP_PARSE: Final = 20
"""Blobs in one Email/parse: each may be as large as a message."""

MDN_RECIPIENTS: Final = 5
"""Addresses that get a receipt: whoever wrote the message chose them, and could have others flooded in our name."""

JMAP_SNIPPETS: Final = 200
"""Emails in one SearchSnippet/get: each is read."""

JMAP_SNIPPET_OCTETS: Final = 1 * MB
"""Octets of a message in which a snippet is looked for."""

JMAP_BATCH: Final = 64
"""Emails read and described together in Email/get, which bounds its memory."""

JMAP_BLOB_DEPTH: Final = 8
"""Messages within messages that a blob id may lead through."""

JMAP_BODY_PARTS: Final = 500
"""Parts of a message that a client composes."""

JMAP_DECODE: Final = 1 * MB
"""Octets above which a part's decoded size is computed from its length instead of by decoding."""

JMAP_IN_MEMORY: Final = 256 * KB
"""Octets of a new message above which it goes through staging."""

JMAP_MAILBOXES: Final = 2_000
"""Mailboxes of an account beyond which JMAP makes no more: each is looked at for every email."""

JMAP_MAILBOXES_PER_EMAIL: Final = 20
"""Mailboxes that one email may be in (maxMailboxesPerEmail)."""

JMAP_MAILBOX_DEPTH: Final = 10
"""Levels of mailboxes (maxMailboxDepth)."""

JMAP_MAILBOX_NAME: Final = 255
"""Octets of a mailbox's own name (maxSizeMailboxName; RFC 8621 §1.3.1 wants at least 100)."""

JMAP_RETRIES: Final = 3
"""Times that a change is tried anew because another client moved the email meanwhile."""

JMAP_ON_LOOP: Final = 5_000
"""Emails up to which a query or a count is worked out on the event loop (about a millisecond)."""

JMAP_ON_LOOP_OCTETS: Final = 128 * KB
"""Octets of messages up to which bodies are taken apart on the event loop, and of requests that are read there."""

JMAP_ACCOUNTS: Final = 1_000
"""Accounts whose threads and counts are remembered."""

JMAP_THREADS: Final = 1_000_000
"""Emails of all accounts whose threads are remembered: about 100 octets each."""

JMAP_RESULTS: Final = 200
"""Results of queries that are remembered."""

JMAP_RESULT_IDS: Final = 1_000_000
"""Ids in all remembered results."""

JMAP_STREAMS: Final = 100
"""Open EventSource streams, and as many WebSockets, of one account: every tab of every browser has one."""

JMAP_PING_LEAST: Final = 5
"""Seconds: pings are not sent oftener, whatever a client asks."""

JMAP_PING_MOST: Final = 300
"""Seconds: pings are not sent more rarely once a client asked for any."""

JMAP_IDENTITIES: Final = 200
"""Identities of an account."""

IDENTITY: Final = 256 * KB
"""Octets of one identity: its signatures, with small pictures in them."""

JMAP_SUBMISSIONS: Final = 100_000
"""Records of submissions that an account keeps."""

JMAP_HOLD: Final = 366 * 86400
"""Seconds that a submission may be held (maxDelayedSend, RFC 4865 §4)."""

JMAP_BLOBS: Final = 100
"""Blobs in one Blob/get or Blob/lookup."""

JMAP_BLOB_SOURCES: Final = 64
"""Sources that one Blob/upload puts together (maxDataSources; RFC 9404 §3.1 wants 64 at least)."""

SHARES: Final = 100
"""Accounts that one mailbox or address book can be shared with."""

GRANTS: Final = 1_000
"""Accounts that one account can have shared something with, also what it has taken back."""

SHARED_ACCOUNTS: Final = 100
"""Accounts that can share something with one account: its session shows them, and push follows them."""

SHARE_NOTIFICATIONS: Final = 200
"""Notifications of changed rights that are kept for an account; then the oldest goes (RFC 9670 §3)."""

PUSH_SUBSCRIPTIONS: Final = 50
"""Push subscriptions of one account: a person's devices."""

PUSH_CREATED: Final = 100
"""Push subscriptions that one account makes in a row: each has its address asked once (RFC 8620 §8.6)."""

PUSH_CREATED_FORGOTTEN: Final = 300.0
"""Seconds after which it may make one more."""

PUSH_EXPIRY: Final = 30 * 86400
"""Seconds that a push subscription lasts at most (RFC 8620 §7.2: 48 hours at least, 7 days should be)."""

PUSH_URL: Final = 2048
"""Characters of a push service's address."""

PUSH_ACCOUNTS: Final = 20_000
"""Accounts whose subscriptions are watched by one process."""

PUSH_PAUSE: Final = 1.0
"""Seconds between two pushes to an account's devices: what changes meanwhile is told together."""

PUSH_REST: Final = 60.0
"""Seconds that a push service gets which asks for rest or has a fault (RFC 8030 §8.4)."""

PUSH_TIME: Final = 10.0
"""Seconds for one push, connection and answer."""

PUSH_TTL: Final = 86_400
"""Seconds that a push service may keep a push for a device that is away (RFC 8030 §5.2)."""

OUTBOX_BATCH: Final = 100
"""Submissions looked at before the outbox asks again what is due."""

OUTBOX_LOOK: Final = 60.0
"""Seconds after which the outbox looks even when nothing told it to."""

OUTBOX_PAUSE: Final = 30.0
"""Seconds after a fault of the store, and after which a submission that was begun is looked at again."""

OUTBOX_RETRY: Final = 60.0
"""Seconds until a submission whose message could not be taken now is tried again."""

OUTBOX_GIVE_UP: Final = 5 * 86_400.0
"""Seconds after its time for which that is done; then its sender is told that it failed."""

OUTBOX_FIRST_LOOK: Final = 1.0
"""Seconds after sending until what became of the recipients is looked up; each further look waits twice as long."""

OUTBOX_LAST_LOOK: Final = 3600.0
"""Seconds between two such looks at most."""

OUTBOX_LOOKS: Final = 180
"""Such looks in all: over a week, longer than the queue tries."""

OUTBOX_EVENTS: Final = 10_000
"""Lines of the timeline read for one submission."""

VACATION_DAYS: Final = 7
"""Days within which a person is answered once (RFC 5230 §4.1 suggests 7)."""

VACATION_AT_ONCE: Final = 50
"""Messages looked at for a vacation answer at once; beyond, mail is delivered unanswered."""

VACATION_PEOPLE: Final = 5_000
"""People of whom an account's responder remembers that they were answered; beyond, nobody new is, for VACATION_DAYS."""

VACATION_TEXT: Final = 100_000
"""Characters of subject and texts of a vacation answer."""

JMAP_POINTER: Final = 32
"""Steps of a result reference's path (RFC 8620 §3.7)."""

JMAP_REFERENCED: Final = 100_000
"""Values that a result reference may lead to."""

JMAP_REFERENCED_OCTETS: Final = 10 * MB
"""Octets, as JSON, that all result references of a request lead to: as much as a request may have itself."""

JMAP_REFERENCES: Final = 128
"""Result references of a request: two for each of its calls."""

# --- running Sieve scripts (sieve) --------------------------------------------------------------------

SIEVE_COMMANDS: Final = 4_000
"""Commands and tests in one script: one for each 16 octets of the longest."""

SIEVE_NESTING: Final = 32
"""Blocks within blocks, and tests within tests; fifteen must be allowed (RFC 5228 §2.10.7)."""

SIEVE_STRINGS: Final = 4_000
"""Strings in one list of a script."""

SIEVE_NUMBER: Final = 2**53 - 1
"""The highest number that a script may name; 2^31 - 1 must be allowed (RFC 5228 §2.4.1)."""

SIEVE_FAULTS: Final = 10
"""Faults of one script that are told at once."""

SIEVE_STEPS: Final = 10_000
"""Commands and tests that one run executes, with those of included scripts and of loops: 10-20 ms."""

SIEVE_WORK: Final = 20_000_000
"""Characters that one run looks at when it compares, for each key anew: 100 words in 200 KB of text; 15-50 ms."""

SIEVE_BRIEF_WORK: Final = 1_000_000
"""Characters that one run looks at on the event loop: 1-15 ms. A script that needs more is begun anew in a thread."""

SIEVE_BRIEF_STEPS: Final = 1_000
"""Commands and tests that one run executes on the event loop: 1-2 ms. A script with more is begun anew in a thread."""

SIEVE_ACTIONS: Final = 32
"""Actions that one message may lead to (RFC 5228 §2.10.4)."""

SIEVE_REDIRECTS: Final = 5
"""Addresses that one message is sent on to (RFC 5228 §10: a script must not multiply mail)."""

SIEVE_VARIABLES: Final = 256
"""Variables of one script; 128 must be allowed (RFC 5229 §6)."""

SIEVE_VARIABLE_NAME: Final = 64
"""Characters of a variable's name; 32 must be allowed (RFC 5229 §6)."""

SIEVE_VARIABLE: Final = 8_192
"""Characters that a variable holds; 4,000 must be allowed, what is longer is cut off (RFC 5229 §6)."""

SIEVE_MATCH_VARIABLES: Final = 32
"""The highest match variable; 9 must be allowed (RFC 5229 §6)."""

SIEVE_EXPANDED: Final = 64 * KB
"""Characters of a string with the values of its variables in it; what is longer is cut off."""

SIEVE_VACATION_DAYS: Final = 90
"""Days at most in which a script's vacation answers a person once; more than 30 should be allowed (RFC 5230 §4.1)."""

SIEVE_BODY: Final = 256 * KB
"""Octets of a body that one `body` or `extracttext` looks at (RFC 5173 §8): the text of a hundred pages."""

SIEVE_DUPLICATES: Final = 16
"""Ids that one run looks for among those seen before (RFC 7352): each is a look into the store."""

SIEVE_DUPLICATE_SECONDS: Final = 90 * 86_400
"""Seconds at most for which a script has an id remembered (RFC 7352 §3.3)."""

SIEVE_FLAGS: Final = 128
"""Flags that a script holds together, more than twice the keywords of a mailbox; more are passed over."""

SIEVE_INCLUDES: Final = 32
"""Scripts that one run includes, in all (RFC 6609 §3.1)."""

SIEVE_INCLUDE_DEPTH: Final = 8
"""Scripts that include one another, one within another (RFC 6609 §3.1)."""

SIEVE_MAILTO: Final = 2_000
"""Characters of the URI of one notice (RFC 5436)."""

SIEVE_MAILTO_RECIPIENTS: Final = 10
"""Addresses in the URI of one notice."""

SIEVE_NOTICES: Final = 5
"""Notices that one message leads to (RFC 5435 §8: a script must not multiply mail)."""

SIEVE_FIELD: Final = 4_000
"""Characters of a field that a script adds; 998 must be allowed (RFC 5293 §4)."""

SIEVE_HEADER_EDITS: Final = 64
"""Fields that one run adds or removes; each time the message is put together anew."""

SIEVE_LOOPS: Final = 4
"""Loops over the parts of a message in one another, in included scripts too; two must be allowed (RFC 5703 §3)."""

SIEVE_REGEX: Final = 1_000
"""Characters of one regular expression."""

SIEVE_REGEX_NESTING: Final = 32
"""Parentheses in parentheses in a regular expression."""

SIEVE_REGEX_REPEATS: Final = 255
"""How often a regular expression may say that something is repeated (IEEE 1003.1, `RE_DUP_MAX`)."""

SIEVE_REGEX_STATES: Final = 1_000
"""States of the automaton of one regular expression: one or two for each character, and for each that it repeats."""

# --- store (store) -------------------------------------------------------------------------------

EMAILS_PER_READ: Final = 5_000
"""Emails asked for in one `Store.emails`, `stored` or `messages`: about 2 MB of texts, 5 ms of a reader's time."""

BLOB_CHUNK: Final = 256 * KB
"""Octets of one piece of a message that is streamed: few hops between threads, little memory a connection."""

INLINE_OCTETS: Final = 8 * KB
"""Message bytes up to this ride in the database: one sync. Measured: from 12 KB on, segment files are faster."""

SEGMENT_OCTETS: Final = 128 * MB
"""Size at which a segment file is closed: compaction rewrites one at a time."""

BATCH_SUBMISSIONS: Final = 1_000
"""Commits gathered into one transaction: about 50 ms of the writer's time."""

BATCH_OCTETS: Final = 32 * MB
"""Message bytes gathered into one transaction: a tenth of a second of a plain disk's time."""

PIECE_ROWS: Final = 5_000
"""Rows of a long change after which waiting commits go first: 2-5 ms."""

RETENTION_DAYS: Final = 36_500
"""Days after which mail may leave a mailbox by itself, at most: a century, beyond which a date means nothing."""

RETENTION_LOOKED_AT: Final = 500
"""Mailboxes looked at with one read for mail whose time has come: each costs a row, or all of its young mail."""

FLAGS_LOGGED: Final = 500
"""Messages of one flag change from which it is logged as a rule, instead of rewriting the row of each."""

FLAGS_LOGGED_RUNS: Final = 4
"""Runs of UIDs of such a change: each is a row, and readers put all of them on top of what they read."""

FLAGS_LOGGED_SECONDS: Final = 1.0
"""How long a quiet moment is waited for before logged flags are written to the placements; then it is done anyway."""

FLAGS_LEFT_SECONDS: Final = 60.0
"""Seconds after which a node of a cluster looks for flag changes that a node which died has logged and not settled."""

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

SPACE_RESERVE: Final = 32 * MB
"""Disk space held back, so that reading and deleting go on when the disk is full: the log must fit into the file."""

QUIET_SECONDS: Final = 0.03
"""A moment is quiet when nobody asked the store for anything for so long: a client's next command comes sooner."""

BACKGROUND_REST: Final = 20.0
"""Times the duration of a piece of background work that is rested after it while somebody is served: five percent."""

DERIVE_BATCH: Final = 500
"""Messages whose envelopes are computed, in a quiet moment, for one commit: about 50 ms; less when somebody comes."""

DERIVE_BATCH_BUSY: Final = 5
"""As many while somebody is served: about half a millisecond."""

DERIVED_WAITING: Final = 20_000
"""Messages whose envelopes wait to be written because somebody asked for them: 20 MB. Others are computed again."""

SNAPSHOT_OCTETS_WAITING: Final = 128 * MB
"""Octets of packed mailbox indexes that wait to be written: what memory holds of indexes for nobody in particular."""

FREE_OCTETS_KEPT: Final = 64 * MB
"""Free space that the database file keeps for the mail to come; above it and a quarter of the file it shrinks."""

SWEEP_BATCH: Final = 500
"""Emails whose remains are removed in one transaction: about 5 ms."""

COMPACT_DEAD_SHARE: Final = 0.4
"""Share of a closed segment that must be dead before it is rewritten: each octet is moved at most 2.5 times."""

COMPACT_STEP: Final = MB
"""Octets of messages that compaction copies in one step: it rests between two of them while somebody is served."""

COMPRESS_AFTER: Final = 86_400.0
"""Seconds after which a closed segment counts as cold and is compressed."""

COMPRESS_OCTETS: Final = 4 * MB
"""Largest message compressed: reading a part of one unpacks the whole."""

OPEN_SEGMENTS: Final = 32
"""Segment files that one reader keeps open."""

HISTORY_ROWS: Final = 20_000
"""Changes that destroyed emails, kept for each account so that clients which return are told exactly."""

HISTORY_LOOK: Final = 256
"""Changes between two looks at whether that history is too long."""

UPLOAD_KEPT: Final = 24 * 3600
"""Seconds that an upload nobody used is kept (RFC 8620 §6: an hour at least)."""

UPLOAD_OCTETS: Final = 512 * MB
"""Octets of an account's unused uploads; the oldest give way (RFC 8620 §6 suggests ten times maxSizeUpload)."""

# --- full-text search (store.search) -------------------------------------------------------------

SEARCH_TERMS: Final = 100_000
"""Different terms of one message: a megabyte of prose has 20,000. Messages with more are scanned, not indexed."""

SEARCH_HEAD: Final = 4 * KB
"""Characters of subject, From, To and Cc that the index keeps of a message; longer ones are read from the message."""

SEARCH_TERMS_ASKED: Final = 500
"""Terms in one question to the index: a few milliseconds, and below what its grammar takes."""

SIMILAR_WORDS: Final = 4
"""Words of an account's mail that a fuzzy search takes for one that was asked for; each is searched for by itself."""

SEARCH_BATCH: Final = 500
"""Messages indexed in one transaction: a third of a second of a background thread; smaller ones cost more merging."""

SEARCH_BATCH_OCTETS: Final = 8 * MB
"""Message octets after which a batch is closed early: bounds its memory."""

SEARCH_DELAY: Final = 1.0
"""Seconds without new mail after which it is indexed: a burst comes together, and stays off the way to its replies."""

SEARCH_PATIENCE: Final = 30.0
"""Seconds that new mail waits for that at most; at 5,000 messages a second the rest is scanned in 5 s."""

SEARCH_WAITING: Final = 500_000
"""Removed messages noted as waiting (40 MB); beyond it a comparison with the store finds them instead."""

SEARCH_COMPARE: Final = 5_000
"""Messages compared with the store at a time: a few milliseconds."""

SEARCH_CACHED_IDS: Final = 300_000
"""Ids of indexed messages kept in memory (20 MB), of the accounts that searched last; one account may exceed it."""

SEARCH_IDS_READ: Final = 20_000
"""Ids of indexed messages read from PostgreSQL with one statement: a few milliseconds."""

SEARCH_KNOWN_TERMS: Final = 300_000
"""Terms remembered as listed already (30 MB at most), so that frequent words are not offered to the list again."""

SEARCH_RETRY: Final = 30.0
"""Seconds until indexing is tried again after a fault of the disk."""

SEARCH_SWEEP: Final = 1000
"""Removed messages after which an account's unused terms are dropped, at least; also as many terms at a time."""

SEARCH_SWEEP_PIECE: Final = 200
"""Terms looked at in one transaction of such a sweep over PostgreSQL: some 20 ms, in which mail waits."""

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

LOGIN_LOOK_GAP: Final = 0.3
"""Seconds between two looks at all open logins, however often people change: a revoked one ends within a second."""

LOGIN_END_STEP: Final = 600.0
"""Seconds after which an open login looks at the wall's clock again, when it waits for what it came with to end."""

LOGIN_LOOK_BACK: Final = 60.0
"""Seconds after a change of people in which new logins are looked at again: they may have begun before it."""

LOGIN_LOOK_ACCOUNTS: Final = 1_000
"""Accounts of open logins whose proofs are read with one question: some ten milliseconds."""

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

NUMBER: Final = 2**63 - 1
"""The largest number of an administrator's command: what the store's columns hold."""

QUOTA: Final = 2**53 - 1
"""Octets that a quota may be: what JMAP's numbers hold (RFC 8620 §1.3), and less than the store's do."""

APP_PASSWORDS: Final = 50
"""App passwords of one account: one for each device with room to spare."""

APP_PASSWORD_TOUCH: Final = 3600
"""Seconds between two notes of when an app password was last used: a login is no reason for a write."""

API_TOKENS: Final = 50
"""Bearer tokens of one account: one for each program with room to spare."""

PASSKEYS: Final = 20
"""Passkeys of one account: one for each device with room to spare."""

RECOVERY_CODES: Final = 10
"""Codes on paper that stand in for an authenticator, each once: what others hand out, one sheet's worth."""

WEB_SESSIONS: Final = 50
"""Browsers of one account that are logged in at once; at one more the longest unused is logged out."""

WEB_SESSION_IDLE: Final = 14 * 86400
"""Seconds without use after which a browser must log in again: a holiday is survived."""

WEB_SESSION_LIFE: Final = 90 * 86400
"""Seconds after which a browser must log in again in any case."""

WEB_SESSION_TOUCH: Final = 300
"""Seconds between two notes of a session's or token's last use, so that reading mail does not write."""

WEB_AGENT: Final = 200
"""Characters kept of a browser's name for itself (User-Agent)."""

LOGIN_STEP: Final = 300.0
"""Seconds for the second step of a login: time to find the telephone."""

ADDRESS_BOOKS: Final = 100
"""Address books of one account."""

CONTACT_CARDS: Final = 20_000
"""Contacts of one account: a large company's list."""

CONTACT_CARD: Final = 256 * KB
"""Octets of one contact, with a small picture."""

ADDRESS_BOOK_NAME: Final = 255
"""Octets of an address book's name (RFC 9610 §2)."""

CARDS_CACHED: Final = 64 * MB
"""Octets of the contacts of all accounts that are kept decoded for queries."""

CARDS_AT_ONCE: Final = 500
"""Contacts that a query looks through on the event loop; more, in a thread."""

SNOOZE_LOOK: Final = 15.0
"""Seconds between two looks for snoozed mail that is due: sooner than anybody notices."""

SNOOZE_BATCH: Final = 100
"""Snoozed messages that are woken before it is asked again what is due."""

SNOOZE_RETRY: Final = 600.0
"""Seconds after which a message that could not be woken is tried again."""

SNOOZE_MOST: Final = 5 * 366 * 86400
"""Seconds that mail may be snoozed for."""

UNSUBSCRIBE_TIME: Final = 20.0
"""Seconds that a list's host may take to answer a one-click unsubscription, all steps together."""

UNSUBSCRIBES_AT_ONCE: Final = 4
"""One-click unsubscriptions under way in the house; others wait."""

CONTACT_PHOTO: Final = 180 * KB
"""Octets of a contact's picture: in base64 it must fit into the contact."""

VCARD_PROPERTIES: Final = 1_000
"""Properties of one card in a vCard file."""

VCARD_BATCH: Final = 200
"""Cards of a vCard file that are kept in one commit."""

LEARNT_ADDRESSES: Final = 2_000
"""Addresses that an account has written to and that are offered beside its contacts."""

LEARNT_PER_MESSAGE: Final = 50
"""Recipients of one message that are learnt; more are a mailing, which tells nothing of whom one knows."""

LEARNT_NAME: Final = 200
"""Characters of a learnt address's name."""

LEARNT_KEPT: Final = 2 * 365 * 86400.0
"""Seconds that an address is kept to which nothing is written any more."""

LEARNT_CACHED: Final = 20_000
"""Learnt addresses of all accounts that are remembered, so that the next message to them writes nothing."""

CONTACT_TEXT: Final = 320
"""Characters of an address or of an address book's name (RFC 5321 §4.5.3.1: 64 + 1 + 255)."""

PREFERENCES: Final = 64 * KB
"""Octets of what the webmail keeps for one reader: some hundred settings."""

AUTODISCOVER: Final = 64 * KB
"""Octets of an Outlook autodiscover request: real ones have under 1 KB."""

MTA_STS_LEAST_AGE: Final = 86_400
"""Seconds below which a policy is said to be forgotten too soon: who attacks needs to wait no longer."""

MTA_STS_POLICY: Final = 64 * KB
"""Octets of a policy (RFC 8461 §3.3)."""

MTA_STS_TIME: Final = 10.0
"""Seconds for reading a policy (RFC 8461 §3.3 suggests a minute; an administrator is waiting)."""

MTA_STS_MX: Final = 200
"""Hosts that a policy names and that are looked at."""

DANE_RECORDS: Final = 40
"""TLSA records of one mail host that are looked at: two keys in every form that there is."""

DANE_CHAIN: Final = 10
"""Certificates that a mail host shows of which its TLSA records may name one."""

MTA_STS_CACHED: Final = 2_000
"""MTA-STS policies of others kept in memory (all are in the store), and failures to read one."""

MTA_STS_FRESH: Final = 86_400.0
"""Seconds after which a policy that still holds is read anew: who waits for its end could be starved of it."""

MTA_STS_RETRY: Final = 300.0
"""Seconds in which a policy that could not be read is not asked for again (RFC 8461 §3.3)."""

MTA_STS_LONGEST: Final = 31_557_600
"""Seconds that a policy is kept at most (RFC 8461 §3.2)."""

MTA_STS_AGE: Final = 604_800
"""Seconds that others keep our MTA-STS policy (RFC 8461 §3.2 suggests weeks; a week mends mistakes in time)."""

SECURITY_TXT_DAYS: Final = 180
"""Days after which security.txt says it is stale (RFC 9116 §2.5.5: less than a year)."""

LOGIN_FORM_TIME: Final = 3600.0
"""Seconds that an opened login form may be sent: a page left open over lunch says so when it is used."""

LEAVING_FORM: Final = 1024
"""Octets of what is posted to leave a mailing list: 26, and the frame of multipart/form-data (RFC 8058 §3.2)."""

LOGIN_FORM: Final = 16 * 1024
"""Octets of a login form: far above name, password and code together; passkeys' answers take some 3 KB."""

MASKED_ADDRESSES: Final = 500
"""Masked addresses of an account: one for each site that a person has to do with in years."""

MASKED_HOURLY: Final = 40
"""Masked addresses that an account is given in an hour: each stays in the directory for ever."""

MASKED_PENDING: Final = 86_400
"""Seconds after which a pending masked address that got no mail goes (JMAP's extension says 24 hours)."""

MASKED_LOCAL_PART: Final = 64
"""Octets of a masked address's local part, and of a prefix for it (RFC 5321 §4.5.3.1.1: forms take no more)."""

MASKED_TRIES: Final = 8
"""Masked addresses made up before one is given up, because all were given already: of 600 million, one is free."""

MASKED_SIZE: Final = 4096
"""Octets that are noted of a masked address: its site, note and link."""

MASKED_LOOK: Final = 600.0
"""Seconds between two looks for pending masked addresses whose time is over."""

MASKED_BATCH: Final = 100
"""Pending masked addresses taken away between two looks at the store."""

# --- care of the house (operations, cli, playground) ---------------------------------------------

BACKUP_BLOCK: Final = 1 * MB
"""Octets that a backup copies at once."""

VERIFY_FLAWS: Final = 1_000
"""Flaws that one `verify` tells one by one; more are counted."""

VERIFY_OWNERS: Final = 10
"""Emails that it names of those which share damaged bytes; more are counted."""

VERIFY_BATCH: Final = 64
"""Messages whose bytes `verify` checks between two looks at who else waits."""

TRANSFER_BATCH: Final = 500
"""Messages of one batch of an import or export: one commit, and one step of the progress bar."""

TRANSFER_OCTETS: Final = 8 * MB
"""Octets after which a batch of an import is sent; one larger message goes alone."""

TRANSFER_LINE: Final = 16 * MB
"""Octets of one line of an mbox file; what is longer is cut there, as no server would take it anyway."""

TRANSFER_IMAP_TIMEOUT: Final = 120.0
"""Seconds that an import or export waits for another IMAP server."""

CONTROL_CONNECTIONS: Final = 32
"""Connections at once to the control socket: administrators and their scripts, not the public."""

CONTROL_LINE: Final = 1 * MB
"""Octets of one request's JSON line: ten thousand addresses of an alias."""

ITEMS_RETURNED: Final = 256 * KB
"""Octets of contacts and the like that `restore --account` gives back at once, or one: in base64 they fit in a line."""

CONTROL_BODY: Final = 64 * MB
"""Octets of one request's body: a message of `sendmail` above the usual size limit, a listing of accounts."""

CONTROL_IDLE: Final = 120.0
"""Seconds of silence on the control socket: an import of a thousand accounts hashes for a minute."""

SOCKET_PATH: Final = 100
"""Octets of a Unix socket's path; the kernel takes 107."""

IMPORT_BATCH: Final = 200
"""Accounts of an import prepared at once: enough to fill a commit."""

DELETED_LISTED: Final = 1000
"""Deleted messages listed at once: each costs one read of a header, a second in all."""

DELETED_HEADER: Final = 16 * 1024
"""Octets read of a deleted message to tell From and Subject: longer headers are cut."""

REJECTS_LISTED: Final = 1000
"""Refused messages listed at once: each costs one read of a header, a second in all."""

REJECTS_HEADER: Final = 16 * 1024
"""Octets read of a refused message to tell From and Subject: longer headers are cut."""

BACKUP_LOOK_DAYS: Final = 8
"""Days after which the last backup is worth a look: weekly ones may be late by one."""

TIMELINE_LATEST: Final = 1000
"""Lines of all messages shown at once in the live log."""

TIMELINE_MESSAGES: Final = 20
"""Messages shown by `message log ADDRESS`: a screen or two."""

UPKEEP_FIRST: Final = 60.0
"""Seconds after the start before what is not urgent is done: first the mail."""

UPKEEP_INTERVAL: Final = 3600.0
"""Seconds between two rounds of upkeep: what is old goes in small portions."""

CLOCK_LEAP: Final = 300.0
"""Seconds that the clock may be set by at once before it is a leap: what is old is so by days."""

CLOCK_WATCHED: Final = 1800.0
"""Seconds after the start before anything is removed for its age: a machine may set its clock after it has started."""

CLOCK_STEADY: Final = 6 * 3600.0
"""Seconds after a leap of the clock in which nothing is removed for its age: time for somebody to see it."""

STATUS_CHECK: Final = 15.0
"""Seconds for one check of `status`: above one DNS question with all its tries."""

STATUS_DOMAINS: Final = 20
"""Domains whose DNS `status` asks for; `domain check` asks for any one."""

QUEUE_PAGE: Final = 100
"""Messages that `queue retry --all` and its like read and change at a time, in one commit: some 20 ms."""

QUEUE_LOOK: Final = 1000
"""Messages in the queue from which `status` asks for a look."""

DISK_LOOK: Final = 2 * 1024 * MB
"""Octets of free disk below which `status` asks for a look."""

DISK_WRONG: Final = 200 * MB
"""Octets of free disk below which `status` says that something is wrong: a few large messages."""

CERTIFICATE_LOOK_DAYS: Final = 14
"""Days before a certificate's end at which `status` asks for a look: automatic renewals come at 30."""

STARTING: Final = 10.0
"""Seconds that a command waits for a server that is starting or stopping and has the store's lock."""

STARTING_POLL: Final = 0.05
"""Seconds between two looks at whether that server answers."""

MALLOC_MMAP: Final = 32 * MB
"""Octets from which the allocator maps memory apart: the most that glibc takes."""

MALLOC_TRIM: Final = 256 * MB
"""Octets of freed memory kept for the next messages before it is given back to the system."""

GC_THRESHOLD: Final = 50_000
"""New objects before the collector looks for cycles: sessions make few, and looking costs latency."""

SPARE_FILES: Final = 200
"""Descriptors wanted beside those of connections: database, segments, listeners, outbound."""

PLAYGROUND_LINE: Final = 1 * MB
"""Octets of one line that a gate of the playground passes on: more than any server takes, tests send such too."""

PLAYGROUND_POLL: Final = 0.05
"""Seconds between two looks at what happens in a playground's host."""

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

PLAYGROUND_EVENTS: Final = 200
"""Events that the playground's panel remembers."""

PLAYGROUND_REDRAW: Final = 0.25
"""Seconds between two drawings of the playground's panel."""

PLAYGROUND_COMMAND: Final = 60.0
"""Seconds that one command of the playground may take."""

HEALTH_LINE: Final = 2 * KB
"""Octets of one line of a load balancer's question."""

HEALTH_LINES: Final = 50
"""Header lines of such a question."""

HEALTH_TIMEOUT: Final = 5.0
"""Seconds for such a question and its answer."""

METRICS_AGE: Final = 60.0
"""Seconds between two looks at what `/metrics` tells of `status` and the queue: its checks ask the DNS."""

METRICS_TOLD: Final = 5.0
"""Seconds between two times that a worker tells what it has counted."""

# --- more than one machine (store.postgres, store.s3) ---------------------------------------------

DATABASE_CONNECT_TIMEOUT: Final = 3.0
"""Seconds for a connection to the database, handshake and login included: a failover takes longer anyway."""

DATABASE_TIMEOUT: Final = 15.0
"""Seconds for one statement; then its connection is torn down. The longest ones take a fraction of that."""

MIGRATION_TIMEOUT: Final = 3600.0
"""Seconds for one statement that brings the database's schema on, and for waiting while another node does it."""

MIGRATION_TRIES: Final = 20
"""Times that steps are tried which run into those at work (a deadlock), all steps of one start together."""

MIGRATION_PAUSE: Final = 0.5
"""Seconds before the next try."""

DATABASE_RETRY: Final = 0.5
"""Seconds after a failed attempt to reach the database in which nobody else tries: mail is deferred at once."""

DATABASE_RESOLVE: Final = 10.0
"""Seconds in which the outcome of a commit whose answer was lost is asked for, before it counts as failed."""

DATABASE_STATEMENTS: Final = 500
"""Prepared statements of one connection; the program has about 200."""

DATABASE_TRIES: Final = 3
"""Times that a batch is tried which ran into another node's (a deadlock) or whose connection broke."""

NOTICE_OCTETS: Final = 7_500
"""Octets of one NOTIFY: PostgreSQL takes less than 8,000."""

NOTICE_GAP: Final = 0.005
"""Seconds between two NOTIFY of a node: under load, one tells of many commits (PostgreSQL sends them in a row)."""

NOTICES_WAITING: Final = 10_000
"""Notices that wait for the database to come back; beyond, other nodes must look for themselves."""

NOTICE_CHECK: Final = 0.5
"""Seconds between looks at what changed among people, in case a NOTIFY was lost: a revoked password ends in one."""

NOTICE_CHECK_MAIL: Final = 5.0
"""Seconds between looks at the accounts that somebody here watches, in case a NOTIFY was lost."""

NODE_BEAT: Final = 5.0
"""Seconds between signs of life of a node."""

NODE_SILENCE: Final = 60.0
"""Seconds without one after which others take over a node's leases; a delivery in time ends before."""

HOST_REMEMBERED: Final = 7 * 86_400
"""Seconds that the DNS plan, the MTA-STS policy and the cleaning of forged results know a host that fell silent."""

NODE_PATIENCE: Final = 15.0
"""Seconds that a node gives signs of life before it takes over from others: after an outage all have been silent."""

JOURNAL_KEPT: Final = 10_000
"""Mod-sequences behind a snapshot whose flag changes stay in the journal, for nodes that have yet to hear of them."""

OBJECT_OCTETS: Final = 128 * KB
"""Octets of a body above which it goes to the object store: smaller ones are faster as rows (measured)."""

OBJECT_PART: Final = 8 * MB
"""Octets of one part of a multipart upload; larger objects are sent in parts."""

OBJECT_TIMEOUT: Final = 30.0
"""Seconds for one request to the object store."""

OBJECT_CONNECT_TIMEOUT: Final = 2.0
"""Seconds to connect to the object store."""

OBJECT_CACHE: Final = 1024 * MB
"""Octets of objects kept in the local read cache of a node."""

OBJECT_GRACE: Final = 3_600.0
"""Seconds that an object without rows is left alone: its commit may still be under way, or be tried again."""

PACK_AFTER: Final = 30 * 86_400.0
"""Seconds that a small body lies in the database before it is packed: what is read again is mostly younger."""

PACK_LOOK: Final = 6 * 3_600.0
"""Seconds between two looks at what there is to pack: nothing hurries."""

PACK_OCTETS: Final = 8 * MB
"""Octets of the bodies gathered into one pack (compressed about half of it): one PUT, one commit, that much memory."""

PACK_BODIES: Final = 4_000
"""Bodies in one pack: rows that its commit changes."""

PACK_LEAST: Final = 1 * MB
"""Octets of an account's bodies that are worth an object; fewer wait. Smaller packs are joined some time."""

PACK_DEAD_SHARE: Final = 0.5
"""Share of a pack that must be dead before it is rewritten: each octet is moved twice at most."""

PACK_REMNANTS: Final = 8
"""Small packs of an account that are joined when there are so many, so that none is rewritten again and again."""

PACK_BLOCK: Final = 256 * KB
"""Octets of a pack that are fetched and cached together: one message costs little more than its neighbours too."""

PACK_TRIES: Final = 3
"""Looks at where a packed body is, when it went elsewhere between the look and the reading."""

CLOCK_TOLERANCE: Final = 2.0
"""Seconds between our clock and the database's that do not matter; beyond, times in the queue are by the database's."""
# --- who sent this (msgauth) -----------------------------------------------------------------------

SPF_LOOKUPS: Final = 10
"""Terms of one SPF evaluation that ask the DNS (RFC 7208 §4.6.4)."""

SPF_VOID_LOOKUPS: Final = 2
"""Questions of one SPF evaluation without an answer (RFC 7208 §4.6.4)."""

SPF_NAMES: Final = 10
"""MX hosts of one term, and names of a PTR answer that are looked at (RFC 7208 §4.6.4)."""

SPF_ADDRESSES: Final = 64
"""Addresses of one answer that are compared with the peer's."""

SPF_RECORD: Final = 4096
"""Octets of an SPF record: RFC 7208 §3.4 advises 450; nothing honest is near this."""

SPF_EXPLANATION: Final = 400
"""Octets of the text behind exp= that are repeated in a reply: what fits a line of RFC 5321 §4.5.3.1.5."""

IP_ADDRESSES_KEPT: Final = 1024
"""IP addresses kept in parsed form: those of the peers of the last minutes."""

SPF_RECORDS_KEPT: Final = 1024
"""SPF records kept in parsed form: those of the senders of the last minutes."""

DOMAIN_LABEL: Final = 63
"""Octets of one label (RFC 1035 §2.3.4)."""

TAG_LIST: Final = 64 * KB
"""Characters of a DKIM, ARC or DMARC tag list: TXT records and header values end there too."""

TAGS: Final = 64
"""Tags of one list: the standards know about twenty."""

DKIM_SIGNATURES: Final = 10
"""Signatures of one message that are checked: honest mail has one to four."""

DKIM_SIGNATURES_SHOWN: Final = 20
"""Signatures of one message that results tell of, checked or not."""

DKIM_SIGNED_NAMES: Final = 200
"""Names in h=: twice what a signer who signs each field twice over needs."""

DKIM_RSA_SMALLEST: Final = 1024
"""Bits of an RSA key (RFC 8301 §3.2)."""

DKIM_RSA_LARGEST: Final = 8192
"""Bits of an RSA key: twice what RFC 8301 §3.2 asks for; larger ones only cost time."""

DKIM_KEYS_KEPT: Final = 1024
"""Public keys kept in parsed form: those of the senders of the last minutes."""

DKIM_KEY_KEPT: Final = 4096
"""Characters of a key's record that may be kept in parsed form: an RSA key of 8192 bits has about 1500."""

DKIM_CLOCK_SKEW: Final = 300
"""Seconds that a signature counts after its x=: clocks differ."""

DNS_NAME_RECORDS: Final = 4
"""TXT records at the name of a key that are looked at: there should be one."""

ARC_SETS: Final = 50
"""Sets of one ARC chain (RFC 8617 §4.2.1)."""

DMARC_WALK: Final = 8
"""Questions of one walk up the DNS for DMARC records (RFC 9989 §4.10)."""

DMARC_RECORD: Final = 4096
"""Characters of a DMARC record: honest ones have about a hundred."""

DMARC_REPORT_URIS: Final = 10
"""Addresses of rua= or ruf= that are looked at."""

IPREV_NAMES: Final = 5
"""Names of a peer's address that are asked back (RFC 8601 §3)."""

AUTHRES_FIELD: Final = 16 * KB
"""Octets of an Authentication-Results field that we read."""

MSGAUTH_QUESTIONS: Final = 250
"""DNS questions of one check of a message (SPF; signatures; iprev; DMARC of one author): SPF may ask 121, an honest
message about ten in all."""

MSGAUTH_TIMEOUT: Final = 20.0
"""Seconds of waiting for the DNS that one of them may take (RFC 7208 §4.6.4: at least 20); one follows the
other, so a message waits at most four times as long."""

HELO_TIMEOUT: Final = 2.0
"""Seconds of waiting for SPF of the HELO name beside that of the reverse-path: it is asked for ahead, and nothing is
decided by it."""

HASHED_AT_ONCE: Final = 256 * KB
"""Octets of a message whose body is hashed for DKIM on the event loop: a fifth of a millisecond; more in a thread."""

AUTHOR_DOMAINS: Final = 4
"""Domains that the authors of one message may have: honest From fields have one."""

REPORT_ROWS_KEPT: Final = 5000
"""Different rows of one DMARC report that we make: a large sender's hosts fit, a flood of forgeries ends."""

DKIM_RETIRED: Final = 14 * 86400
"""Seconds that a replaced DKIM key stays known and published: twice the life of a message in anybody's queue."""

DKIM_KEYS_REREAD: Final = 60.0
"""Seconds after which signing keys are read anew, for changes made by another node."""

DKIM_SIGNERS: Final = 2
"""Threads that sign: RSA takes a millisecond of a processor."""

REPORT_UNPACKED: Final = 16 * MB
"""Octets of one report, unpacked: the reports of the largest receivers have about one."""

REPORT_ELEMENTS: Final = 300_000
"""XML elements of one report: about 15,000 records."""

REPORT_DEPTH: Final = 16
"""XML elements within each other: reports have five."""

REPORT_COUNT: Final = 10**12
"""Messages or sessions of one line of a report: more are nobody's, and sums of them must fit the store's 64 bits."""

REPORT_TEXT: Final = 1024
"""Characters of one text in a report."""

REPORT_MESSAGE: Final = 4 * MB
"""Octets of a message to a reports address that is read as a report; a larger one goes to the postmaster."""

TLS_REPORT_POLICIES: Final = 1000
"""Policies of one TLS report."""

FAILURE_REPORT_FIELDS: Final = 60
"""Fields of one failure report: RFC 5965 and RFC 6591 know about thirty."""

TALLY_ROWS: Final = 20_000
"""Different rows of DMARC counts in memory between two flushes; what comes beyond is not counted."""

TALLY_FLUSH: Final = 60.0
"""Seconds between two flushes of DMARC counts into the store."""

FAILURES_WAITING: Final = 200
"""Failures that wait to be reported one by one; what comes beyond is not told (RFC 9991 asks for a limit)."""

FAILURE_HEADER: Final = 16 * KB
"""Octets of a message's header in a failure report."""

FAILURES_AN_HOUR: Final = 20
"""Failure reports about one domain, and to one address, in an hour: floods of forgeries become no floods of reports."""

REPORTS_KEPT: Final = 400 * 86400
"""Seconds that reports are kept: a year and a month to compare with."""

DMARC_RECORDS_KEPT: Final = 1024
"""DMARC records kept in parsed form: those of the senders of the last minutes."""

TLS_REPORT_URIS: Final = 5
"""Addresses of a TLS report record that are written to (RFC 8460 §3)."""

TLS_REPORT_TIME: Final = 30.0
"""Seconds for posting a TLS report to one host."""

TLS_REPORT_RETRIED: Final = 86400
"""Seconds after the end of its day that a TLS report is posted again to a host that was away (RFC 8460 §5.5)."""

TLS_REASON: Final = 120
"""Characters of the reason of a TLS failure that is counted for a report; what differs makes another row."""

REPORT_SETTLED: Final = 600.0
"""Seconds after midnight from which a day's reports are sent: every process brings its counts to the store each
TALLY_FLUSH, and what comes later needs a second report of the day."""

REPORT_WAIT: Final = 4 * 86400
"""Seconds that a report waits for the DNS to say whether its addressee takes it; then it is dropped."""

# --- HTML mail -------------------------------------------------------------------------------------------

MAIL_HTML: Final = 4 * MB
"""Octets of one HTML text that is made safe for the reading pane; of a larger one the plain text is shown."""

MAIL_HTML_TAGS: Final = 20_000
"""Start tags of one HTML text: nested in each other, so many take a second; newsletters have 500 to 5,000."""

MAIL_HTML_AT_ONCE: Final = 2
"""HTML texts that are made safe at once: each takes a core for some milliseconds per 100 KB."""

MAIL_CSS: Final = 256 * KB
"""Characters of a style sheet or attribute that are read; newsletters have 5 to 60 KB."""

MAIL_CSS_RULES: Final = 2000
"""Rules of one style sheet that are kept."""

MAIL_CSS_NESTING: Final = 4
"""@media rules within each other."""

MAIL_ADDRESS: Final = 8 * KB
"""Characters of a link's or a picture's address (RFC 9110 §4.1 asks for 8,000 at least)."""

IMAGE_SIZE: Final = 10 * MB
"""Octets of one remote picture that our proxy fetches."""

IMAGE_TIME: Final = 15.0
"""Seconds for one remote picture, redirects and all."""

IMAGE_REDIRECTS: Final = 3
"""Redirects that are followed for one picture."""

IMAGES_AT_ONCE: Final = 16
"""Remote pictures that are fetched at once, of all readers together."""

IMAGES_KEPT: Final = 32 * MB
"""Octets of pictures kept in memory, so that reading a mail again asks nobody."""

# --- junk: the filter, block lists, rates, the brake ------------------------------------------------

LESSONS_PER_COMMAND: Final = 1_000
"""Messages of one command (or piece of one) that the filter learns from: enough to know a folder by."""

LESSONS_POLL: Final = 60.0
"""Seconds after which lessons are looked for that another node has written."""

LESSONS_AT_ONCE: Final = 64
"""Lessons read and learnt in one round of the background trainer: about half a second of work in a thread."""

GOOD_PER_ROUND: Final = 200
"""Read messages of the inbox that are looked at as examples of wanted mail, when junk is learnt."""

TOKEN_SOURCE: Final = 256 * KB
"""Octets of a message that the filter reads; what stands further back is not looked at."""

TOKEN_TEXT: Final = 4 * KB
"""Characters of plain text, and again of what HTML shows, that become words: some 600, where other filters take a few
hundred. What the reader sees first decides; harmless text in front of it, beside it or behind it takes no more room."""

TOKEN_HTML: Final = 48 * KB
"""Characters of HTML source that are read for one message, without styles, scripts and comments."""

TOKEN_PAIRS: Final = 64
"""Words of one text that also count together with their neighbour."""

MARKUP_LINKS: Final = 100
"""Links of one text that are looked at."""

MARKUP_TAGS: Final = 40
"""Different elements of an HTML text that become tokens."""

TOKEN_PARTS: Final = 32
"""Text parts of one message that are read."""

TOKENS: Final = 1_200
"""Different tokens of one message."""

TOKENS_INLINE: Final = 64 * KB
"""Octets up to which a message is read on the event loop (half a millisecond); larger ones in a thread."""

MODEL_TOKENS: Final = 40_000
"""Tokens that one filter knows: about 4 MB in memory, 300 KB on disk. What is old and rare is forgotten first."""

MODEL_LESSONS: Final = 4_000
"""Messages after which a filter counts all it has learnt half, so that new ways of junk outweigh old ones."""

MODELS_CACHED: Final = 32
"""Accounts whose filters stay in memory."""

MODELS_ABSENT: Final = 100_000
"""Accounts of which is remembered that they have no filter of their own."""

MODEL_FRESH: Final = 600.0
"""Seconds after which a filter in memory is read anew: another node may have taught it."""

MODEL_OCTETS: Final = 8 * MB
"""Octets of a stored filter, unpacked: more is no filter of ours."""

LIKENESSES: Final = 128
"""Messages learnt last whose likeness is recognised."""

LIKENESS_NAMES: Final = 160
"""Tokens of a message, the first ones, among which those are found that stand for it."""

LIKENESS_TOKENS: Final = 24
"""Tokens that stand for one of them."""

TOKENS_WEIGHED: Final = 150
"""The most telling tokens of a message that decide (as in Robinson's and SpamBayes' practice)."""

CORRESPONDENTS_CACHED: Final = 50_000
"""(account, sender) pairs whose history stays in memory, about 300 octets each."""

DOMAINS_WRITTEN_TO: Final = 2_000
"""Domains of one account that a sender's is compared with: look-alikes."""

HISTORY_CACHE: Final = 60.0
"""Seconds that an account's domains and contacts are remembered in memory."""

CONTACTS: Final = 20_000
"""Contacts of one account that are read."""

BLOCK_LIST_TIMEOUT: Final = 5.0
"""Seconds that all block lists of one message may take together."""

BLOCK_LIST_QUESTIONS: Final = 40
"""Names that are asked for one message, all lists together."""

BLOCK_LIST_CACHE: Final = 300.0
"""Seconds that a block list's answer is kept."""

BLOCK_LIST_CACHED: Final = 10_000
"""Answers of block lists kept in memory."""

BLOCK_LIST_TEST: Final = 3600.0
"""Seconds after which a block list must prove again that it works (RFC 5782 §5)."""

GREY_WAIT: Final = 60.0
"""Seconds after which a greylisted peer may come again (RFC 6647 §2.2: a minute to a day)."""

GREY_WINDOW: Final = 2 * 86400.0
"""Seconds in which it must come again: the usual retries of a night and a day are in it."""

GREY_PASS: Final = 35 * 86400.0
"""Seconds that a network that came again is free: whoever writes once a month stays so."""

CLAMAV_TIMEOUT: Final = 60.0
"""Seconds for one question to the virus scanner."""

CLAMAV_CHUNK: Final = 64 * KB
"""Octets of one piece that the virus scanner is given."""

CLAMAV_ANSWER: Final = 4 * KB
"""Octets of the virus scanner's answer that are read."""

MILTERS: Final = 8
"""Filters that a configuration may name: each adds its time to every message."""

MILTER_CONNECT: Final = 10.0
"""Seconds in which a filter must take a connection."""

MILTER_REPLY: Final = 30.0
"""Seconds for one answer of a filter, or until it says that it is still at work (Postfix's default)."""

MILTERS_TOTAL: Final = 300.0
"""Seconds for all filters of a message together: the sender waits, for at least 10 minutes (RFC 5321 §4.5.3.2.6)."""

MILTER_AT_ONCE: Final = 50
"""Connections to one filter at once; who comes later waits: filters often have a thread for each."""

MILTER_PACKET: Final = 128 * KB
"""Octets of one packet of a filter: pieces of a body have at most 65,535, a header field seldom some KB."""

MILTER_CHUNK: Final = 65_535
"""Octets of a body, or of a header field, that a filter is shown at once: libmilter takes no more."""

MILTER_TURN: Final = 50
"""Packets to or from a filter before other work has its turn: thousands that nobody waited for held up all else."""

MILTER_CHANGES: Final = 1_000
"""Changes that one filter may make to a message, the pieces of a new body not counted."""

MILTER_WORDS: Final = 500
"""Characters of what a filter did, in the timeline and the verdict."""

RSPAMD_TIMEOUT: Final = 10.0
"""Seconds for one step of a question to rspamd."""

RSPAMD_TOTAL: Final = 60.0
"""Seconds for a whole question to rspamd, however steadily it drips: the sender waits for it."""

RSPAMD_ANSWER: Final = MB
"""Octets of rspamd's answer."""

RATE_ADDRESS: Final = 600
"""Messages a minute from one address: ten a second, more than any single sender has for a house of thousands."""

RATE_NETWORK_FACTOR: Final = 10
"""How many times as much one network (/24, IPv6 /48) may send as one address."""

RATES_KEPT: Final = 50_000
"""Addresses and networks whose rates are remembered; the quietest go first."""

RATES_TOLD: Final = 1.0
"""Seconds that counts of the door wait before other processes of the house are told them, all at once."""

RATES_TOLD_AT_ONCE: Final = 64
"""Keys that are told together; they fit into one notice of the database (8,000 octets)."""

TARPIT_AFTER: Final = 5
"""Refused recipients of one connection after which its answers come late."""

TARPIT_STEP: Final = 1.0
"""Seconds that each further refused recipient's answer comes later."""

TARPIT_MOST: Final = 10.0
"""Seconds that one answer is held back at most: below the patience of any client (RFC 5321 §4.5.3.2)."""

TARPITTED: Final = 200
"""Connections whose answers are held back at once; more are answered at once."""

TRAP_KEPT: Final = 86400.0
"""Seconds that an address is suspected after it wrote to a trap."""

SENDING_CACHED: Final = 10_000
"""Accounts whose sending is remembered in memory."""

SENDING_SAVED: Final = 60.0
"""Seconds after which an account's sending is written down again: a crash forgets so much of it."""

SENDING_NETWORKS: Final = 64
"""Networks that an account has sent from and that are remembered, the latest."""

EXPLAIN_SIZE: Final = 50 * MB
"""Octets of a file that `spam explain` takes."""

# --- the playground's ports -------------------------------------------------------------------------------

PLAYGROUND_PORT_TRIES: Final = 10
"""Ports that the playground's name server tries when it may choose one."""

PLAYGROUND_PORTS: Final = (10_000, 32_000)
"""From and below: ports that a playground may choose; those that connections get begin at 32,768 on Linux."""

PLAYGROUND_PORT_PROBES: Final = 400
"""Ports that are looked at for a free one of each protocol."""
