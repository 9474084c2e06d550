"""Every method on somebody else's account: with no rights at all, and with the right to read one mailbox.

All cases of tests/jmap/every are tried, with ids of things that are really there. Whoever adds a method need not think
of this: what is not opened on purpose must answer that it does not work on that account.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from posthouse.config import Limits
from posthouse.jmap.capabilities import ADMIN
from posthouse.jmap.methods import METHODS
from tests.house import TestHouse
from tests.jmap.conftest import USING, Client, letter
from tests.jmap.every.case import Case
from tests.jmap.test_every_method import CASES, SIZE, WRITTEN, Asker, _furnish

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENED: Final = frozenset(
    {
        *("Mailbox/get", "Mailbox/changes", "Mailbox/query", "Mailbox/queryChanges", "Mailbox/set"),
        *("Thread/get", "Thread/changes", "SearchSnippet/get"),
        *("Email/get", "Email/changes", "Email/query", "Email/queryChanges", "Email/set", "Email/copy"),
        *("Email/parse", "Blob/get", "Blob/lookup"),
    }
)
"""What works in an account that shares mailboxes."""
NO_ACCOUNT: Final = ("Core/", "PushSubscription/")
ALL: Final = [case for case in (*WRITTEN, *CASES) if not case.method.startswith(NO_ACCOUNT)]
OF_ARGUMENTS: Final = frozenset(
    {"invalidArguments", "requestTooLarge", "unsupportedFilter", "unsupportedSort", "anchorNotFound"}
)
"""Errors that come before the account is looked at."""
SECRETS: Final = ("Asking", "Re: Plan", "Uploaded", "Parent", "xyzzy")
"""Words of what is not shared: subjects, names of mailboxes, a contact."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asker(tmp_path_factory: Any) -> AsyncIterator[Asker]:
    """alice's furnished account, and bob who looks at it."""
    house = await TestHouse.open(tmp_path_factory.mktemp("hostile"), limits=Limits(message_size=SIZE))
    made = Asker(house)
    await _furnish(made)
    alice, names = made.alice, made.names
    book = {"addressBookIds": {"B1": True}, "@type": "Card", "version": "1.0", "name": {"full": "xyzzy"}}
    await _until_bounced(made)
    await alice.call("AddressBook/get")
    card = await alice.call("ContactCard/set", create={"c": book})
    names |= {"card": card["created"]["c"]["id"], "book": "B1"}
    names["shared"] = (await alice.call("Mailbox/set", create={"m": {"name": "Open"}}))["created"]["m"]["id"]
    names["open"] = await alice.add(letter("Open"), mailbox="Open")
    yield made
    for client in (made.alice, made.admin, made.program):
        await client.http.aclose()
    await house.close()


async def _until_bounced(made: Asker) -> None:
    """What alice's furnishing sent to nowhere has come back: from now on her account is at rest."""
    heard = asyncio.Event()
    end = made.house.app.store.watch_account(made.alice.number, heard.set)
    wanted = {"inMailbox": made.names["inbox"], "text": "far@far.test"}
    while not (await made.alice.call("Email/query", filter=wanted))["ids"]:
        await asyncio.wait_for(heard.wait(), 10)
        heard.clear()
    end()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def bob(asker: Asker) -> AsyncIterator[Client]:
    client = Client(asker.house, "bob@example.test", "builder")
    yield client
    await client.http.aclose()


async def answers(asker: Asker, client: Client, case: Case, **more: Any) -> list[list[Any]]:
    """What somebody gets who puts alice's account into a case's arguments."""
    arguments = asker.filled(case.arguments) | {"accountId": asker.alice.account_id} | more
    request = [[case.method, arguments, "0"]]
    found: list[list[Any]] = (await client.request(request, using=[*USING, ADMIN]))["methodResponses"]
    said = json.dumps(found)
    asked = json.dumps(request)
    assert [word for word in SECRETS if word in said and word not in asked] == [], found
    return found


async def everything(asker: Asker) -> Any:
    """All states of alice's account, and whatever else of it could change."""
    store = asker.house.app.store
    number = asker.alice.number
    account = await store.account_by_id(number)
    return (
        await store.states(number),
        account,
        await store.app_passwords(number),
        await store.credentials(number),
        await store.usage(number),
    )


async def test_no_method_works_on_a_strangers_account(asker: Asker, bob: Client) -> None:
    before = await everything(asker)
    for case in ALL:
        for name, answer, _ in await answers(asker, bob, case):
            assert name == "error", (case, answer)
            assert answer["type"] in {"accountNotFound"} | OF_ARGUMENTS, (case, answer)
    assert await everything(asker) == before


async def test_nothing_is_copied_from_a_strangers_account(asker: Asker, bob: Client) -> None:
    inbox = await bob.mailbox("inbox")
    mine = {"accountId": bob.account_id, "fromAccountId": asker.alice.account_id}
    create = {"c": {"id": asker.names["mail"], "mailboxIds": {inbox: True}}}
    assert await bob.error("Email/copy", **mine, create=create) == "fromAccountNotFound"
    assert await bob.error("ContactCard/copy", **mine, create={}) == "fromAccountNotFound"
    assert await bob.error("Blob/copy", **mine, blobIds=[asker.names["upload"]]) == "fromAccountNotFound"


async def test_who_may_read_one_mailbox_reads_that_and_changes_nothing(asker: Asker, bob: Client) -> None:
    rights = {f"W{bob.number}": {"mayReadItems": True}}
    shared = {asker.names["shared"]: {"shareWith": rights}}
    assert (await asker.alice.call("Mailbox/set", update=shared))["notUpdated"] is None
    before = await everything(asker)
    works: set[str] = set()
    for case in ALL:
        for name, answer, _ in await answers(asker, bob, case):
            if name != "error":
                works.add(case.method)
            elif case.method not in OPENED:
                unknown = METHODS[case.method].capability == ADMIN
                kinds = {"accountNotFound" if unknown else "accountNotSupportedByMethod"} | OF_ARGUMENTS
                assert answer["type"] in kinds, (case, answer)
    too_old = {method for method in OPENED if method.lower().endswith("changes")}
    assert works == OPENED - too_old, "state 0 is before anything was shared"
    assert await everything(asker) == before


async def test_every_type_of_blob_stays_closed(asker: Asker, bob: Client) -> None:
    case = Case("Blob/get", "success", {"properties": ["data"]})
    for name in (asker.names["upload"], f"B{asker.names['mail'][1:]}", f"K{asker.names['card'][1:]}-a-b"):
        ((_, answer, _),) = await answers(asker, bob, case, ids=[name])
        assert answer["notFound"] == [name]
    ((_, answer, _),) = await answers(asker, bob, case, ids=[f"B{asker.names['open'][1:]}"])
    assert len(answer["list"]) == 1


async def test_a_disabled_owner_shares_nothing(asker: Asker, bob: Client) -> None:
    set_account = ["AdminAccount/set", {"accountId": asker.admin.account_id, "address": "alice@example.test"}]
    for disabled in (True, False):
        set_account[1] |= {"disabled": disabled}  # type: ignore[operator]
        await asker.admin.request([[*set_account, "0"]], using=[*USING, ADMIN])
        ((name, _, _),) = await answers(asker, bob, Case("Mailbox/get", "success"))
        assert (name == "error") == disabled


async def test_what_is_opened_is_a_method() -> None:
    assert METHODS.keys() >= OPENED
