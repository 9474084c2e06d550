"""Every method with success and every error that its RFC names (tests/jmap/every), over HTTP; nothing is left out."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import pytest
import pytest_asyncio

from posthouse import limits
from posthouse.accounts import sieve_shelf
from posthouse.config import Limits
from posthouse.jmap.admin import COMMANDS
from posthouse.jmap.capabilities import ADMIN
from posthouse.jmap.contacts import BOOKS, CARDS
from posthouse.jmap.identity import TYPE as IDENTITY
from posthouse.jmap.methods import METHODS
from posthouse.jmap.submission import TYPE as SUBMISSION
from posthouse.junk.sending import State
from posthouse.store.interface import PutAlias
from posthouse.store.model import Alias
from tests.house import TestHouse
from tests.jmap.conftest import USING, Client, letter
from tests.jmap.every import mail, own, sending, sharing, things
from tests.jmap.every.case import DEMANDED, OTHERWISE, SUCCESS, Case, usual

pytestmark = pytest.mark.asyncio(loop_scope="module")

TABLES: Final = (mail, sending, things, own, sharing)
EVERYWHERE: Final = {
    "rateLimit": "only mail and push subscriptions are counted by time",
    "willDestroy": "an object may be changed and destroyed in one call: both are done (RFC 8620 §5.3: MAY)",
    "singleton": "there may be many",
    "fromAccountNotSupportedByMethod": "tests/jmap/test_sharing.py",
    "alreadyExists": "of what may not be twice it is shown; nothing else forbids it (RFC 8620 §5.4)",
}
REASONS: Final = {key: why for table in TABLES for key, why in table.REASONS.items()}
WRITTEN: Final = [case for table in TABLES for case in table.CASES]
SIZE: Final = 65_536
"""Octets of a message in this house."""


def _fields(method: str) -> frozenset[str]:
    struct = METHODS[method].arguments
    return (
        frozenset(f.encode_name for f in msgspec.structs.fields(struct))
        if struct is not None
        else frozenset()
    )


def _base(method: str) -> dict[str, Any]:
    """Arguments of a method's first success, or of its first case."""
    mine = [case for case in WRITTEN if case.method == method]
    return next((each.arguments for each in sorted(mine, key=lambda c: c.outcome != SUCCESS)), {})


def _needed(method: str) -> dict[str, Any]:
    if method in {"Email/copy", "ContactCard/copy"}:
        return {"fromAccountId": "<account>", "create": {}}
    if method in {"Quota/queryChanges", "Principal/queryChanges"}:
        return {"sinceQueryState": "none"}
    return _base(method)


CASES: Final = [
    case
    for method in METHODS
    for case in usual(method, _needed(method), _fields(method))
    if method != "Core/echo" and (method, case.outcome) not in REASONS
]


def demanded(method: str) -> set[str]:
    """What must be shown of a method."""
    found: set[str] = set()
    for table in TABLES:
        found |= table.DEMANDED.get(method, set())
    if METHODS[method].capability.startswith("urn:ietf:"):
        found |= DEMANDED.get(method.partition("/")[2], set()) if method != "Blob/copy" else set()
    return found


@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_left_out(method: str) -> None:
    assert demanded(method), "no table says what this method must be shown to do"
    shown = {case.outcome for case in (*WRITTEN, *CASES) if case.method == method}
    excused = {kind for name, kind in REASONS if name == method}
    assert not shown & excused, "an excuse for what is shown"
    assert not demanded(method) - shown - excused - EVERYWHERE.keys()


async def test_every_type_of_error_is_known() -> None:
    """What the code may answer is in the tables, and what RFC 8620 names beside is excused."""
    shown = {case.outcome for case in (*WRITTEN, *CASES)}
    folder = Path(limits.__file__).parent / "jmap"
    text = "\n".join(file.read_text() for file in folder.glob("*.py"))
    raised = set(re.findall(r'(?:MethodError|Rejected)\(\s*"(\w+)"', text)) | set(
        re.findall(r'\{"type": "(\w+)"', text)
    )
    elsewhere = {
        "unknownMethod", "invalidResultReference",  # tests/jmap/test_core.py
        "serverUnavailable", "serverFail",  # tests/jmap/test_core.py
        "serverPartialFail",  # needs two imports at the same moment
        "notOneClick", "notProved", "listRefused",  # tests/web/test_one_click.py
        "wrongCode", "tooManyAttempts",  # tests/web/test_own_account.py
    }  # fmt: skip
    assert raised - shown - elsewhere == set()
    assert not OTHERWISE.keys() & (raised | shown)


# --- the house ----------------------------------------------------------------------------------------------


class Asker:
    """Whoever asks, and what `<name>` stands for."""

    def __init__(self, house: TestHouse) -> None:
        self.house = house
        self.names: dict[str, Any] = {}
        self.alice = Client(house, "alice@example.test", "wonderland")
        self.admin = Client(house, "admin@example.test", "steward")
        self.program = Client(house, "alice@example.test", "wonderland")

    def filled(self, value: Any) -> Any:
        """With what names stand for."""
        if isinstance(value, dict):
            return {self.filled(key): self.filled(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if isinstance(value, str):
            if value[:1] == "<" and value[-1:] == ">" and value[1:-1] in self.names:
                return self.names[value[1:-1]]
            return re.sub(r"<(\w+)>", lambda m: str(self.names.get(m[1], m[0])), value)
        return value

    async def answer(self, case: Case) -> tuple[str, dict[str, Any]]:
        """(name, arguments) of the first response."""
        is_admin = case.method in COMMANDS and case.outcome != "forbidden"
        client = self.program if case.app_password else self.admin if is_admin else self.alice
        takes_account = not case.method.startswith(("Core/", "PushSubscription/"))
        arguments = {"accountId": client.account_id} if takes_account else {}
        call = [case.method, arguments | self.filled(case.arguments), "0"]
        found = (await client.request([call], using=[*USING, ADMIN]))["methodResponses"]
        assert found[0][2] == "0"
        return found[0][0], found[0][1]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asker(tmp_path_factory: Any) -> AsyncIterator[Asker]:
    """One house with one scene for all cases: refused calls leave it as it was."""
    house = await TestHouse.open(tmp_path_factory.mktemp("every"), limits=Limits(message_size=SIZE))
    made = Asker(house)
    await _furnish(made)
    yield made
    for client in (made.alice, made.admin, made.program):
        await client.http.aclose()
    await house.close()


async def _furnish(made: Asker) -> None:
    alice, names = made.alice, made.names
    mine = Alias(address="lost@example.test", targets=("alice@example.test",))
    await made.house.app.store.apply(PutAlias(alias=mine, new=True))
    lost = await alice.call("Identity/set", create={"i": {"email": "lost@example.test"}})
    await made.house.app.store.apply(
        PutAlias(alias=msgspec.structs.replace(mine, targets=("bob@example.test",)))
    )
    names |= {"account": alice.account_id, "other": f"A{made.house.accounts['bob@example.test'].account_id}"}
    names |= {"inbox": await alice.mailbox("inbox"), "drafts": await alice.mailbox("drafts")}
    made_boxes = await alice.call(
        "Mailbox/set", create={"p": {"name": "Parent"}, "c": {"name": "Child", "parentId": "#p"}}
    )
    names |= {"parent": made_boxes["created"]["p"]["id"], "child": made_boxes["created"]["c"]["id"]}
    names["mail"] = await alice.add(letter("Plan"))
    names["answer"] = await alice.add(letter("Re: Plan", reply_to="Plan"), received_at=1_793_600_100)
    await alice.add(letter("Inside"), mailbox="Parent/Child")
    from_alice = letter("Out").replace("From: Bob <bob@elsewhere.test>", "From: alice@example.test")
    names["outgoing"] = await alice.add(from_alice, mailbox="Drafts")
    names["nofrom"] = await alice.add("Subject: x\n\nx\n", mailbox="Drafts")
    asks = "Disposition-Notification-To: bob@example.test\n"
    names["asking"] = await alice.add(letter("Asking", more=asks))
    names["asking2"] = await alice.add(letter("Asking too", more=asks))
    names["asking3"] = await alice.add(letter("Asking far", more=asks.replace("example", "elsewhere")))
    names["large"] = (await alice.add(letter("Large", "x\n" * SIZE)))[1:]
    (found,) = await alice.get(names["mail"], properties=["threadId"])
    names["thread"] = found["threadId"]
    listed = (await alice.call("Identity/get"))["list"]
    names["identity"] = next(each["id"] for each in listed if not each["mayDelete"])
    names["lost"] = lost["created"]["i"]["id"]
    for name, octets in (
        ("upload", letter("Uploaded").replace("\n", "\r\n").encode()),
        ("nomail", b"\r\nno header"),
        ("script", b"keep;\r\n"),
        ("vcard", b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Dan\r\nUID:dan\r\nEND:VCARD\r\n"),
    ):
        response = await alice.http.post(f"/jmap/upload/{alice.account_id}/", content=octets)
        names[name] = response.json()["blobId"]
    made_password = ("AppPassword/create", {"password": "wonderland", "name": "x", "scope": ["jmap"]})
    ((_, created, _),) = await alice.calls(made_password)
    made.program.http.auth = httpx.BasicAuth("alice@example.test", created["password"])
    admin = made.house.accounts["admin@example.test"]
    await made.house.app.house.junk.sending._hold(admin, State(), "so that its message stays in the queue")
    await _queued(made.admin)
    await _queued(made.alice)
    await _befriended(made)


async def _befriended(made: Asker) -> None:
    """The administrator lets alice read one mailbox."""
    names, friend = made.names, made.admin
    rights = {f"W{made.alice.number}": {"mayReadItems": True}}
    answer = await friend.call("Mailbox/set", create={"m": {"name": "Theirs", "shareWith": rights}})
    names |= {"friend": friend.account_id, "theirbox": answer["created"]["m"]["id"]}
    names["theirs"] = await friend.add(letter("Theirs"), mailbox="Theirs")
    reads = {f"W{made.alice.number}": {"mayRead": True}}
    answer = await friend.call("AddressBook/set", create={"b": {"name": "Theirs", "shareWith": reads}})
    names["theirbook"] = answer["created"]["b"]["id"]
    card = {"addressBookIds": {names["theirbook"]: True}, "name": {"full": "Their friend"}}
    answer = await friend.call("ContactCard/set", create={"c": card})
    names["theircard"] = answer["created"]["c"]["id"]
    names["someone"] = f"W{made.house.accounts['bob@example.test'].account_id}"


async def _queued(client: Client) -> None:
    """Send a message elsewhere."""
    identity = next(each for each in (await client.call("Identity/get"))["list"] if not each["mayDelete"])
    address = identity["email"]
    email = await client.add(letter("Far").replace("bob@elsewhere.test", address), mailbox="Drafts")
    envelope = {"mailFrom": {"email": address}, "rcptTo": [{"email": "far@far.test"}]}
    given = {"identityId": identity["id"], "emailId": email, "envelope": envelope}
    answer = await client.call("EmailSubmission/set", create={"s": given})
    assert answer["notCreated"] is None
    await client.call("EmailSubmission/set", destroy=[answer["created"]["s"]["id"]])


# --- the cases ----------------------------------------------------------------------------------------------


def pointed(value: Any, pointer: str) -> Any:
    """What a JSON Pointer leads to."""
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def _refusals(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The SetErrors of a response."""
    names = ("notCreated", "notUpdated", "notDestroyed", "notSent", "notCopied")
    found = [answer[name] for name in names if isinstance(answer.get(name), dict)]
    return [error for each in found for error in each.values()]


def wrong(asker: Asker, case: Case, name: str, answer: dict[str, Any]) -> str:
    """What an answer lacks; nothing: it is as the case says."""
    if name == "error":
        return "" if answer["type"] == case.outcome else f"the error {answer}"
    if name != case.method:
        return f"a response {name}"
    refused = _refusals(answer)
    if case.outcome == SUCCESS and refused:
        return f"refused: {refused}"
    if case.outcome != SUCCESS and [each["type"] for each in refused] != [case.outcome]:
        return f"refused: {refused}, answer: {answer}"
    shown = answer if case.outcome == SUCCESS else refused[0]
    for pointer, value in case.says.items():
        pointer, value = asker.filled(pointer), asker.filled(value)
        try:
            found = pointed(shown, pointer)
        except (KeyError, IndexError, TypeError):
            return f"nothing at {pointer} of {shown}"
        if found != value:
            return f"{pointer} is {found!r}, not {value!r}"
    asker.names |= {key: pointed(shown, pointer) for key, pointer in case.keep.items()}
    return ""


LIMITED: Final = {
    "Identity": IDENTITY,
    "AddressBook": BOOKS,
    "ContactCard": CARDS,
    "EmailSubmission": SUBMISSION,
    "sieve_shelf": sieve_shelf,
}
"""Where a limit stands that is not looked up in `limits`."""


async def _under(asker: Asker, case: Case, patch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """The answer under the conditions of a case."""
    for key, value in case.limits.items():
        kind, _, most = key.partition(".")
        patch.setattr(LIMITED[kind] if most else limits, most or key, value)
    alice = asker.house.accounts["alice@example.test"]
    set_quota = ("AdminAccount/set", {"address": alice.address})
    brake = asker.house.app.house.junk.sending
    if case.sent_too_much:
        patch.setattr(brake, "settings", msgspec.structs.replace(brake.settings, per_account=1))
    if case.quota:
        await asker.admin.request([_admin(asker, *set_quota, quota=case.quota)], using=[*USING, ADMIN])
    try:
        return await asker.answer(case)
    finally:
        if case.quota:
            await asker.admin.request([_admin(asker, *set_quota, quota=0)], using=[*USING, ADMIN])


def _admin(asker: Asker, name: str, arguments: dict[str, Any], **more: Any) -> list[Any]:
    return [name, {"accountId": asker.admin.account_id} | arguments | more, "0"]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__.rpartition(".")[2])
async def test_every_case(asker: Asker, table: Any) -> None:
    methods = {case.method for case in table.CASES} | table.DEMANDED.keys()
    faults = []
    for case in (*table.CASES, *(case for case in CASES if case.method in methods)):
        with pytest.MonkeyPatch.context() as patch:
            name, answer = await _under(asker, case, patch)
        fault = wrong(asker, case, name, answer)
        if fault:
            faults.append(f"{case.method} {case.outcome} {str(case.arguments)[:300]}: {fault}")
    assert not faults, "\n".join(faults)


async def test_a_state_older_than_the_history(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8620 §5.2: cannotCalculateChanges, from every method that tells changes."""
    monkeypatch.setattr(limits, "HISTORY_ROWS", 1)
    monkeypatch.setattr(limits, "HISTORY_LOOK", 1)
    bob = Client(asker.house, "bob@example.test", "builder")
    for n in range(3):
        await bob.call("Email/set", destroy=[await bob.add(letter(f"Gone {n}"))])
    await bob.call("Identity/get")
    await bob.call("AddressBook/get")
    for method in METHODS:
        names = {"sinceState", "sinceQueryState"} & _fields(method)
        if names and not method.startswith("Quota/"):  # its state is what is used, and needs no history
            assert await bob.error(method, **{names.pop(): "1"}) == "cannotCalculateChanges", method
    await bob.http.aclose()
