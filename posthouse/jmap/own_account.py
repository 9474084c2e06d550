"""Smaller things for one's own account (docs/jmap-extensions.md): client set-up, preferences, where is my mail."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from posthouse import limits
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.ids import EMAIL, decode
from posthouse.jmap.method import Arguments
from posthouse.jmap.security import qr_code
from posthouse.message.address import found_as
from posthouse.store.account_model import SUBMISSIONS
from posthouse.store.interface import PutItem
from posthouse.store.model import Event, QueuedMessage, QueuedRecipient

# --- set up a mail program --------------------------------------------------------------------------------


async def client_setup(context: Context, arguments: Arguments) -> dict[str, Any]:
    """`ClientSetup/get`: the table of services, and a profile for Apple devices with its QR code."""
    context.account_number(arguments.account_id)
    setup, account = context.services.client_setup, context.account
    query = urlencode({"address": account.address, "name": account.display_name})
    profile = f"{context.via.site.origin}/apple.mobileconfig?{query}" if setup.best("imap") else ""
    return {
        "accountId": arguments.account_id,
        "address": account.address,
        "services": msgspec.to_builtins(setup.services),
        "profileUrl": profile,
        "profileQr": await asyncio.to_thread(qr_code, profile) if profile else "",
    }


# --- preferences ------------------------------------------------------------------------------------------

_KIND: Final = "Preferences"
_ONLY: Final = 1


class PreferencesSetArguments(Arguments, kw_only=True):
    """`Preferences/set`: names with values; null takes a name away."""

    update: dict[str, Any]


async def preferences_get(context: Context, arguments: Arguments) -> dict[str, Any]:
    """`Preferences/get`: what the webmail keeps for its reader, on every device the same."""
    number = context.account_number(arguments.account_id)
    return {"accountId": arguments.account_id, "preferences": await _preferences(context, number)}


async def preferences_set(context: Context, arguments: PreferencesSetArguments) -> dict[str, Any]:
    """`Preferences/set`. MethodError tooLarge."""
    number = context.account_number(arguments.account_id)
    values = await _preferences(context, number) | arguments.update
    kept = {name: value for name, value in values.items() if value is not None}
    data = msgspec.json.encode(kept)
    if len(data) > limits.PREFERENCES:
        raise MethodError("tooLarge", f"at most {limits.PREFERENCES} octets")
    await context.store.apply(PutItem(account_id=number, kind=_KIND, item_id=_ONLY, new=True, data=data))
    return {"accountId": arguments.account_id, "preferences": kept}


async def _preferences(context: Context, number: int) -> dict[str, Any]:
    found = await context.store.items(number, _KIND, [_ONLY])
    return msgspec.json.decode(found[0].data, type=dict[str, Any]) if found else {}


# --- where is my mail -------------------------------------------------------------------------------------


class TrackArguments(Arguments, kw_only=True):
    """`Journey/get`: by the sent email, or by the trace id."""

    email_id: str | None = None
    trace_id: str | None = None


class JourneyListArguments(Arguments, kw_only=True):
    """`Journey/list`."""

    limit: int = 50


async def journey(context: Context, arguments: TrackArguments) -> dict[str, Any]:
    """`Journey/get`: each recipient's state, each attempt with the remote's words and TLS. MethodError notFound."""
    number = context.account_number(arguments.account_id)
    traces = (
        [arguments.trace_id] if arguments.trace_id else await _traces(context, number, arguments.email_id)
    )
    found = []
    for trace_id in traces[: limits.TIMELINE_MESSAGES]:
        events = await context.store.events(trace_id=trace_id)
        if _is_of(events, context.account.address):
            waiting = await context.store.queue(address=context.account.address)
            found.append(_story(trace_id, events, [m for m in waiting if m.trace_id == trace_id]))
    if not found:
        raise MethodError("notFound", "no journey of this message is known")
    return {"accountId": arguments.account_id, "list": found}


async def journeys(context: Context, arguments: JourneyListArguments) -> dict[str, Any]:
    """`Journey/list`: one's latest sent messages, by whatever program they were sent."""
    context.account_number(arguments.account_id)
    address = context.account.address
    events = await context.store.events(address=address)
    mine = [event for event in events if _is_sending(event, address)]
    rows = [{"traceId": e.trace_id, "at": e.at, "detail": e.detail} for e in reversed(mine)]
    most = max(0, min(arguments.limit, limits.TIMELINE_MESSAGES))
    return {"accountId": arguments.account_id, "list": rows[:most]}


async def _traces(context: Context, number: int, email_id: str | None) -> list[str]:
    """The trace ids of an email's submissions, the latest first."""
    if email_id is None or decode(EMAIL, email_id) is None:
        raise MethodError("invalidArguments", "emailId or traceId is needed")
    found = []
    for item in await context.store.items(number, SUBMISSIONS):
        record = msgspec.json.decode(item.data, type=dict[str, Any])
        if record.get("emailId") == email_id and record.get("traceId"):
            found.append(str(record["traceId"]))
    return found[::-1]


def _is_sending(event: Event, address: str) -> bool:
    """Whether the line tells that this account handed a message in."""
    words = event.detail.replace(",", " ").split()
    return event.kind == "received" and ("login", address) in pairwise(words)


def _is_of(events: list[Event], address: str) -> bool:
    return any(_is_sending(event, address) for event in events)


def _story(trace_id: str, events: list[Event], waiting: list[QueuedMessage]) -> dict[str, Any]:
    recipients: dict[str, list[Event]] = {}
    for event in events:
        if event.kind in {"queued", "attempted", "delivered", "deferred", "failed", "dropped", "held"}:
            recipients.setdefault(event.address, []).append(event)
    queued = {found_as(r.address): r for message in waiting for r in message.recipients}
    return {
        "traceId": trace_id,
        "at": events[0].at,
        "events": [_line(event) for event in events],
        "recipients": [
            {
                "address": address,
                "state": _state(lines, queued.get(address)),
                "events": [_line(event) for event in lines],
                "queue": _queued(queued[address]) if address in queued else None,
            }
            for address, lines in recipients.items()
        ],
    }


def _line(event: Event) -> dict[str, Any]:
    return {"at": event.at, "kind": event.kind, "address": event.address, "detail": event.detail}


def _state(lines: list[Event], queued: QueuedRecipient | None) -> str:
    """ "delivered", "failed", or where it stands in the queue ("waiting", "leased", "held")."""
    if queued is not None:
        return queued.state.value
    return next((e.kind for e in reversed(lines) if e.kind in {"delivered", "failed", "dropped"}), "unknown")


def _queued(recipient: QueuedRecipient) -> dict[str, Any]:
    return {
        "attempts": recipient.attempts,
        "nextAttemptAt": recipient.next_attempt_at,
        "lastAt": recipient.last_at,
        "lastHost": recipient.last_host,
        "lastReply": recipient.last_reply,
        "lastTls": recipient.last_tls,
    }
