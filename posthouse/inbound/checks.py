"""Questions put to a message once its whole text is here, each a `Check` that passes or refuses.

A check reads the Examination and answers None or the Reply that refuses the message. It may note domains that
it found authentic (`aligned`) and header fields to add (`fields`) for the checks behind it: SPF, DKIM and DMARC
stand before `local_forgery` and can thereby let through what a mailing list sends back. The order is in
`pipeline`. A check that raises defers the mail (451); none may change the message.
"""

from __future__ import annotations

import enum
import re
from itertools import chain
from typing import Final, Protocol

import msgspec

from posthouse.errors import PosthouseError
from posthouse.inbound.authors import claimed_addresses
from posthouse.inbound.mail import Mail
from posthouse.inbound.policy import Policy, normal_domain
from posthouse.inbound.vouched import NOTHING_FOUND, Client
from posthouse.limits import AUTHORS, HEADER_FIELDS, HOPS, MESSAGE_HEADER
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list
from posthouse.msgauth.aggregate import Reason
from posthouse.msgauth.results import Authentication
from posthouse.smtp.replies import Reply
from posthouse.smtp.rrvs import CHANGED, FIELD, of_field
from posthouse.store.model import Content


class Refused(PosthouseError):
    """The message is not taken; `reply` says why."""

    def __init__(self, reply: Reply, *, by: str = "") -> None:
        """`by`: who refuses it, where the reply alone does not tell an administrator."""
        super().__init__(str(reply))
        self.reply = reply
        self.by = by


class Cause(enum.StrEnum):
    """Whose suspicion it is, as verdicts name it."""

    POLICY = "policy"
    """The author's domain asks for it by DMARC."""
    OWN_DOMAIN = "own-domain"
    """The author is said to be one of our people, and nothing proves it."""
    QUARANTINE = "quarantine"
    """A filter of the administrator's keeps it apart."""


class Suspicion(msgspec.Struct, frozen=True):
    """Why a message belongs in the Junk folder, whatever else is found."""

    cause: Cause
    words: str


class Examination(msgspec.Struct, kw_only=True):
    """A message under examination, and what was found so far."""

    mail: Mail
    headers: Headers
    trusted: bool
    """The peer is one of our own other hosts."""
    client: Client | None = None
    """Who gave the message to that host; None: nobody, it is its own, or it does not say."""
    authors: tuple[Mailbox, ...]
    """The mailboxes of From, those of all From fields."""
    claimed: frozenset[str] = frozenset()
    """Every address that some reader may take for the author's, where From is broken (`inbound.authors`)."""
    aligned: set[str] = msgspec.field(default_factory=set)
    """Domains (A-labels) that were proved to have sent this message."""
    authentication: Authentication | None = None
    """What SPF, DKIM, ARC and DMARC found; None: they were not asked (`inbound.authenticate`)."""
    fields: list[bytes] = msgspec.field(default_factory=list)
    """Header fields to add, CRLF-ended."""
    junk: list[Suspicion] = msgspec.field(default_factory=list)
    """Why it belongs in the Junk folder; empty: it does not."""
    spared: Reason | None = None
    """Why it is not refused though its domain asks for that (`inbound.indirect`)."""
    changed_hands: set[str] = msgspec.field(default_factory=set)
    """Recipients, case folded, that are not whom the message is meant for."""
    story: list[tuple[str, str, str]] = msgspec.field(default_factory=list)
    """(kind, address, detail) of lines for the timeline, should the message be taken."""
    filtered: list[str] = msgspec.field(default_factory=list)
    """What filters did with it, in words (`inbound.milters`)."""


class Check(Protocol):
    """One question. Implementations are plain async functions, or objects that keep what they need."""

    async def __call__(self, examination: Examination) -> Reply | None:
        """None to pass; a 4xx or 5xx Reply refuses the message for all recipients."""
        ...


def examine(mail: Mail, *, trusted: bool) -> Examination:
    """Read the header section. Raises Refused when it has no end within reason."""
    raw = mail.content.head  # the first piece mostly has the whole header; only else are pieces joined
    headers = Headers.scan(raw, 0, min(len(raw), MESSAGE_HEADER))
    if headers.end == len(raw) and len(raw) < MESSAGE_HEADER:
        raw = mail.content.beginning()
        headers = Headers.scan(raw, 0, min(len(raw), MESSAGE_HEADER))
    if headers.end >= MESSAGE_HEADER or len(headers) >= HEADER_FIELDS:
        # What no scanner reads to its end could hide a second From.
        raise Refused(Reply(552, "5.3.4", "The message header is too large"))
    values = headers.all("from")
    if sum(value.count(b"@") for value in (*values, *headers.all("sender"))) > AUTHORS:
        raise Refused(Reply(550, "5.6.0", "From or Sender names too many addresses"))
    read = [flat(parse_mailbox_list(value)) for value in values]
    authors = [mailbox for mailboxes in read for mailbox in mailboxes]
    claimed = frozenset(chain.from_iterable(map(claimed_addresses, values, read)))
    return Examination(mail=mail, headers=headers, trusted=trusted, authors=tuple(authors), claimed=claimed)


async def hop_count(examination: Examination) -> Reply | None:
    """RFC 5321 §6.3: a message that was received too often is going round in circles."""
    if len(examination.headers.all("received")) > HOPS:
        return Reply(554, "5.4.6", "Too many hops: this message is going round in circles")
    return None


def is_headless(content: Content, headers: Headers) -> bool:
    """Whether the text begins without header and empty line, and would become part of the header we add."""
    head = content.head
    return head[:1] in (b" ", b"\t") or not (len(headers) or head.startswith((b"\r\n", b"\n")))


ONCE: Final = ("from", "sender")
"""Fields that a message has once at most."""
_LONE_CR: Final = re.compile(rb"\r(?!\n)")


async def header_form(examination: Examination) -> Reply | None:
    """RFC 5322 §3.6: at most one From and one Sender; no NUL and no lone CR, which readers cut lines at."""
    headers = examination.headers
    for name in ONCE:
        if len(headers.all(name)) > 1:
            # Readers differ in which one they show: a classic disguise.
            return Reply(550, "5.6.0", f"The message has more than one {name.capitalize()} field")
    if headers.raw.find(b"\0", headers.start, headers.end) >= 0:
        return Reply(550, "5.6.0", "The message header has a NUL octet")
    if _LONE_CR.search(headers.raw, headers.start, headers.end) is not None:
        # RFC 3030 §3 lets BINARYMIME have it in bodies: in a header it could begin another From.
        return Reply(550, "5.6.0", "The message header has a CR that stands alone")
    return None


class RecipientSince:
    """The field Require-Recipient-Valid-Since (RFC 7293 §5.2): a mailbox that it names is not somebody else's by now.

    It refuses the message when it is for nobody else; else that recipient alone gets none (`changed_hands`).
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def __call__(self, examination: Examination) -> Reply | None:
        named = [of_field(value) for value in examination.headers.all(FIELD)]
        if not named:
            return None
        recipients = {recipient.address.casefold() for recipient in examination.mail.recipients}
        changed = examination.changed_hands
        for address, since in filter(None, named):
            if address.casefold() in recipients and await self._policy.has_changed_hands(address, since):
                changed.add(address.casefold())
        return CHANGED if changed == recipients else None


_NOT_NOW: Final = Reply(451, "4.4.3", "From names an address of this domain and cannot be verified now")


class LocalForgery:
    """Nobody outside writes as one of our people (From), unless a check before proved the domain."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    async def __call__(self, examination: Examination) -> Reply | None:
        for domain in {address.rpartition("@")[2] for address in examination.claimed}:
            if await self._policy.is_ours(f"@{domain}") and normal_domain(domain) not in examination.aligned:
                found = examination.authentication
                if examination.trusted:
                    if found is not None and found is not NOTHING_FOUND:
                        words = "From names an address of this domain and is not proved"
                        examination.junk.append(Suspicion(Cause.OWN_DOMAIN, words))
                    return None  # what is our host's own, or was taken from our people there
                if found is not None and found.temporary:
                    return _NOT_NOW  # it may well be proved once the DNS answers
                return Reply(550, "5.7.1", "From names an address of this domain, which sends only by login")
        return None
