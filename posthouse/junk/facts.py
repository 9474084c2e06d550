"""What a reader should be told about a sender: first contact, look-alikes, other addresses in the name or Reply-To.

Facts are recorded whatever the decision. Some also weigh a little: each is common in honest mail, together they are
how people are cheated. Pure; the history comes as values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.junk.history import Correspondent
from posthouse.junk.letter import whole_text
from posthouse.junk.look_alike import looks_like, registrable
from posthouse.junk.verdict import NOT_ALIGNED, Evidence, Fact
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list
from posthouse.msgauth.results import Authentication, Result

_ADDRESS: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """The author with what the account knows of it."""

    author: Mailbox
    history: Correspondent
    contact: bool
    """In the account's contacts."""
    proved: bool
    """The author's domain was proved, or nobody asked for proof."""
    familiar: frozenset[str] = frozenset()
    """Domains that the account writes to, and its own."""

    @property
    def known(self) -> bool:
        """Whether the account has to do with it."""
        return self.contact or bool(self.history.written)


def facts_about(
    sender: Sender, headers: Headers, authentication: Authentication | None
) -> tuple[list[Fact], list[Evidence]]:
    """Facts, and what they weigh."""
    facts: list[Fact] = []
    weights: list[Evidence] = []
    author = sender.author
    if not sender.known and not sender.history.received:
        facts.append(Fact(fact="first-contact"))
        other = looks_like(author.domain, sender.familiar)
        if other:
            facts.append(Fact(fact="look-alike", value=author.domain, of=other))
            weights.append(_heavy("look-alike", 2.5, f"{author.domain} may be taken for {other}"))
    for named in _ADDRESS.findall(author.display_name):
        if registrable(named.rpartition("@")[2]) != registrable(author.domain):
            facts.append(Fact(fact="address-in-name", value=named))
            weights.append(
                _heavy("address-in-name", 1.5, f"its name says {named}, its address {author.address}")
            )
            break
    elsewhere = _reply_elsewhere(author, headers)
    if elsewhere:
        facts.append(Fact(fact="reply-to-elsewhere", value=elsewhere))
        if not sender.known and "list-id" not in headers:
            weights.append(_heavy("reply-to-elsewhere", 0.5, f"answers would go to {elsewhere}"))
    if authentication is not None and not authentication.authentic:
        failed = any(one.result is Result.FAIL for one in authentication.dmarc)
        facts.append(Fact(fact=NOT_ALIGNED, value="failed" if failed else "unproved"))
    return facts, weights


def _heavy(check: str, weight: float, evidence: str) -> Evidence:
    return Evidence(check=check, weight=weight, evidence=evidence)


def _reply_elsewhere(author: Mailbox, headers: Headers) -> str:
    """A Reply-To in another organisation; empty: none."""
    values: Sequence[bytes] = headers.all("reply-to")[:3]
    for value in values:
        for mailbox in flat(parse_mailbox_list(value))[:5]:
            if mailbox.domain and registrable(mailbox.domain) != registrable(author.domain):
                return whole_text(mailbox.address)
    return ""
