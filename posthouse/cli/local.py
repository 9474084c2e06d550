"""The other way to the house: when no server runs, the store is opened in this process, with its lock."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Any

from posthouse.config import Config
from posthouse.house import House
from posthouse.privileges import become_owner_of


def run_locally(config: Config, command: str, arguments: dict[str, Any], body: bytes) -> Iterator[Any]:
    """Each result of a command. Raises StoreInUse before the first when somebody has the store open."""
    if os.geteuid() == 0:
        become_owner_of(config)
    with asyncio.Runner() as runner:
        house = runner.run(House.open(config))
        try:
            results = house.administration.run(command, arguments, body)
            while True:
                try:
                    item: Any = runner.run(results.__anext__())  # type: ignore[arg-type]  # it is a coroutine
                except StopAsyncIteration:
                    return
                yield item
        finally:
            runner.run(house.close())
