"""The pytest plug-in: a running playground for anybody's integration tests.

    async def test_mail_arrives(playground):
        south = playground.host("mx.south.test")
        …

Hosts get free ports (`playground.ports["smtp"]`), so several test runs do not meet.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest

from posthouse.playground.network import Playground


class BlockingPlayground:
    """A playground for tests that are not asynchronous: it runs on a loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.network = Playground(published=False)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run `network.host(…).stop()` and the like to the end."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """Stop the network and the loop."""
        self.run(self.network.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture
async def playground() -> AsyncIterator[Playground]:
    """The standard network on free ports, for asynchronous tests (pytest-asyncio)."""
    async with Playground(published=False) as network:
        yield network


@pytest.fixture
def blocking_playground() -> Iterator[BlockingPlayground]:
    """The standard network on free ports, for ordinary tests."""
    made = BlockingPlayground()
    try:
        made.run(made.network.start())
        yield made
    finally:
        made.close()
