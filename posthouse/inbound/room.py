"""Mailboxes without room for a message: what fits by and by waits in the queue, what never will is told so at once.

RFC 5321 §4.2.3, RFC 3463 §3.3 X.2.2: a full mailbox is a condition that passes. Where the peer hears an answer for
this recipient alone it is 452, and the peer tries again. Where it does not (SMTP has one answer for all recipients,
and an alias one for all it stands for) and somebody else takes the message, the copy goes into our own queue, which
tries it on its schedule and tells the sender of the delay and of the end, as for any other host
(`outbound.homecoming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from posthouse.accounts.directory import Directory
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.plan import Plan
from posthouse.inbound.rulings import Place, Ruling
from posthouse.smtp.replies import Reply

_FULL: Final = Reply(452, "4.2.2", "The mailbox is full, try again later")
_NEVER_FITS: Final = Reply(552, "5.2.2", "The message is larger than the whole mailbox")
_NO_RULING: Final = Ruling()


async def look_for_room(mail: Mail, plan: Plan, prefix_size: int, directory: Directory) -> None:
    """Take the copies for which there is no room out of the plan's boxes."""
    for box in tuple(plan.boxes.values()):
        room = await directory.room(box.account)
        size = mail.content.size + prefix_size + len(box.prefix)
        if room is None or room >= size:
            continue
        if size > await directory.quota(box.account):
            plan.drop(box, _NEVER_FITS)
        else:
            plan.set_aside(box, _FULL)


def put_off(mail: Mail, plan: Plan, junk: bool, rulings: Mapping[int, Ruling]) -> None:
    """Let copies wait for room, where nobody but we can try them again.

    Not those that would go to Junk: what comes home from the queue is not judged once more.
    """
    # RFC 2033 §4.2: over LMTP, as inside this program, every recipient has its own reply.
    own_replies = mail.via in (Via.LMTP, Via.LOCAL)
    waiting = [
        box
        for box in plan.full.values()
        if not junk
        if rulings.get(box.account.account_id, _NO_RULING).place is Place.INBOX
        if plan.is_ours_to_try(box, own_replies=own_replies)
    ]
    for box in waiting:
        plan.put_off(box)
