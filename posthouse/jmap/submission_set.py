"""EmailSubmission/set (RFC 8621 §7.5): send now, send later, undo; then what shall happen to the email.

The message passes the very checks of port 587 (`inbound.pipeline`). A submission with HOLDFOR or HOLDUNTIL (RFC 4865)
is held by the outbox and can be cancelled until its time has come.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.inbound.authors import claimed_addresses
from posthouse.inbound.mail import new_trace_id
from posthouse.inbound.outbox import KIND, Address, Envelope, Submission, decode, first_status
from posthouse.jmap import blobs, identity, ids
from posthouse.jmap.context import Context
from posthouse.jmap.email_set import EmailSetArguments, set_emails
from posthouse.jmap.errors import Rejected, invalid
from posthouse.jmap.faults import error_arguments, implicit_response
from posthouse.jmap.header_forms import addresses, raw_values
from posthouse.jmap.patch import apply_patch
from posthouse.jmap.standard import SetAnswer, SetArguments, check_set
from posthouse.jmap.submission import TYPE
from posthouse.jmap.submission_envelope import check_parameters, is_address, seconds_held
from posthouse.message.headers import Headers
from posthouse.smtp.replies import Reply
from posthouse.store.interface import AddUpload, PutItem, RemoveItem, RemoveUpload
from posthouse.store.model import Content

Object = dict[str, Any]


class SubmissionSetArguments(SetArguments, kw_only=True):
    """RFC 8621 §7.5."""

    on_success_update_email: dict[str, Object] | None = None
    on_success_destroy_email: list[str] | None = None


class Wanted(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a client may give."""

    identity_id: str
    email_id: str
    envelope: Envelope | None = None


_TOO_MUCH: Final = "4.7.28"
"""More than may be sent for now: `junk.sending` says it so."""
_NEVER_SO_MUCH: Final = "5.7.28"
_IMMUTABLE: Final = frozenset({"identityId", "emailId", "envelope", "threadId", "sendAt", "deliveryStatus"}) | {
    "id", "dsnBlobIds", "mdnBlobIds",
}  # fmt: skip


async def set_submissions(context: Context, arguments: SubmissionSetArguments) -> list[tuple[str, Any]]:
    """EmailSubmission/set and the implicit Email/set."""
    account_id = context.account_number(arguments.account_id)
    old_state = str(await TYPE.state(context, account_id))
    check_set(arguments, old_state)
    answer = SetAnswer(account_id=arguments.account_id, old_state=old_state)
    setter = _Setter(context, account_id)
    answer.created, answer.not_created = await setter.create(arguments.create or {})
    answer.updated, answer.not_updated = await setter.update(context.by_id(arguments.update))
    answer.destroyed, answer.not_destroyed = await setter.destroy(context.ids_of(arguments.destroy))
    answer.new_state = str(await TYPE.state(context, account_id))
    answer.tidy()
    responses: list[tuple[str, Any]] = [("EmailSubmission/set", answer)]
    implicit = setter.implicit(arguments)
    if implicit is not None:
        responses.append(await implicit_response("Email/set", set_emails(context, implicit)))
    return responses


class _Setter:
    def __init__(self, context: Context, account_id: int) -> None:
        self._context = context
        self._account_id = account_id
        self._emails: dict[str, str] = {}
        """Submission → its email, for those that succeeded."""

    def implicit(self, arguments: SubmissionSetArguments) -> EmailSetArguments | None:
        """RFC 8621 §7.5: one Email/set for what is asked of emails whose submission succeeded."""
        if arguments.on_success_update_email is None and arguments.on_success_destroy_email is None:
            return None
        asked = self._context.by_id(arguments.on_success_update_email)
        update = {self._emails[name]: patch for name, patch in asked.items() if name in self._emails}
        gone = self._context.ids_of(arguments.on_success_destroy_email)
        destroy = [self._emails[name] for name in gone if name in self._emails]
        if not update and not destroy:
            return None
        return EmailSetArguments(
            account_id=arguments.account_id, update=update or None, destroy=destroy or None
        )

    # --- create --------------------------------------------------------------------------------------

    async def create(self, create: dict[str, Object]) -> tuple[Object, Object]:
        made: Object = {}
        refused: Object = {}
        count = await self._context.store.item_count(self._account_id, KIND) if create else 0
        for creation_id, given in create.items():
            try:
                if count + len(made) >= TYPE.most:
                    raise Rejected("overQuota", "there are too many records of submissions")
                shown = await self._create(given)
                made[creation_id] = {k: v for k, v in shown.items() if given.get(k) != v}
                self._context.created[creation_id] = shown["id"]
                self._emails[shown["id"]] = shown["emailId"]
            except Rejected as fault:
                refused[creation_id] = fault.error()
            except OverQuota as fault:
                refused[creation_id] = {"type": "overQuota", "description": fault.public}
            except Temporary as fault:  # what was sent before it must be told of, or it is sent again
                refused[creation_id] = error_arguments(fault, "EmailSubmission/set")
        return made, refused

    async def _create(self, given: Object) -> Object:
        context = self._context
        given = {k: v for k, v in given.items() if not (k == "undoStatus" and v == "pending")}
        try:
            wanted = msgspec.convert(given, Wanted)
        except msgspec.ValidationError as fault:
            names = [
                n
                for n in (*given, "identityId", "emailId", "envelope")
                if f"`{n}`" in str(fault) or n in str(fault)
            ]
            raise invalid(str(fault), *names[:1]) from fault
        email_id = context.resolve_id(wanted.email_id) or ""
        identity_id = context.resolve_id(wanted.identity_id) or ""
        sender = await identity.find(context, self._account_id, identity_id)
        if sender is None:
            raise invalid("there is no such identity", "identityId")
        number = ids.decode(ids.EMAIL, email_id)
        blob = await blobs.find(context, self._account_id, blobs.of_email(number or 0))
        if number is None or blob is None:
            raise invalid("there is no such email", "emailId")
        if blob.size > context.services.message_size:
            most = context.services.message_size
            raise Rejected("tooLarge", "the message is too large", maxSize=most)
        raw = await blobs.octets_of(context, blob)
        headers = Headers.scan(raw)
        envelope = _with_addresses(wanted.envelope) or await self._envelope(headers, sender)
        await self._check(headers, envelope)
        now = context.services.now()
        send_at = now + seconds_held(envelope, now)
        threads = await context.mail(self._account_id).threads([number])
        record = Submission(
            identity_id=identity_id,
            email_id=email_id,
            thread_id=ids.encode(ids.THREAD, threads[number]),
            envelope=envelope,
            send_at=send_at,
            undo_status="pending",
            trace_id=new_trace_id(now),
        )
        item_id = await self._hold(record, raw) if send_at > now else await self._send(record, raw)
        (item,) = await context.store.items(self._account_id, KIND, [item_id])
        return TYPE.object_of(item)

    async def _send(self, record: Submission, raw: bytes) -> int:
        """Now. What the pipeline refuses is a SetError, and nothing was kept."""
        context = self._context
        replies = await context.services.outbox.send(context.account, record, raw)
        if not any(reply.accepted for reply in replies):
            raise _refusal(record, replies)
        record.undo_status = "final"
        record.delivery_status = first_status(record, replies)
        due_at = context.services.now() + limits.OUTBOX_FIRST_LOOK
        try:
            item = await context.store.apply(self._put(record, due_at))
        except Temporary as fault:
            said = "it was sent, but no record of it could be kept: do not send it again"
            raise Rejected("serverPartialFail", said) from fault
        context.services.outbox.wake()
        return int(item.item_id)

    async def _hold(self, record: Submission, raw: bytes) -> int:
        context = self._context
        upload = await context.store.apply(
            AddUpload(
                account_id=self._account_id,
                content=Content.of(raw),
                media_type="message/rfc822",
                created_at=int(context.services.now()),
                kept=True,
            )
        )
        record.upload_id = upload.upload_id
        item = await context.store.apply(self._put(record, record.send_at))
        context.services.outbox.wake()
        return int(item.item_id)

    def _put(self, record: Submission, due_at: float | None) -> PutItem:
        data = msgspec.json.encode(record)
        return PutItem(account_id=self._account_id, kind=KIND, data=data, due_at=due_at)

    async def _envelope(self, headers: Headers, sender: Object) -> Envelope:
        """RFC 8621 §7: what follows from the message when no envelope is given."""
        found = []
        for name in ("sender", "from"):
            values = raw_values(headers, name)
            if values:
                found = [each.email for each in addresses(values[-1])]
                break
        if len(found) > 1 or len(raw_values(headers, "from")) > 1:
            raise Rejected("invalidEmail", "it has several senders", ["from"])
        own = str(sender["email"])
        local, _, domain = own.rpartition("@")
        mail_from = found[0] if found else own
        # RFC 8621 §7: an address that the identity does not allow gives way to the identity's.
        if mail_from.lower() != own.lower() and not (
            local == "*" and mail_from.lower().endswith(f"@{domain}")
        ):
            mail_from = self._context.account.address if local == "*" else own
        names = [
            each.email
            for name in ("to", "cc", "bcc")
            for value in raw_values(headers, name)
            for each in addresses(value)
        ]
        return Envelope(
            mail_from=Address(email=mail_from),
            rcpt_to=[Address(email=email) for email in dict.fromkeys(names)],
        )

    async def _check(self, headers: Headers, envelope: Envelope) -> None:
        """Who may send what to whom (RFC 8621 §7.5)."""
        if len(envelope.rcpt_to) > limits.SMTP_RECIPIENTS:
            most = limits.SMTP_RECIPIENTS
            raise Rejected("tooManyRecipients", maxRecipients=most)
        if not envelope.rcpt_to:
            raise Rejected("noRecipients")
        wrong = [each.email for each in envelope.rcpt_to if not is_address(each.email)]
        if wrong:
            raise Rejected("invalidRecipients", invalidRecipients=wrong)
        check_parameters(envelope)
        directory, account = self._context.services.directory, self._context.account
        mail_from = envelope.mail_from.email
        if mail_from and not is_address(mail_from):
            raise invalid("the sender is no address", "envelope")
        if mail_from and not await directory.may_send_as(account, mail_from):
            raise Rejected("forbiddenMailFrom", f"you may not send as {mail_from}")
        values = headers.all("from")
        if len(values) != 1:
            raise Rejected("invalidEmail", "it needs exactly one From field", ["from"])
        for address in claimed_addresses(values[0]):
            if address[0] != "@" and not await directory.may_send_as(account, address):
                raise Rejected("forbiddenFrom", f"you may not write as {address}")

    # --- update and destroy ----------------------------------------------------------------------------

    async def update(self, update: dict[str, Object]) -> tuple[Object, Object]:
        changed: Object = {}
        refused: Object = {}
        for name, patch in update.items():
            try:
                await self._update(name, patch)
                changed[name] = None
            except Rejected as fault:
                refused[name] = fault.error()
        return changed, refused

    async def _update(self, name: str, patch: Object) -> None:
        number = ids.decode(TYPE.letter, self._context.resolve_id(name) or "")
        found = await self._context.store.items(
            self._account_id, KIND, [number] if number is not None else []
        )
        if not found:
            raise Rejected("notFound")
        item, record = found[0], decode(found[0])
        shown = TYPE.object_of(item)
        new = apply_patch(shown, patch)
        if unknown := sorted(set(new) - _IMMUTABLE - {"undoStatus"}):
            raise invalid("no such property", *unknown)
        if fixed := sorted(key for key in _IMMUTABLE if new.get(key) != shown.get(key)):
            raise invalid("these properties do not change", *fixed)
        status = new.get("undoStatus")
        self._emails[shown["id"]] = record.email_id
        if status == record.undo_status:
            return
        if status != "canceled":
            raise invalid("it can become canceled only", "undoStatus")
        if record.undo_status != "pending":
            raise Rejected("cannotUnsend")
        record.undo_status = "canceled"
        upload_id, record.upload_id = record.upload_id, 0
        op = msgspec.structs.replace(
            self._put(record, None), item_id=item.item_id, unchanged_since=item.modseq
        )
        try:
            await self._context.store.commit(
                op, RemoveUpload(account_id=self._account_id, upload_id=upload_id)
            )
        except Conflict as fault:
            raise Rejected("cannotUnsend") from fault  # the outbox was faster

    async def destroy(self, destroy: list[str]) -> tuple[list[str], Object]:
        """A record that is not final stays: destroying it must not stop the delivery (RFC 8621 §7)."""
        gone: list[str] = []
        refused: Object = {}
        for name in destroy:
            number = ids.decode(TYPE.letter, name)
            found = await self._context.store.items(
                self._account_id, KIND, [number] if number is not None else []
            )
            if not found or number is None:
                refused[name] = {"type": "notFound"}
                continue
            record = decode(found[0])
            if record.undo_status == "pending":
                refused[name] = {"type": "forbidden", "description": "cancel it, or wait until it is sent"}
                continue
            try:
                await self._context.store.apply(
                    RemoveItem(account_id=self._account_id, kind=KIND, item_id=number)
                )
            except NotFound:  # somebody else was faster
                refused[name] = {"type": "notFound"}
                continue
            self._emails[name] = record.email_id
            gone.append(name)
        return gone, refused


def _with_addresses(envelope: Envelope | None) -> Envelope | None:
    """The same with each recipient once."""
    if envelope is None:
        return None
    recipients = {each.email: each for each in reversed(envelope.rcpt_to)}
    return Envelope(mail_from=envelope.mail_from, rcpt_to=list(reversed(recipients.values())))


def is_too_much(replies: tuple[Reply, ...]) -> bool:
    """Whether a message is refused because too many were sent lately."""
    return bool(replies) and replies[0].enhanced == _TOO_MUCH


def _refusal(record: Submission, replies: tuple[Reply, ...]) -> Rejected:
    """The SetError for a message that nobody gets."""
    text = str(replies[0]) if replies else "refused"
    if is_too_much(replies):
        return Rejected("rateLimit", text)  # RFC 8620 §5.3: it may work later
    if replies and (
        all(400 <= reply.code < 500 for reply in replies) or replies[0].enhanced == _NEVER_SO_MUCH
    ):
        return Rejected("forbiddenToSend", text)
    if replies and replies[0].enhanced.startswith("5.1."):
        wrong = [each.email for each in record.envelope.rcpt_to]
        return Rejected("invalidRecipients", text, invalidRecipients=wrong)
    return Rejected(
        "invalidEmail" if replies and replies[0].enhanced.startswith("5.6") else "forbiddenFrom", text
    )
