"""Email/import and Email/copy (RFC 8621 §4.7, §4.8)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import OverQuota
from posthouse.jmap import blobs, dates, ids
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_create import keep_email
from posthouse.jmap.email_properties import flags_of, keywords_of, mailboxes_of
from posthouse.jmap.email_set import EmailSetArguments, set_emails
from posthouse.jmap.errors import MethodError, Rejected, invalid
from posthouse.jmap.faults import implicit_response
from posthouse.jmap.mail_rights import check_additions, check_flags, rights_of, settable
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer, CopyArguments
from posthouse.message.date import parse_date
from posthouse.message.headers import Headers

Object = dict[str, Any]


class EmailImportArguments(Arguments, kw_only=True):
    """RFC 8621 §4.8."""

    if_in_state: str | None = None
    emails: dict[ids.CreationId, Object]


class EmailImport(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8621 §4.8."""

    blob_id: str
    mailbox_ids: dict[str, Any]
    keywords: dict[str, Any] = {}
    received_at: str | None = None


class CreatedAnswer(Answer, kw_only=True):
    """RFC 8621 §4.7, §4.8."""

    old_state: str
    new_state: str = ""
    created: Object | None = None
    not_created: Object | None = None


class EmailCopyAnswer(CreatedAnswer, kw_only=True):
    """RFC 8621 §4.7."""

    from_account_id: str


_RECEIVED: Final = re.compile(rb";([^;]*)$")


async def import_emails(context: Context, arguments: EmailImportArguments) -> CreatedAnswer:
    """Email/import."""
    account_id = context.account_number(arguments.account_id)
    mail = context.mail(account_id)
    answer = CreatedAnswer(account_id=arguments.account_id, old_state=str(await mail.state()))
    if len(arguments.emails) > limits.JMAP_SET:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_SET} emails")
    if arguments.if_in_state is not None and arguments.if_in_state != answer.old_state:
        raise MethodError("stateMismatch")
    made: Object = {}
    refused: Object = {}
    for creation_id, given in arguments.emails.items():
        try:
            made[creation_id] = await _import(context, account_id, given)
            context.created[creation_id] = made[creation_id]["id"]
        except Rejected as fault:
            refused[creation_id] = fault.error()
        except OverQuota as fault:
            refused[creation_id] = {"type": "overQuota", "description": fault.public}
    answer.created, answer.not_created = made or None, refused or None
    answer.new_state = str(await mail.state())
    return answer


async def _import(context: Context, account_id: int, given: Object) -> Object:
    try:
        wanted = msgspec.convert(given, EmailImport)
    except msgspec.ValidationError as fault:
        names = [n for n in ("blobId", "mailboxIds", "keywords", "receivedAt") if n in str(fault)]
        raise invalid(str(fault), *names) from fault
    boxes = {box.mailbox_id for box in await context.mail(account_id).mailboxes()}
    mailboxes = mailboxes_of(context, wanted.mailbox_ids, boxes)
    flags = flags_of(keywords_of(wanted.keywords))
    blob = await blobs.find(context, account_id, context.resolve_id(wanted.blob_id) or "")
    if blob is None:
        raise invalid("there is no such blob", "blobId")
    if blob.size > context.services.message_size:
        raise Rejected("tooLarge", "the message is too large", maxSize=context.services.message_size)
    raw = await blobs.octets_of(context, blob)
    headers = Headers.scan(raw)
    if not len(headers):
        raise Rejected("invalidEmail", "it has no header")
    received_at = (
        dates.parse_utc(wanted.received_at, "receivedAt")
        if wanted.received_at is not None
        else _received(headers, int(context.services.now()))
    )
    return await keep_email(context, account_id, raw, mailboxes, flags, received_at)


def _received(headers: Headers, now: int) -> int:
    """RFC 8621 §4.8: the time of the most recent Received field, which is the first."""
    value = headers.first("received")
    match = _RECEIVED.search(value) if value is not None else None
    moment = parse_date(match[1]) if match is not None else None
    return moment.seconds if moment is not None and 0 <= moment.seconds <= now else now


async def copy_emails(context: Context, arguments: CopyArguments) -> Any:
    """Email/copy: from another account that the caller may use, to one's own or back (RFC 8621 §4.7)."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    if arguments.from_account_id == arguments.account_id:
        raise MethodError("invalidArguments", "fromAccountId and accountId must differ")
    source_id = context.account_number(
        arguments.from_account_id, "fromAccountNotFound", opened=Opened.MAILBOXES
    )
    answer = EmailCopyAnswer(
        account_id=arguments.account_id,
        from_account_id=arguments.from_account_id,
        old_state=str(await context.mail(account_id).state()),
    )
    source_state = str(await context.mail(source_id).state())
    if arguments.if_in_state is not None and arguments.if_in_state != answer.old_state:
        raise MethodError("stateMismatch")
    if arguments.if_from_in_state is not None and arguments.if_from_in_state != source_state:
        raise MethodError("stateMismatch")
    made: Object = {}
    refused: Object = {}
    for creation_id, given in arguments.create.items():
        try:
            made[creation_id] = await _copy(context, source_id, account_id, given)
        except Rejected as fault:
            refused[creation_id] = fault.error()
        except OverQuota as fault:
            refused[creation_id] = {"type": "overQuota", "description": fault.public}
    answer.created, answer.not_created = made or None, refused or None
    answer.new_state = str(await context.mail(account_id).state())
    responses: list[tuple[str, Any]] = [("Email/copy", answer)]
    if arguments.on_success_destroy_original and made:
        destroy = EmailSetArguments(
            account_id=arguments.from_account_id,
            if_in_state=arguments.destroy_from_if_in_state,
            destroy=[arguments.create[creation_id]["id"] for creation_id in made],
        )
        # The copies are there all the same (RFC 8620 §5.4).
        responses.append(await implicit_response("Email/set", set_emails(context, destroy)))
    return responses


async def _copy(context: Context, source_id: int, account_id: int, given: Object) -> Object:
    if foreign := sorted(set(given) - {"id", "mailboxIds", "keywords", "receivedAt"}):
        raise invalid("only mailboxIds, keywords and receivedAt can be set", *foreign)
    number = ids.decode(ids.EMAIL, str(given.get("id", "")))
    source = context.mail(source_id)
    found = await source.find([number]) if number is not None else {}
    if number is None or number not in found:
        raise Rejected("notFound")
    standing = found[number]
    rights = await rights_of(context.mail(account_id))
    mailboxes = mailboxes_of(context, given.get("mailboxIds"), set(rights))
    check_additions(rights, mailboxes)
    present = {word: True for bit, word in await source.keyword_names() if standing.flags & bit}
    flags = flags_of(keywords_of(given.get("keywords", present)))
    if "keywords" in given:
        check_flags(rights, mailboxes, flags)
    else:
        flags = settable(rights, mailboxes, flags)
    received_at = (
        dates.parse_utc(given["receivedAt"], "receivedAt")
        if given.get("receivedAt")
        else standing.received_at
    )
    blob = await blobs.find(context, source_id, blobs.of_email(number))
    if blob is None:
        raise Rejected("notFound")
    raw = await blobs.octets_of(context, blob)
    return await keep_email(context, account_id, raw, mailboxes, flags, received_at)
