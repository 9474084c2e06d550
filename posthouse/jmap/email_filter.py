"""Which emails match a filter (RFC 8621 §4.4.1): cheap conditions first, texts last and only for what is left.

Works on columns of all emails in question; positions are numbers into them. Conditions narrow lists of positions,
operators combine them.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Awaitable, Callable, Sequence
from itertools import compress
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap import dates, ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected
from posthouse.jmap.mail import VISIBLE, AccountMail, matching
from posthouse.jmap.standard import leaves
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import DELETED

Positions = list[int]


class Columns:
    """Emails with what the indexes know of them, each once, without those that have \\Deleted.

    Made on the event loop, where indexes do not change meanwhile; `prepare` may then run anywhere.
    """

    def __init__(self, indexes: dict[int, MailboxIndex]) -> None:
        self.email_ids = array("Q")
        self.flags = array("Q")
        self.sizes = array("I")
        self.received = array("I")
        self.members: dict[int, frozenset[int]] = {}
        """Mailbox → its emails, when there are several mailboxes."""
        self.present: Positions = []
        self._mailboxes: dict[int, int] = {}
        for number, index in indexes.items():
            self.email_ids.extend(index.email_ids)
            self.flags.extend(index.flags)
            self.sizes.extend(index.sizes)
            self.received.extend(index.received)
            self._mailboxes[number] = len(self.email_ids)

    @property
    def mailboxes(self) -> set[int]:
        """The mailboxes that are looked at."""
        return set(self._mailboxes)

    def prepare(self) -> Columns:
        """Find out which positions count."""
        self.present = list(range(len(self.email_ids)))
        shown = matching(self.flags, VISIBLE)
        if b"\0" in shown:
            self.present = list(compress(self.present, shown))
        if len(self._mailboxes) > 1:
            start = 0
            for number, end in self._mailboxes.items():
                self.members[number] = frozenset(self.email_ids[start:end])
                start = end
            if len(self.email_ids) > len(frozenset(self.email_ids)):
                first = {self.email_ids[i]: i for i in reversed(self.present)}
                self.present = sorted(first.values())
        return self


class FilterCondition(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 8621 §4.4.1."""

    in_mailbox: str | None = None
    in_mailbox_other_than: list[str] | None = None
    before: str | None = None
    after: str | None = None
    min_size: ids.UnsignedInt | None = None
    max_size: ids.UnsignedInt | None = None
    all_in_thread_have_keyword: str | None = None
    some_in_thread_have_keyword: str | None = None
    none_in_thread_have_keyword: str | None = None
    has_keyword: str | None = None
    not_keyword: str | None = None
    has_attachment: bool | None = None
    text: str | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    cc: str | None = None
    bcc: str | None = None
    subject: str | None = None
    body: str | None = None
    header: list[str] | None = None


_PHRASE: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+)")
_THREAD_WORDS: Final = {
    "all_in_thread_have_keyword",
    "some_in_thread_have_keyword",
    "none_in_thread_have_keyword",
}


def tokens(text: str) -> list[str]:
    """Phrases and words of a search (RFC 8621 §4.4.1): all must be found."""
    found = []
    for match in _PHRASE.finditer(text):
        quoted = match[1] if match[1] is not None else match[2]
        token = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else match[3]
        if token:
            found.append(token)
        if len(found) > limits.JMAP_SEARCH_WORDS:
            raise MethodError("unsupportedFilter", "too many words")
    return found


def condition_of(node: dict[str, Any]) -> FilterCondition:
    """A condition. MethodError invalidArguments, unsupportedFilter."""
    try:
        condition = msgspec.convert(node, FilterCondition)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault
    if condition.header is not None and not 1 <= len(condition.header) <= 2:
        raise MethodError("invalidArguments", "header has a name and perhaps a text")
    try:
        for name in ("before", "after"):
            if getattr(condition, name) is not None:
                dates.parse_utc(getattr(condition, name), name)
    except Rejected as fault:
        raise MethodError("invalidArguments", f"{fault.description}: {fault.properties}") from fault
    return condition


class Matcher:
    """Evaluates one filter over some columns."""

    def __init__(self, context: Context, mail: AccountMail, columns: Columns) -> None:
        self._context = context
        self._mail = mail
        self._columns = columns

    async def matching(self, tree: dict[str, Any] | None, positions: Positions) -> Positions:
        """Those of the positions that match, in the order given."""
        if tree is None:
            return positions
        if "operator" not in tree:
            return await self._condition(condition_of(tree), positions)
        conditions: list[dict[str, Any]] = tree["conditions"]
        if tree["operator"] == "AND":
            for each in sorted(conditions, key=_cost):
                positions = await self.matching(each, positions)
            return positions
        found: set[int] = set()
        for each in sorted(conditions, key=_cost):
            left = [i for i in positions if i not in found]
            found.update(await self.matching(each, left))
        if tree["operator"] == "OR":
            return [i for i in positions if i in found]
        return [i for i in positions if i not in found]  # NOT: none of them may match

    async def _condition(self, condition: FilterCondition, positions: Positions) -> Positions:
        for name, narrow in _CONDITIONS.items():
            value = getattr(condition, name)
            if value is not None and positions:
                positions = await narrow(self, value, positions)
        return positions

    # --- from the columns ----------------------------------------------------------------------------

    async def _in_mailbox(self, value: str, positions: Positions) -> Positions:
        number = ids.decode(ids.MAILBOX, self._context.resolve_id(value) or "")
        members = self._columns.members
        if not members:  # one mailbox was looked at, and that is this one
            return positions if await self._is_mailbox(number) else []
        email_ids = self._columns.email_ids
        there = members.get(number, frozenset()) if number is not None else frozenset()
        return [i for i in positions if email_ids[i] in there]

    async def _is_mailbox(self, number: int | None) -> bool:
        return any(mailbox.mailbox_id == number for mailbox in await self._mail.mailboxes())

    async def _other_than(self, value: list[str], positions: Positions) -> Positions:
        except_for = {ids.decode(ids.MAILBOX, each) for each in value}
        if not self._columns.members:  # there is only one mailbox that can be seen
            return positions if self._columns.mailboxes - except_for else []
        others: set[int] = set()
        for number, there in self._columns.members.items():
            if number not in except_for:
                others |= there
        email_ids = self._columns.email_ids
        return [i for i in positions if email_ids[i] in others]

    async def _before(self, value: str, positions: Positions) -> Positions:
        moment, received = dates.parse_bound(value, "before"), self._columns.received
        return [i for i in positions if received[i] < moment]

    async def _after(self, value: str, positions: Positions) -> Positions:
        moment, received = dates.parse_bound(value, "after"), self._columns.received
        return [i for i in positions if received[i] >= moment]

    async def _min_size(self, value: int, positions: Positions) -> Positions:
        sizes = self._columns.sizes
        return [i for i in positions if sizes[i] >= value]

    async def _max_size(self, value: int, positions: Positions) -> Positions:
        sizes = self._columns.sizes
        return [i for i in positions if sizes[i] < value]

    async def _has_keyword(self, value: str, positions: Positions) -> Positions:
        bit, flags = await self._mail.keyword_bit(value), self._columns.flags
        return [i for i in positions if flags[i] & bit]

    async def _not_keyword(self, value: str, positions: Positions) -> Positions:
        bit, flags = await self._mail.keyword_bit(value), self._columns.flags
        return [i for i in positions if not flags[i] & bit]

    # --- threads -------------------------------------------------------------------------------------

    async def _all_in_thread(self, value: str, positions: Positions) -> Positions:
        _, without = await keyword_threads(self._mail, value)
        return await self._threads_where(positions, lambda thread: thread not in without)

    async def _some_in_thread(self, value: str, positions: Positions) -> Positions:
        having, _ = await keyword_threads(self._mail, value)
        return await self._threads_where(positions, lambda thread: thread in having)

    async def _none_in_thread(self, value: str, positions: Positions) -> Positions:
        having, _ = await keyword_threads(self._mail, value)
        return await self._threads_where(positions, lambda thread: thread not in having)

    async def _threads_where(self, positions: Positions, holds: Callable[[int], bool]) -> Positions:
        email_ids = self._columns.email_ids
        threads = await self._mail.threads([email_ids[i] for i in positions])
        return [i for i in positions if holds(threads[email_ids[i]])]

    # --- from the messages ---------------------------------------------------------------------------

    async def _has_attachment(self, value: bool, positions: Positions) -> Positions:
        email_ids = self._columns.email_ids
        having = await self._mail.with_attachment([email_ids[i] for i in positions])
        return [i for i in positions if (email_ids[i] in having) == value]

    async def _text(self, value: str, positions: Positions) -> Positions:
        return await self._search("text", value, positions)

    async def _body(self, value: str, positions: Positions) -> Positions:
        return await self._search("body", value, positions)

    async def _header(self, value: list[str], positions: Positions) -> Positions:
        field = f"header:{value[0].lower()}"
        if len(value) == 1 or not tokens(value[1]):
            return await self._search_one(field, "", positions)
        return await self._search(field, value[1], positions)

    async def _search(self, field: str, text: str, positions: Positions) -> Positions:
        for token in tokens(text):
            positions = await self._search_one(field, token, positions)
        return positions

    async def _search_one(self, field: str, needle: str, positions: Positions) -> Positions:
        email_ids = self._columns.email_ids
        found: set[int] = set()
        wanted = [email_ids[i] for i in positions]
        for start in range(0, len(wanted), limits.EMAILS_PER_READ):
            some: Sequence[int] = wanted[start : start + limits.EMAILS_PER_READ]
            found |= await self._context.store.search_text(self._mail.account_id, some, field, needle)
        return [i for i in positions if email_ids[i] in found]


def _in_field(name: str) -> Callable[[Matcher, str, Positions], Awaitable[Positions]]:
    async def search(matcher: Matcher, value: str, positions: Positions) -> Positions:
        return await matcher._search(f"header:{name}", value, positions)

    return search


_CONDITIONS: Final[dict[str, Callable[[Matcher, Any, Positions], Awaitable[Positions]]]] = {
    "in_mailbox": Matcher._in_mailbox,
    "in_mailbox_other_than": Matcher._other_than,
    "before": Matcher._before,
    "after": Matcher._after,
    "min_size": Matcher._min_size,
    "max_size": Matcher._max_size,
    "has_keyword": Matcher._has_keyword,
    "not_keyword": Matcher._not_keyword,
    "all_in_thread_have_keyword": Matcher._all_in_thread,
    "some_in_thread_have_keyword": Matcher._some_in_thread,
    "none_in_thread_have_keyword": Matcher._none_in_thread,
    "has_attachment": Matcher._has_attachment,
    "subject": _in_field("subject"),
    "from_": _in_field("from"),
    "to": _in_field("to"),
    "cc": _in_field("cc"),
    "bcc": _in_field("bcc"),
    "header": Matcher._header,
    "body": Matcher._body,
    "text": Matcher._text,
}
"""In the order of their cost."""
_TEXTS: Final = ("hasAttachment", "subject", "from", "to", "cc", "bcc", "header", "body", "text")


def _cost(node: dict[str, Any]) -> int:
    if "operator" in node:
        return 1 + max((_cost(each) for each in node["conditions"]), default=0)
    return max((_TEXTS.index(name) + 2 for name in node if name in _TEXTS), default=0)


async def keyword_threads(mail: AccountMail, keyword: str) -> tuple[set[int], set[int]]:
    """(threads with an email that has the keyword, threads with one that has it not)."""
    bit = await mail.keyword_bit(keyword)
    threads = await mail.all_threads()
    having: set[int] = set()
    without: set[int] = set()
    for index in (await mail.indexes()).values():
        for email_id, flags in zip(index.email_ids, index.flags, strict=True):
            if not flags & DELETED:
                (having if flags & bit else without).add(threads.get(email_id, email_id))
    return having, without


def only_mailbox(tree: dict[str, Any] | None) -> str | None:
    """The mailbox that a filter certainly asks for, when it speaks of no other: only that one need be looked at."""
    conditions = leaves(tree)
    named = {each["inMailbox"] for each in conditions if isinstance(each.get("inMailbox"), str)}
    if len(named) != 1 or any("inMailboxOtherThan" in each for each in conditions):
        return None
    return named.pop() if _certainly_asks(tree) else None


def _certainly_asks(node: dict[str, Any] | None) -> bool:
    """Whether nothing matches a filter that is outside of the one mailbox which it names."""
    if node is None:
        return False
    if "operator" in node:
        return node["operator"] == "AND" and any(map(_certainly_asks, node["conditions"]))
    return isinstance(node.get("inMailbox"), str)


def asks_threads(conditions: list[dict[str, Any]]) -> bool:
    """Whether a condition looks at whole threads."""
    return any(
        name in each
        for each in conditions
        for name in ("allInThreadHaveKeyword", "someInThreadHaveKeyword", "noneInThreadHaveKeyword")
    )
