"""What tells the owner of a script that it fails: a message in the inbox, once in SIEVE_TOLD seconds."""

from __future__ import annotations

from typing import Any, Final

from posthouse.inbound.filtered import Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import new_trace_id, our_mail
from posthouse.inbound.received import received_field
from posthouse.inbound.sieve_means import Means
from posthouse.limits import SIEVE_TOLD
from posthouse.message.compose import compose, format_mailbox, text_body
from posthouse.message.date import format_date
from posthouse.message.headers import Headers, decode_value
from posthouse.store.interface import Op
from posthouse.store.judgement import Memo, PutMemo

_TOLD: Final = "SieveTold"
_KEY: Final = "fault"


async def fault_told(passage: Passage, fault: str, headers: Headers, means: Means) -> list[Op[Any]]:
    """For the commit of the message that the script failed on; nothing if the owner knows already."""
    account, now = passage.box.account, means.now()
    if await means.store.memos(account.account_id, _TOLD, [_KEY]):
        return []
    trace_id = new_trace_id(now)
    fields = [
        ("From", format_mailbox("Posthouse", "postmaster", means.hostname)),
        ("To", account.address),
        ("Date", format_date(int(now))),
        ("Subject", "Your mail filter does not work"),
        ("Message-ID", f"<{trace_id}@{means.hostname}>"),
        ("Auto-Submitted", "auto-generated"),  # RFC 3834 §5: so that no automatic reply is made to it
    ]
    author = " ".join(decode_value(headers.first("from") or b"").split())
    subject = " ".join(decode_value(headers.first("subject") or b"").split())
    words = _WORDS.format(fault=fault, author=author[:200], subject=subject[:200])
    mail = our_mail(compose(fields, text_body(words)), account.address, trace_id=trace_id, at=now)
    field = received_field(mail, means.hostname, show_client=False)
    ops = await means.operations(mail, field, Handling(closed=True, filtered=False))
    memo = Memo(account_id=account.account_id, kind=_TOLD, key=_KEY, data=b"", until=now + SIEVE_TOLD)
    return [*ops, PutMemo(memo=memo)]


_WORDS: Final = """\
The active Sieve script of this account failed on a message:

    {fault}

    From: {author}
    Subject: {subject}

No mail is lost: what a script fails on is kept in the inbox, as if there
were no script. Please mend the script. You are told of this once a day.
"""
