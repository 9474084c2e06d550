"""Automatic answers (RFC 3834): whom to answer, and how the answer looks.

For the vacation responder (RFC 8621 §8) and for Sieve scripts (RFC 5230). Answers go out with the null reverse-path, so
nothing can answer them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.inbound.authors import claimed_addresses
from posthouse.inbound.mail import Mail, new_trace_id, our_mail
from posthouse.message.address import ascii_domain
from posthouse.message.automatic import is_automatic
from posthouse.message.compose import Body, compose, format_mailbox
from posthouse.message.date import format_date
from posthouse.message.headers import Headers, decode_value
from posthouse.message.threading import message_ids
from posthouse.store.model import Account

# RFC 3834 §2, RFC 5230 §4.6: who never gets an automatic answer.
_ROBOT: Final = re.compile(
    r"(?:owner-.*|.*-(?:request|bounces?|owner|outgoing|relay)|mailer-daemon|postmaster|listserv|majordomo"
    r"|no-?reply|do-?not-?reply|bounces?)(?:[+=].*)?",
    re.IGNORECASE,
)
_ADDRESSED: Final = ("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "apparently-to")
_LIST: Final = (
    "list-id",
    "list-help",
    "list-subscribe",
    "list-unsubscribe",
    "list-post",
    "list-owner",
    "list-archive",
)


def may_answer(headers: Headers, reverse_path: str) -> bool:
    """Whether a message is a person's, by what it says of itself."""
    local, at, _ = reverse_path.rpartition("@")
    if not at or _ROBOT.fullmatch(local):
        return False
    if any(name in headers for name in _LIST):
        return False
    if is_automatic(headers):
        return False
    if (headers.first("precedence") or b"").strip().lower() in {b"bulk", b"list", b"junk"}:
        return False
    if (headers.first("x-auto-response-suppress") or b"").strip():
        return False
    return not (headers.first("content-type") or b"").lower().startswith(b"multipart/report")


async def addressed(
    headers: Headers, account: Account, directory: Directory, too: Iterable[str] = ()
) -> bool:
    """RFC 5230 §4.5: only what names one of the account's addresses is answered. `too`: others that are its own.

    A masked address does not count: the answer would tell whose it is.
    """
    own = {each.casefold() for each in too}
    for name in _ADDRESSED:
        for value in headers.all(name):
            for address in claimed_addresses(value):
                if address[0] == "@":
                    continue
                if address.casefold() in own:
                    return True
                masked = (await directory.destination(address)).masked is not None
                if not masked and await directory.may_send_as(account, address):
                    return True
    return False


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered."""

    body: Body
    subject: str = ""
    """Empty: made of the message's."""
    sender: str = ""
    """What stands in From; empty: the account's name and address."""


def write_answer(
    mail: Mail, headers: Headers, account: Account, answer: Answer, hostname: str, now: float
) -> Mail:
    """The answer to a message, to its reverse-path."""
    trace_id = new_trace_id(now)
    local, _, domain = account.address.rpartition("@")
    subject = answer.subject or f"Auto: {decode_value(headers.first('subject') or b'') or 'your message'}"
    asked = message_ids(headers.first("message-id"))
    references = [*message_ids(headers.first("references")), *asked][-limits.THREAD_IDS :]
    fields = [
        ("From", answer.sender or format_mailbox(account.display_name, local, domain)),
        ("To", f"<{ascii_domain(mail.reverse_path)}>"),
        ("Subject", subject[:250]),
        ("Date", format_date(int(now))),
        ("Message-ID", f"<{trace_id}@{hostname}>"),
        ("Auto-Submitted", "auto-replied (vacation)"),  # RFC 3834 §3.1.7
    ]
    if asked:
        fields.append(("In-Reply-To", f"<{asked[0].decode('ascii', 'replace')}>"))
        fields.append(("References", " ".join(f"<{i.decode('ascii', 'replace')}>" for i in references)))
    raw = compose(fields, answer.body)
    return our_mail(raw, mail.reverse_path, trace_id=trace_id, at=now, notify="NEVER")
