"""However many changes of names are told together: who takes each LIST as it comes ends with the names that are."""

from __future__ import annotations

import random

import msgspec
import pytest

from posthouse import limits
from posthouse.imap.filter_mailboxes import Scope
from posthouse.imap.notify_args import Event, Group
from posthouse.imap.notify_watch import Filter, Named, Watch
from posthouse.imap.sight import Sight
from posthouse.store.interface import Added, AddEmail
from posthouse.store.model import Content, Mailbox

PERSONAL = Filter((Group(Scope.PERSONAL, (), frozenset({Event.MAILBOX_NAME})),))


def box(number: int, name: str) -> Mailbox:
    return Mailbox(
        account_id=1, mailbox_id=number, name=name, role=None, uid_validity=number, uid_next=1,
        highest_modseq=1, total=0, unseen=0, deleted=0, size=0, subscribed=False,
    )  # fmt: skip


def sight(boxes: dict[int, Mailbox]) -> Sight:
    return Sight(mailboxes=tuple(boxes.values()), subscribed=frozenset())


class Believer:
    """A client: UIDVALIDITY by name, as it was last told."""

    def __init__(self, boxes: dict[int, Mailbox]) -> None:
        self.names = {each.name: each.uid_validity for each in boxes.values()}

    def take(self, named: Named, there: dict[str, Mailbox]) -> None:
        if named.old is not None:
            moving = [name for name in self.names if name == named.old or name.startswith(named.old + "/")]
            moved = {named.name + name[len(named.old) :]: self.names.pop(name) for name in moving}
            self.names |= moved
        if named.gone or named.name not in there:
            self.names.pop(named.name, None)
        else:
            self.names.setdefault(named.name, 0)

    def status(self, mailbox: Mailbox) -> None:
        self.names[mailbox.name] = mailbox.uid_validity


def change(boxes: dict[int, Mailbox], chance: random.Random, number: int) -> None:
    """Something that an account can do."""
    names = {each.name: key for key, each in boxes.items()}
    name = "/".join(chance.choices("abc", k=chance.randint(1, 3)))
    kind = chance.random()
    if kind < 0.3 or not boxes:
        if name not in names:
            boxes[number] = box(number, name)
        return
    key = chance.choice(list(boxes))
    if kind < 0.45:
        del boxes[key]
        return
    old = boxes[key].name
    moving = {each: key for each, key in names.items() if each == old or each.startswith(old + "/")}
    targets = {name + each[len(old) :] for each in moving}
    if not name.startswith(old + "/") and not targets & (names.keys() - moving.keys()):
        for each, moved in moving.items():
            boxes[moved] = msgspec.structs.replace(boxes[moved], name=name + each[len(old) :])


@pytest.mark.parametrize("most", [limits.NOTIFY_RENAMES, 1, 0])
def test_any_changes_told_together_lead_to_the_names_that_are(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NOTIFY_RENAMES", most)
    messages = Filter(
        (
            Group(
                Scope.PERSONAL, (), frozenset({Event.MAILBOX_NAME, Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})
            ),
        )
    )
    renamed = 0
    for seed in range(1_500):
        chance = random.Random(seed)
        boxes: dict[int, Mailbox] = {}
        for number in range(1, 12):
            change(boxes, chance, number)
        watch, client = Watch(messages, 1, sight(boxes)), Believer(boxes)
        number = 100
        for _ in range(5):
            for _ in range(chance.randint(1, 8)):
                number += 1
                change(boxes, chance, number)
            difference = watch.difference(sight(boxes))
            there = {each.name: each for each in boxes.values()}
            for named in watch.names(difference):
                client.take(named, there)
                renamed += named.old is not None
            for each in difference.changed:
                if watch.status(each, difference, condstore=False):
                    client.status(each.after)
            assert client.names == {each.name: each.uid_validity for each in boxes.values()}, seed
    assert (renamed > 500) is bool(most)


def told(
    before: list[str], after: dict[int, str], filter_: Filter = PERSONAL
) -> list[tuple[str, str | None]]:
    boxes = {number: box(number, name) for number, name in enumerate(before, 1)}
    watch = Watch(filter_, 1, sight(boxes))
    present = {number: box(number, name) for number, name in after.items()}
    return [(each.name, each.old) for each in watch.names(watch.difference(sight(present)))]


def test_children_go_without_a_word() -> None:
    assert told(["a", "a/b", "a/b/c"], {1: "x", 2: "x/b", 3: "x/b/c"}) == [("x", "a")]
    assert told(["a", "a/b"], {1: "x", 2: "x/y"}) == [("x", "a"), ("x/y", "x/b")]
    assert told(["a", "a/b"], {1: "x", 2: "a/b"}) == [("x", "a"), ("a/b", "x/b")]


def test_two_that_change_places_are_told_as_they_are() -> None:
    assert told(["a", "b"], {1: "b", 2: "a"}) == [("a", None), ("b", None)]


def test_one_that_takes_the_place_of_one_that_is_gone() -> None:
    assert told(["a", "b"], {1: "b"}) == [("b", None), ("b", "a")]


def test_a_child_that_is_watched_alone() -> None:
    filter_ = Filter((Group(Scope.MAILBOXES, ("a/b", "x/b"), frozenset({Event.MAILBOX_NAME})),))
    assert told(["a", "a/b"], {1: "x", 2: "x/b"}, filter_) == [("x/b", "a/b")]


def test_ones_own_message_behind_anothers_is_told_with_it() -> None:
    messages = Filter((Group(Scope.PERSONAL, (), frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})),))
    before = box(1, "a")
    add = AddEmail(account_id=1, mailbox_id=1, content=Content.of(b""), received_at=0)
    for own, total, told_too in ((1, 1, False), (2, 1, True)):
        watch = Watch(messages, 1, sight({1: before}))
        watch.note_own(add, Added(uid_validity=1, uid=own, email_id=1, modseq=2))
        after = msgspec.structs.replace(before, uid_next=own + 1, total=total)
        difference = watch.difference(sight({1: after}))
        assert any(watch.status(each, difference, condstore=False) for each in difference.changed) is told_too
