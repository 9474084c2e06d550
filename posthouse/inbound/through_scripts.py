"""The copies of a message on their way through the scripts of the accounts that get them.

Pure of Sieve itself: `Filters` has the scripts, here are the rules of delivery around them.
"""

from __future__ import annotations

import msgspec

from posthouse.inbound.decided import Decided, place_of
from posthouse.inbound.filtered import Filtered, Filters, Passage
from posthouse.inbound.handling import Handling
from posthouse.inbound.plan import Plan
from posthouse.inbound.refusing import settle_refusals
from posthouse.inbound.rulings import Ruling
from posthouse.limits import SIEVE_DEPTH


async def through_scripts(
    filters: Filters | None, plan: Plan, prefix: bytes, handling: Handling, decided: Decided
) -> Decided:
    """What the accounts' scripts make of a message; copies that they refuse leave the plan.

    What goes to Trash because a masked address is switched off, no script sees.
    """
    if filters is None or not handling.filtered or handling.depth >= SIEVE_DEPTH:
        return decided
    filtered: dict[int, Filtered] = {}
    passages: dict[int, Passage] = {}
    for number, box in plan.boxes.items():
        if number in plan.trashed or not await filters.has_script(number):
            continue
        ruling = decided.ruling(box)
        passage = Passage(
            mail=plan.mail,
            box=box,
            recipient=plan.recipient_of(box),
            fields=prefix,
            end=handling.end,
            ruling=ruling,
            place=place_of(handling, ruling),
            standing=handling.reverse_path,
            silent=decided.silent,
            depth=handling.depth,
            open=not handling.closed,
        )
        done = await filters.filter(passage)
        if done is not None:
            filtered[number], passages[number] = done, passage
    if not filtered:
        return decided
    elsewhere = bool(plan.remote or plan.later or plan.is_for_lists)
    alone = not elsewhere and decided.report is None
    await settle_refusals(plan, passages, filtered, filters.tell_refusal, alone=alone)
    return msgspec.structs.replace(decided, filtered=filtered)


async def left_to_scripts(filters: Filters | None, rulings: dict[int, Ruling]) -> dict[int, Ruling]:
    """The rulings, but that nothing is refused before a script that tests for junk has seen it (RFC 5235 §1)."""
    if filters is None:
        return rulings
    for number, ruling in rulings.items():
        if ruling.reply is not None and ruling.reply.permanent and await filters.sees_junk(number):
            rulings[number] = msgspec.structs.replace(ruling, reply=None)
    return rulings
