"""The cards of accounts in memory, as queries read them: decoded once, then only what changes.

A cache of the store, bounded in octets. Pictures are left out: nobody searches for them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from posthouse.jmap import ids
from posthouse.jmap.card_media import CARD
from posthouse.limits import CARDS_CACHED
from posthouse.store.account_model import Item
from posthouse.store.interface import Store

Object = dict[str, Any]
KIND: Final = "ContactCard"


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """One account's cards at a state. Nobody changes it; a new state is a new shelf."""

    state: int
    cards: dict[int, Object]
    uids: dict[str, int]
    """uid → number."""
    sizes: dict[int, int]
    """Number → octets as they are kept."""
    octets: int
    """Their sum."""


class CardShelves:
    """Those of all accounts. One per house."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: OrderedDict[int, Shelf] = OrderedDict()

    async def of(self, account_id: int) -> Shelf:
        """An account's cards as they are now."""
        state = (await self._store.states(account_id)).kinds.get(KIND, 0)
        held = self._held.get(account_id)
        if held is None or held.state != state:
            held = await self._read(account_id, state, held)
            self._held[account_id] = held
        self._held.move_to_end(account_id)
        while len(self._held) > 1 and sum(shelf.octets for shelf in self._held.values()) > CARDS_CACHED:
            self._held.popitem(last=False)
        return held

    async def _read(self, account_id: int, state: int, held: Shelf | None) -> Shelf:
        changes = None
        if held is not None and held.state < state:
            changes = await self._store.item_changes(account_id, KIND, held.state)
        if held is None or changes is None:
            items = await self._store.items(account_id, KIND)
            return await asyncio.to_thread(_shelf, state, {}, {}, items)
        living = [change.item_id for change in changes if not change.gone]
        items = await self._store.items(account_id, KIND, living)
        changed = {change.item_id for change in changes}
        kept = {number: card for number, card in held.cards.items() if number not in changed}
        return _shelf(state, kept, {number: held.sizes[number] for number in kept}, items)


def _shelf(state: int, kept: dict[int, Object], sizes: dict[int, int], items: Iterable[Item]) -> Shelf:
    for item in items:
        card: Object = msgspec.json.decode(item.data)
        card["id"] = ids.encode(CARD, item.item_id)
        card.pop("media", None)
        kept[item.item_id] = card
        sizes[item.item_id] = len(item.data)
    uids = {str(card.get("uid")): number for number, card in kept.items()}
    return Shelf(
        state=state, cards=dict(sorted(kept.items())), uids=uids, sizes=sizes, octets=sum(sizes.values())
    )
