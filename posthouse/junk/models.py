"""The filters of all accounts and that of the house: read from the store when needed, the latest used in memory."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final

from posthouse.junk.classifier import Model
from posthouse.limits import MODEL_FRESH, MODELS_ABSENT, MODELS_CACHED
from posthouse.store.interface import Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo

KIND: Final = "junk-filter"


class Models:
    """One per house."""

    def __init__(self, store: Store, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._now = now
        self._models: OrderedDict[int, tuple[float, Model]] = OrderedDict()
        self._absent: OrderedDict[int, float] = OrderedDict()
        self._house: tuple[float, Model] | None = None
        self._teaching = asyncio.Lock()

    async def house(self) -> Model:
        """The filter that all accounts begin with."""
        if self._house is None or self._house[0] < self._now():
            self._house = (self._now() + MODEL_FRESH, await self._load(HOUSE) or Model())
        return self._house[1]

    async def of(self, account_id: int) -> Model | None:
        """An account's own; None: it has learnt nothing."""
        known = self._models.get(account_id)
        if known is not None and known[0] > self._now():
            self._models.move_to_end(account_id)
            return known[1]
        if self._absent.get(account_id, 0.0) > self._now():
            return None
        model = await self._load(account_id)
        if model is None:
            self._absent[account_id] = self._now() + MODEL_FRESH
            if len(self._absent) > MODELS_ABSENT:
                self._absent.popitem(last=False)
            return None
        self._keep(account_id, model)
        return model

    @contextlib.asynccontextmanager
    async def lesson(self, *owners: int) -> AsyncIterator[dict[int, Model]]:
        """The filters of some accounts (HOUSE: that of the house) as they are kept, to be taught; none: new ones.

        They are nobody else's, and meanwhile nobody else of this process teaches any: what one commits, the next
        begins with. Once they are kept, `taught` puts them in use.
        """
        async with self._teaching:
            yield {owner: await self._load(owner) or Model() for owner in owners}

    def taught(self, models: Mapping[int, Model]) -> None:
        """Use these from now on: they are in the store."""
        for owner, model in models.items():
            if owner == HOUSE:
                self._house = (self._now() + MODEL_FRESH, model)
            else:
                self._absent.pop(owner, None)
                self._keep(owner, model)

    def forget(self, account_id: int) -> None:
        """Read it anew next time: another process has taught it."""
        self._models.pop(account_id, None)
        self._absent.pop(account_id, None)
        if account_id == HOUSE:
            self._house = None

    async def packed(self, account_id: int, model: Model) -> PutMemo:
        """What keeps it."""
        data = await asyncio.to_thread(model.pack)
        return PutMemo(memo=Memo(account_id=account_id, kind=KIND, key="", data=data))

    def _keep(self, account_id: int, model: Model) -> None:
        self._models[account_id] = (self._now() + MODEL_FRESH, model)
        while len(self._models) > MODELS_CACHED:
            self._models.popitem(last=False)

    async def _load(self, account_id: int) -> Model | None:
        memos = await self._store.memos(account_id, KIND, [""])
        return await asyncio.to_thread(Model.unpack, memos[0].data) if memos else None
