"""JMAP for Sieve Scripts (RFC 9661), over HTTP: its examples, blobs, which script is active, names, limits, push."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from posthouse import limits
from posthouse.jmap.capabilities import SIEVE
from posthouse.sieve.language import CAPABILITIES
from tests.house import TestHouse
from tests.jmap.conftest import USING, Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEEP: Final = "keep;\r\n"
FILE: Final = 'require "fileinto";\r\nfileinto "INBOX/a";\r\n'


@pytest_asyncio.fixture(loop_scope="module")
async def owner(alice: Client) -> AsyncIterator[Client]:
    """alice, without scripts."""
    await alice.call("SieveScript/set", onSuccessDeactivateScript=True)
    every = (await alice.call("SieveScript/query"))["ids"]
    if every:
        await alice.call("SieveScript/set", destroy=every)
    yield alice


async def blob(client: Client, text: str | bytes) -> str:
    """Upload a script by the way of RFC 8620 §6.1; its blob id."""
    octets = text.encode() if isinstance(text, str) else text
    answer = await client.http.post(
        f"/jmap/upload/{client.account_id}/", content=octets, headers={"Content-Type": "application/sieve"}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["blobId"])


async def make(client: Client, name: str, text: str = KEEP, **more: Any) -> str:
    """Keep a script; its id."""
    given = {"name": name, "blobId": await blob(client, text)}
    made = await client.call("SieveScript/set", create={"a": given}, **more)
    assert made["notCreated"] is None, made
    return str(made["created"]["a"]["id"])


async def active(client: Client) -> list[str]:
    """Names of the scripts that are active."""
    found = await client.call("SieveScript/get")
    return [each["name"] for each in found["list"] if each["isActive"]]


async def refused(client: Client, **arguments: Any) -> dict[str, Any]:
    """The first SetError of a SieveScript/set."""
    answer = await client.call("SieveScript/set", **arguments)
    every = [*(answer[key] or {} for key in ("notCreated", "notUpdated", "notDestroyed"))]
    errors: list[dict[str, Any]] = [error for part in every for error in part.values()]
    assert errors, answer
    return errors[0]


# --- the session --------------------------------------------------------------------------------------------


async def test_session_says_what_scripts_may_do(owner: Client) -> None:
    """RFC 9661 §1.2.1."""
    session = (await owner.http.get("/.well-known/jmap", follow_redirects=True)).json()
    assert session["capabilities"][SIEVE] == {"implementation": "Posthouse"}
    assert session["primaryAccounts"][SIEVE] == owner.account_id
    account = session["accounts"][owner.account_id]["accountCapabilities"][SIEVE]
    assert account == {
        "maxSizeScriptName": limits.SIEVE_NAME,
        "maxSizeScript": limits.SIEVE_SCRIPT,
        "maxNumberScripts": limits.SIEVE_SCRIPTS,
        "maxNumberRedirects": limits.SIEVE_REDIRECTS,
        "sieveExtensions": sorted(CAPABILITIES),
        "notificationMethods": ["mailto"] if "enotify" in CAPABILITIES else None,
        "externalLists": None,
    }
    assert account["maxSizeScriptName"] >= 512


async def test_who_does_not_ask_for_the_capability_has_no_methods(owner: Client) -> None:
    using = [each for each in USING if each != SIEVE]
    calls = [["SieveScript/get", {"accountId": owner.account_id}, "0"]]
    ((kind, answer, _),) = (await owner.request(calls, using))["methodResponses"]
    assert (kind, answer["type"]) == ("error", "unknownMethod")


# --- the examples -------------------------------------------------------------------------------------------


async def test_make_and_activate_in_one_call(owner: Client) -> None:
    """RFC 9661 §2.4: a creation can be activated by its creation id, and is told as active."""
    upload = {"create": {"b": {"data": [{"data:asText": KEEP}], "type": "application/sieve"}}}
    create = {
        "create": {"A": {"name": None, "blobId": "#b"}},
        "onSuccessActivateScript": "#A",
    }
    _, (name, answer, _) = await owner.calls(("Blob/upload", upload), ("SieveScript/set", create))
    assert name == "SieveScript/set"
    made = answer["created"]["A"]
    assert made["isActive"] is True
    assert made["name"]  # the server's own choice
    assert answer["updated"] is None
    assert answer["oldState"] != answer["newState"]
    shown = (await owner.call("SieveScript/get", ids=[made["id"]]))["list"]
    assert shown == [made]


async def test_another_text_then_another_script_is_active(owner: Client) -> None:
    first = await make(owner, "first", onSuccessActivateScript="#a")
    second = await make(owner, "second")
    before = (await owner.call("SieveScript/get", ids=[second]))["list"][0]["blobId"]
    answer = await owner.call(
        "SieveScript/set",
        update={second: {"blobId": await blob(owner, FILE)}},
        onSuccessActivateScript=second,
    )
    # RFC 9661 §2.4: both MUST be told
    assert answer["updated"][first] == {"isActive": False}
    assert answer["updated"][second]["isActive"] is True
    assert answer["updated"][second]["blobId"] != before
    assert await active(owner) == ["second"]


async def test_deactivate(owner: Client) -> None:
    script = await make(owner, "one", onSuccessActivateScript="#a")
    answer = await owner.call("SieveScript/set", onSuccessDeactivateScript=True)
    assert answer["updated"] == {script: {"isActive": False}}
    assert await active(owner) == []
    again = await owner.call("SieveScript/set", onSuccessDeactivateScript=True)
    assert again["updated"] is None


async def test_activation_without_an_object_is_told(owner: Client) -> None:
    script = await make(owner, "one")
    answer = await owner.call("SieveScript/set", onSuccessActivateScript=script)
    assert answer["updated"] == {script: {"isActive": True}}
    assert answer["oldState"] != answer["newState"]


@pytest.mark.parametrize("wanted", ["S999", "nonsense", "#nothing", None])
async def test_an_id_that_means_nothing_is_passed_over(owner: Client, wanted: str | None) -> None:
    """RFC 9661 §2.4: it MUST be ignored, and what is active stays so."""
    await make(owner, "one", onSuccessActivateScript="#a")
    answer = await owner.call("SieveScript/set", onSuccessActivateScript=wanted)
    assert answer["updated"] is None
    assert await active(owner) == ["one"]
    await owner.call("SieveScript/set", onSuccessActivateScript=wanted, onSuccessDeactivateScript=False)
    assert await active(owner) == ["one"]


async def test_nothing_is_activated_unless_all_goes_well(owner: Client) -> None:
    await make(owner, "one", onSuccessActivateScript="#a")
    good = {"name": "two", "blobId": await blob(owner, KEEP)}
    answer = await owner.call(
        "SieveScript/set",
        create={"good": good, "bad": {"name": "three", "blobId": "U999"}},
        onSuccessActivateScript="#good",
        onSuccessDeactivateScript=True,
    )
    assert list(answer["created"]) == ["good"]
    assert answer["created"]["good"]["isActive"] is False
    assert answer["notCreated"]["bad"]["type"] == "blobNotFound"
    assert await active(owner) == ["one"]


async def test_the_active_script_cannot_be_destroyed(owner: Client) -> None:
    """RFC 9661 §2.4: deactivating it in the same call comes too late."""
    script = await make(owner, "one", onSuccessActivateScript="#a")
    error = await refused(owner, destroy=[script], onSuccessDeactivateScript=True)
    assert error["type"] == "sieveIsActive"
    assert await active(owner) == ["one"]
    await owner.call("SieveScript/set", onSuccessDeactivateScript=True)
    assert (await owner.call("SieveScript/set", destroy=[script]))["destroyed"] == [script]


# --- texts ----------------------------------------------------------------------------------------------------


async def test_a_text_comes_back_as_it_was_put(owner: Client) -> None:
    text = "# Ordnung 秩序\r\n\r\nkeep; # \\ end\n"
    script = await make(owner, "mine", text)
    (shown,) = (await owner.call("SieveScript/get", ids=[script]))["list"]
    got = await owner.http.get(
        f"/jmap/download/{owner.account_id}/{shown['blobId']}/mine.sieve",
        params={"type": "application/sieve"},
    )
    assert (got.status_code, got.content) == (200, text.encode())
    read = await owner.call("Blob/get", ids=[shown["blobId"]], properties=["data:asText", "size"])
    assert read["list"][0]["data:asText"] == text
    found = await owner.call("Blob/lookup", typeNames=["SieveScript", "Email"], ids=[shown["blobId"]])
    assert found["list"][0]["matchedIds"] == {"SieveScript": [script], "Email": []}


async def test_another_text_is_another_blob(owner: Client) -> None:
    """RFC 8620 §6: a blob never changes."""
    script = await make(owner, "mine")
    old = (await owner.call("SieveScript/get", ids=[script]))["list"][0]["blobId"]
    await owner.call("SieveScript/set", update={script: {"blobId": await blob(owner, FILE)}})
    assert (await owner.call("Blob/get", ids=[old], properties=["size"]))["notFound"] == [old]
    new = (await owner.call("SieveScript/get", ids=[script]))["list"][0]["blobId"]
    copied = await owner.call("SieveScript/set", create={"b": {"name": "copy", "blobId": new}})
    assert copied["created"]["b"]["id"] != script


async def test_faults_tell_their_lines(owner: Client) -> None:
    """RFC 9661 §2.6: the description has the line of the first fault; ours tells all of them to programs."""
    bad = await blob(owner, "keep;\r\nkeeep;\r\nif header { stop; }\r\n")
    found = await owner.call("SieveScript/validate", blobId=bad)
    error = found["error"]
    assert error["type"] == "invalidSieve"
    assert error["description"].startswith("line 2: ")
    assert [each["line"] for each in error["faults"]] == [2, 3]
    assert (await refused(owner, create={"a": {"name": "x", "blobId": bad}})) == error
    script = await make(owner, "mine")
    assert (await refused(owner, update={script: {"blobId": bad}})) == error


async def test_validate_keeps_nothing(owner: Client) -> None:
    state = (await owner.call("SieveScript/get"))["state"]
    assert await owner.call("SieveScript/validate", blobId=await blob(owner, FILE)) == {
        "accountId": owner.account_id,
        "error": None,
    }
    assert await owner.error("SieveScript/validate", blobId="U999") == "blobNotFound"
    after = await owner.call("SieveScript/get")
    assert (after["list"], after["state"]) == ([], state)


async def test_what_is_no_text_is_no_script(owner: Client) -> None:
    found = await owner.call("SieveScript/validate", blobId=await blob(owner, b'keep;\n# "\xff";\n'))
    assert found["error"]["type"] == "invalidSieve"
    assert found["error"]["faults"][0]["line"] == 2


async def test_size_of_a_script_is_bounded(owner: Client) -> None:
    long = "#" * (limits.SIEVE_SCRIPT - 6)
    script = await make(owner, "long", f"{long}\nkeep;"[: limits.SIEVE_SCRIPT])
    longer = await blob(owner, f"{long}\n#####\nkeep;")
    assert (await refused(owner, create={"a": {"blobId": longer}}))["type"] == "tooLarge"
    error = await refused(owner, update={script: {"blobId": longer}})
    assert (error["type"], error["maxSize"]) == ("tooLarge", limits.SIEVE_SCRIPT)
    assert (await owner.call("SieveScript/validate", blobId=longer))["error"]["type"] == "tooLarge"


# --- names ----------------------------------------------------------------------------------------------------


async def test_names_are_one_script_s_alone(owner: Client) -> None:
    """RFC 9661 §2.4: the error says which script has it."""
    first = await make(owner, "Zürich")
    second = await make(owner, "two")
    taken = await blob(owner, KEEP)
    error = await refused(owner, create={"a": {"name": "Zu\u0308rich", "blobId": taken}})
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    error = await refused(owner, update={second: {"name": "Zürich"}})
    assert (error["type"], error["existingId"]) == ("alreadyExists", first)
    answer = await owner.call("SieveScript/set", update={second: {"name": "Zug"}})
    assert answer["updated"] == {second: None}


@pytest.mark.parametrize("name", ["", "a\nb", "\x7f", "\u2028", "x" * 513, 7, ["a"]])
async def test_names_that_cannot_be(owner: Client, name: object) -> None:
    given = {"name": name, "blobId": await blob(owner, KEEP)}
    error = await refused(owner, create={"a": given})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])
    script = await make(owner, "fine")
    error = await refused(owner, update={script: {"name": name}})
    assert (error["type"], error["properties"]) == ("invalidProperties", ["name"])


async def test_a_name_in_another_form_is_told_as_it_is_kept(owner: Client) -> None:
    given = {"name": "Zu\u0308rich", "blobId": await blob(owner, KEEP)}
    answer = await owner.call("SieveScript/set", create={"a": given})
    assert answer["created"]["a"]["name"] == "Zürich"
    script = answer["created"]["a"]["id"]
    answer = await owner.call("SieveScript/set", update={script: {"name": None}})
    assert answer["updated"][script] == {"name": "Script 1"}


@pytest.mark.parametrize(
    "given",
    [{"isActive": True}, {"id": "S7"}, {"text": "keep;"}, {"blobId": None}, {"blobId": 7}],
)
async def test_what_is_not_the_client_s_to_set(owner: Client, given: dict[str, Any]) -> None:
    script = await make(owner, "fine")
    error = await refused(owner, update={script: given})
    assert (error["type"], error["properties"]) == ("invalidProperties", list(given))
    error = await refused(owner, create={"a": {"name": "n", "blobId": await blob(owner, KEEP)} | given})
    assert (error["type"], error["properties"]) == ("invalidProperties", list(given))


async def test_a_whole_object_may_be_given_back(owner: Client) -> None:
    """RFC 8620 §5.3: what the server has set may stand in an update as it was."""
    script = await make(owner, "fine", onSuccessActivateScript="#a")
    (shown,) = (await owner.call("SieveScript/get", ids=[script]))["list"]
    answer = await owner.call("SieveScript/set", update={script: shown | {"name": "finer"}})
    assert answer["updated"] == {script: None}
    assert await active(owner) == ["finer"]


async def test_number_of_scripts_is_bounded(owner: Client) -> None:
    one = await blob(owner, KEEP)
    many = {f"c{n}": {"name": f"script {n}", "blobId": one} for n in range(limits.SIEVE_SCRIPTS)}
    assert len((await owner.call("SieveScript/set", create=many))["created"]) == limits.SIEVE_SCRIPTS
    assert (await refused(owner, create={"a": {"blobId": one}}))["type"] == "overQuota"


# --- looking ----------------------------------------------------------------------------------------------------


async def test_query(owner: Client) -> None:
    ids = {name: await make(owner, name) for name in ("Beta", "alpha", "Alphabet")}
    await owner.call("SieveScript/set", onSuccessActivateScript=ids["Beta"])

    async def names(**arguments: Any) -> list[str]:
        found = (await owner.call("SieveScript/query", **arguments))["ids"]
        return [name for each in found for name, script in ids.items() if script == each]

    assert await names(sort=[{"property": "name"}]) == ["alpha", "Alphabet", "Beta"]
    assert await names(sort=[{"property": "isActive", "isAscending": False}, {"property": "name"}]) == [
        "Beta", "alpha", "Alphabet",
    ]  # fmt: skip
    assert await names(filter={"name": "ALPHA"}, sort=[{"property": "name"}]) == ["alpha", "Alphabet"]
    assert await names(filter={"isActive": True}) == ["Beta"]
    no = {"operator": "NOT", "conditions": [{"isActive": True}, {"name": "bet"}]}
    assert await names(filter=no) == ["alpha"]


async def test_changes_follow_every_writer(owner: Client, house: TestHouse) -> None:
    """The scripts are those of ManageSieve (`SieveScripts`), so what it does is told here."""
    scripts = house.app.house.sieve_scripts
    state = (await owner.call("SieveScript/get"))["state"]
    await scripts.put(owner.number, "by the other door", KEEP.encode())
    told = await owner.call("SieveScript/changes", sinceState=state)
    (made,) = told["created"]
    (shown,) = (await owner.call("SieveScript/get", ids=[made]))["list"]
    assert (shown["name"], shown["isActive"]) == ("by the other door", False)
    await scripts.activate(owner.number, "by the other door")
    assert await active(owner) == ["by the other door"]
    told = await owner.call("SieveScript/changes", sinceState=told["newState"])
    assert told["updated"] == [made]
    other = await make(owner, "from here", FILE, onSuccessActivateScript="#a")
    shelf = await scripts.shelf(owner.number)
    assert shelf.active is not None
    assert (shelf.active.name, shelf.active.raw) == ("from here", FILE.encode())
    assert other
    error = await owner.calls(("SieveScript/set", {"ifInState": state, "destroy": [made]}))
    assert error[0][1]["type"] == "stateMismatch"


async def test_scripts_are_their_owner_s_alone(owner: Client, bob: Client) -> None:
    """Also where mailboxes are shared: a share gives no scripts, and no texts of any."""
    script = await make(owner, "mine")
    (shown,) = (await owner.call("SieveScript/get", ids=[script]))["list"]
    inbox = await owner.mailbox("inbox")
    rights = {"mayReadItems": True, "mayAddItems": True, "mayRemoveItems": True}
    await owner.call("Mailbox/set", update={inbox: {"shareWith": {f"W{bob.number}": rights}}})
    try:
        for name, arguments in (
            ("SieveScript/get", {}),
            ("SieveScript/query", {}),
            ("SieveScript/changes", {"sinceState": "0"}),
            ("SieveScript/set", {"destroy": [script]}),
            ("SieveScript/validate", {"blobId": shown["blobId"]}),
        ):
            asked = {"accountId": owner.account_id} | arguments
            assert await bob.error(name, **asked) == "accountNotSupportedByMethod"
        asked = {"accountId": owner.account_id, "ids": [shown["blobId"]]}
        assert (await bob.call("Blob/get", **asked))["notFound"] == [shown["blobId"]]
        assert (await bob.call("Blob/get", ids=[shown["blobId"]]))["notFound"] == [shown["blobId"]]
    finally:
        await owner.call("Mailbox/set", update={inbox: {"shareWith": None}})
