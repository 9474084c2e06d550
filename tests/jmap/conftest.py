"""A house for a whole module, and JMAP requests to it over HTTP as a client makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from posthouse.store.interface import AddEmail
from posthouse.store.model import Content
from tests.house import TestHouse

USING = [
    "urn:ietf:params:jmap:core",
    "urn:ietf:params:jmap:mail",
    "urn:ietf:params:jmap:submission",
    "urn:ietf:params:jmap:vacationresponse",
    "urn:ietf:params:jmap:blob",
    "urn:ietf:params:jmap:quota",
    "urn:ietf:params:jmap:mdn",
    "urn:ietf:params:jmap:contacts",
    "urn:ietf:params:jmap:principals",
    "urn:ietf:params:jmap:sieve",
    "https://www.fastmail.com/dev/maskedemail",
    "urn:posthouse:params:jmap:account",
]
NOW = 1_793_600_000


class Client:
    """One user's requests."""

    def __init__(self, house: TestHouse, address: str, password: str) -> None:
        self.house = house
        self.number = house.accounts[address].account_id
        self.account_id = f"A{self.number}"
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{house.port('http')}", auth=(address, password), timeout=20
        )

    async def request(self, calls: list[Any], using: list[str] | None = None, **more: Any) -> Any:
        """A whole request; the Response object."""
        names = USING if using is None else using
        response = await self.http.post("/jmap/", json={"using": names, "methodCalls": calls, **more})
        assert response.status_code == 200, response.text
        return response.json()

    async def call(self, name: str, **arguments: Any) -> Any:
        """One method; its response's arguments. An error fails the test."""
        answer = await self.calls((name, arguments))
        assert answer[0][0] == name, answer[0]
        return answer[0][1]

    async def calls(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """Several methods, with the account id added; all responses."""
        made = [
            [name, {"accountId": self.account_id} | arguments, str(i)]
            for i, (name, arguments) in enumerate(calls)
        ]
        answer: list[Any] = (await self.request(made))["methodResponses"]
        return answer

    async def error(self, name: str, **arguments: Any) -> str:
        """One method that must fail; the error's type."""
        ((kind, answer, _),) = await self.calls((name, arguments))
        assert kind == "error", answer
        return str(answer["type"])

    async def mailbox(self, role: str) -> str:
        """The id of the mailbox with a role."""
        found = await self.call("Mailbox/query", filter={"role": role})
        return str(found["ids"][0])

    async def add(
        self, raw: str | bytes, *, mailbox: str = "INBOX", received_at: int = NOW, flags: tuple[str, ...] = ()
    ) -> str:
        """Put a message into a mailbox as delivery does; its id."""
        store = self.house.app.store
        box = await store.mailbox(self.number, mailbox)
        assert box is not None
        octets = raw.encode() if isinstance(raw, str) else raw
        added = await store.apply(
            AddEmail(
                account_id=self.number,
                mailbox_id=box.mailbox_id,
                content=Content.of(octets.replace(b"\n", b"\r\n")),
                received_at=received_at,
                flags=frozenset(flags),
            )
        )
        return f"M{added.email_id}"

    async def get(self, *names: str, properties: list[str] | None = None, **more: Any) -> list[Any]:
        """Emails by id."""
        answer = await self.call("Email/get", ids=list(names), properties=properties, **more)
        assert answer["notFound"] == []
        found: list[Any] = answer["list"]
        return found


def letter(
    subject: str, text: str = "Hello.", *, reply_to: str = "", message_id: str = "", more: str = ""
) -> str:
    """A small message."""
    head = f"From: Bob <bob@elsewhere.test>\nTo: alice@example.test\nSubject: {subject}\n"
    head += f"Message-ID: <{message_id or subject.replace(' ', '.')}@elsewhere.test>\n"
    head += "Date: Mon, 2 Nov 2026 10:00:00 +0100\n"
    if reply_to:
        head += f"In-Reply-To: <{reply_to}@elsewhere.test>\nReferences: <{reply_to}@elsewhere.test>\n"
    return f"{head}{more}\n{text}\n"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: Any) -> AsyncIterator[TestHouse]:
    """One furnished house for all tests of a module: each begins with what it adds itself."""
    folder: Path = tmp_path_factory.mktemp("jmap")
    made = await TestHouse.open(folder)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def alice(house: TestHouse) -> AsyncIterator[Client]:
    """alice's client; her mail and mailboxes are as on the first day."""
    client = Client(house, "alice@example.test", "wonderland")
    await empty(client)
    yield client
    await client.http.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def bob(house: TestHouse) -> AsyncIterator[Client]:
    """bob's client."""
    client = Client(house, "bob@example.test", "builder")
    await empty(client)
    yield client
    await client.http.aclose()


async def empty(client: Client) -> None:
    """Remove all mail and all mailboxes without a role, contacts and learnt addresses."""
    cards = (await client.call("ContactCard/query"))["ids"]
    books = [each["id"] for each in (await client.call("AddressBook/get"))["list"] if not each["isDefault"]]
    if cards or books:
        await client.call("ContactCard/set", destroy=cards)
        await client.call("AddressBook/set", destroy=books)
    await client.call("LearntAddress/destroy", everything=True)
    answer = await client.call("Email/query")
    if answer["ids"]:
        await client.call("Email/set", destroy=answer["ids"])
    while True:
        found = await client.call("Mailbox/query", filter={"hasAnyRole": False})
        if not found["ids"]:
            return
        await client.call("Mailbox/set", destroy=found["ids"], onDestroyRemoveEmails=True)
