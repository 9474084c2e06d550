"""Masked addresses (`store.masked`): one owner each, for ever; what mail comes to is kept with the mail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from posthouse.errors import Conflict, NotFound, OverQuota, Temporary
from posthouse.store.account_model import Item
from posthouse.store.interface import AddAccount, PutAlias, RemoveAccount
from posthouse.store.masked import AddMasked, NoteMasked, PutMasked, RemoveMasked
from posthouse.store.masked_model import KIND, Masked, MaskedState, Takes, decode
from posthouse.store.model import Alias
from tests.kits.engine import NOW, Desk, EngineUnderTest, furnish

WORDS = "quiet.lantern0482@example.test"


async def given(desk: Desk, address: str = WORDS, **more: Any) -> Item:
    wanted = {"state": MaskedState.ENABLED, "created_at": NOW} | more
    most = {"most": wanted.pop("most", 10), "most_lately": wanted.pop("most_lately", 10)}
    due_at = wanted.pop("due_at", None)
    masked = Masked(email=address, **wanted)
    return await desk.store.apply(
        AddMasked(account_id=desk.id, masked=masked, lately=NOW - 3600, due_at=due_at, **most)
    )


async def takes(desk: Desk, address: str = WORDS) -> Takes | None:
    found = await desk.store.masked_address(address)
    return found.takes if found is not None else None


async def changed(desk: Desk, item: Item, state: MaskedState) -> Item:
    masked = msgspec.structs.replace(decode(item.data), state=state)
    return await desk.store.apply(
        PutMasked(account_id=desk.id, item_id=item.item_id, masked=masked, unchanged_since=item.modseq)
    )


class MaskedKit:
    """On every engine."""

    async def test_it_is_found_by_its_address_and_in_the_account(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        before = (await desk.store.states(desk.id)).kinds.get(KIND, 0)
        assert await takes(desk) is None
        item = await given(desk, for_domain="https://shop.test", description="Shop")
        await engine.reopen()
        known = await desk.store.masked_address(WORDS)
        assert known is not None
        assert (known.account_id, known.item_id, known.takes) == (desk.id, item.item_id, Takes.INBOX)
        (kept,) = await desk.store.items(desk.id, KIND)
        assert decode(kept.data).for_domain == "https://shop.test"
        changes = await desk.store.item_changes(desk.id, KIND, before)
        assert changes is not None and [each.item_id for each in changes] == [item.item_id]

    async def test_its_state_decides_where_mail_goes_and_the_directory_hears_of_it(
        self, engine: EngineUnderTest
    ) -> None:
        desk = await furnish(engine)
        item = await given(desk)
        heard: list[int] = []
        desk.store.watch_people(lambda: heard.append(1))
        for state, wanted in (
            (MaskedState.DISABLED, Takes.TRASH),
            (MaskedState.DELETED, Takes.NOWHERE),
            (MaskedState.ENABLED, Takes.INBOX),
        ):
            stale, item = item, await changed(desk, item, state)
            assert heard.pop()
            assert await takes(desk) is wanted
            with pytest.raises(Conflict):
                await changed(desk, stale, MaskedState.DELETED)

    async def test_mail_is_noted_in_its_own_commit(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        item = await given(desk, state=MaskedState.PENDING, due_at=NOW + 60.0)
        assert [each.item_id for each in await desk.store.items_due(KIND, NOW + 99, 9)] == [item.item_id]
        note = NoteMasked(account_id=desk.id, item_id=item.item_id, at=NOW + 5)
        await desk.store.commit(desk.message(await desk.box()), note)
        await desk.store.apply(NoteMasked(account_id=desk.id, item_id=item.item_id, at=NOW + 2))
        await desk.store.apply(NoteMasked(account_id=desk.id, item_id=999_999, at=NOW))
        (kept,) = await desk.store.items(desk.id, KIND)
        assert decode(kept.data).state is MaskedState.ENABLED
        assert decode(kept.data).last_message_at == NOW + 5
        assert await desk.store.items_due(KIND, NOW + 99, 9) == []
        with pytest.raises(Conflict):
            await desk.store.apply(
                RemoveMasked(account_id=desk.id, item_id=item.item_id, unchanged_since=item.modseq)
            )

    async def test_what_was_given_once_is_nobody_elses_ever(self, engine: EngineUnderTest) -> None:
        desk, other = await furnish(engine), await furnish(engine, "bea@example.test")
        item = await given(desk)

        async def refused() -> None:
            for desk_of in (desk, other):
                with pytest.raises(Conflict):
                    await given(desk_of)
            with pytest.raises(Conflict):
                await desk.store.apply(AddAccount(address=WORDS, password="", created_at=NOW))
            with pytest.raises(Conflict):
                await desk.store.apply(PutAlias(alias=Alias(address=WORDS, targets=("x@y.test",)), new=True))

        await refused()
        with pytest.raises(NotFound):
            await other.store.apply(RemoveMasked(account_id=other.id, item_id=item.item_id))
        with pytest.raises(Conflict):
            await changed(other, item, MaskedState.DELETED)
        assert await takes(desk) is Takes.INBOX
        await desk.store.apply(RemoveMasked(account_id=desk.id, item_id=item.item_id))
        assert await desk.store.items(desk.id, KIND) == []
        assert await takes(desk) is Takes.NOWHERE
        await refused()
        await given(desk, "other.words1@example.test")
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await desk.engine.settle()
        with pytest.raises(Conflict):
            await given(other, "other.words1@example.test")
        with pytest.raises(Conflict):
            await given(other, "bea@example.test")

    async def test_so_many_and_so_fast_and_in_domains_of_ours(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        one = await given(desk, "one@example.test")
        await given(desk, "two@example.test", created_at=NOW - 7200)
        with pytest.raises(OverQuota):
            await given(desk, "three@example.test", most=2)
        with pytest.raises(NotFound):
            await given(desk, "three@elsewhere.test")
        await desk.store.apply(RemoveMasked(account_id=desk.id, item_id=one.item_id))
        with pytest.raises(Temporary):
            await given(desk, "three@example.test", most=2, most_lately=1)
        await given(desk, "three@example.test", most=2, most_lately=2)
