"""The other way to the house: when no server runs, the store is opened in this process, with its lock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

from posthouse.config import Config
from posthouse.house import House
from posthouse.privileges import become_owner_of


class LocalHouse:
    """The house open in this process. StoreInUse when somebody has the store open."""

    def __init__(self, config: Config) -> None:
        if os.geteuid() == 0:
            become_owner_of(config)
        self._runner = asyncio.Runner()
        try:
            self._house = self._runner.run(House.open(config))
        except BaseException:
            self._runner.close()
            raise

    def run(self, command: str, arguments: dict[str, Any], body: bytes = b"") -> Iterator[Any]:
        """Each result of a command."""
        results = self._house.administration.run(command, arguments, body)
        while True:
            try:
                item: Any = self._runner.run(results.__anext__())  # type: ignore[arg-type]  # it is a coroutine
            except StopAsyncIteration:
                return
            yield item

    def close(self) -> None:
        """Let go of the store."""
        with self._runner:
            self._runner.run(self._house.close())
