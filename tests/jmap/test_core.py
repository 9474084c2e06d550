"""Requests as such (RFC 8620 §3), sessions, blobs and quota: limits, references, everything that is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from posthouse import limits
from posthouse.config import Limits
from tests.house import TestHouse
from tests.jmap.conftest import Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORE = ["urn:ietf:params:jmap:core"]
PROBLEM = "urn:ietf:params:jmap:error:"


async def post(alice: Client, content: bytes, **headers: str) -> httpx.Response:
    """Raw octets to the API."""
    return await alice.http.post(
        "/jmap/", content=content, headers={"content-type": "application/json"} | headers
    )


# --- the session --------------------------------------------------------------------------------------------


async def test_the_session_says_what_is_here_and_where(alice: Client) -> None:
    response = await alice.http.get("/.well-known/jmap")
    assert response.headers["cache-control"].startswith("no-cache")
    session = response.json()
    base = str(alice.http.base_url).rstrip("/")
    assert session["apiUrl"] == f"{base}/jmap/"
    for name, variables in (
        ("downloadUrl", ("accountId", "blobId", "name", "type")),
        ("uploadUrl", ("accountId",)),
        ("eventSourceUrl", ("types", "closeafter", "ping")),
    ):
        assert session[name].startswith(base)
        assert all(f"{{{each}}}" in session[name] for each in variables)
    assert session["username"] == "alice@example.test"
    account = session["accounts"][alice.account_id]
    assert (account["name"], account["isPersonal"], account["isReadOnly"]) == (
        "alice@example.test",
        True,
        False,
    )
    core = session["capabilities"]["urn:ietf:params:jmap:core"]
    assert core["maxSizeRequest"] == limits.JMAP_REQUEST_SIZE
    assert core["maxCallsInRequest"] == limits.JMAP_CALLS
    assert session["capabilities"]["urn:ietf:params:jmap:websocket"]["url"].startswith("ws://")
    owner = account["accountCapabilities"].pop("urn:ietf:params:jmap:principals:owner")
    assert owner == {"accountIdForPrincipal": alice.account_id, "principalId": f"W{alice.number}"}
    for name, value in account["accountCapabilities"].items():
        assert name in session["capabilities"]
        assert session["primaryAccounts"][name] == alice.account_id
        assert isinstance(value, dict)
    answer = await alice.request([["Core/echo", {}, "a"]])
    assert answer["sessionState"] == session["state"]


# --- requests -----------------------------------------------------------------------------------------------


async def test_echo_and_its_order(alice: Client) -> None:
    calls = [["Core/echo", {"hello": True, "high": 5}, "b3ff"], ["Core/echo", {"#x": 1, "y": []}, "two"]]
    answer = await alice.request(calls[:1])
    assert answer["methodResponses"] == calls[:1]
    assert "createdIds" not in answer


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "notJSON"),
        (b"{", "notJSON"),
        (b"\xff\xfe", "notJSON"),
        (b'{"a": NaN}', "notJSON"),
        (b"[" * 100_000, "notJSON"),
        # RFC 7493 §2.3: no two members of one name, however deep and however written.
        (b'{"using": [], "using": [], "methodCalls": []}', "notJSON"),
        (b'{"using": [], "methodCalls": [["Core/echo", {"a": 1, "b": {"c": 1, "c": 1}}, "x"]]}', "notJSON"),
        (rb'{"using": [], "methodCalls": [["Core/echo", {"ab": 1, "\u0061b": 2}, "x"]]}', "notJSON"),
        (rb'{"using": [], "methodCalls": [["Core/echo", {"a": 1, "a": "\u003a"}, "x"]]}', "notJSON"),
        (rb'{"using": [], "methodCalls": [["Core/echo", {"a": "\u003a", "a": ":"}, "x"]]}', "notJSON"),
        (
            b'{"using": [], "methodCalls": [["Core/echo", {"a": 1, "a": "' + b"x" * 200_000 + b'"}, "x"]]}',
            "notJSON",
        ),
        (b"[]", "notRequest"),
        (b"3", "notRequest"),
        (b'{"using": []}', "notRequest"),
        (b'{"using": "core", "methodCalls": []}', "notRequest"),
        (b'{"using": [], "methodCalls": [["Core/echo", {}]]}', "notRequest"),
        (b'{"using": [], "methodCalls": [["Core/echo", [], "a"]]}', "notRequest"),
        (b'{"using": [], "methodCalls": [[1, {}, "a"]]}', "notRequest"),
        (b'{"using": [], "methodCalls": [], "createdIds": {"a b": "c"}}', "notRequest"),
        (b'{"using": ["urn:nobody"], "methodCalls": []}', "unknownCapability"),
    ],
)
async def test_requests_that_are_none(alice: Client, content: bytes, kind: str) -> None:
    response = await post(alice, content)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == PROBLEM + kind


async def test_the_content_type_must_be_json(alice: Client) -> None:
    content = b'{"using": [], "methodCalls": []}'
    assert (await post(alice, content, **{"content-type": "text/plain"})).json()[
        "type"
    ] == PROBLEM + "notJSON"
    fine = await post(alice, content, **{"content-type": "application/json;charset=utf-8"})
    assert fine.status_code == 200


async def test_a_thousand_calls_and_ten_megabytes_are_refused(alice: Client) -> None:
    calls = [["Core/echo", {}, "a"]] * 1000
    response = await alice.http.post("/jmap/", json={"using": CORE, "methodCalls": calls})
    assert (response.json()["type"], response.json()["limit"]) == (PROBLEM + "limit", "maxCallsInRequest")
    large = b'{"using": [], "methodCalls": [], "x": "' + b"x" * limits.JMAP_REQUEST_SIZE + b'"}'
    response = await post(alice, large)
    assert (response.json()["type"], response.json()["limit"]) == (PROBLEM + "limit", "maxSizeRequest")
    assert (await alice.http.get("/.well-known/jmap")).status_code == 200


async def test_methods_need_their_capability(alice: Client) -> None:
    for name in ("Email/get", "Nobody/get", "core/echo", ""):
        answer = await alice.request([[name, {"accountId": alice.account_id}, "a"]], CORE)
        assert answer["methodResponses"] == [["error", {"type": "unknownMethod"}, "a"]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"accountId": 1},
        {"accountId": None},
        {"accountId": "A1", "ids": "M1"},
        {"accountId": "A1", "ids": [1]},
        {"accountId": "A1", "properties": {"a": 1}},
        {"accountId": "A1", "colour": "red"},
        {},
    ],
)
async def test_arguments_of_the_wrong_type(alice: Client, arguments: dict[str, Any]) -> None:
    answer = await alice.request([["Mailbox/get", arguments, "a"], ["Core/echo", {}, "b"]])
    assert answer["methodResponses"][0][1]["type"] == "invalidArguments"
    assert answer["methodResponses"][1] == ["Core/echo", {}, "b"]


async def test_other_accounts_are_never_found(alice: Client, bob: Client) -> None:
    methods = {
        "Email/get": {"ids": []}, "Email/query": {}, "Email/changes": {"sinceState": "0"}, "Email/set": {},
        "Mailbox/get": {}, "Mailbox/set": {}, "Thread/get": {"ids": []}, "Identity/get": {},
        "EmailSubmission/get": {}, "EmailSubmission/set": {}, "VacationResponse/get": {}, "Quota/get": {},
        "Blob/get": {"ids": []}, "Blob/upload": {"create": {}}, "SearchSnippet/get": {"emailIds": []},
        "Email/import": {"emails": {}}, "Email/parse": {"blobIds": []},
    }  # fmt: skip
    for name, arguments in methods.items():
        for account in (bob.account_id, "A999999", "nonsense", "M1"):
            assert await alice.error(name, **(arguments | {"accountId": account})) == "accountNotFound", name


# --- references ---------------------------------------------------------------------------------------------


async def test_references_lead_from_call_to_call(alice: Client) -> None:
    first = await alice.add(letter("One"))
    second = await alice.add(letter("Re: One", reply_to="One", message_id="x"))
    answers = await alice.calls(
        ("Email/query", {"collapseThreads": True}),
        (
            "Email/get",
            {"#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"}, "properties": ["threadId"]},
        ),
        ("Thread/get", {"#ids": {"resultOf": "1", "name": "Email/get", "path": "/list/*/threadId"}}),
        (
            "Email/get",
            {
                "#ids": {"resultOf": "2", "name": "Thread/get", "path": "/list/*/emailIds"},
                "properties": ["subject"],
            },
        ),
    )
    assert {each["id"] for each in answers[3][1]["list"]} == {first, second}
    answers = await alice.calls(
        ("Email/query", {}),
        ("Email/get", {"#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids/1"}}),
    )
    assert answers[1][1]["type"] == "invalidArguments"


@pytest.mark.parametrize(
    "reference",
    [
        {"resultOf": "9", "name": "Email/query", "path": "/ids"},
        {"resultOf": "1", "name": "Email/query", "path": "/ids"},
        {"resultOf": "0", "name": "Email/get", "path": "/ids"},
        {"resultOf": "0", "name": "Email/query", "path": "/nobody"},
        {"resultOf": "0", "name": "Email/query", "path": "ids"},
        {"resultOf": "0", "name": "Email/query", "path": "/ids/99"},
        {"resultOf": "0", "name": "Email/query", "path": "/ids/-"},
        {"resultOf": "0", "name": "Email/query", "path": "/ids/" + "9" * 5000},
        {"resultOf": "0", "name": "Email/query", "path": "/ids/00"},
        {"resultOf": "0", "name": "Email/query", "path": "/position/*"},
        {"resultOf": "0", "name": "Email/query", "path": "/*" * 100},
        {"resultOf": "0", "name": "Email/query"},
        "ids",
        None,
    ],
)
async def test_references_that_lead_nowhere(alice: Client, reference: Any) -> None:
    answers = await alice.calls(("Email/query", {}), ("Email/get", {"#ids": reference}))
    assert answers[1][1]["type"] == "invalidResultReference"


async def test_an_argument_is_given_once(alice: Client) -> None:
    reference = {"resultOf": "0", "name": "Email/query", "path": "/ids"}
    answers = await alice.calls(("Email/query", {}), ("Email/get", {"ids": [], "#ids": reference}))
    assert answers[1][1]["type"] == "invalidArguments"


SETS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("Mailbox", {"name": "By creation id"}, {"sortOrder": 3}, {"name": ""}),
    ("Email", {"mailboxIds": {"inbox": True}, "subject": "x"}, {"keywords/$seen": True}, {"mailboxIds": {}}),
    ("Identity", {"email": "alice@example.test"}, {"name": "Alice"}, {"email": "bob@example.test"}),
    ("AddressBook", {"name": "By creation id"}, {"sortOrder": 3}, {"name": ""}),
    ("ContactCard", {"addressBookIds": {"B1": True}}, {"kind": "group"}, {"addressBookIds": {}}),
]
"""Type, an object, a change of it that is fine, and one that is not."""


@pytest.mark.parametrize(("kind", "whole", "fine", "wrong"), SETS, ids=[each[0] for each in SETS])
async def test_what_is_asked_of_a_creation_id_is_answered_by_its_id(
    alice: Client, kind: str, whole: dict[str, Any], fine: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """RFC 8620 §5.3: the keys of `updated` and `notUpdated` are ids, as are the items of `destroyed`."""
    if "mailboxIds" in whole:
        whole = whole | {"mailboxIds": {await alice.mailbox("inbox"): True}}
    answers = await alice.calls(
        (f"{kind}/set", {"create": {"new": whole}, "update": {"#new": fine}}),
        (f"{kind}/set", {"update": {"#new": wrong, "#nobody": fine}}),
        (f"{kind}/set", {"destroy": ["#new", "#nobody"]}),
    )
    made, refused, gone = [answer[1] for answer in answers]
    name = made["created"]["new"]["id"]
    assert list(made["updated"]) == [name]
    assert refused["notUpdated"][name]["type"] == "invalidProperties"
    assert refused["notUpdated"]["#nobody"] == {"type": "notFound"}
    assert (gone["destroyed"], gone["notDestroyed"]) == ([name], {"#nobody": {"type": "notFound"}})


@pytest.mark.parametrize(("kind", "name"), [("AddressBook", "B1"), ("Identity", "I0")])
async def test_what_stays_stays_under_any_name(alice: Client, kind: str, name: str) -> None:
    """The client's own `createdIds` (RFC 8620 §3.3) may name it too."""
    call = [f"{kind}/set", {"accountId": alice.account_id, "destroy": ["#mine"]}, "0"]
    answer = (await alice.request([call], createdIds={"mine": name}))["methodResponses"][0][1]
    assert answer["notDestroyed"][name]["type"] == "forbidden"


async def test_creation_ids_hold_through_the_request_and_beyond(alice: Client) -> None:
    calls = [
        ["Mailbox/set", {"accountId": alice.account_id, "create": {"box": {"name": "Made"}}}, "0"],
        [
            "Email/set",
            {
                "accountId": alice.account_id,
                "create": {"mail": {"mailboxIds": {"#box": True}, "subject": "x"}},
            },
            "1",
        ],
        ["Email/set", {"accountId": alice.account_id, "update": {"#mail": {"keywords/$seen": True}}}, "2"],
    ]
    answer = await alice.request(calls, createdIds={"old": "F1"})
    created = answer["createdIds"]
    assert created["old"] == "F1"
    # RFC 8620 §5.3: the keys of `updated` are ids, which "#mail" is not.
    assert answer["methodResponses"][2][1]["updated"] == {created["mail"]: None}
    (email,) = await alice.get(created["mail"])
    assert (email["mailboxIds"], email["keywords"]) == ({created["box"]: True}, {"$seen": True})


# --- blobs --------------------------------------------------------------------------------------------------


async def test_what_is_uploaded_is_downloaded(alice: Client, bob: Client) -> None:
    octets = bytes(range(256)) * 4000
    response = await alice.http.post(
        f"/jmap/upload/{alice.account_id}/", content=octets, headers={"content-type": "image/png"}
    )
    made = response.json()
    assert response.status_code == 201
    assert (made["accountId"], made["type"], made["size"]) == (alice.account_id, "image/png", len(octets))
    path = f"/jmap/download/{alice.account_id}/{made['blobId']}/a%20b%22.png"
    response = await alice.http.get(path, params={"type": "text/html"})
    assert response.content == octets
    assert response.headers["content-type"] == "text/html"
    assert response.headers["content-disposition"].startswith("attachment; ")
    assert '"a b' not in response.headers["content-disposition"].replace('"a b_.png"', "")
    assert response.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in response.headers["cache-control"]
    for client, account in ((bob, bob.account_id), (bob, alice.account_id), (alice, "A999")):
        assert (await client.http.get(f"/jmap/download/{account}/{made['blobId']}/x")).status_code == 404
        assert (await bob.http.post(f"/jmap/upload/{alice.account_id}/", content=b"x")).status_code == 404


async def test_parts_and_messages_are_downloaded(alice: Client) -> None:
    text = "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\nSGVsbG8=\n--x--\n"
    (email,) = await alice.get(await alice.add("Subject: parts\n" + text))
    base = f"/jmap/download/{alice.account_id}"
    part = await alice.http.get(f"{base}/{email['textBody'][0]['blobId']}/x")
    assert part.content == b"Hello"
    whole = await alice.http.get(f"{base}/{email['blobId']}/x", params={"type": "evil\r\nx: y"})
    assert whole.content.startswith(b"Subject: parts\r\n")
    assert whole.headers["content-type"] == "application/octet-stream"
    for wrong in (
        f"{email['blobId']}-9",
        f"{email['blobId']}-1_2",
        "B0",
        "B-1",
        "U0",
        "..%2f",
        "B1-1_1_1_1",
    ):
        assert (await alice.http.get(f"{base}/{wrong}/x")).status_code == 404


async def test_an_upload_that_stops_halfway_leaves_nothing(alice: Client, house: TestHouse) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port("http"))
    token = base64.b64encode(b"alice@example.test:wonderland").decode()
    head = f"POST /jmap/upload/{alice.account_id}/ HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {token}\r\n"
    writer.write(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 400_000)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    made = await alice.http.post(f"/jmap/upload/{alice.account_id}/", content=b"after")
    assert made.status_code == 201
    (upload,) = await house.app.store.uploads(alice.number, [int(made.json()["blobId"][1:])])
    assert upload is not None
    (before,) = await house.app.store.uploads(alice.number, [upload.upload_id - 1])
    assert before is None or before.stored.size != 1_000_000
    assert reader is not None


async def test_blob_methods(alice: Client) -> None:
    text = "The quick brown fox jumped over the lazy dog."
    create: dict[str, Any] = {
        "a": {"data": [{"data:asText": text}], "type": "text/plain"},
        "b": {
            "data": [
                {"data:asText": "How "},
                {"blobId": "#a", "offset": 3, "length": 7},
                {"data:asBase64": "/w=="},
            ]
        },
        "c": {"data": [{"data:asBase64": "!"}]},
        "d": {"data": [{"blobId": "U999999"}]},
        "e": {"data": [{"blobId": "#a", "offset": 40, "length": 99}]},
        "f": {"data": [{"data:asText": "a", "blobId": "#a"}]},
    }
    answer = await alice.call("Blob/upload", create=create)
    kinds = {key: fault["type"] for key, fault in answer["notCreated"].items()}
    assert kinds == {
        "c": "invalidProperties", "d": "blobNotFound", "e": "invalidProperties", "f": "invalidProperties",
    }  # fmt: skip
    a, b = answer["created"]["a"]["id"], answer["created"]["b"]["id"]
    got = await alice.call("Blob/get", ids=[a, b, "U0"], properties=["data", "size", "digest:sha-256"])
    assert got["notFound"] == ["U0"]
    first, second = got["list"]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert first == {"id": a, "data:asText": text, "size": len(text), "digest:sha-256": digest}
    octets = b"How " + text.encode()[3:10] + b"\xff"
    assert second["data:asBase64"] == base64.b64encode(octets).decode()
    assert second["isEncodingProblem"] is True
    part = await alice.call("Blob/get", ids=[a], properties=["data:asText"], offset=4, length=5)
    assert part["list"][0]["data:asText"] == "quick"
    cut = await alice.call("Blob/get", ids=[a], properties=["data:asText"], offset=40, length=99)
    assert (cut["list"][0]["data:asText"], cut["list"][0]["isTruncated"]) == (" dog.", True)
    assert await alice.error("Blob/get", ids=[a], properties=["colour"]) == "invalidArguments"


async def test_blob_lookup(alice: Client) -> None:
    (email,) = await alice.get(await alice.add(letter("Lookup")))
    answer = await alice.call(
        "Blob/lookup", typeNames=["Email", "Mailbox", "Thread"], ids=[email["blobId"], "B0"]
    )
    assert answer["list"] == [
        {
            "id": email["blobId"],
            "matchedIds": {
                "Email": [email["id"]],
                "Mailbox": list(email["mailboxIds"]),
                "Thread": [email["threadId"]],
            },
        }
    ]
    assert answer["notFound"] == ["B0"]
    assert await alice.error("Blob/lookup", typeNames=["Nobody"], ids=[]) == "unknownDataType"


# --- quota --------------------------------------------------------------------------------------------------


async def test_without_a_quota_there_is_none(alice: Client) -> None:
    answer = await alice.call("Quota/get")
    assert (answer["list"], answer["state"]) == ([], "none")
    changed = await alice.call("Quota/changes", sinceState="none")
    assert (changed["created"], changed["updated"]) == ([], [])
    assert await alice.error("Quota/changes", sinceState="nonsense") == "cannotCalculateChanges"


@pytest.fixture
async def limited(tmp_path: Path) -> AsyncIterator[Client]:
    house = await TestHouse.open(tmp_path, limits=Limits(account_quota=5000))
    client = Client(house, "alice@example.test", "wonderland")
    yield client
    await client.http.aclose()
    await house.close()


@pytest.mark.asyncio(loop_scope="function")
async def test_a_quota_is_told_followed_and_enforced(limited: Client) -> None:
    before = await limited.call("Quota/get")
    (quota,) = before["list"]
    assert (quota["hardLimit"], quota["used"], quota["resourceType"]) == (5000, 0, "octets")
    await limited.add(letter("Fills it"))
    changed = await limited.call("Quota/changes", sinceState=before["state"])
    assert (changed["updated"], changed["updatedProperties"]) == ([quota["id"]], ["used"])
    (quota,) = (await limited.call("Quota/get"))["list"]
    assert quota["used"] > 0
    drafts = await limited.mailbox("drafts")
    large = {
        "mailboxIds": {drafts: True},
        "textBody": [{"partId": "t"}],
        "bodyValues": {"t": {"value": "x" * 6000}},
    }
    answer = await limited.call("Email/set", create={"d": large})
    assert answer["notCreated"]["d"]["type"] == "overQuota"
    assert (await limited.call("Quota/query", filter={"scope": "account"}))["ids"] == [quota["id"]]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_further_mailbox_counts_and_one_that_is_left_makes_room(limited: Client) -> None:
    inbox, drafts, trash, junk = [
        await limited.mailbox(role) for role in ("inbox", "drafts", "trash", "junk")
    ]
    here = {inbox: True, drafts: True}
    email = await limited.add(letter("Half of it", "x" * 2000))

    async def update(**patch: Any) -> Any:
        answer = await limited.call("Email/set", update={email: patch})
        return (answer["notUpdated"] or {}).get(email, {}).get("type")

    assert await update(mailboxIds=here) is None
    assert await update(mailboxIds={**here, trash: True}) == "overQuota"
    assert await update(mailboxIds={trash: True, junk: True}) is None, "two are left for two"
    assert await update(**{f"mailboxIds/{inbox}": True, f"mailboxIds/{junk}": None}) is None
    ((got,),) = [await limited.get(email, properties=["mailboxIds"])]
    assert got["mailboxIds"] == {trash: True, inbox: True}


async def test_colons_and_names_that_only_look_alike_are_fine(alice: Client) -> None:
    values = {"a": ":", "b:": {"a": "::", "A": [{"a": 1}, {"a": 2}]}, "c\\u003a": "\\u003a"}
    call = {"using": CORE, "methodCalls": [["Core/echo", values, "x"]]}
    escaped = json.dumps(call).replace('"::"', r'"\u003A:"').encode()
    for content in (json.dumps(call).encode(), escaped):
        assert (await post(alice, content)).json()["methodResponses"] == [["Core/echo", values, "x"]]
    kind = {"content-type": "Application/JSON"}
    assert (await post(alice, escaped, **kind)).status_code == 200  # RFC 9110 §8.3.1: in any case
