"""JMAP for Contacts (RFC 9610): order and conditions, exact changes of results, copies, pictures, the default book."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from posthouse import limits
from tests.jmap.conftest import Client

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def card(full: str, /, **more: Any) -> dict[str, Any]:
    return {"addressBookIds": {"B1": True}, "name": {"full": full}} | more


async def make(client: Client, **cards: Any) -> dict[str, str]:
    made = await client.call("ContactCard/set", create=cards)
    assert not made["notCreated"], made
    return {key: each["id"] for key, each in made["created"].items()}


PERSON = card(
    "Dr. Ana María Núñez",
    kind="individual",
    uid="urn:uuid:1",
    name={
        "full": "Dr. Ana María Núñez",
        "components": [
            {"kind": "given", "value": "Ana María"},
            {"kind": "surname", "value": "Núñez"},
            {"kind": "surname2", "value": "Ruiz"},
        ],
    },
    nicknames={"n": {"name": "Anita"}},
    organizations={"o": {"name": "Post Office", "units": [{"name": "Letters"}]}},
    emails={"e": {"address": "ana@example.test", "label": "desk"}},
    phones={"p": {"number": "+34 (91) 555-0100", "label": "mobile"}},
    onlineServices={"s": {"service": "Fediverse", "user": "@ana"}},
    addresses={"a": {"components": [{"kind": "locality", "value": "Sevilla"}], "full": "Calle 1"}},
    notes={"x": {"note": "likes stamps"}},
    created="2026-01-02T03:04:05Z",
    updated="2026-02-02T00:00:00Z",
)
GROUP = card("Friends", kind="group", members={"urn:uuid:1": True}, created="2026-03-01T00:00:00Z")


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({}, "pg"),
        ({"inAddressBook": "B1"}, "pg"),
        ({"inAddressBook": "B7"}, ""),
        ({"uid": "urn:uuid:1"}, "p"),
        ({"uid": "urn:uuid"}, ""),
        ({"hasMember": "urn:uuid:1"}, "g"),
        ({"kind": "group"}, "g"),
        ({"createdBefore": "2026-02-01T00:00:00Z"}, "p"),
        ({"createdAfter": "2026-03-01T00:00:00Z"}, "g"),
        ({"updatedBefore": "2026-02-02T00:00:01Z"}, "p"),
        ({"updatedAfter": "2026-02-02T00:00:01Z"}, "g"),
        ({"text": "STAMPS sevilla"}, "p"),
        ({"text": '"likes stamps"'}, "p"),
        ({"text": "'stamps likes'"}, ""),
        ({"text": "urn:uuid"}, "g"),
        ({"name": "maría"}, "p"),
        ({"name/given": "ana"}, "p"),
        ({"name/given": "ruiz"}, ""),
        ({"name/surname": "núñ"}, "p"),
        ({"name/surname2": "ruiz"}, "p"),
        ({"nickname": "anita"}, "p"),
        ({"organization": "letters"}, "p"),
        ({"email": "desk"}, "p"),
        ({"email": "EXAMPLE.test"}, "p"),
        ({"phone": "915550100"}, "p"),
        ({"onlineService": "fedi"}, "p"),
        ({"address": "sevilla"}, "p"),
        ({"address": "calle"}, "p"),
        ({"note": "stamps"}, "p"),
        ({"kind": "group", "name": "ana"}, ""),
        ({"operator": "NOT", "conditions": [{"kind": "group"}]}, "p"),
        ({"operator": "OR", "conditions": [{"kind": "group"}, {"note": "stamps"}]}, "pg"),
    ],
)
async def test_conditions(alice: Client, condition: dict[str, Any], found: str) -> None:
    made = await make(alice, p=PERSON, g=GROUP)
    answer = await alice.call("ContactCard/query", filter=condition, calculateTotal=True)
    assert answer["ids"] == [made[each] for each in found]
    assert (answer["total"], answer["canCalculateChanges"]) == (len(found), True)


async def test_order(alice: Client) -> None:
    made = await make(alice, p=PERSON, g=GROUP)

    async def order(name: str, *, ascending: bool = True) -> str:
        sort = [{"property": name, "isAscending": ascending}]
        names = {each: key for key, each in made.items()}
        return "".join(names[each] for each in (await alice.call("ContactCard/query", sort=sort))["ids"])

    assert [await order(n) for n in ("created", "updated", "name", "name/given", "name/surname2")] == [
        *("pg", "pg", "pg", "gp", "gp")
    ]
    assert await order("created", ascending=False) == "gp"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filter": {"shoe": "1"}}, "unsupportedFilter"),
        ({"filter": {"name": 1}}, "unsupportedFilter"),
        ({"filter": {"createdAfter": "yesterday"}}, "unsupportedFilter"),
        ({"filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ({"filter": {"operator": "AND", "conditions": [1]}}, "invalidArguments"),
        ({"sort": [{"property": "shoe"}]}, "unsupportedSort"),
        ({"anchor": "K99999"}, "anchorNotFound"),
        ({"accountId": "A999"}, "accountNotFound"),
    ],
)
async def test_queries_that_are_refused(alice: Client, arguments: dict[str, Any], error: str) -> None:
    assert await alice.error("ContactCard/query", **arguments) == error


async def test_changes_of_a_result_are_exact(alice: Client) -> None:
    await make(alice, a=card("Ada"), c=card("Cora"))
    asked: dict[str, Any] = {"filter": {"operator": "NOT", "conditions": [{"name": "nobody"}]}}
    before = await alice.call("ContactCard/query", **asked)
    made = await make(alice, b=card("Bert"), n=card("nobody"))
    first, second = before["ids"]
    await alice.call("ContactCard/set", update={first: {"name/full": "Zora"}}, destroy=[second])
    since = before["queryState"]
    changed = await alice.call(
        "ContactCard/queryChanges", sinceQueryState=since, calculateTotal=True, **asked
    )
    after = await alice.call("ContactCard/query", **asked)
    kept = [each for each in before["ids"] if each not in changed["removed"]]
    for each in changed["added"]:
        kept.insert(each["index"], each["id"])
    assert kept == after["ids"] == [made["b"], first]
    assert (changed["newQueryState"], changed["total"]) == (after["queryState"], 2)
    again = await alice.call("ContactCard/queryChanges", sinceQueryState=after["queryState"], **asked)
    assert (again["removed"], again["added"]) == ([], [])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"sinceQueryState": "999999999"}, "cannotCalculateChanges"),
        ({"sinceQueryState": "x"}, "cannotCalculateChanges"),
        ({"maxChanges": 1, "sinceQueryState": "0"}, "tooManyChanges"),
        ({"filter": {"shoe": "1"}, "sinceQueryState": "0"}, "unsupportedFilter"),
    ],
)
async def test_changes_that_cannot_be_told(alice: Client, change: dict[str, Any], error: str) -> None:
    await make(alice, a=card("Ada"), b=card("Bert"))
    assert await alice.error("ContactCard/queryChanges", **change) == error


async def test_copies_come_from_accounts_one_may_use(alice: Client, bob: Client) -> None:
    made = await make(bob, a=card("Secret"))
    copy: dict[str, Any] = {"create": {"c": {"id": made["a"], "addressBookIds": {"B1": True}}}}
    same = copy | {"fromAccountId": alice.account_id}
    assert await alice.error("ContactCard/copy", **same) == "invalidArguments"
    theirs = copy | {"fromAccountId": bob.account_id}
    assert await alice.error("ContactCard/copy", **theirs) == "fromAccountNotFound"
    assert (await alice.call("ContactCard/get"))["list"] == []


async def test_cards_of_others_are_out_of_reach(alice: Client, bob: Client) -> None:
    secret = (await make(bob, a=card("Secret", media=photo(PNG))))["a"]
    (theirs,) = (await bob.call("ContactCard/get"))["list"]
    blob = theirs["media"]["m"]["blobId"]
    assert (await alice.call("ContactCard/get", ids=[secret]))["notFound"] == [secret]
    assert (await alice.call("Blob/get", ids=[blob]))["notFound"] == [blob]
    page = await alice.http.get(f"/jmap/download/{alice.account_id}/{blob}/x?type=image/png")
    assert page.status_code == 404
    assert await alice.error("VCard/export", ids=[secret], accountId=bob.account_id) == "accountNotFound"
    assert (await alice.call("VCard/export", ids=[secret]))["count"] == 0


# --- what the server adds and refuses -----------------------------------------------------------------------


async def test_the_server_notes_when(alice: Client) -> None:
    made = (await alice.call("ContactCard/set", create={"a": card("Ada"), "b": PERSON}))["created"]
    assert made["a"]["created"].endswith("Z")
    assert made["a"]["updated"] == made["a"]["created"]
    assert "created" not in made["b"]
    changed = await alice.call("ContactCard/set", update={made["b"]["id"]: {"language": "es"}})
    assert changed["updated"][made["b"]["id"]]["updated"] > PERSON["updated"]


async def test_a_uid_is_had_by_one_card(alice: Client) -> None:
    await make(alice, a=card("Ada", uid="urn:x"))
    refused = (await alice.call("ContactCard/set", create={"b": card("Bert", uid="urn:x")}))["notCreated"][
        "b"
    ]
    assert (refused["type"], refused["properties"]) == ("invalidProperties", ["uid"])


async def test_vendors_add_properties(alice: Client) -> None:
    made = await make(alice, a=card("Ada", **{"example.com:shoe": {"size": 38}}))
    (found,) = (await alice.call("ContactCard/get", ids=[made["a"]]))["list"]
    assert found["example.com:shoe"] == {"size": 38}
    only = await alice.call("ContactCard/get", ids=[made["a"]], properties=["example.com:shoe"])
    assert only["list"] == [{"id": made["a"], "example.com:shoe": {"size": 38}}]
    await alice.call("ContactCard/set", update={made["a"]: {"example.com:shoe": None}})
    assert "example.com:shoe" not in (await alice.call("ContactCard/get", ids=[made["a"]]))["list"][0]


ODD: list[dict[str, Any]] = [
    {"name": {"components": 5}},
    {"name": {"full": 1, "components": [1, {}]}},
    {"addresses": {"a": {"components": "x"}}, "organizations": {"o": {"units": 1}}},
    {"relatedTo": {"x": {"relation": 5}}, "members": {"y": True}},
    {"anniversaries": {"b": {"kind": "birth", "date": "never"}, "c": {"kind": "x"}}},
    {"media": {"m": {"uri": 5}, "n": {"kind": "photo", "uri": "https://x.test/y"}}},
    {"vCardProps": [["x"], ["y", {}, "text", "z\r\nEND:VCARD"], [1, 2, 3, 4]]},
    {"personalInfo": {"p": {"kind": "hobby", "level": ["x"]}}},
]


@pytest.mark.parametrize("parts", ODD)
async def test_parts_of_any_shape_harm_nobody(alice: Client, parts: dict[str, Any]) -> None:
    await make(alice, a=card("Ada") | parts)
    assert len((await alice.call("ContactCard/query", sort=[{"property": "name/given"}]))["ids"]) == 1
    for name in ("text", "name", "address", "organization", "phone", "note"):
        await alice.call("ContactCard/query", filter={name: "q"})
    for version in ("3.0", "4.0"):
        exported = await alice.call("VCard/export", version=version)
        again = await alice.call("VCard/import", blobId=exported["blobId"])
        assert again["skipped"] == 1, again


# --- pictures -----------------------------------------------------------------------------------------------


def photo(octets: bytes) -> dict[str, Any]:
    uri = f"data:image/png;base64,{base64.b64encode(octets).decode()}"
    return {"m": {"kind": "photo", "uri": uri}}


async def upload(client: Client, octets: bytes, kind: str = "image/png") -> str:
    page = await client.http.post(
        f"/jmap/upload/{client.account_id}/", content=octets, headers={"content-type": kind}
    )
    assert page.status_code == 201, page.text
    return str(page.json()["blobId"])


async def test_pictures_are_blobs(alice: Client) -> None:
    blob = await upload(alice, PNG, "application/octet-stream")
    media = {"m": {"kind": "photo", "blobId": blob, "label": "me"}}
    made = (await alice.call("ContactCard/set", create={"a": card("Ada", media=media)}))["created"]["a"]
    held = made["media"]["m"]
    assert (held["mediaType"], held["label"], "uri" in held) == ("image/png", "me", False)
    page = await alice.http.get(f"/jmap/download/{alice.account_id}/{held['blobId']}/x?type=image/png")
    assert (page.status_code, page.content) == (200, PNG)
    # As it was shown it may come back, and another one takes its place under another id.
    same = await alice.call("ContactCard/set", update={made["id"]: {"media": made["media"]}})
    assert not same["notUpdated"]
    other = await upload(alice, PNG + b"x")
    changed = await alice.call("ContactCard/set", update={made["id"]: {"media/m/blobId": other}})
    new = changed["updated"][made["id"]]["media"]["m"]["blobId"]
    assert new != held["blobId"]
    gone = await alice.http.get(f"/jmap/download/{alice.account_id}/{held['blobId']}/x?type=image/png")
    assert gone.status_code == 404


@pytest.mark.parametrize("octets", [b"<svg onload=alert(1)>", b"", b"GIF9"])
async def test_what_is_no_picture(alice: Client, octets: bytes) -> None:
    for media in (photo(octets), {"m": {"kind": "photo", "blobId": await upload(alice, octets)}}):
        answer = await alice.call("ContactCard/set", create={"a": card("Ada", media=media)})
        assert answer["notCreated"]["a"]["properties"] == ["media"]


async def test_pictures_have_a_size(alice: Client) -> None:
    blob = await upload(alice, PNG + bytes(limits.CONTACT_PHOTO))
    media = {"m": {"kind": "photo", "blobId": blob}}
    answer = await alice.call("ContactCard/set", create={"a": card("Ada", media=media)})
    assert answer["notCreated"]["a"]["type"] == "tooLarge"
    answer = await alice.call("ContactCard/set", create={"a": card("A", media={"m": {"blobId": "U999"}})})
    assert answer["notCreated"]["a"]["properties"] == ["media"]


# --- address books ------------------------------------------------------------------------------------------


async def test_another_book_becomes_the_default(alice: Client) -> None:
    made = await alice.call(
        "AddressBook/set", create={"b": {"name": "Club"}}, onSuccessSetIsDefault="#b", destroy=[]
    )
    club = made["created"]["b"]
    assert (club["isDefault"], made["updated"]["B1"]["isDefault"]) == (True, False)
    books = {each["id"]: each for each in (await alice.call("AddressBook/get"))["list"]}
    assert [books[n]["isDefault"] for n in ("B1", club["id"])] == [False, True]
    assert [books[n]["myRights"]["mayDelete"] for n in ("B1", club["id"])] == [True, False]
    assert (await alice.call("AddressBook/set", destroy=[club["id"]]))["notDestroyed"]
    # What does not exist, or stands beside an error, changes nothing.
    await alice.call("AddressBook/set", onSuccessSetIsDefault="B999")
    await alice.call("AddressBook/set", update={"B9": {}}, onSuccessSetIsDefault="B1")
    assert (await alice.call("AddressBook/get", ids=["B1"]))["list"][0]["isDefault"] is False
    back = await alice.call("AddressBook/set", onSuccessSetIsDefault="B1")
    assert back["updated"][club["id"]]["isDefault"] is False


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "王" * 86}, "name"),
        ({"sortOrder": 2**31}, "sortOrder"),
        ({"sortOrder": -1}, "sortOrder"),
        ({"isDefault": True}, "isDefault"),
        ({"myRights": {}}, "myRights"),
    ],
)
async def test_books_that_are_refused(alice: Client, change: dict[str, Any], named: str) -> None:
    answer = await alice.call("AddressBook/set", create={"b": {"name": "Club"} | change})
    assert answer["notCreated"]["b"]["properties"] == [named]


async def test_a_book_may_come_back_as_it_was_shown(alice: Client) -> None:
    """RFC 8620 §5.3: what the server sets may stand in a patch as it is now."""
    made = await alice.call("AddressBook/set", create={"b": {"name": "Club"}}, onSuccessSetIsDefault="#b")
    for name in ("B1", made["created"]["b"]["id"]):
        (book,) = (await alice.call("AddressBook/get", ids=[name]))["list"]
        answer = await alice.call("AddressBook/set", update={name: book | {"sortOrder": 7}})
        assert answer["updated"] == {name: None}
        other = book["myRights"] | {"mayDelete": not book["myRights"]["mayDelete"]}
        for wrong in (
            {"myRights": other},
            {"myRights/mayShare": False},
            {"isDefault": not book["isDefault"]},
        ):
            refused = (await alice.call("AddressBook/set", update={name: wrong}))["notUpdated"][name]
            assert refused["properties"] == [next(iter(wrong)).partition("/")[0]]
        (after,) = (await alice.call("AddressBook/get", ids=[name]))["list"]
        assert after == book | {"sortOrder": 7}
    await alice.call("AddressBook/set", onSuccessSetIsDefault="B1")


async def test_a_state_that_has_passed(alice: Client) -> None:
    for name in ("AddressBook/set", "ContactCard/set"):
        assert await alice.error(name, ifInState="0") == "stateMismatch"
