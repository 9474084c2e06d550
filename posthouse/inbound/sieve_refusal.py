"""The message by which a script refuses another (RFC 5429 §2.2.1): a disposition notification that says why."""

from __future__ import annotations

from typing import Any, Final

from posthouse.inbound.filtered import Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import new_trace_id, our_mail
from posthouse.inbound.received import received_field
from posthouse.inbound.sieve_means import Means
from posthouse.message.address import ascii_domain
from posthouse.message.compose import compose, format_mailbox, message_body, multipart, text_body
from posthouse.message.date import format_date
from posthouse.message.disposition import disposition_body, typed_address
from posthouse.message.headers import Headers, decode_value
from posthouse.message.threading import message_ids
from posthouse.store.interface import Op

_OPENING: Final = "Your message was refused by the recipient's mail filter. The reason given is:"


async def refusal_told(passage: Passage, reason: str, means: Means) -> list[Op[Any]]:
    """What sends it. The message as it came, whatever the script has made of it (RFC 5429 §2.4)."""
    mail, account, now = passage.mail, passage.box.account, means.now()
    if "FAILURE" not in (passage.recipient.notify or "FAILURE"):
        return []  # RFC 3461 §4.1: the sender does not want to hear it
    trace_id = new_trace_id(now)
    # Who wrote to a masked address is not told whose it is.
    masked = (await means.directory.destination(passage.box.address)).masked
    name, address = ("", masked.address) if masked is not None else (account.display_name, account.address)
    local, _, domain = address.rpartition("@")
    text = mail.content.beginning()
    headers = Headers.scan(text)
    asked = [each.decode("ascii", "replace") for each in message_ids(headers.first("message-id"))]
    subject = " ".join(decode_value(headers.first("subject") or b"").split())
    fields = [
        ("Date", format_date(int(now))),
        ("From", format_mailbox(name, local, domain)),
        ("To", f"<{ascii_domain(mail.reverse_path)}>"),
        ("Subject", f"Refused: {subject}"[:200]),
        ("Message-ID", f"<{trace_id}@{means.hostname}>"),
        ("Auto-Submitted", "auto-replied (rejected)"),  # RFC 3834 §3.1.7
    ]
    if asked:
        fields += [("In-Reply-To", f"<{asked[0]}>"), ("References", f"<{asked[0]}>")]
    report = [
        ("Reporting-UA", f"{means.hostname}; Posthouse"),
        ("Final-Recipient", typed_address(passage.recipient.address)),
        ("Original-Message-ID", f"<{asked[0]}>" if asked else ""),
        # RFC 5429 §2.2.1, RFC 8098 §3.2.6
        ("Disposition", "automatic-action/MDN-sent-automatically; deleted"),
    ]
    returned = message_body(text[: headers.end], headers_only=True)
    parts = [text_body(f"{_OPENING}\n\n{reason}\n"), disposition_body(report), returned]
    body = multipart("report", parts, f"=_posthouse_{trace_id}", "; report-type=disposition-notification")
    answer = our_mail(compose(fields, body), mail.reverse_path, trace_id=trace_id, at=now, notify="NEVER")
    field = received_field(answer, means.hostname, show_client=False)
    return await means.operations(answer, field, Handling(closed=True, depth=passage.depth + 1))
