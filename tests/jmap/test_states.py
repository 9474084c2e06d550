"""What /changes tells: in parts, and while more is happening."""

from __future__ import annotations

import msgspec
import pytest

from posthouse.jmap.errors import MethodError
from posthouse.jmap.states import Delta, delta, parse_state


class Change(msgspec.Struct, frozen=True):
    created_modseq: int
    modseq: int
    gone: bool = False


def told(changes: dict[int, Change], state: str, latest: int, most: int | None = None) -> Delta:
    return delta(changes.items(), parse_state(state, latest), latest, most)


def test_in_parts_what_was_created_and_then_changed_is_created() -> None:
    changes = {1: Change(5, 41), 2: Change(40, 45), 3: Change(5, 46)}
    first = told(changes, "30", 46, most=1)
    assert (first.created, first.updated, first.more) == ([], [1], True)
    second = told(changes, first.new_state, 46, most=1)
    assert (second.created, second.updated, second.more) == ([2], [], True)
    third = told(changes, second.new_state, 46, most=1)
    assert (third.created, third.updated, third.more, third.new_state) == ([], [3], False, "46")


def test_what_was_told_in_a_part_and_is_gone_is_destroyed() -> None:
    first = told({2: Change(40, 40), 3: Change(5, 42)}, "30", 42, most=1)
    assert first.created == [2]
    second = told({2: Change(40, 43, gone=True), 3: Change(5, 42)}, first.new_state, 43)
    assert (second.updated, second.destroyed) == ([3], [2])


def test_what_came_and_went_between_is_not_told() -> None:
    assert told({2: Change(40, 43, gone=True)}, "30", 43).destroyed == []


def test_nothing_is_called_known_beyond_what_was_the_latest_when_the_look_began() -> None:
    """Else what begins after it and is soon destroyed would stay with the client for good."""
    while_looking = {1: Change(5, 51), 2: Change(51, 51), 3: Change(48, 52)}
    first = told(while_looking, "40", 50)
    assert (first.created, first.updated, first.new_state) == ([3], [1], "50")
    second = told(while_looking | {2: Change(51, 53, gone=True)}, first.new_state, 53)
    assert (second.created, second.updated, second.destroyed) == ([], [1, 3], [])


@pytest.mark.parametrize("state", ["8-3-8", "8-3-9", "9", "9-1-2", "1-2-3-4", "8-"])
def test_states_that_are_none(state: str) -> None:
    with pytest.raises(MethodError):
        parse_state(state, 8)


@pytest.mark.parametrize(("state", "asked_from"), [("8", 8), ("8-3-5", 7), ("8-3", 7), ("0", 0)])
def test_where_the_store_is_asked_from(state: str, asked_from: int) -> None:
    assert parse_state(state, 8).asked_from == asked_from
