"""Delivery status notifications: what a sender is told of its message (RFC 3461, 3464, 6522; 6533 for UTF-8).

`compose` makes one message from values: words for a person, fields for a program, and the message or its header
as far as limits allow. `wanted` says whether a sender is to be told: never about a message with a null
reverse-path, and never against its NOTIFY. Pure; how the notice travels is for others.
"""

from __future__ import annotations

import base64
import re
from typing import Final

import msgspec

from posthouse import limits
from posthouse.message.address import ascii_domain
from posthouse.message.compose import (
    Body,
    compose,
    format_field,
    format_mailbox,
    message_body,
    multipart,
    needs,
    text_body,
)
from posthouse.message.date import format_date
from posthouse.message.headers import Headers, decode_value
from posthouse.outbound.dsn_words import OPENINGS, paragraph, words_for
from posthouse.smtp.grammar import decode_xtext, is_xtext, original_recipient
from posthouse.smtp.replies import Reply


class DsnRecipient(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one recipient."""

    action: str
    """RFC 3464 §2.3.3: "failed", "delayed", "delivered", "relayed" or "expanded"."""
    address: str
    reply: Reply
    orcpt: str = ""
    remote_host: str = ""
    """The server whose words `reply` are; empty: they are ours."""
    last_at: float = 0.0
    """When it was tried last; 0: not at all."""
    retry_until: float = 0.0
    """DELAYED only: when we shall give up."""
    status: str = ""
    """Another enhanced status code than the reply's."""


class DsnRequest(msgspec.Struct, frozen=True, kw_only=True):
    """All that a notice is made of."""

    hostname: str
    to: str
    """The message's reverse-path."""
    recipients: tuple[DsnRecipient, ...]
    original: bytes
    """The message from its beginning; cut off where `original_size` is more."""
    original_size: int
    arrived_at: float
    at: float
    """Now."""
    unique: str
    """Makes Message-ID and boundary: never used for another message."""
    ret: str = ""
    envid: str = ""
    deliver_by: float = 0.0
    """RFC 2852: until when the sender wanted it delivered; 0: at no time."""


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """A message ready to travel to one recipient; a notice has the null reverse-path (RFC 3461 §6.1)."""

    to: str
    raw: bytes
    trace_id: str
    at: float
    body: str
    """"7BIT" or "8BITMIME"."""
    smtputf8: bool
    reverse_path: str = ""
    orcpt: str = ""


def wanted(reverse_path: str, notify: str, action: str) -> bool:
    """Whether the sender is told of this action (RFC 3461 §4.1)."""
    if not reverse_path:
        return False  # RFC 3461 §5.2: no DSN for a message with a null return address
    if not notify:
        # RFC 3461 §4.1: without NOTIFY failures must be told, and delays may be.
        return action in ("failed", "delayed")
    asked = notify.upper().split(",")
    return _KEYWORDS[action] in asked


_KEYWORDS: Final = {
    "failed": "FAILURE",
    "delayed": "DELAY",
    "delivered": "SUCCESS",
    "relayed": "SUCCESS",
    "expanded": "SUCCESS",
}


def compose_dsn(request: DsnRequest) -> Notification:
    """The notice as a message."""
    utf8_path = not ascii_domain(request.to).isascii()
    status = _status_part(request, utf8_path)
    returned = _returned_part(request, utf8_path)
    boundary = f"=_posthouse_{request.unique}"
    # RFC 6522 §3: the words for people first, then the report, then what is returned.
    body = multipart(
        "report", [text_body(_text(request)), status, returned], boundary, "; report-type=delivery-status"
    )
    raw = compose(_header(request), body)
    asks = needs(raw)
    return Notification(
        to=request.to,
        raw=raw,
        trace_id=request.unique,
        at=request.at,
        body=asks.body,
        smtputf8=asks.smtputf8,
    )


def _action(request: DsnRequest) -> str:
    found = {recipient.action for recipient in request.recipients}
    return next(action for action in OPENINGS if action in found)


def _header(request: DsnRequest) -> list[tuple[str, str]]:
    original = Headers.scan(request.original)
    subject = " ".join(decode_value(original.first("Subject") or b"").split())
    subject = f"{OPENINGS[_action(request)][0]}: {subject}" if subject else OPENINGS[_action(request)][0]
    message_id = (original.first("Message-ID") or b"").decode("ascii", "replace")
    fields = [
        ("Date", format_date(int(request.at))),
        ("From", format_mailbox("Mail Delivery System", "MAILER-DAEMON", request.hostname)),
        ("To", f"<{ascii_domain(request.to)}>"),
        ("Subject", subject[:_SUBJECT]),
        ("Message-ID", f"<{request.unique}@{request.hostname}>"),
        # RFC 3834 §5: so that no automatic reply is made to it.
        ("Auto-Submitted", "auto-replied"),
    ]
    if _MESSAGE_ID.fullmatch(message_id):
        fields += [("In-Reply-To", message_id), ("References", message_id)]
    return fields


_SUBJECT: Final = 200
_MESSAGE_ID: Final = re.compile(r"<[!-~]{1,900}>")


# --- for people -----------------------------------------------------------------------------------------


def _text(request: DsnRequest) -> str:
    """The first part."""
    blocks = [f"This is the mail server {request.hostname}."]
    for action, (_, opening) in OPENINGS.items():
        recipients = [recipient for recipient in request.recipients if recipient.action == action]
        if not recipients:
            continue
        who = "the recipient below" if len(recipients) == 1 else "the recipients below"
        blocks.append(paragraph(opening.format(who=who)))
        blocks += [_about(recipient) for recipient in recipients]
    subject = decode_value(Headers.scan(request.original).first("Subject") or b"")
    about = (
        f'The message arrived here on {format_date(int(request.arrived_at))}, subject "{subject[:_SUBJECT]}".'
    )
    blocks.append(paragraph(about))
    blocks.append("Below, for programs and postmasters: the report, and the message or its header.")
    return "\n\n".join(blocks) + "\n"


def _about(recipient: DsnRecipient) -> str:
    lines = [f"  <{recipient.address}>"]
    words = words_for(_status(recipient))
    if words.happened:
        lines.append(paragraph(words.happened, "    "))
    if recipient.action == "delayed" and recipient.retry_until:
        lines.append(paragraph(f"It is tried until {format_date(int(recipient.retry_until))}.", "    "))
    elif words.advice:
        lines.append(paragraph(words.advice, "    "))
    if recipient.action in ("failed", "delayed"):
        who = f"{recipient.remote_host} said" if recipient.remote_host else "Reason"
        lines.append(paragraph(f"{who}: {recipient.reply}", "    "))
    return "\n".join(lines)


# --- for programs -----------------------------------------------------------------------------------------


def _status(recipient: DsnRecipient) -> str:
    # RFC 3461 §6.3 (g): x.0.0 where there is no code that says more.
    status = recipient.status or recipient.reply.enhanced or f"{str(recipient.reply.code)[0]}.0.0"
    if recipient.action in ("delivered", "relayed", "expanded") and not status.startswith("2"):
        return "2.0.0"
    return status


def _status_part(request: DsnRequest, utf8_path: bool) -> Body:
    """RFC 3464 §2.1: per-message fields, then a block for each recipient."""
    fields = []
    if request.envid and is_xtext(request.envid):
        fields.append(("Original-Envelope-Id", decode_xtext(request.envid)))
    fields.append(("Reporting-MTA", f"dns; {request.hostname}"))
    fields.append(("Arrival-Date", format_date(int(request.arrived_at))))
    if request.deliver_by:
        fields.append(("Deliver-By-Date", format_date(int(request.deliver_by))))  # RFC 2852 §5
    blocks = [fields, *(_recipient_fields(recipient) for recipient in request.recipients)]
    octets = b"\r\n".join(
        b"".join(format_field(name, value, utf8=True) for name, value in block) for block in blocks
    )
    if octets.isascii():
        return Body("message/delivery-status", "7bit", octets)
    # RFC 6533 §4.1: with addresses outside ASCII it is the UTF-8 form of the report.
    return _utf8_body("message/global-delivery-status", octets, utf8_path)


def _recipient_fields(recipient: DsnRecipient) -> list[tuple[str, str]]:
    fields = []
    original = original_recipient(recipient.orcpt)
    if original:
        fields.append(("Original-Recipient", original))
    kind = "rfc822" if recipient.address.isascii() else "utf-8"
    fields.append(("Final-Recipient", f"{kind}; {recipient.address}"))
    fields.append(("Action", recipient.action))
    fields.append(("Status", _status(recipient)))
    if recipient.remote_host:
        # RFC 3464 §2.3.6: Remote-MTA says whose words the diagnostic code is.
        fields.append(("Remote-MTA", f"dns; {_ascii(recipient.remote_host)}"))
    fields.append(("Diagnostic-Code", f"smtp; {_ascii(str(recipient.reply))}"[: limits.OUTBOUND_REPLY_TEXT]))
    if recipient.last_at:
        fields.append(("Last-Attempt-Date", format_date(int(recipient.last_at))))
    if recipient.retry_until and recipient.action == "delayed":
        fields.append(("Will-Retry-Until", format_date(int(recipient.retry_until))))
    return fields


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


# --- what is returned ---------------------------------------------------------------------------------------


def _returned_part(request: DsnRequest, utf8_path: bool) -> Body:
    """The third part: the message where it fails and is small enough, else its header (RFC 3461 §6.2)."""
    original = request.original
    end = Headers.scan(original).end
    if _returns_whole(request, original[:end].isascii()):
        header_only, octets = False, original
    else:
        header_only, octets = True, _cut(original[:end])
    if original[:end].isascii():
        return message_body(octets, headers_only=header_only)
    # RFC 6533 §4.2, §4.3: a UTF-8 header is returned under these types.
    kind = "message/global-headers" if header_only else "message/global"
    return _utf8_body(kind, octets, utf8_path)


def _returns_whole(request: DsnRequest, ascii_header: bool) -> bool:
    original = request.original
    if request.ret == "HDRS" or len(original) < request.original_size:
        return False
    if not any(recipient.action == "failed" for recipient in request.recipients):
        return False  # RFC 3461 §6.2: without a failure only the header
    if request.ret != "FULL" and (request.original_size > limits.DSN_WHOLE or not original.isascii()):
        # 8-bit text would keep the notice from servers without 8BITMIME: not without having been asked for.
        return False
    if request.original_size > limits.DSN_WHOLE_ASKED:
        return False
    # RFC 2045 §2.9: NUL and overlong lines are binary, which a message part must not be.
    return not ascii_header or (b"\0" not in original and not LONG_LINE.search(original))


LONG_LINE: Final = re.compile(rb"[^\n]{1000}")
"""RFC 2045 §2.7: over 998 octets and the CR."""


def _cut(header: bytes) -> bytes:
    if len(header) <= limits.DSN_HEADER:
        return header
    return header[: header.rfind(b"\r\n", 0, limits.DSN_HEADER) + 2]


def _utf8_body(content_type: str, octets: bytes, utf8_path: bool) -> Body:
    if utf8_path:
        return Body(content_type, "8bit", octets)
    # RFC 6533 §4.5: towards a return path that may not know SMTPUTF8 a 7-bit encoding must be used.
    return Body(content_type, "base64", base64.encodebytes(octets).replace(b"\n", b"\r\n"))
