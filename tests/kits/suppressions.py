"""What every engine must do with the suppression list."""

from __future__ import annotations

import pytest

from posthouse.errors import NotFound
from posthouse.store.care import ForgetRefusals, NoteRefusal, PutSuppression, RemoveSuppression
from posthouse.store.model import Suppression
from tests.kits.engine import EngineUnderTest

BY_HAND = Suppression(address="m@far.test", active=True, reason="asked us to", failures=0, at=5.0)


def refusal(address: str, at: float = 1.0, after: int = 2) -> NoteRefusal:
    return NoteRefusal(address=address, reply="550 5.1.1 nobody", at=at, after=after)


class SuppressionKit:
    """The suppression list."""

    async def test_it_is_added_to_changed_and_removed_from(self, engine: EngineUnderTest) -> None:
        store = engine.store
        other = Suppression(address="a@far.test", active=True, reason="", failures=0, at=6.0)
        await store.commit(PutSuppression(suppression=BY_HAND), PutSuppression(suppression=other))
        store = await engine.reopen()
        assert await store.suppressions() == [other, BY_HAND]
        assert await store.suppressions(limit=1) == [other]
        assert await store.suppressions(addresses=["m@far.test", "x@far.test"]) == [BY_HAND]
        assert await store.suppressions(addresses=[]) == []
        await store.apply(RemoveSuppression(address="m@far.test"))
        assert await store.suppressions() == [other]
        with pytest.raises(NotFound):
            await store.apply(RemoveSuppression(address="m@far.test"))

    async def test_refusals_in_a_row_are_counted_until_it_is_on_the_list(
        self, engine: EngineUnderTest
    ) -> None:
        store = engine.store
        await store.apply(refusal("x@far.test", at=1.0))
        (one,) = await store.suppressions()
        assert (one.active, one.failures, one.reason) == (False, 1, "550 5.1.1 nobody")
        await store.apply(refusal("x@far.test", at=2.0))
        (one,) = await store.suppressions()
        assert (one.active, one.failures, one.at) == (True, 2, 2.0)
        await store.apply(refusal("x@far.test", at=3.0))
        assert await store.suppressions() == [one], "it is on the list: nothing more is counted"

    async def test_a_delivery_forgets_suggestions_only(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await store.commit(
            refusal("x@far.test"),
            PutSuppression(suppression=BY_HAND),
            refusal("m@far.test"),
            refusal("y@far.test"),
        )
        await store.apply(ForgetRefusals(addresses=("x@far.test", "m@far.test", "nobody@far.test")))
        assert [(each.address, each.active) for each in await store.suppressions()] == [
            ("m@far.test", True),
            ("y@far.test", False),
        ]
        assert (await store.suppressions(addresses=["m@far.test"]))[0] == BY_HAND

    async def test_with_zero_it_is_only_suggested(self, engine: EngineUnderTest) -> None:
        for _ in range(5):
            await engine.store.apply(refusal("x@far.test", after=0))
        (one,) = await engine.store.suppressions()
        assert (one.active, one.failures) == (False, 5)
