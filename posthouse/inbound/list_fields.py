"""The header of a list's copies: the fields of RFC 2369, RFC 2919 and RFC 8058, and From where it must be another.

Subject and text stay as they are, so that the author's own signature mostly still holds. Only where From is rewritten
(DMARC would make other hosts refuse the copy) it becomes "Ann via Team" <the list>, and the author moves to Reply-To.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.message.compose import format_field, format_mailbox, format_phrase
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import Mailbox
from posthouse.store.mailing_lists import MailingList, Posting

# RFC 2369 §3: at most one of each; §4: a sublist's own stand instead, but List-Archive stays. RFC 2919 §7: a List-Id
# from elsewhere is not passed on.
OF_LISTS: Final = (
    *("list-id", "list-help", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post"),
    *("list-owner", "list-post", "precedence"),
)
"""Fields of a post that give way to the list's own."""


class Leaving(msgspec.Struct, frozen=True):
    """How a member leaves."""

    address: str
    url: str
    """Empty: nothing is served by HTTPS."""


def split(address: str) -> tuple[str, str]:
    """(local part, domain)."""
    local, _, domain = address.rpartition("@")
    return local, domain


def list_id(mailing_list: MailingList) -> str:
    """RFC 2919 §2: the list's name in its domain."""
    return mailing_list.address.replace("@", ".")


def has_been_here(headers: Headers, mailing_list: MailingList) -> bool:
    """Whether the list sent a message already: its List-Id, or its Delivered-To (RFC 9228 §4), is in it."""
    own, address = f"<{list_id(mailing_list)}>".encode(), mailing_list.address.encode()
    if any(own in value.lower() for value in headers.all("list-id")):
        return True
    return any(value.strip().lower() == address for value in headers.all("delivered-to"))


def delivered_to(mailing_list: MailingList) -> bytes:
    """RFC 9228 §3: by whom it was received."""
    return f"Delivered-To: {mailing_list.address}\r\n".encode()


def list_fields(chain: Sequence[MailingList], leaving: Leaving) -> bytes:
    """The list's fields for one member; `chain`: the lists that led to it, the member's own one last."""
    first, last = chain[0], chain[-1]
    local, domain = split(last.address)
    phrase = format_phrase(first.title)
    # RFC 2919 §7: a sublist leaves its parent's List-Id.
    fields = [("List-Id", f"{phrase} <{list_id(first)}>" if phrase else f"<{list_id(first)}>")]
    fields.append(("List-Help", f"<mailto:{local}-request@{domain}?subject=help>"))
    fields.append(("List-Owner", f"<mailto:{local}-owner@{domain}>"))
    # RFC 2369 §3.4: NO where posting is not allowed.
    closed = first.posting is Posting.OWNERS
    fields.append(("List-Post", "NO" if closed else f"<mailto:{first.address}>"))
    ways = ([leaving.url] if leaving.url else []) + [f"mailto:{leaving.address}?subject=unsubscribe"]
    fields.append(("List-Unsubscribe", ", ".join(f"<{way}>" for way in ways)))
    if leaving.url:
        fields.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))  # RFC 8058 §3.1
    # RFC 3834 §2: what answers by itself leaves alone what says so.
    fields.append(("Precedence", "list"))
    return b"".join(format_field(name, value) for name, value in fields)


def rewritten_from(authors: Sequence[Mailbox], mailing_list: MailingList, *, has_reply_to: bool) -> bytes:
    """From in the list's name, and the authors in Reply-To, unless they named other addresses there."""
    local, domain = split(mailing_list.address)
    first = authors[0]
    who = first.display_name.partition("@")[0].strip() or first.local
    via = f"{who} via {mailing_list.title or local}"
    fields = format_field("From", format_mailbox(via, local, domain))
    if not has_reply_to:
        replies = ", ".join(format_mailbox(one.display_name, one.local, one.domain) for one in authors)
        fields += format_field("Reply-To", replies, utf8=not replies.isascii())
    return fields
