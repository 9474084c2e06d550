"""Email/query and Email/queryChanges (RFC 8621 §4.4, §4.5).

A whole result is remembered until mail changes, so paging through it costs nothing. Who asks for the beginning only
gets it without the threads of all mail being read: that is the first thing a client shows. Changes of a result are
told by taking out whatever changed and putting in what of it is in the present result (RFC 8620 §5.6 permits it).
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import ids
from posthouse.jmap.capabilities import EMAIL_SORTS
from posthouse.jmap.context import Context, Opened
from posthouse.jmap.email_changes import visible_changes
from posthouse.jmap.email_filter import (
    Columns,
    Matcher,
    Positions,
    asks_threads,
    condition_of,
    keyword_threads,
    only_mailbox,
)
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mail import AccountMail
from posthouse.jmap.standard import (
    Comparator,
    QueryAnswer,
    QueryArguments,
    QueryChangesAnswer,
    QueryChangesArguments,
    check_sort,
    leaves,
    query_answer,
    query_changes_answer,
)
from posthouse.message.sort_keys import envelope_key
from posthouse.store.mailbox_index import MailboxIndex


class EmailQueryArguments(QueryArguments, kw_only=True):
    """RFC 8621 §4.4."""

    collapse_threads: bool = False


class EmailQueryChangesArguments(QueryChangesArguments, kw_only=True):
    """RFC 8621 §4.5."""

    collapse_threads: bool = False


_DEFAULT_SORT: Final = (Comparator(property="receivedAt", is_ascending=False),)
_BEGINNING: Final = b"^"
"""Behind the key of a result of which only the beginning is remembered."""
_THREAD_SORTS: Final = {"allInThreadHaveKeyword", "someInThreadHaveKeyword"}


async def query(context: Context, arguments: EmailQueryArguments) -> QueryAnswer:
    """Email/query."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    state, found = await result_of(
        context, account_id, arguments.filter, arguments.sort, arguments.collapse_threads, _enough(arguments)
    )
    return query_answer(arguments, str(state), found, letter=ids.EMAIL)


async def query_changes(context: Context, arguments: EmailQueryChangesArguments) -> QueryChangesAnswer:
    """Email/queryChanges."""
    account_id = context.account_number(arguments.account_id, opened=Opened.MAILBOXES)
    mail = context.mail(account_id)
    since = mail.place(arguments.since_query_state, await mail.state())
    # What has changed is looked up last: a change between the two looks is told twice then, and never not at all.
    state, found = await result_of(
        context, account_id, arguments.filter, arguments.sort, arguments.collapse_threads
    )
    touched = await visible_changes(context, account_id, since)
    emails = {each.email_id for each in touched}
    sorts = {each.property for each in arguments.sort or ()}
    if arguments.collapse_threads or asks_threads(leaves(arguments.filter)) or sorts & _THREAD_SORTS:
        # One email may bring or take the place of any other of its thread.
        threads = await mail.all_threads()
        for thread in {each.thread_id if each.gone else threads[each.email_id] for each in touched}:
            emails.update(await mail.members(thread))
    return query_changes_answer(arguments, str(state), found, emails, letter=ids.EMAIL)


async def result_of(
    context: Context,
    account_id: int,
    tree: dict[str, Any] | None,
    sort: Sequence[Comparator] | None,
    collapse: bool,
    enough: int | None = None,
) -> tuple[int, array[int]]:
    """(state, the result as numbers: whole, or at least the first `enough`).

    MethodError unsupportedFilter, unsupportedSort.
    """
    for node in leaves(tree):
        condition_of(node)
    comparators = tuple(sort) if sort else _DEFAULT_SORT
    _check(comparators)
    mail = context.mail(account_id)
    state = await mail.state()
    key = msgspec.json.encode((mail.audience, tree, comparators, collapse), order="sorted")
    results = context.services.results
    known = results.get(key, state)
    if known is None and enough is not None:
        known = results.get(key + _BEGINNING, state)
    if known is not None and (enough is None or len(known) >= enough or results.get(key, state) is known):
        return state, known
    mailbox = only_mailbox(tree)
    indexes = await _indexes(context, mail, mailbox)
    columns = Columns(indexes)
    if _large(indexes):
        await asyncio.to_thread(columns.prepare)
    else:
        columns.prepare()
    positions = await Matcher(context, mail, columns).matching(tree, columns.present)
    positions = await Sorter(context, mail, columns).ordered(positions, comparators)
    if collapse and enough is not None:
        found, whole = await _beginning(mail, columns, positions, enough)
    else:
        threads = await mail.threads_in(indexes.values()) if collapse else None
        found, whole = await _numbers(columns, positions, threads), True
    if state == await mail.state():
        results.put(key if whole else key + _BEGINNING, state, found)
    return state, found


def _enough(arguments: EmailQueryArguments) -> int | None:
    """How many ids from the beginning answer a query; None: that takes the whole result."""
    if arguments.limit is None or arguments.calculate_total or arguments.anchor is not None:
        return None
    last = arguments.position + arguments.limit
    return last if arguments.position >= 0 and last <= limits.JMAP_BEGINNING else None


async def _beginning(
    mail: AccountMail, columns: Columns, positions: Positions, enough: int
) -> tuple[array[int], bool]:
    """(the first emails of at least `enough` threads, whether these are all)."""
    first: dict[int, int] = {}
    for start in range(0, len(positions), limits.JMAP_BEGINNING):
        if len(first) >= enough:
            return array("Q", first.values()), False
        numbers = [columns.email_ids[i] for i in positions[start : start + limits.JMAP_BEGINNING]]
        threads = await mail.threads(numbers)
        for number in numbers:
            first.setdefault(threads[number], number)
    return array("Q", first.values()), True


def _large(indexes: dict[int, MailboxIndex]) -> bool:
    return sum(map(len, indexes.values())) > limits.JMAP_ON_LOOP


async def _indexes(context: Context, mail: AccountMail, mailbox: str | None) -> dict[int, MailboxIndex]:
    if mailbox is None:
        return await mail.indexes()
    number = ids.decode(ids.MAILBOX, context.resolve_id(mailbox) or "")
    if any(each.mailbox_id == number for each in await mail.mailboxes()) and number is not None:
        return await mail.indexes([number])
    return {}


def _check(comparators: Sequence[Comparator]) -> None:
    check_sort(comparators, EMAIL_SORTS)
    for each in comparators:
        if each.property.endswith("Keyword") and each.keyword is None:
            raise MethodError("invalidArguments", f"{each.property} needs a keyword")


async def _numbers(columns: Columns, positions: Positions, threads: dict[int, int] | None) -> array[int]:
    """The emails at these positions; with `threads` the first of each thread only (RFC 8621 §4.4.3)."""

    def gather() -> array[int]:
        numbers = list(map(columns.email_ids.__getitem__, positions))
        if threads is None:
            return array("Q", numbers)
        of_each = list(map(threads.get, numbers, numbers))
        # What is put in last stays, so from behind the first of each thread does; a dict keeps the order of keys.
        first = dict(zip(reversed(of_each), reversed(numbers), strict=True))
        if len(first) == len(numbers):
            return array("Q", numbers)
        return array("Q", map(first.__getitem__, dict.fromkeys(of_each)))

    return await asyncio.to_thread(gather) if len(positions) > limits.JMAP_ON_LOOP else gather()


Key = Callable[[int], Any]


class Sorter:
    """Orders positions (RFC 8621 §4.4.2). Equal ones are newest first, so the order is always the same."""

    def __init__(self, context: Context, mail: AccountMail, columns: Columns) -> None:
        self._context = context
        self._mail = mail
        self._columns = columns

    async def ordered(self, positions: Positions, comparators: Sequence[Comparator]) -> Positions:
        """The positions in order."""
        keys = [(await self._key(each, positions), not each.is_ascending) for each in comparators]

        def sort() -> Positions:
            found = positions[::-1]
            for key, descending in reversed(keys):  # stable sorts, the most important last
                found.sort(key=key, reverse=descending)
            return found

        return await asyncio.to_thread(sort) if len(positions) > limits.JMAP_ON_LOOP else sort()

    async def _key(self, comparator: Comparator, positions: Positions) -> Key:
        columns, name = self._columns, comparator.property
        if name == "receivedAt":
            return columns.received.__getitem__
        if name == "size":
            return columns.sizes.__getitem__
        if name == "hasKeyword":
            bit, flags = await self._mail.keyword_bit(comparator.keyword or ""), columns.flags
            return lambda i: bool(flags[i] & bit)
        if name in _THREAD_SORTS:
            return await self._thread_key(comparator)
        return (await self._text_keys(name, positions)).__getitem__

    async def _thread_key(self, comparator: Comparator) -> Key:
        having, without = await keyword_threads(self._mail, comparator.keyword or "")
        threads, email_ids = await self._mail.all_threads(), self._columns.email_ids
        if comparator.property == "someInThreadHaveKeyword":
            return lambda i: threads[email_ids[i]] in having
        return lambda i: threads[email_ids[i]] not in without

    async def _text_keys(self, name: str, positions: Positions) -> dict[int, Any]:
        """What must be read of each message, in batches."""
        field = "sent_at" if name == "sentAt" else "envelope"
        keys: dict[int, Any] = {}
        for start in range(0, len(positions), limits.EMAILS_PER_READ):
            some = positions[start : start + limits.EMAILS_PER_READ]
            numbers = [self._columns.email_ids[i] for i in some]
            rows = await self._context.store.emails(self._mail.account_id, numbers, [field])
            values: list[Any] = [None if row is None else row[0] for row in rows]
            if field == "envelope":
                values = await asyncio.to_thread(_sort_texts, values, name)
            keys.update(zip(some, [0 if v is None else v for v in values], strict=True))
        return keys


def _sort_texts(envelopes: list[bytes | None], name: str) -> list[str]:
    return ["" if each is None else envelope_key(each, name) for each in envelopes]
