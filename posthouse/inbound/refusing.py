"""Copies that a script refuses (RFC 5429): by the reply where one can say it, else by a message, else not at all.

Over LMTP, as inside this program, every recipient has a reply of its own. SMTP has one for all, so it can say 550 only
when nobody takes the message. Where the sender is probably somebody else, or there is none, nobody can be told after
the reply; then the copy is kept, as RFC 5429 §4 warns of mail that vanishes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse.inbound.filtered import Filtered, Passage, Refusal
from posthouse.inbound.mail import Mail, Via
from posthouse.inbound.plan import Plan
from posthouse.inbound.story import line
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op

_UNSAID: Final = "The recipient's mail filter refuses this message"

TellRefusal = Callable[[Passage, str], Awaitable[Sequence[Op[Any]]]]


async def settle_refusals(
    plan: Plan,
    passages: dict[int, Passage],
    filtered: dict[int, Filtered],
    tell: TellRefusal,
    *,
    alone: bool,
) -> None:
    """Decide how each is refused. `alone`: nobody but accounts here is to get the message."""
    refusing = {number: done.refusal for number, done in filtered.items() if done.refusal is not None}
    if not refusing:
        return
    mail = plan.mail
    by_reply = {number for number, refusal in refusing.items() if _can_be_said(refusal, mail)}
    own_replies = mail.via in (Via.LMTP, Via.LOCAL)  # RFC 2033 §4.2
    if not own_replies and not (alone and by_reply >= plan.boxes.keys()):
        by_reply = set()
    for number, refusal in refusing.items():
        passage, box = passages[number], plan.boxes[number]
        if passage.open and number in by_reply:
            plan.drop(box, _reply(refusal, mail))
        elif not mail.reverse_path or passage.silent:
            filtered[number] = _kept(passage, filtered[number], refusal)
        elif refusal.extended:
            # RFC 5429 §2.1.2: a delivery status notification
            plan.drop(box, _reply(refusal, mail, whole=True))
        else:
            ops = await tell(passage, refusal.reason)
            plan.take_out(box)
            filtered[number] = msgspec.structs.replace(filtered[number], ops=(*filtered[number].ops, *ops))


def _can_be_said(refusal: Refusal, mail: Mail) -> bool:
    # RFC 5429 §2.2: `reject` rather keeps the words whole than to be quick.
    return refusal.extended or refusal.reason.isascii() or mail.smtputf8


def _reply(refusal: Refusal, mail: Mail, *, whole: bool = False) -> Reply:
    """RFC 5429 §2.5. `whole`: the words go into a message, which can say anything."""
    said = refusal.reason.strip() or _UNSAID
    utf8 = mail.smtputf8 or whole  # RFC 6531 §3.7.4.1
    if not said.isascii() and not utf8:
        said = _UNSAID  # RFC 5429 §2.1.1
    lines = [text.rstrip() for text in said.splitlines()]
    return Reply(550, "5.7.1", "\n".join(lines), utf8=utf8 and not said.isascii())


def _kept(passage: Passage, done: Filtered, refusal: Refusal) -> Filtered:
    mail = passage.mail
    why = "its sender is doubtful" if mail.reverse_path else "it has no sender"
    note = line(mail, "filtered", passage.box.address, f"kept: it cannot be refused any more, and {why}")
    return msgspec.structs.replace(done, ops=(*done.ops, refusal.kept), notes=(*done.notes, note))
