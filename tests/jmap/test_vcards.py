"""Contacts as vCard files: what telephones and programs write comes in, and goes out for others to read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jmap.conftest import Client
from tests.jmap.test_contacts import upload

pytestmark = pytest.mark.asyncio(loop_scope="module")

APPLE = """BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iOS 19//EN
N:Núñez;Ana;María;Dr.;
FN:Dr. Ana María Núñez
ORG:Post Office;Letters
BDAY;value=date;X-APPLE-OMIT-YEAR=1604:1604-03-09
EMAIL;type=INTERNET;type=HOME;type=pref:ana@example.test
item1.EMAIL;type=INTERNET:ana@desk.test
item1.X-ABLabel:_$!<Other>!$_
TEL;type=CELL;type=VOICE:+34 91 555 0100
ADR;type=WORK:;;Calle Mayor 1\\, 2\\nIzq.;Sevilla;;41001;España
NOTE:One\\nTwo\\; three\\, and a very long line that goes on and on until somebody f
 olds it
PHOTO;ENCODING=b;TYPE=PNG:iVBORw0KGgoAAAAA
 AAAA
X-WEIRD;X-P=1:kept
END:VCARD
"""
PHONE = (
    "BEGIN:VCARD\r\nVERSION:2.1\r\n"
    "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B;=E5=B0=8F=\r\n=E6=98=8E;;;\r\n"
    "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E7=8E=8B=E5=B0=8F=E6=98=8E\r\n"
    "TEL;HOME;VOICE:010-5550100\r\nEND:VCARD\r\n"
)


async def bring(client: Client, text: str | bytes, **more: Any) -> Any:
    octets = text.encode() if isinstance(text, str) else text
    blob = await upload(client, octets, "text/vcard")
    return await client.call("VCard/import", blobId=blob, **more)


async def cards(client: Client) -> list[Any]:
    found: list[Any] = (await client.call("ContactCard/get"))["list"]
    return found


async def export(client: Client, **arguments: Any) -> str:
    answer = await client.call("VCard/export", **arguments)
    page = await client.http.get(
        f"/jmap/download/{client.account_id}/{answer['blobId']}/contacts.vcf?type=text/vcard"
    )
    assert (page.status_code, len(page.content)) == (200, answer["size"])
    return page.text


async def test_what_a_telephone_writes(alice: Client) -> None:
    answer = await bring(alice, APPLE)
    assert (len(answer["created"]), answer["skipped"], answer["notCreated"]) == (1, 0, [])
    (found,) = await cards(alice)
    assert found["name"]["components"] == [
        {"kind": "surname", "value": "Núñez"},
        {"kind": "given", "value": "Ana"},
        {"kind": "given2", "value": "María"},
        {"kind": "title", "value": "Dr."},
    ]
    assert found["organizations"]["o1"] == {"name": "Post Office", "units": [{"name": "Letters"}]}
    assert found["anniversaries"]["a1"]["date"] == {"@type": "PartialDate", "month": 3, "day": 9}
    assert found["emails"] == {
        "e1": {"address": "ana@example.test", "pref": 1, "contexts": {"private": True}},
        "e2": {"address": "ana@desk.test", "label": "Other"},
    }
    assert found["phones"]["p1"]["features"] == {"mobile": True, "voice": True}
    assert found["addresses"]["a1"]["components"][0] == {"kind": "name", "value": "Calle Mayor 1, 2\nIzq."}
    assert found["notes"]["n1"]["note"].startswith("One\nTwo; three, and a very long line")
    assert found["notes"]["n1"]["note"].endswith("somebody folds it")
    assert found["media"]["m1"]["mediaType"] == "image/png"
    assert found["vCardProps"] == [["x-weird", {"x-p": "1"}, "unknown", "kept"]]


async def test_quoted_printable_of_old_telephones(alice: Client) -> None:
    await bring(alice, PHONE)
    (found,) = await cards(alice)
    assert [part["value"] for part in found["name"]["components"]] == ["王", "小明"]
    assert found["phones"]["p1"] == {
        "number": "010-5550100",
        "features": {"voice": True},
        "contexts": {"private": True},
    }


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
async def test_octets_in_other_charsets(alice: Client, encoding: str) -> None:
    await bring(alice, "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:王小明先生\r\nEND:VCARD\r\n".encode(encoding))
    assert (await cards(alice))[0]["name"]["full"] == "王小明先生"


@pytest.mark.parametrize("version", ["4.0", "3.0"])
async def test_there_and_back_nothing_is_lost(alice: Client, version: str) -> None:
    await bring(alice, APPLE)
    (before,) = await cards(alice)
    text = await export(alice, version=version)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert f"\r\nVERSION:{version}\r\n" in text
    await alice.call("ContactCard/set", destroy=[before["id"]])
    assert len((await bring(alice, text))["created"]) == 1
    (after,) = await cards(alice)
    for name in ("id", "media"):
        before.pop(name), after.pop(name)
    assert after == before


MANY = """BEGIN:VCARD
VERSION:4.0
FN:Post Office
TEL;VALUE=uri;PREF=1;TYPE="voice,home":tel:+1-555-555-5555;ext=5555
EMAIL;TYPE="work,x-other":office@post.test
ADR;LABEL="Post Office^n1 ^^ ^'Main^' St":;;1 Main St;Town;;12345;
ADR;LABEL="C:\\\\new\\nTown":;;2 Main St;Town;;12345;
item1.ADR;TYPE=home:;;3 Main St;Town;;12345;
item1.X-ABLabel:Summer house
ADR:;;4 Main St;Town;;;;;;;;;;;Old Quarter;;;
item2.X-ABRELATEDNAMES:Bob
item2.X-ABLabel:_$!<Spouse>!$_
BDAY;VALUE=text:circa 1800
PHOTO:http://post.test/house.png
REV:20241399T030405Z
END:VCARD
"""


@pytest.mark.parametrize("version", ["4.0", "3.0"])
async def test_parameters_labels_and_names_go_there_and_back(alice: Client, version: str) -> None:
    await bring(alice, MANY)
    (before,) = await cards(alice)
    assert before["name"] == {"full": "Post Office"}
    assert before["phones"]["p1"]["features"] == {"voice": True}
    assert before["phones"]["p1"]["contexts"] == {"private": True}
    assert before["emails"]["e1"]["contexts"] == {"work": True}
    one, two, three, four = before["addresses"].values()
    assert one["full"] == 'Post Office\n1 ^ "Main" St'  # RFC 6868 §3.1
    assert two["full"] == "C:\\new\nTown"
    assert (three["label"], "full" in three) == ("Summer house", False)
    assert [(part["kind"], part["value"]) for part in four["components"]] == [
        ("name", "4 Main St"),
        ("locality", "Town"),
        ("subdistrict", "Old Quarter"),
    ]
    assert before["vCardProps"] == [
        ["x-abrelatednames", {"group": "item2"}, "unknown", "Bob"],
        ["bday", {}, "text", "circa 1800"],
        ["x-ablabel", {"group": "item2"}, "unknown", "_$!<Spouse>!$_"],
    ]
    assert not before["updated"].startswith("2024-13"), "a moment that is none"
    text = await export(alice, version=version)
    assert "\r\nBDAY;VALUE=text:circa 1800\r\n" in text
    # RFC 2426 §3.1.4: without VALUE a photo of vCard 3.0 would be its octets
    photo = "PHOTO;VALUE=uri:" if version == "3.0" else "PHOTO:"
    assert f"\r\n{photo}http://post.test/house.png\r\n" in text
    await alice.call("ContactCard/set", destroy=[before["id"]])
    assert len((await bring(alice, text))["created"]) == 1
    (after,) = await cards(alice)
    assert after.pop("id") != before.pop("id")
    for card in (before, after):  # of a place's parts the order says nothing
        card["addresses"]["a4"]["components"].sort(key=lambda part: part["kind"])
    assert after == before


@pytest.mark.parametrize("version", ["4.0", "3.0"])
async def test_what_vcard_has_no_property_for_goes_there_and_back(alice: Client, version: str) -> None:
    """RFC 9555 §3.2.1 JSPROP."""
    book = (await alice.call("AddressBook/get"))["list"][0]["id"]
    given = {
        "name": {"full": "Ann"},
        "speakToAs": {"grammaticalGender": "feminine", "pronouns": {"k1": {"pronouns": "she/her, or; they"}}},
        "localizations": {"ja": {"name/full": "アン\nC:\\new"}},
        "example.com:rank": [1, "two", {"three": None}],
    }
    made = await alice.call("ContactCard/set", create={"c": given | {"addressBookIds": {book: True}}})
    card_id = made["created"]["c"]["id"]
    text = await export(alice, version=version)
    assert '\r\nJSPROP;JSPTR="example.com:rank":[1\\,"two"' in text.replace("\r\n ", "")
    await alice.call("ContactCard/set", destroy=[card_id])
    assert len((await bring(alice, text))["created"]) == 1
    (after,) = await cards(alice)
    assert {name: after[name] for name in given} == given


async def test_a_jsprop_that_is_none_is_kept_as_it_came(alice: Client) -> None:
    lines = (
        "JSPROP;JSPTR=speakToAs:no json",
        'JSPROP;JSPTR=localizations:{"ja":1}',
        'JSPROP;JSPTR=uid:"mine"',
        "JSPROP;JSPTR=addressBookIds:{}",
        "JSPROP;JSPTR=emails/e1/x:1",
        "JSPROP:" + "[" * 5000,
    )
    await bring(alice, "BEGIN:VCARD\nVERSION:4.0\nFN:Ann\n" + "\n".join(lines) + "\nEND:VCARD\n")
    (card,) = await cards(alice)
    assert [each[0] for each in card["vCardProps"]] == ["jsprop"] * len(lines)
    assert "speakToAs" not in card


async def test_the_same_file_comes_twice(alice: Client) -> None:
    await bring(alice, APPLE + PHONE)
    again = await bring(alice, APPLE + PHONE)
    assert (again["created"], again["updated"], again["skipped"]) == ([], [], 2)
    (one, two) = await cards(alice)
    await alice.call("ContactCard/set", update={one["id"]: {"name/full": "Changed"}})
    replaced = await bring(alice, APPLE + PHONE, onExisting="replace")
    assert (sorted(replaced["updated"]), replaced["created"]) == (sorted([one["id"], two["id"]]), [])
    assert (await alice.call("ContactCard/get", ids=[one["id"]]))["list"][0]["name"]["full"] != "Changed"


async def test_one_bad_card_among_good_ones(alice: Client) -> None:
    bad = f"BEGIN:VCARD\nFN:Bad\nEMAIL:{'x' * 400}@b.test\nEND:VCARD\n"
    svg = "BEGIN:VCARD\nFN:Script\nPHOTO:data:image/svg+xml;base64,PHN2Zz4=\nEND:VCARD\n"
    answer = await bring(alice, PHONE + bad + svg + APPLE)
    assert len(answer["created"]) == 2
    told = [(each["index"], each["name"], each["type"]) for each in answer["notCreated"]]
    assert told == [(1, "Bad", "invalidProperties"), (2, "Script", "invalidProperties")]


async def test_only_a_book_goes_out(alice: Client) -> None:
    book = (await alice.call("AddressBook/set", create={"b": {"name": "Club"}}))["created"]["b"]["id"]
    made = await bring(alice, PHONE, addressBookId=book)
    await bring(alice, APPLE)
    assert "Ana" not in await export(alice, addressBookId=book)
    assert "Ana" not in await export(alice, ids=made["created"])
    assert (await export(alice)).count("BEGIN:VCARD") == 2


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"", "invalidArguments"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "invalidArguments"),
        (b"BEGIN:VCARD\r\nFN:open", "invalidArguments"),
        (b"BEGIN:VCARD\r\n" + b"A:b\r\n" * 1001 + b"END:VCARD\r\n", "invalidArguments"),
        (b"BEGIN:VCARD\r\nNOTE:" + b"x" * 600_000 + b"\r\nEND:VCARD\r\n", "invalidArguments"),
    ],
)
async def test_what_is_no_vcard(alice: Client, octets: bytes, error: str) -> None:
    blob = await upload(alice, octets, "text/vcard")
    assert await alice.error("VCard/import", blobId=blob) == error


@pytest.mark.parametrize(
    ("name", "arguments", "error"),
    [
        ("VCard/import", {"blobId": "U99999"}, "blobNotFound"),
        ("VCard/import", {"blobId": "U1", "addressBookId": "B99"}, "invalidArguments"),
        ("VCard/import", {"blobId": "U1", "onExisting": "shred"}, "invalidArguments"),
        ("VCard/export", {"version": "2.1"}, "invalidArguments"),
        ("VCard/export", {"ids": ["M1"]}, "invalidArguments"),
    ],
)
async def test_calls_that_are_refused(alice: Client, name: str, arguments: Any, error: str) -> None:
    assert await alice.error(name, **arguments) == error
