"""NOTIFY's arguments (RFC 5465 §6, §8), parsed and pure: which events of which mailboxes a client wants to hear of.

Where the RFC's own examples leave out the parentheses around the events, they may be left out here too.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

from posthouse import limits
from posthouse.imap.fetch_args import Item, parse_items
from posthouse.imap.filter_mailboxes import SCOPES, Scope, parse_names
from posthouse.imap.grammar import Reader
from posthouse.imap.refusal import No


class Event(enum.Enum):
    """RFC 5465 §5: what may happen. AnnotationChange is not among them: messages have no annotations here."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


MESSAGE_EVENTS: Final = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE})
_EVENTS: Final = {event.value.upper().encode("ascii"): event for event in Event}
_BAD_EVENT: Final = b"BADEVENT (%b)" % " ".join(event.value for event in Event).encode("ascii")
_ANNOTATION_CHANGE: Final = b"ANNOTATIONCHANGE"


class Group(msgspec.Struct, frozen=True):
    """Events of some mailboxes; none of them: NONE was said."""

    scope: Scope
    names: tuple[str, ...]
    events: frozenset[Event]


class Selected(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of the selected mailbox (RFC 5465 §6.1)."""

    events: frozenset[Event] = frozenset()
    delayed: bool = False
    """SELECTED-DELAYED: expunges wait for a command that allows them."""
    items: tuple[Item, ...] = ()
    """What is fetched of a new message."""
    sets_seen: bool = False


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """A whole NOTIFY. NONE is one without anything in it."""

    status: bool = False
    selected: Selected = Selected()
    groups: tuple[Group, ...] = ()


def parse_notify(reader: Reader, uid: bool) -> Wish:
    """`SP ("SET" [SP "STATUS"] SP event-groups / "NONE")`. No: an event that is not known here."""
    reader.sp()
    word = reader.keyword()
    if word == b"NONE":
        reader.end()
        return Wish()
    if word != b"SET":
        raise reader.fail("SET or NONE expected")
    groups = _Groups(reader)
    reader.sp()
    status = reader.accept(b"STATUS ")
    groups.read()
    while reader.accept_sp():
        groups.read()
    reader.end()
    if groups.unknown:
        # RFC 5465 §3.1: NO, with the names of all events that there are
        raise No(_BAD_EVENT, "An event is not supported")
    if groups.count > limits.NOTIFY_GROUPS or groups.names > limits.NOTIFY_NAMES:
        raise No(b"NOTIFICATIONOVERFLOW", "This is more than can be watched")
    return Wish(status=status, selected=groups.selected or Selected(), groups=tuple(groups.others))


class _Groups:
    """The event-groups as they are read."""

    __slots__ = ("_reader", "count", "names", "others", "selected", "unknown")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.count = self.names = 0
        self.others: list[Group] = []
        self.selected: Selected | None = None
        self.unknown = False

    def read(self) -> None:
        """`"(" filter-mailboxes SP events ")"`."""
        reader = self._reader
        reader.expect(b"(")
        start = reader.pos
        word = reader.keyword()
        self.count += 1
        if word in (b"SELECTED", b"SELECTED-DELAYED"):
            if self.selected is not None:
                # RFC 5465 §6.1: only one of the two, once
                reader.pos = start
                raise reader.fail("The selected mailbox is named twice")
            self.selected = self._selected(word == b"SELECTED-DELAYED")
        elif (scope := SCOPES.get(word)) is not None:
            names = parse_names(reader, scope)
            self.names += len(names)
            self.others.append(Group(scope, tuple(dict.fromkeys(names)), self._events(None)))
        else:
            reader.pos = start
            raise reader.fail("Unknown mailbox specifier")
        reader.expect(b")")

    def _selected(self, delayed: bool) -> Selected:
        items: dict[Item, bool] = {}
        start = self._reader.pos
        events = self._events(items)
        if events - MESSAGE_EVENTS:
            # RFC 5465 §6.1: other types of events are an error
            self._reader.pos = start
            raise self._reader.fail("Only events of messages can be asked for of the selected mailbox")
        return Selected(events=events, delayed=delayed, items=tuple(items), sets_seen=any(items.values()))

    def _events(self, items: dict[Item, bool] | None) -> frozenset[Event]:
        """`SP ("(" event *(SP event) ")" / "NONE")`; what MessageNew wants fetched goes into `items`, if it may."""
        reader = self._reader
        reader.sp()
        if reader.accept(b"NONE)"):
            reader.pos -= 1
            return frozenset()
        start = reader.pos
        parenthesized = reader.accept(b"(")
        words = {self._event(items)}
        while reader.accept(b" "):
            words.add(self._event(items))
        if parenthesized:
            reader.expect(b")")
        messages = words & {b"MESSAGENEW", b"MESSAGEEXPUNGE"}
        if len(messages) == 1 or (not messages and words & {b"FLAGCHANGE", _ANNOTATION_CHANGE}):
            # RFC 5465 §5: BAD, whatever else is said
            reader.pos = start
            raise reader.fail("MessageNew and MessageExpunge must be specified together")
        self.unknown |= not words <= _EVENTS.keys()
        return frozenset(_EVENTS[word] for word in words & _EVENTS.keys())

    def _event(self, items: dict[Item, bool] | None) -> bytes:
        reader = self._reader
        word = reader.keyword()
        if word == b"MESSAGENEW" and reader.peek(b" ("):
            if items is None:
                # RFC 5465 §8: the list is for the selected mailbox only
                raise reader.fail("Data items can be asked for of the selected mailbox only")
            reader.sp()
            items.update(parse_items(reader))
        return word
