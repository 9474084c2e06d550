"""The `snoozed` property of an Email (docs/jmap-extensions.md): `{"until": UTCDate}`, or null when it is not snoozed.

Set with Email/set, in the same commit that moves the email into the mailbox whose role is `snoozed`; from there the
house brings it back by itself (`inbound.snooze`). Given by Email/get when `properties` names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from posthouse import limits
from posthouse.inbound import snooze
from posthouse.jmap.context import Context
from posthouse.jmap.dates import parse_utc, utc_date
from posthouse.jmap.email_extras import Extra
from posthouse.jmap.errors import invalid
from posthouse.store.interface import Op, RemoveItem


async def read_snoozed(context: Context, account_id: int, numbers: Sequence[int]) -> dict[int, Any]:
    """Until when these are snoozed."""
    found = await snooze.snoozed(context.store, account_id, list(numbers))
    return {number: {"until": utc_date(until)} for number, until in found.items()}


def snooze_of(context: Context, value: object) -> int:
    """POSIX seconds of what a client sets; 0: not snoozed any more. Rejected invalidProperties."""
    if value is None:
        return 0
    if not isinstance(value, dict) or set(value) != {"until"}:
        raise invalid('it is {"until": UTCDate} or null', "snoozed")
    until = parse_utc(value["until"], "snoozed")
    if not 0 < until <= context.services.now() + limits.SNOOZE_MOST:
        raise invalid("nobody will wait for that", "snoozed")
    return until


async def snooze_operations(context: Context, account_id: int, wanted: Mapping[int, int]) -> list[Op[Any]]:
    """What notes that emails (number → until, 0: not any more) are snoozed."""
    ops = [snooze.put(account_id, number, until) for number, until in wanted.items() if until]
    ending = [number for number, until in wanted.items() if not until]
    present = await snooze.snoozed(context.store, account_id, ending) if ending else {}
    gone = [RemoveItem(account_id=account_id, kind=snooze.KIND, item_id=number) for number in present]
    return [*ops, *gone]


SNOOZED: Final = Extra("snoozed", read_snoozed)
