"""Sessions on two nodes: whatever clients (`tests.properties.test_view`) do at once, each knows what its node knows.

And both nodes soon know the same.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from posthouse.store.derive import derive
from posthouse.store.interface import AddAccount, PutDomain
from posthouse.store.mailbox_index import MailboxIndex
from posthouse.store.model import Domain
from posthouse.store.postgres import Place, PostgresStore
from tests.cluster.database import Database
from tests.properties.test_view import Between, Sessions


class SessionsOfTwoNodes(Sessions):
    """Clients 0 and 2 at one node, client 1 at another; what happens meanwhile, happens at the first."""

    server: Database

    async def open_store(self, log_length: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._url = self.server.make(template="template_posthouse")
        self._nodes = []
        for name in ("a", "b"):
            place = Place(url=self._url, folder=Path(self._folder.name) / name, check_clock=False)
            self._nodes.append(await PostgresStore.open(place, derive=derive))
        first = self._nodes[0]
        await first.apply(PutDomain(domain=Domain(name="north.test")))
        account = await first.apply(AddAccount(address="alice@north.test", password="", created_at=0))
        self.account_id = account.account_id
        inbox = await first.mailbox(account.account_id, "INBOX")
        assert inbox is not None
        self._indexes: list[MailboxIndex] = []
        self._watches = []
        for node in self._nodes:
            index = await node.index(account.account_id, inbox.mailbox_id)
            index.log = deque(maxlen=log_length)
            self._watches.append(index.watch(lambda: None))
            self._indexes.append(index)
        self._stores = [Between(node) for node in self._nodes]
        self.index, self.store = self._indexes[0], self._stores[0]

    async def close_store(self) -> None:
        for end_watch in self._watches:
            end_watch()
        for node in self._nodes:
            await node.close()
        self._folder.cleanup()
        self.server.sql(f'DROP DATABASE "{self._url.rpartition("/")[2]}" WITH (FORCE)')

    def store_of(self, number: int) -> Between:
        """Of the client's node."""
        return self._stores[number % 2]

    def index_of(self, number: int) -> MailboxIndex:
        """Of the client's node."""
        return self._indexes[number % 2]

    @invariant()
    def both_nodes_soon_know_the_same(self) -> None:
        if self.clients:
            self.run(self._agreed())

    async def _agreed(self) -> None:
        one, other = self._indexes
        async with asyncio.timeout(30):
            while (one.highest_modseq, list(one.uids), list(one.flags)) != (
                other.highest_modseq,
                list(other.uids),
                list(other.flags),
            ):
                await asyncio.sleep(0.001)


TestSessionsOfTwoNodes = SessionsOfTwoNodes.TestCase
TestSessionsOfTwoNodes.settings = settings(
    max_examples=5, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestSessionsOfTwoNodes = pytest.mark.slow(TestSessionsOfTwoNodes)


@pytest.fixture(autouse=True)
def with_server(server: Database) -> Iterator[None]:
    SessionsOfTwoNodes.server = server
    yield
