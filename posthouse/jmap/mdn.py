"""MDN/send (RFC 9007): "your message was displayed", written (RFC 8098). `mdn_parse` reads."""

from __future__ import annotations

import re
import secrets
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Temporary
from posthouse.inbound.mail import new_trace_id
from posthouse.inbound.outbox import Address, Envelope, Submission
from posthouse.jmap import blobs, identity, ids
from posthouse.jmap.context import Context
from posthouse.jmap.email_set import EmailSetArguments, set_emails
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.faults import error_arguments, implicit_response
from posthouse.jmap.ids import CreationId
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer
from posthouse.jmap.submission_set import is_too_much
from posthouse.message.address import ascii_domain
from posthouse.message.compose import compose, format_mailbox, message_body, multipart, text_body
from posthouse.message.date import format_date
from posthouse.message.disposition import disposition_body, typed_address
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mailboxes import Mailbox, flat, parse_mailbox_list
from posthouse.message.mime import Part, scan
from posthouse.message.threading import message_ids

Object = dict[str, Any]
SENT: Final = "$mdnsent"


class Disposition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 9007 §2."""

    action_mode: str
    sending_mode: str
    type: str


class Mdn(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 9007 §2."""

    for_email_id: str | None = None
    subject: str | None = None
    text_body: str | None = None
    include_original_message: bool = False
    reporting_ua: str | None = msgspec.field(default=None, name="reportingUA")
    disposition: Disposition
    mdn_gateway: str | None = None
    original_recipient: str | None = None
    final_recipient: str | None = None
    original_message_id: str | None = None
    error: list[str] | None = None
    extension_fields: dict[str, str] | None = None


_SERVER_SET: Final = ("mdnGateway", "originalRecipient", "originalMessageId", "error")
_ACTIONS: Final = frozenset({"manual-action", "automatic-action"})
_BY_ITSELF: Final = "mdn-sent-automatically"
_SENDINGS: Final = frozenset({"mdn-sent-manually", _BY_ITSELF})
_TYPES: Final = frozenset({"deleted", "dispatched", "displayed", "processed"})
_FIELD: Final = re.compile(r"[A-Za-z0-9-]{1,60}")


class MdnSendArguments(Arguments, kw_only=True):
    """RFC 9007 §2.1."""

    identity_id: str
    send: dict[CreationId, Object]
    on_success_update_email: dict[str, Object] | None = None


class MdnSendAnswer(Answer, kw_only=True):
    """RFC 9007 §2.1."""

    sent: Object | None
    not_sent: Object | None


async def send(context: Context, arguments: MdnSendArguments) -> list[tuple[str, Any]]:
    """MDN/send."""
    account_id = context.account_number(arguments.account_id)
    if len(arguments.send) > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} at once")
    sender = await identity.find(context, account_id, context.resolve_id(arguments.identity_id) or "")
    if sender is None:
        raise MethodError("invalidArguments", "there is no such identity")
    sent: Object = {}
    refused: Object = {}
    emails: dict[str, str] = {}
    for creation_id, given in arguments.send.items():
        try:
            sent[creation_id], emails[f"#{creation_id}"] = await _send(context, account_id, sender, given)
        except Rejected as fault:
            refused[creation_id] = fault.error()
        except Temporary as fault:  # what was sent before it must be told of, or it is sent again
            refused[creation_id] = error_arguments(fault, "MDN/send")
    answer = MdnSendAnswer(account_id=arguments.account_id, sent=sent or None, not_sent=refused or None)
    responses: list[tuple[str, Any]] = [("MDN/send", answer)]
    update = {
        emails[name]: patch
        for name, patch in (arguments.on_success_update_email or {}).items()
        if name in emails
    }
    if update:
        implicit = EmailSetArguments(account_id=arguments.account_id, update=update)
        responses.append(await implicit_response("Email/set", set_emails(context, implicit)))
    return responses


async def _send(context: Context, account_id: int, sender: Object, given: Object) -> tuple[Object, str]:
    """(what the client does not know of it, the email that it is about)."""
    wanted = _checked(given)
    email_id = context.resolve_id(wanted.for_email_id or "") or ""
    number = ids.decode(ids.EMAIL, email_id)
    mail = context.mail(account_id)
    found = await mail.find([number]) if number is not None else {}
    blob = await blobs.find(context, account_id, blobs.of_email(number or 0)) if found else None
    if number is None or blob is None:
        raise Rejected("notFound")
    bit = await mail.keyword_bit(SENT)
    if bit and found[number].flags & bit:
        raise Rejected("mdnAlreadySent")
    raw = await blobs.octets_of(context, blob)
    headers = Headers.scan(raw)
    asking = _mailboxes(headers, "disposition-notification-to")
    to = list(dict.fromkeys(each.readable_address for each in asking))
    if not to or _is_notification(raw, headers):
        # RFC 9007 §2.1; RFC 8098 §2.1: never about a notification.
        raise Rejected("notFound", "the message does not ask for it, or is such a notification itself")
    if wanted.disposition.sending_mode == _BY_ITSELF and not _may_go_by_itself(asking, headers):
        raise Rejected(
            "forbidden", "its sender asks for receipts to somebody else: nobody but a person may send them"
        )
    if len(to) > limits.MDN_RECIPIENTS:
        raise Rejected("forbidden", "it asks for receipts to too many addresses")
    await _check_recipient(context, wanted.final_recipient or str(sender["email"]))
    message, told = _written(context, wanted, sender, headers, raw, to)
    if len(message) > context.services.message_size:
        raise Rejected("tooLarge", "the message is too large")
    record = Submission(
        identity_id=sender["id"],
        email_id=email_id,
        thread_id="",
        # RFC 8098 §3: the null reverse-path, so that nothing answers it.
        envelope=Envelope(mail_from=Address(email=""), rcpt_to=[Address(email=each) for each in to]),
        send_at=context.services.now(),
        undo_status="final",
        trace_id=new_trace_id(context.services.now()),
    )
    replies = await context.services.outbox.send(context.account, record, message)
    if not any(reply.accepted for reply in replies):
        text = str(replies[0]) if replies else "refused"
        raise Rejected("rateLimit" if is_too_much(replies) else "forbidden", text)
    return told, email_id


def _is_notification(raw: bytes, headers: Headers) -> bool:
    is_report = (headers.first("content-type") or b"").lower().startswith(b"multipart/report")
    return is_report and report_of(scan(raw, headers)) is not None


def _mailboxes(headers: Headers, name: str) -> list[Mailbox]:
    return flat(parse_mailbox_list(headers.first(name) or b""))


def _may_go_by_itself(asking: list[Mailbox], headers: Headers) -> bool:
    """RFC 8098 §2.1: only to the one address that the message came from, or strangers make us write to others."""
    senders = {_compared(each) for each in _mailboxes(headers, "return-path")}
    asked = {_compared(each) for each in asking}
    return len(headers.all("disposition-notification-to")) == len(senders) == 1 and asked == senders


def _compared(mailbox: Mailbox) -> tuple[str, str]:
    return mailbox.local, mailbox.domain.lower()


def report_of(root: Part) -> Part | None:
    """The part of a message that is a notification (RFC 8098 §3.1, RFC 6533 §5)."""
    kinds = {("message", "disposition-notification"), ("message", "global-disposition-notification")}
    waiting = [root]
    while waiting:
        part = waiting.pop(0)
        if (part.type, part.subtype) in kinds:
            return part
        waiting += part.children
    return None


async def _check_recipient(context: Context, final: str) -> None:
    """RFC 9007 §2.1: nobody says what another has read. Rejected forbiddenFrom."""
    address = final.rpartition(";")[2].strip()
    if not await context.services.directory.may_send_as(context.account, address):
        raise Rejected("forbiddenFrom", f"you may not answer for {address}")


def _checked(given: Object) -> Mdn:
    if foreign := [name for name in _SERVER_SET if given.get(name) is not None]:
        raise invalid("these are the server's to set", *foreign)
    try:
        wanted = msgspec.convert(given, Mdn)
    except msgspec.ValidationError as fault:
        names = [field.encode_name for field in msgspec.structs.fields(Mdn)]
        raise invalid(str(fault), *[name for name in names if name in str(fault)][:1]) from fault
    modes = wanted.disposition
    if modes.action_mode not in _ACTIONS or modes.sending_mode not in _SENDINGS or modes.type not in _TYPES:
        raise invalid("no such disposition", "disposition")
    for name, value in (wanted.extension_fields or {}).items():
        if not _FIELD.fullmatch(name) or not value.isprintable():
            raise invalid("no such field", "extensionFields")
    if wanted.reporting_ua is not None and not wanted.reporting_ua.isprintable():
        raise invalid("one line is wanted", "reportingUA")
    return wanted


def _written(
    context: Context, wanted: Mdn, sender: Object, headers: Headers, raw: bytes, to: list[str]
) -> tuple[bytes, Object]:
    """(the notification, the properties that were set here)."""
    email = str(sender["email"])
    final = wanted.final_recipient or typed_address(ascii_domain(email))
    original = next(iter(message_ids(headers.first("message-id"))), None)
    modes = wanted.disposition
    fields = [
        ("Reporting-UA", wanted.reporting_ua or f"{context.services.hostname}; Posthouse"),
        ("Original-Recipient", decode_value(headers.first("original-recipient") or b"")),
        ("Final-Recipient", final),
        ("Original-Message-ID", f"<{original.decode('ascii', 'replace')}>" if original else ""),
        ("Disposition", f"{modes.action_mode}/{modes.sending_mode}; {modes.type}"),
        *(wanted.extension_fields or {}).items(),
    ]
    text = (
        wanted.text_body
        or "This is a receipt for the mail you sent. It says nothing about understanding.\r\n"
    )
    parts = [text_body(text), disposition_body(fields)]
    if wanted.include_original_message:
        parts.append(message_body(raw))
    body = multipart("report", parts, f"=_{secrets.token_hex(16)}", "; report-type=disposition-notification")
    local, _, domain = ascii_domain(email).rpartition("@")
    subject = wanted.subject or f"Read: {decode_value(headers.first('subject') or b'')}"
    now = context.services.now()
    head = [
        ("From", format_mailbox(str(sender["name"]), local, domain)),
        ("To", ", ".join(f"<{ascii_domain(each)}>" for each in to)),
        ("Subject", subject),
        ("Date", format_date(int(now))),
        ("Message-ID", f"<{secrets.token_hex(16)}@{context.services.hostname}>"),
        ("Auto-Submitted", "auto-replied"),
    ]
    told = {
        "finalRecipient": final,
        "originalMessageId": f"<{original.decode('ascii', 'replace')}>" if original else None,
        "subject": subject,
    }
    return compose(head, body), told
