"""When an app password was used last: noted in the background, so that no login waits for it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from posthouse import limits
from posthouse.errors import PosthouseError
from posthouse.store.interface import Store, TouchAppPassword
from posthouse.store.model import AppPassword

log: Final = logging.getLogger(__name__)


class LastUsed:
    """Notes each use at most once in APP_PASSWORD_TOUCH seconds."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._touched: dict[int, float] = {}
        self._background: set[asyncio.Task[None]] = set()

    def note(self, used: AppPassword, peer: str, now: float) -> None:
        """It was used from this address."""
        last = max(used.last_used_at, self._touched.get(used.app_password_id, 0.0))
        if now - last < limits.APP_PASSWORD_TOUCH:
            return
        if len(self._touched) >= limits.DIRECTORY_CACHE:
            del self._touched[next(iter(self._touched))]
        self._touched[used.app_password_id] = now
        task = asyncio.ensure_future(self._touch(used.app_password_id, int(now), peer))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _touch(self, app_password_id: int, at: int, peer: str) -> None:
        try:
            await self._store.apply(TouchAppPassword(app_password_id=app_password_id, at=at, peer=peer))
        except PosthouseError as fault:
            log.warning("that an app password was used could not be noted: %s", fault)
            self._touched.pop(app_password_id, None)  # the next use is noted
