"""The filters of all accounts and that of the house: read from the store when needed, the latest used in memory."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
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

    async def to_teach(self, account_id: int) -> Model:
        """An account's own (HOUSE: that of the house), made when there is none. Changes show at once."""
        if account_id == HOUSE:
            return await self.house()
        model = await self.of(account_id)
        if model is None:
            model = Model()
            self._absent.pop(account_id, None)
            self._keep(account_id, model)
        return model

    def forget(self, account_id: int) -> None:
        """Read it anew next time: what was taught could not be kept, or another process has taught it."""
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
