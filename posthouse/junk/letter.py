"""A message as the junk filter gets it: the octets with what is known of where they come from."""

from __future__ import annotations

import msgspec

from posthouse.junk.verdict import Evidence
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list
from posthouse.msgauth.results import Authentication
from posthouse.store.model import Content


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    content: Content
    headers: Headers
    authors: tuple[Mailbox, ...]
    authentication: Authentication | None = None
    """None: nobody asked who sent it."""
    suspected: tuple[Evidence, ...] = ()
    """Who else says that it is junk: its domain by DMARC, an administrator's own filter. It is, whatever it weighs."""
    filtered: tuple[str, ...] = ()
    """What an administrator's own filters did with it."""
    trace_id: str = ""
    reverse_path: str = ""
    recipients: tuple[str, ...] = ()
    peer: str = ""
    helo: str = ""
    handed_on: bool = False
    """A host of ours took it from the peer: refused here, it would have to be bounced there."""

    @property
    def author(self) -> Mailbox | None:
        """The first author with an address."""
        return next((one for one in self.authors if one.domain), None)

    @property
    def proved(self) -> bool:
        """Whether the author's domain was proved, or nobody asked."""
        return self.authentication is None or self.authentication.authentic

    def __post_init__(self) -> None:
        # Undecodable octets come as surrogates, which nothing keeps and nobody can read.
        if not all(map(_is_plain, self.authors)):
            msgspec.structs.force_setattr(self, "authors", tuple(map(_readable, self.authors)))

    @classmethod
    def of(cls, raw: bytes) -> Letter:
        """From octets alone."""
        headers = Headers.scan(raw)
        authors = [one for value in headers.all("from")[:3] for one in flat(parse_mailbox_list(value))]
        return cls(content=Content.of(raw), headers=headers, authors=tuple(authors))


def _is_plain(author: Mailbox) -> bool:
    return f"{author.name}{author.route}{author.local}{author.domain}".isascii()


def _readable(author: Mailbox) -> Mailbox:
    name, route = (value and whole_text(value) for value in (author.name, author.route))
    return Mailbox(name, route, whole_text(author.local), whole_text(author.domain))


def whole_text(text: str) -> str:
    """Text that can be written down: what no decoder could read becomes question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
