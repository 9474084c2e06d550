"""The action vacation (RFC 5230, RFC 6131): an automatic answer, in the commit of the message that it answers.

Whom to answer is decided as for the vacation responder (`answers`); besides, nobody whose reverse-path is doubtful is
answered, and nothing that goes to Junk. Memos remember who was answered, each as long as the script says.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from posthouse.inbound.answers import Answer, addressed, may_answer, write_answer
from posthouse.inbound.filtered import Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import Mail
from posthouse.inbound.received import received_field
from posthouse.inbound.rulings import Place
from posthouse.inbound.sieve_means import Allowance, Means
from posthouse.inbound.sieve_redirect import NotSent
from posthouse.limits import SIEVE_REMEMBERED, SIEVE_SENT, VACATION_TEXT
from posthouse.message.compose import Body, crlf, text_body
from posthouse.message.headers import Headers
from posthouse.message.mailboxes import flat, parse_mailbox_list
from posthouse.sieve.actions import Vacation
from posthouse.store.interface import Op
from posthouse.store.judgement import Memo, PutMemo

_ANSWERED: Final = "SieveVacation"


class Sent(msgspec.Struct, frozen=True):
    """A message that a script sends, and what sends it."""

    mail: Mail
    ops: tuple[Op[Any], ...]


async def answered(
    action: Vacation, passage: Passage, means: Means, allowance: Allowance, headers: Headers
) -> Sent:
    """What answers a message. NotSent."""
    mail, account = passage.mail, passage.box.account
    if not may_answer(headers, mail.reverse_path):
        raise NotSent("it is no person's mail")
    if passage.silent or passage.place is not Place.INBOX:
        raise NotSent("its sender is doubtful")
    if mail.reverse_path.casefold() == account.address:
        raise NotSent("it is one's own")
    if not await addressed(headers, account, means.directory, action.addresses):
        raise NotSent("it is not addressed to this account")
    key = _key(action, mail.reverse_path)
    now = means.now()
    if action.seconds and await means.store.memos(account.account_id, _ANSWERED, [key]):
        raise NotSent(f"{mail.reverse_path} was answered lately")
    if not await allowance.take():
        raise NotSent(f"this account's scripts have sent {SIEVE_SENT} messages in this hour")
    answer = Answer(
        body=_body(action),
        subject=action.subject,
        sender=await own_sender(action.from_address, passage, means),
    )
    written = write_answer(mail, headers, account, answer, means.hostname, now)
    field = received_field(written, means.hostname, show_client=False)
    ops = await means.operations(written, field, Handling(closed=True, depth=passage.depth + 1))
    if not ops:
        raise NotSent("the answer has no way to go")
    if action.seconds:
        memo = Memo(
            account_id=account.account_id,
            kind=_ANSWERED,
            key=key,
            data=b"",
            until=now + min(action.seconds, SIEVE_REMEMBERED),
        )
        ops.append(PutMemo(memo=memo))
    return Sent(written, tuple(ops))


async def own_sender(wanted: str, passage: Passage, means: Means) -> str:
    """RFC 5230 §4.3: the From that a script wants, if it is one of the account's addresses; else empty."""
    mailboxes = flat(parse_mailbox_list(wanted.encode()))
    if len(mailboxes) != 1 or not mailboxes[0].domain:
        return ""
    own = await means.directory.may_send_as(passage.box.account, mailboxes[0].address)
    return wanted if own else ""


def _key(action: Vacation, sender: str) -> str:
    """RFC 5230 §4.2: answers of one handle, or of the same words, count as one."""
    said = (action.subject, action.from_address, str(action.mime), action.reason)
    handle = f"handle {action.handle}" if action.handle else "\0".join(said)
    told = f"{handle}\0{sender.casefold()}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(told, digest_size=16).hexdigest()


def _body(action: Vacation) -> Body:
    reason = action.reason[:VACATION_TEXT]
    if not action.mime:
        return text_body(reason)
    # RFC 5230 §4.7: a MIME entity; of its header only what describes it may be said here.
    raw = crlf(reason.encode("utf-8", "replace"))
    headers = Headers.scan(raw)
    said = {name.lower(): value.decode("utf-8", "replace") for name, value in headers.items()}
    content_type = said.pop(b"content-type", "text/plain; charset=utf-8")
    octets = raw[headers.end :]
    encoding = said.pop(b"content-transfer-encoding", "7bit" if octets.isascii() else "8bit")
    more = tuple(
        (name.decode("ascii", "replace").title(), value)
        for name, value in said.items()
        if name.startswith(b"content-")
    )
    return Body(content_type, encoding, octets, more)
