"""NOTIFY's arguments: the grammar of RFC 5465 §8, its examples, what is BAD and what is NO."""

from __future__ import annotations

import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse import limits
from posthouse.imap.fetch_args import Attribute, Text
from posthouse.imap.filter_mailboxes import Scope
from posthouse.imap.grammar import BadSyntax, Reader
from posthouse.imap.notify_args import Event, Group, Selected, Wish, parse_notify
from posthouse.imap.refusal import No

BOTH = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})
FLAGS = BOTH | {Event.FLAG_CHANGE}


def parsed(text: bytes) -> Wish:
    return parse_notify(Reader(b" " + text), False)


def test_the_first_example_lacks_an_event_and_is_bad() -> None:
    # RFC 5465 §3.1 prints (subtree Lists MessageNew); §5 says that MessageExpunge must come with it
    selected = (
        b"set status (selected MessageNew (uid body.peek[header.fields (from to subject)]) MessageExpunge)"
    )
    with pytest.raises(BadSyntax):
        parsed(selected + b" (subtree Lists MessageNew)")
    wish = parsed(
        selected + b" (subtree Lists MessageNew MessageExpunge) (mailboxes misc (MessageNew MessageExpunge))"
    )
    assert wish.status
    uid, fields = wish.selected.items
    assert uid is Attribute.UID
    assert getattr(fields, "text", None) is Text.FIELDS
    assert wish.selected == Selected(events=BOTH, items=(uid, fields))
    assert wish.groups == (
        Group(Scope.SUBTREE, ("Lists",), BOTH),
        Group(Scope.MAILBOXES, ("misc",), BOTH),
    )


def test_the_examples_of_mailbox_specification() -> None:
    assert parsed(
        b"set (mailboxes INBOX (Messagenew messageExpunge)) (personal (SubscriptionChange))"
    ) == Wish(
        groups=(
            Group(Scope.MAILBOXES, ("INBOX",), BOTH),
            Group(Scope.PERSONAL, (), frozenset({Event.SUBSCRIPTION_CHANGE})),
        )
    )
    assert parsed(
        b"set (selected (Messagenew (uid flags) messageExpunge))"
        b" (personal (MessageNew FlagChange MessageExpunge))"
    ) == Wish(
        selected=Selected(events=BOTH, items=(Attribute.UID, Attribute.FLAGS)),
        groups=(Group(Scope.PERSONAL, (), FLAGS),),
    )


def test_everything_else_that_may_be_said() -> None:
    assert parsed(b"NONE") == Wish()
    wish = parsed(
        b'SET (SELECTED-DELAYED NONE) (inboxes NONE) (SUBSCRIBED (MailboxName)) (subtree (a {3+}\r\nb c "d/") NONE)'
        b" (mailboxes (inbox Inbox &ZeVnLIqe-) (MailboxMetadataChange ServerMetadataChange))"
    )
    assert wish.selected == Selected(delayed=True)
    assert wish.groups == (
        Group(Scope.PERSONAL, (), frozenset()),
        Group(Scope.SUBSCRIBED, (), frozenset({Event.MAILBOX_NAME})),
        Group(Scope.SUBTREE, ("a", "b c", "d"), frozenset()),
        Group(
            Scope.MAILBOXES,
            ("INBOX", "日本語"),
            frozenset({Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE}),
        ),
    )
    seen = parsed(b"SET (SELECTED (MessageNew (BODY[]) MessageExpunge))").selected
    assert seen.sets_seen


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"SET", b"SET ", b"SOME", b"NONE x", b"SET STATUS", b"SET (personal)", b"SET (personal ())"),
        *(
            b"SET personal NONE",
            b"SET (everything NONE)",
            b"SET (mailboxes NONE)",
            b"SET (mailboxes () NONE)",
        ),
        *(b"SET (personal NONE", b"SET (personal NONE))", b"SET (personal NONE)(inboxes NONE)"),
        *(b"SET (selected NONE) (selected NONE)", b"SET (selected NONE) (selected-delayed NONE)"),
        *(b"SET (personal (MessageNew))", b"SET (personal (MessageExpunge))", b"SET (personal (FlagChange))"),
        *(b"SET (personal (AnnotationChange))", b"SET (personal (FlagChange MessageNew))"),
        *(b"SET (selected (MailboxName))", b"SET (selected (MessageNew MessageExpunge MailboxName))"),
        *(b"SET (personal (MessageNew (uid) MessageExpunge))", b"SET (personal (NONE NONE))NONE"),
        *(
            b"SET (selected (MessageNew () MessageExpunge))",
            b"SET (selected (MessageNew (color) MessageExpunge))",
        ),
        *(b"SET (selected (MessageNew uid MessageExpunge)", b"SET STATUS STATUS (personal NONE)"),
        *(b"SET (personal (Some Thing) ", b"SET (selected (MessageExpunge MessageNew(uid)))"),
    ],
)
def test_what_is_bad(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        parsed(text)


@pytest.mark.parametrize(
    "text",
    [
        *(b"SET (personal (Weather))", b"SET (selected (MessageNew MessageExpunge AnnotationChange))"),
        *(
            b"SET (personal (NONE MailboxName))",
            b"SET (personal (MailboxName)) (subtree x (Weather MailboxName))",
        ),
    ],
)
def test_an_event_that_is_not_known_is_no_and_all_that_are_listed(text: bytes) -> None:
    with pytest.raises(No) as refused:
        parsed(text)
    assert refused.value.code == (
        b"BADEVENT (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange"
        b" MailboxMetadataChange ServerMetadataChange)"
    )


def test_groups_and_names_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NOTIFY_GROUPS", 2)
    monkeypatch.setattr(limits, "NOTIFY_NAMES", 3)
    parsed(b"SET (mailboxes (a b) NONE) (subtree c NONE)")
    for text in (
        b"SET (personal NONE) (inboxes NONE) (selected NONE)",
        b"SET (mailboxes (a b) NONE) (subtree (c d) NONE)",
    ):
        with pytest.raises(No) as refused:
            parsed(text)
        assert refused.value.code == b"NOTIFICATIONOVERFLOW"


WORDS = (
    *(
        b"SET",
        b"NONE",
        b"STATUS",
        b"(",
        b")",
        b" ",
        b"selected",
        b"selected-delayed",
        b"personal",
        b"inboxes",
    ),
    *(
        b"subscribed",
        b"subtree",
        b"mailboxes",
        b"MessageNew",
        b"MessageExpunge",
        b"FlagChange",
        b"MailboxName",
    ),
    *(
        b"AnnotationChange",
        b"SubscriptionChange",
        b"uid",
        b"body.peek[]",
        b"INBOX",
        b'"a b"',
        b"{3}\r\nabc",
        b"*",
    ),
    *(b'"', b"\\", b"\0", b"{9999999999}", b"~{1}\r\n\0", b"&", b"\xff", b"/", b"((((((((", b"<0.1>", b"]"),
)


@given(st.lists(st.sampled_from(WORDS), max_size=40), st.booleans())
def test_any_words_are_parsed_or_refused(words: list[bytes], spaced: bool) -> None:
    text = (b" " if spaced else b"").join(words)
    with contextlib.suppress(BadSyntax, No):
        parsed(text)


def test_broken_forms_of_what_is_good_are_parsed_or_refused() -> None:
    good = (
        b"SET STATUS (selected-delayed (MessageNew (uid body.peek[header.fields (from to)]) MessageExpunge FlagChange))"
        b' (subtree ("a b" {1}\r\nc) (MessageNew MessageExpunge)) (mailboxes INBOX (MailboxName SubscriptionChange))'
    )
    chance = random.Random(5465)
    parsed(good)
    for _ in range(3_000):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(raw))
            match chance.randrange(4):
                case 0:
                    raw[place] = chance.randrange(256)
                case 1:
                    del raw[place : place + chance.randint(1, 9)]
                case 2:
                    raw[place:place] = chance.choice(WORDS)
                case _:
                    raw = raw[:place] + raw[chance.randrange(len(raw)) :]
        with contextlib.suppress(BadSyntax, No):
            parsed(bytes(raw))
