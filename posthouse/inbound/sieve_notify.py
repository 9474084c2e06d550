"""The action notify by mail (RFC 5435, RFC 5436): a short message that says that another has come.

It goes out from the null reverse-path with Auto-Submitted, and nothing that itself says so is told of (§2.7.1), so
notices cannot answer one another.
"""

from __future__ import annotations

from typing import Final

from posthouse.inbound.filtered import Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import new_trace_id, our_mail
from posthouse.inbound.received import received_field
from posthouse.inbound.sieve_means import Allowance, Means
from posthouse.inbound.sieve_redirect import NotSent
from posthouse.inbound.sieve_vacation import Sent, own_sender
from posthouse.limits import SIEVE_SENT
from posthouse.message.automatic import is_automatic
from posthouse.message.compose import compose, format_mailbox, text_body
from posthouse.message.date import format_date
from posthouse.message.headers import Headers, decode_value
from posthouse.sieve.actions import Notify
from posthouse.sieve.mailto import parse_mailto

_SUBJECT: Final = 200
_IMPORTANCE: Final = {1: ("High", "1 (Highest)"), 2: ("Normal", "3 (Normal)"), 3: ("Low", "5 (Lowest)")}


async def notified(
    action: Notify, passage: Passage, means: Means, allowance: Allowance, headers: Headers
) -> Sent:
    """What tells of a message. NotSent."""
    to = parse_mailto(action.method)
    if to is None:
        raise NotSent("only mailto: is known, with an address")
    if is_automatic(headers):
        raise NotSent("the message is automatic itself")
    account, now = passage.box.account, means.now()
    if not await allowance.take():
        raise NotSent(f"this account's scripts have sent {SIEVE_SENT} messages in this hour")
    trace_id = new_trace_id(now)
    local, _, domain = account.address.rpartition("@")
    original = " ".join(decode_value(headers.first("subject") or b"").split())
    said = dict(reversed(to.fields))  # of a field that is said twice, the first
    subject = said.get("subject") or action.message or original or "New message"
    importance, priority = _IMPORTANCE.get(action.importance, _IMPORTANCE[2])
    sender = await own_sender(action.from_address, passage, means)
    fields = [
        ("From", sender or format_mailbox(account.display_name, local, domain)),
        ("To", ", ".join(f"<{each}>" for each in to.recipients)),
        ("Subject", " ".join(subject.split())[:_SUBJECT]),
        ("Date", format_date(int(now))),
        ("Message-ID", f"<{trace_id}@{means.hostname}>"),
        # RFC 5436 §2.7.1, RFC 3834 §5
        ("Auto-Submitted", f'auto-notified; owner-email="{account.address}"'),
        ("Importance", importance),
        ("X-Priority", priority),
    ]
    body = said.get("body") or _words(action, headers, original)
    raw = compose(fields, text_body(body))
    mail = our_mail(raw, *to.recipients, trace_id=trace_id, at=now, notify="NEVER")
    field = received_field(mail, means.hostname, show_client=False)
    ops = await means.operations(mail, field, Handling(closed=True, depth=passage.depth + 1))
    if not ops:
        raise NotSent("the notice has no way to go")
    return Sent(mail, tuple(ops))


def _words(action: Notify, headers: Headers, subject: str) -> str:
    author = " ".join(decode_value(headers.first("from") or b"").split())
    said = f"{action.message}\n\n" if action.message else ""
    return f"{said}A message has come.\n\nFrom: {author[:_SUBJECT]}\nSubject: {subject[:_SUBJECT]}\n"
