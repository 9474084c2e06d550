"""The pytest plug-in that comes with Posthouse: a running playground for anybody's integration tests.

    async def test_mail_arrives(playground):                 # with pytest-asyncio or anyio
        south = playground.host("mx.south.test")
        …

    @pytest.mark.playground(scenario="primary-away")         # the arguments of Playground(…)
    def test_it_is_held(blocking_playground):                # without asyncio
        net = blocking_playground.network
        blocking_playground.run(net.host("mx.south.test").start())

Hosts get free ports (`network.ports["smtp"]`), so several test runs do not meet. Nothing is imported before a test
asks for a playground: every pytest run of whoever has Posthouse installed loads this file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from posthouse.playground.blocking import BlockingPlayground
    from posthouse.playground.network import Playground

async_fixture: Any
try:
    import pytest_asyncio
except ImportError:
    async_fixture = pytest.fixture
else:
    async_fixture = pytest_asyncio.fixture  # in its strict mode only these are asynchronous


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    line = "playground(**settings): what the playground of a test is made with, as for Playground(…)"
    config.addinivalue_line("markers", line)


def _made_for(request: pytest.FixtureRequest) -> Playground:
    from posthouse.playground.network import Playground

    marker = request.node.get_closest_marker("playground")
    settings: dict[str, Any] = {"published": False}
    if marker is not None:
        settings |= marker.kwargs
    return Playground(**settings)


@async_fixture  # type: ignore[untyped-decorator]  # either package's
async def playground(request: pytest.FixtureRequest) -> AsyncIterator[Playground]:
    """The standard network on free ports, for asynchronous tests."""
    async with _made_for(request) as network:
        yield network


@pytest.fixture
def blocking_playground(request: pytest.FixtureRequest) -> Iterator[BlockingPlayground]:
    """The same for ordinary tests."""
    from posthouse.playground.blocking import BlockingPlayground

    made = BlockingPlayground(_made_for(request))
    try:
        made.run(made.network.start())
        yield made
    finally:
        made.close()
