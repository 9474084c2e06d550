"""Where the octets of a message wait: memory, budget, staging, and line ends across chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthouse.smtp.reception import MemoryBudget, Reception


class NoStore:
    """A store that must not be needed."""


def reception(budget: MemoryBudget | None = None) -> Reception:
    return Reception(NoStore(), budget or MemoryBudget())  # type: ignore[arg-type]


async def test_short_messages_stay_as_they_came():
    budget = MemoryBudget()
    one = reception(budget)
    for chunk in (b"ab", b"cd"):
        await one.add(chunk)
    assert budget.used == 4
    content = await one.finish()
    assert (content.chunks, content.size) == ([b"ab", b"cd"], 4)
    await one.discard()
    await one.discard()
    assert budget.used == 0


def test_the_budget_is_for_all():
    budget = MemoryBudget(10)
    assert budget.take(6)
    assert not budget.take(5)
    assert budget.take(4)
    budget.give(10)
    assert budget.used == 0


def test_all_messages_that_come_in_have_so_much_memory():
    budget = MemoryBudget()
    assert budget.take(256 * 2**20)
    assert not budget.take(1), "however many write at once"


async def test_a_full_budget_sends_all_to_staging(house):
    budget = MemoryBudget(5)
    one = Reception(house.store, budget)
    for chunk in (b"abc", b"def", b"g"):
        await one.add(chunk)
    assert budget.used == 0
    content = await one.finish()
    assert b"".join(content.blocks(100)) == b"abcdefg"


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        (b"", False),
        (b"a\r\nb\r\n", False),
        (b"no line end", False),
        (b"a\nb", True),
        (b"a\rb", True),
        (b"a\r", True),
        (b"\n", True),
        (b"\r\r\n", True),
        (b"\r\n\n", True),
    ],
)
@given(data=st.data())
def test_bare_line_ends_are_seen_across_any_chunks(text, bare, data):
    cut = data.draw(st.integers(0, len(text)))
    one = reception()
    one.look_at_line_ends(text[:cut])
    one.look_at_line_ends(text[cut:])
    assert one.bare_cr_or_lf(final=True) is bare


def test_half_a_line_end_is_not_yet_bare():
    one = reception()
    one.look_at_line_ends(b"a\r")
    assert not one.bare_cr_or_lf(final=False)
    one.look_at_line_ends(b"\n")
    assert not one.bare_cr_or_lf(final=True)
