"""Email/set, Email/import, Email/copy (RFC 8621 §4.6-4.8), and Email/changes with Thread (§3, §4.3)."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy
from typing import Any

import msgspec
import pytest

from posthouse.jmap import ids
from posthouse.ranges import Ranges
from posthouse.store.interface import AddEmail, DeleteMailbox, Expunge, Op, SetFlags
from tests.house import TestHouse
from tests.jmap.conftest import NOW, Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def changed(alice: Client, name: str, patch: dict[str, Any]) -> dict[str, Any]:
    """Update one email; its SetError, or {} when it worked."""
    answer = await alice.call("Email/set", update={name: patch})
    if answer["notUpdated"]:
        found: dict[str, Any] = answer["notUpdated"][name]
        return found
    assert answer["updated"] == {name: None}
    return {}


# --- keywords and mailboxes -----------------------------------------------------------------------------------


async def test_keywords_are_set_patched_and_shown_to_imap(alice: Client) -> None:
    name = await alice.add(letter("Keywords"))
    assert await changed(alice, name, {"keywords": {"$seen": True, "My-Label": True}}) == {}
    assert (await alice.get(name))[0]["keywords"] == {"$seen": True, "my-label": True}
    assert await changed(alice, name, {"keywords/$flagged": True, "keywords/$SEEN": None}) == {}
    assert (await alice.get(name))[0]["keywords"] == {"$flagged": True, "my-label": True}
    box = await alice.house.app.store.mailbox(alice.number, "INBOX")
    assert box is not None
    index = await alice.house.app.store.index(alice.number, box.mailbox_id)
    assert index.flags[-1] & 4


async def test_an_email_moves_and_stands_in_several_mailboxes(alice: Client) -> None:
    name = await alice.add(letter("Wanderer"))
    inbox, archive, trash = [await alice.mailbox(role) for role in ("inbox", "archive", "trash")]
    steps: list[tuple[dict[str, Any], set[str]]] = [
        ({f"mailboxIds/{archive}": True}, {inbox, archive}),
        ({f"mailboxIds/{inbox}": None}, {archive}),
        ({"mailboxIds": {trash: True}}, {trash}),
        ({"mailboxIds": {inbox: True, archive: True}}, {inbox, archive}),
        ({"mailboxIds": {inbox: True, archive: True, trash: True}}, {inbox, archive, trash}),
        ({"mailboxIds": {archive: True}}, {archive}),
    ]
    for patch, wanted in steps:
        assert await changed(alice, name, patch) == {}
        assert set((await alice.get(name))[0]["mailboxIds"]) == wanted, patch
        counts = {
            box["id"]: box["totalEmails"]
            for box in (await alice.call("Mailbox/get"))["list"]
            if box["totalEmails"]
        }
        assert counts == dict.fromkeys(wanted, 1)


async def test_keywords_are_one_set_for_all_mailboxes(alice: Client) -> None:
    name = await alice.add(letter("Twice"))
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    await changed(alice, name, {"mailboxIds": {inbox: True, archive: True}})
    await changed(alice, name, {"keywords/$seen": True})
    unread = [b["unreadEmails"] for b in (await alice.call("Mailbox/get", ids=[inbox, archive]))["list"]]
    assert unread == [0, 0]
    assert (await alice.call("Email/query", calculateTotal=True))["total"] == 1


async def test_many_emails_change_together(alice: Client) -> None:
    names = [await alice.add(letter(f"Many {i}")) for i in range(30)]
    archive = await alice.mailbox("archive")
    patch = {"keywords/$seen": True, "mailboxIds": {archive: True}}
    answer = await alice.call("Email/set", update=dict.fromkeys(names, patch))
    assert set(answer["updated"]) == set(names)
    for email in await alice.get(*names, properties=["keywords", "mailboxIds"]):
        assert (email["keywords"], email["mailboxIds"]) == ({"$seen": True}, {archive: True})


@pytest.mark.parametrize(
    ("patch", "kind"),
    [
        ({"subject": "new"}, "invalidProperties"),
        ({"mailboxIds": {}}, "invalidProperties"),
        ({"mailboxIds": {"F999999": True}}, "invalidProperties"),
        ({"mailboxIds": {"A1": True}}, "invalidProperties"),
        ({"keywords": {"$seen": False}}, "invalidProperties"),
        ({"keywords": {"two words": True}}, "invalidProperties"),
        ({"keywords": {"a(b": True}}, "invalidProperties"),
        ({"keywords": {"": True}}, "invalidProperties"),
        ({"keywords": [1]}, "invalidProperties"),
        ({"keywords/a/b": True}, "invalidPatch"),
        ({"keywords": {"a": True}, "keywords/b": True}, "invalidPatch"),
    ],
)
async def test_updates_that_are_refused(alice: Client, patch: dict[str, Any], kind: str) -> None:
    name = await alice.add(letter("Refused"))
    assert (await changed(alice, name, patch))["type"] == kind
    assert (await alice.get(name))[0]["keywords"] == {}


async def test_what_is_not_there_cannot_change(alice: Client, bob: Client) -> None:
    foreign = await bob.add(letter("Bob's"))
    for name in (foreign, "M999999", "x", "#nobody"):
        assert (await changed(alice, name, {"keywords": {}}))["type"] == "notFound"
        answer = await alice.call("Email/set", destroy=[name])
        assert answer["notDestroyed"] == {name: {"type": "notFound"}}
    assert len(await bob.get(foreign)) == 1


async def test_destroying_takes_it_out_of_all_mailboxes(alice: Client) -> None:
    name = await alice.add(letter("Doomed"))
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    await changed(alice, name, {"mailboxIds": {inbox: True, archive: True}})
    answer = await alice.call("Email/set", destroy=[name])
    assert answer["destroyed"] == [name]
    assert (await alice.call("Email/get", ids=[name]))["notFound"] == [name]
    assert answer["newState"] != answer["oldState"]


async def test_states_are_compared(alice: Client) -> None:
    state = (await alice.call("Email/get", ids=[]))["state"]
    await alice.add(letter("Meanwhile"))
    assert await alice.error("Email/set", ifInState=state, destroy=[]) == "stateMismatch"
    state = (await alice.call("Email/get", ids=[]))["state"]
    assert (await alice.call("Email/set", ifInState=state))["newState"] == state
    many = {f"M{i}": {"keywords": {}} for i in range(1001)}
    assert await alice.error("Email/set", update=many) == "requestTooLarge"


# --- drafts -------------------------------------------------------------------------------------------------


async def create(alice: Client, **given: Any) -> dict[str, Any]:
    """Create a draft; what is told, or its SetError."""
    whole = {"mailboxIds": {await alice.mailbox("drafts"): True}} | given
    answer = await alice.call("Email/set", create={"new": whole})
    found: dict[str, Any] = (answer["created"] or answer["notCreated"])["new"]
    return found


async def test_a_draft_of_the_standards_example(alice: Client) -> None:
    made = await create(
        alice,
        keywords={"$seen": True, "$draft": True},
        **{"from": [{"name": "Joe Bloggs", "email": "joe@example.com"}]},
        to=[{"name": "Jürgen", "email": "juergen@example.com"}, {"name": None, "email": "half"}],
        subject="World dominatión",
        receivedAt="2018-07-10T01:05:08Z",
        sentAt="2018-07-10T11:05:08+10:00",
        bodyStructure={
            "type": "multipart/alternative",
            "subParts": [
                {"partId": "a49d", "type": "text/html", "header:Content-Language": "en"},
                {"partId": "bd48", "type": "text/plain", "header:Content-Language": "en"},
            ],
        },
        bodyValues={"bd48": {"value": "I have the most brilliant plan."}, "a49d": {"value": "<b>plan</b>"}},
    )
    assert set(made) == {"id", "blobId", "threadId", "size"}
    (email,) = await alice.get(made["id"], fetchAllBodyValues=True)
    assert email["size"] == made["size"]
    assert email["subject"] == "World dominatión"
    assert email["sentAt"] == "2018-07-10T11:05:08+10:00"
    assert email["receivedAt"] == "2018-07-10T01:05:08Z"
    assert email["keywords"] == {"$seen": True, "$draft": True}
    assert email["to"][0] == {"name": "Jürgen", "email": "juergen@example.com"}
    assert email["to"][1]["email"] == "half"
    assert len(email["messageId"]) == 1
    assert email["bodyValues"]["2"]["value"] == "I have the most brilliant plan."
    assert email["htmlBody"][0]["type"] == "text/html"
    assert email["textBody"][0]["language"] == ["en"]


async def test_texts_and_attachments_are_assembled(alice: Client) -> None:
    source = await alice.add(letter("Source"))
    (email,) = await alice.get(source)
    made = await create(
        alice,
        subject="Assembled",
        textBody=[{"partId": "t", "type": "text/plain"}],
        htmlBody=[{"partId": "h", "type": "text/html"}],
        attachments=[
            {"blobId": email["blobId"], "type": "message/rfc822", "name": "letter.eml"},
            {"blobId": email["blobId"], "type": "image/png", "cid": "pic@x", "disposition": "inline"},
            {"blobId": email["textBody"][0]["blobId"], "type": "text/x", "name": "grüße-" + "x" * 90},
        ],
        bodyValues={"t": {"value": "plain\nß"}, "h": {"value": "<p>html</p>"}},
    )
    (email,) = await alice.get(
        made["id"],
        fetchAllBodyValues=True,
        properties=["bodyStructure", "bodyValues", "attachments", "hasAttachment"],
        bodyProperties=["type", "name", "cid", "size", "disposition", "subParts"],
    )
    root = email["bodyStructure"]
    assert root["type"] == "multipart/mixed"
    alternative, message, text = root["subParts"]
    assert [part["type"] for part in alternative["subParts"]] == ["text/plain", "multipart/related"]
    assert [part["type"] for part in alternative["subParts"][1]["subParts"]] == ["text/html", "image/png"]
    assert (message["type"], message["name"], message["disposition"]) == (
        "message/rfc822",
        "letter.eml",
        "attachment",
    )
    assert (text["name"], text["size"]) == ("grüße-" + "x" * 90, 8)
    assert email["hasAttachment"] is True
    assert sorted(value["value"] for value in email["bodyValues"].values()) == [
        "<p>html</p>",
        "Hello.\n",
        "plain\nß",
    ]


async def test_addresses_outside_ascii_stay_addresses(alice: Client) -> None:
    """RFC 2047 §5: an encoded word must not stand in an address; written so, nobody would get the letter."""
    given = [
        {"name": "Jörg", "email": "jörg@b.test"},
        {"name": None, "email": "kontakt@bücher.test"},
        {"name": "Ann, née Õ", "email": "ann@b.test"},
    ]
    made = await create(
        alice, to=given, cc=[given[1]], bcc=[{"name": "Häl, f", "email": "half"}], subject="ä"
    )
    (email,) = await alice.get(
        made["id"], properties=["to", "cc", "bcc", "subject", "header:To", "header:Cc", "header:Subject"]
    )
    assert email["to"] == [given[0], given[1] | {"email": "kontakt@xn--bcher-kva.test"}, given[2]]
    assert email["bcc"] == [{"name": "Häl, f", "email": "half"}]
    assert email["header:Cc"] == " kontakt@xn--bcher-kva.test", "as everybody can send it"
    assert email["header:Subject"].isascii()
    assert [word for word in email["header:To"].split() if not word.isascii()] == ["<jörg@b.test>,"]


@pytest.mark.parametrize(
    "name", ["报告2024最终版本 v2 (für alle).pdf", "é" + "ü" * 60 + ".txt", "😀" * 20 + "a"]
)
async def test_a_long_file_name_is_whole_for_every_program(alice: Client, name: str) -> None:
    (email,) = await alice.get(await alice.add(letter("Source")), properties=["blobId"])
    made = await create(alice, attachments=[{"blobId": email["blobId"], "type": "image/png", "name": name}])
    (email,) = await alice.get(made["id"], properties=["attachments", "blobId"])
    assert email["attachments"][0]["name"] == name
    path = f"/jmap/download/{alice.account_id}/{email['blobId']}/x.eml"
    message = message_from_bytes((await alice.http.get(path)).content, policy=policy.default)
    assert [part.get_filename() for part in message.walk()][-1] == name


async def test_a_content_type_of_the_clients_gets_what_only_we_know(alice: Client) -> None:
    """Without its boundary a multipart has no parts; without its charset a text is read as ASCII."""
    made = await create(
        alice,
        bodyStructure={
            "header:Content-Type": ' multipart/signed; protocol="application/pgp-signature"; boundary=mine',
            "type": "multipart/signed",
            "subParts": [
                {"partId": "t", "type": "text/plain", "header:Content-Type": " text/plain; format=flowed;"},
                {"partId": "h", "type": "text/html", "header:Content-Type": "text/html; charset=iso-8859-1"},
                {"partId": "a", "type": "text/plain", "header:Content-Type": "text/plain; charset=UTF-8"},
            ],
        },
        bodyValues={"t": {"value": "Grüße"}, "h": {"value": "<p>Grüße"}, "a": {"value": "plain"}},
    )
    (email,) = await alice.get(made["id"], properties=["blobId"])
    path = f"/jmap/download/{alice.account_id}/{email['blobId']}/x.eml"
    raw = (await alice.http.get(path)).content
    message = message_from_bytes(raw, policy=policy.default)
    assert message.get_param("protocol") == "application/pgp-signature"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html", "text/plain"]
    assert [part.get_content().rstrip() for part in parts] == ["Grüße", "<p>Grüße", "plain"]
    assert parts[0].get_param("format") == "flowed"
    assert raw.count(b"boundary=") == 1


async def test_an_empty_draft_is_a_message(alice: Client) -> None:
    made = await create(alice)
    (email,) = await alice.get(made["id"])
    assert email["subject"] is None
    assert email["sentAt"] is not None


async def test_no_text_makes_a_line_too_long(alice: Client) -> None:
    # RFC 5322 §2.1.1: 998 octets at most; other hosts refuse or cut longer lines
    name, subject, note = "n" * 2000, "Re: " + "x" * 3000 + " and " + "y" * 3000, "z" * 1500
    made = await create(
        alice,
        subject=subject,
        to=[{"name": name, "email": "a@b.test"}],
        **{"header:X-Note:asText": note},
    )
    (email,) = await alice.get(made["id"], properties=["subject", "to", "header:X-Note:asText", "blobId"])
    assert email["subject"] == subject
    assert email["to"] == [{"name": name, "email": "a@b.test"}]
    assert email["header:X-Note:asText"] == note
    raw = await alice.http.get(f"/jmap/download/{alice.account_id}/{email['blobId']}/x")
    assert max(map(len, raw.content.split(b"\r\n"))) <= 78


async def test_header_properties_are_written(alice: Client) -> None:
    made = await create(
        alice,
        **{
            "header:X-Note": " raw value",
            "header:X-Many:asText:all": ["eins", "zwei ä"],
            "header:List-Post:asURLs": ["https://a.test/"],
            "header:Resent-Date:asDate": "2020-01-02T03:04:05Z",
            "inReplyTo": ["a@b"],
            "references": ["a@b", "c@d"],
            "header:Bcc:asGroupedAddresses": [
                {"name": "Friends", "addresses": [{"name": None, "email": "a@b.test"}]}
            ],
        },
    )
    wanted = [
        *("header:X-Note:asText", "header:X-Many:asText:all", "header:List-Post:asURLs"),
        *("header:Resent-Date:asDate", "references", "header:Bcc:asGroupedAddresses"),
    ]
    (email,) = await alice.get(made["id"], properties=wanted)
    assert email["header:X-Note:asText"] == "raw value"
    assert email["header:X-Many:asText:all"] == ["eins", "zwei ä"]
    assert email["header:List-Post:asURLs"] == ["https://a.test/"]
    assert email["header:Resent-Date:asDate"] == "2020-01-02T03:04:05Z"
    assert email["references"] == ["a@b", "c@d"]
    assert email["header:Bcc:asGroupedAddresses"] == [
        {"name": "Friends", "addresses": [{"name": None, "email": "a@b.test"}]}
    ]


TEXT = {"partId": "t", "type": "text/plain"}
VALUES = {"t": {"value": "text"}}
REFUSED: list[dict[str, Any]] = [
    {"mailboxIds": {}},
    {"mailboxIds": {"F999999": True}},
    {"headers": []},
    {"colour": "red"},
    {"id": "M1"},
    {"from": [{"email": "a@b"}], "header:From": " a@b"},
    {"header:From:asDate": "2020-01-02T03:04:05Z"},
    {"header:Content-Type": "text/plain"},
    {"header:X-Evil": "a\r\nBcc: x@y"},
    {"header:X-Evil:asText": 3},
    {"from": [{"email": "a@b\r\nBcc: x@y"}]},
    {"from": "me"},
    {"messageId": ["a b"]},
    {"messageId": ["a" * 1000 + "@b"]},
    {"header:X-Note": " " + "a" * 1000},
    {"header:List-Post:asURLs": ["https://a.test/" + "a" * 1000]},
    {"to": [{"email": "a" * 1000 + "@b.test"}]},
    {"header:X-" + "a" * 1000: "x"},
    {"textBody": [TEXT | {"cid": "a> X: <b"}], "bodyValues": VALUES},
    {"textBody": [TEXT | {"cid": "a" * 1000}], "bodyValues": VALUES},
    {"textBody": [TEXT | {"location": "https://a.test/" + "a" * 1000}], "bodyValues": VALUES},
    {"sentAt": "today"},
    {"receivedAt": "2020-01-02T03:04:05+01:00"},
    {"keywords": {"a b": True}},
    {"textBody": [TEXT, TEXT], "bodyValues": VALUES},
    {"textBody": [{"partId": "t", "type": "text/html"}], "bodyValues": VALUES},
    {"textBody": [TEXT]},
    {"textBody": [TEXT], "bodyValues": {"t": {"value": "x", "isTruncated": True}}},
    {"textBody": [TEXT | {"charset": "utf-8"}], "bodyValues": VALUES},
    {"textBody": [TEXT | {"blobId": "B1"}], "bodyValues": VALUES},
    {"textBody": [TEXT], "bodyStructure": TEXT, "bodyValues": VALUES},
    {"bodyStructure": {"type": "multipart/mixed"}},
    {"bodyStructure": {"type": "multipart/mixed", "subParts": [TEXT], "partId": "t"}, "bodyValues": VALUES},
    {"bodyStructure": TEXT | {"subParts": [TEXT]}, "bodyValues": VALUES},
    {"bodyStructure": TEXT | {"header:Content-Transfer-Encoding": "8bit"}, "bodyValues": VALUES},
    {"bodyStructure": TEXT | {"header:Subject": "x"}, "subject": "y", "bodyValues": VALUES},
    {"bodyStructure": TEXT | {"headers": []}, "bodyValues": VALUES},
    {"bodyStructure": {"partId": "t", "type": "evil\r\nX: y/z"}, "bodyValues": VALUES},
    {"bodyStructure": {"partId": "t", "type": "image/png"}, "bodyValues": VALUES},
]


@pytest.mark.parametrize("given", REFUSED, ids=str)
async def test_drafts_that_are_refused(alice: Client, given: dict[str, Any]) -> None:
    fault = await create(alice, **given)
    assert fault["type"] == "invalidProperties", fault
    assert fault["properties"]


async def test_blobs_that_are_not_there_are_named(alice: Client, bob: Client) -> None:
    (email,) = await bob.get(await bob.add(letter("Bob's")))
    attachments = [{"blobId": each, "type": "a/b"} for each in (email["blobId"], "U77")]
    fault = await create(alice, attachments=attachments)
    assert (fault["type"], fault["notFound"]) == ("blobNotFound", [email["blobId"], "U77"])


# --- import and copy ------------------------------------------------------------------------------------------


async def upload(alice: Client, octets: bytes) -> str:
    response = await alice.http.post(f"/jmap/upload/{alice.account_id}/", content=octets)
    assert response.status_code == 201
    return str(response.json()["blobId"])


async def test_import_takes_the_date_of_receipt(alice: Client) -> None:
    received = "Received: from a by b; Mon, 2 Nov 2026 05:00:00 +0000\n"
    raw = (received + letter("Imported")).replace("\n", "\r\n").encode()
    inbox = await alice.mailbox("inbox")
    blob = await upload(alice, raw)
    emails: dict[str, Any] = {
        "good": {"blobId": blob, "mailboxIds": {inbox: True}, "keywords": {"$seen": True}},
        "dated": {"blobId": blob, "mailboxIds": {inbox: True}, "receivedAt": "2020-01-02T03:04:05Z"},
        "no-blob": {"blobId": "U999999", "mailboxIds": {inbox: True}},
        "no-box": {"blobId": blob, "mailboxIds": {}},
        "no-mail": {"blobId": await upload(alice, b"nonsense"), "mailboxIds": {inbox: True}},
        "broken": {"blobId": blob},
    }
    answer = await alice.call("Email/import", emails=emails)
    refused = {key: fault["type"] for key, fault in answer["notCreated"].items()}
    assert refused == {
        "no-blob": "invalidProperties",
        "no-box": "invalidProperties",
        "no-mail": "invalidEmail",
        "broken": "invalidProperties",
    }
    good, dated = await alice.get(answer["created"]["good"]["id"], answer["created"]["dated"]["id"])
    assert (good["receivedAt"], good["keywords"]) == ("2026-11-02T05:00:00Z", {"$seen": True})
    assert dated["receivedAt"] == "2020-01-02T03:04:05Z"
    assert good["size"] == answer["created"]["good"]["size"] == len(raw)
    assert await alice.error("Email/import", ifInState="1", emails={}) == "stateMismatch"


async def test_copying_needs_another_account_that_one_may_use(alice: Client, bob: Client) -> None:
    arguments: dict[str, Any] = {"create": {"c": {"id": "M1", "mailboxIds": {"F1": True}}}}
    same = await alice.error("Email/copy", fromAccountId=alice.account_id, **arguments)
    assert same == "invalidArguments"
    foreign = await alice.error("Email/copy", fromAccountId=bob.account_id, **arguments)
    assert foreign == "fromAccountNotFound"


# --- changes ------------------------------------------------------------------------------------------------


async def test_changes_are_exact_in_parts_of_any_size(alice: Client) -> None:
    kept = [await alice.add(letter(f"Kept {i}")) for i in range(3)]
    state = (await alice.call("Email/get", ids=[]))["state"]
    new = [await alice.add(letter(f"New {i}")) for i in range(4)]
    await alice.call("Email/set", update={kept[0]: {"keywords/$seen": True}}, destroy=[kept[1], new[3]])
    whole = await alice.call("Email/changes", sinceState=state)
    assert (sorted(whole["created"]), whole["updated"], whole["destroyed"]) == (
        sorted(new[:3]),
        [kept[0]],
        [kept[1]],
    )
    assert whole["hasMoreChanges"] is False
    for most in (1, 2, 3):
        found: dict[str, list[str]] = {"created": [], "updated": [], "destroyed": []}
        since, more = state, True
        while more:
            answer = await alice.call("Email/changes", sinceState=since, maxChanges=most)
            assert sum(len(answer[key]) for key in found) <= most
            for key in found:
                found[key] += answer[key]
            since, more = answer["newState"], answer["hasMoreChanges"]
        # Between two parts the short-lived one did exist: RFC 8620 §5.2 lets it stand in `destroyed`.
        found["destroyed"] = [name for name in found["destroyed"] if name != new[3]]
        assert {key: sorted(found[key]) for key in found} == {key: sorted(whole[key]) for key in found}
        assert since == whole["newState"]


async def test_one_commit_with_many_changes_is_told_in_parts(alice: Client) -> None:
    names = [await alice.add(letter(f"Flagged {i}")) for i in range(10)]
    state = (await alice.call("Email/get", ids=[]))["state"]
    await alice.call("Email/set", update={name: {"keywords/$seen": True} for name in names})
    found: list[str] = []
    since = state
    while True:
        answer = await alice.call("Email/changes", sinceState=since, maxChanges=3)
        assert len(answer["updated"]) <= 3
        found += answer["updated"]
        since = answer["newState"]
        if not answer["hasMoreChanges"]:
            break
    assert sorted(found) == sorted(names)


async def test_what_was_told_in_a_part_is_told_when_it_goes(alice: Client) -> None:
    state = (await alice.call("Email/get", ids=[]))["state"]
    first, second = [await alice.add(letter(name)) for name in ("First", "Second")]
    part = await alice.call("Email/changes", sinceState=state, maxChanges=1)
    assert (part["created"], part["hasMoreChanges"]) == ([first], True)
    await alice.call("Email/set", destroy=[first], update={second: {"keywords/$seen": True}})
    rest = await alice.call("Email/changes", sinceState=part["newState"])
    assert (rest["created"], rest["updated"], rest["destroyed"]) == ([second], [], [first])


async def test_a_thread_that_grew_between_two_parts_is_told_created(alice: Client) -> None:
    state = (await alice.call("Thread/get", ids=[]))["state"]
    first = await alice.add(letter("First"))
    other = await alice.add(letter("Other"))
    await alice.add(letter("Re: First", message_id="answer", reply_to="First"))
    part = await alice.call("Thread/changes", sinceState=state, maxChanges=1)
    rest = await alice.call("Thread/changes", sinceState=part["newState"])
    threads = [(await alice.get(name, properties=["threadId"]))[0]["threadId"] for name in (other, first)]
    assert [*part["created"], *rest["created"]] == threads
    assert rest["updated"] == []


@pytest.mark.parametrize("kind", ["Email", "Mailbox", "Thread"])
async def test_states_that_never_were_are_refused(alice: Client, kind: str) -> None:
    for wrong in ("", "x", "999999999", "-1", "1-2-3", "01"):
        assert await alice.error(f"{kind}/changes", sinceState=wrong) == "cannotCalculateChanges"
    assert await alice.error(f"{kind}/changes", sinceState="0", maxChanges=0) == "invalidArguments"


async def mark_inbox_deleted(alice: Client) -> None:
    """As a mail program does that shows what it will expunge struck through."""
    box = await alice.house.app.store.mailbox(alice.number, "INBOX")
    assert box is not None
    await alice.house.app.store.apply(
        SetFlags(
            account_id=alice.number,
            mailbox_id=box.mailbox_id,
            uids=Ranges([(1, box.uid_next)]),
            action="add",
            flags=frozenset({"\\Deleted"}),
        )
    )


async def test_what_is_marked_deleted_by_imap_is_destroyed_here(alice: Client) -> None:
    name = await alice.add(letter("Imap"))
    state = (await alice.call("Email/get", ids=[]))["state"]
    await mark_inbox_deleted(alice)
    assert (await alice.call("Email/changes", sinceState=state))["destroyed"] == [name]


async def test_what_is_marked_deleted_in_one_mailbox_is_in_the_others_and_can_come_back(
    alice: Client,
) -> None:
    name, other = await alice.add(letter("Both")), await alice.add(letter("Other"))
    inbox, archive = await alice.mailbox("inbox"), await alice.mailbox("archive")
    both = {"mailboxIds": {inbox: True, archive: True}}
    assert await changed(alice, name, both) == {}
    await mark_inbox_deleted(alice)
    assert (await alice.get(name, properties=["mailboxIds"]))[0]["mailboxIds"] == {archive: True}
    assert (await alice.call("Email/get", ids=[other]))["notFound"] == [other]
    assert await changed(alice, name, both) == {}
    assert (await alice.get(name, properties=["mailboxIds"]))[0]["mailboxIds"] == both["mailboxIds"]
    assert await changed(alice, name, {f"mailboxIds/{archive}": None}) == {}
    assert (await alice.get(name, properties=["mailboxIds"]))[0]["mailboxIds"] == {inbox: True}
    assert await changed(alice, name, {"keywords/$seen": True}) == {}
    counts = (await alice.call("Mailbox/get", ids=[inbox, archive]))["list"]
    assert [(box["totalEmails"], box["unreadEmails"]) for box in counts] == [(1, 0), (0, 0)]


# --- threads ------------------------------------------------------------------------------------------------


async def test_threads_are_by_reference_and_subject(alice: Client) -> None:
    first = await alice.add(letter("Topic"), received_at=NOW)
    answer = await alice.add(
        letter("RE: [list] Topic", reply_to="Topic", message_id="b"), received_at=NOW + 5
    )
    other = await alice.add(letter("New topic", reply_to="Topic", message_id="c"), received_at=NOW + 6)
    sent = await alice.add(
        letter("Aw: topic", reply_to="b", message_id="d"), mailbox="Sent", received_at=NOW + 2
    )
    threads = {email["id"]: email["threadId"] for email in await alice.get(first, answer, other, sent)}
    assert threads[first] == threads[answer] == threads[sent] != threads[other]
    answer_ = await alice.call("Thread/get", ids=[threads[first], threads[other], "T999999", "M1"])
    assert answer_["list"] == [
        {"id": threads[first], "emailIds": [first, sent, answer]},
        {"id": threads[other], "emailIds": [other]},
    ]
    assert answer_["notFound"] == ["T999999", "M1"]


async def test_thread_changes(alice: Client) -> None:
    first = await alice.add(letter("Topic"))
    lonely = await alice.add(letter("Lonely"))
    threads = [email["threadId"] for email in await alice.get(first, lonely)]
    state = (await alice.call("Thread/get", ids=[]))["state"]
    await alice.call("Email/set", update={first: {"keywords/$seen": True}})
    unchanged = await alice.call("Thread/changes", sinceState=state)
    assert [unchanged[key] for key in ("created", "updated", "destroyed")] == [[], [], []]
    await alice.add(letter("Re: Topic", reply_to="Topic", message_id="b"))
    new = await alice.add(letter("Brand new"))
    await alice.call("Email/set", destroy=[lonely])
    (thread,) = [email["threadId"] for email in await alice.get(new)]
    answer = await alice.call("Thread/changes", sinceState=state)
    assert (answer["created"], answer["updated"], answer["destroyed"]) == (
        [thread],
        [threads[0]],
        [threads[1]],
    )


async def test_an_email_is_created_in_all_its_mailboxes_or_not_at_all(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8620 §5.3: by one commit, so that a crash leaves it nowhere; another client may remove one at that moment."""
    store = house.app.store
    names = {"a": {"name": "One of two"}, "b": {"name": "Short-lived"}}
    one, made = [box["id"] for box in (await alice.call("Mailbox/set", create=names))["created"].values()]
    given = {"mailboxIds": {one: True, made: True}, "subject": "x"}
    seen = set()

    async def look() -> None:
        found = await store.mailboxes(alice.number)
        seen.add(
            tuple(
                box.total for box in found if ids.encode(ids.MAILBOX, box.mailbox_id) in given["mailboxIds"]
            )
        )

    watching = [asyncio.ensure_future(look())]
    forget = store.watch_account(alice.number, lambda: watching.append(asyncio.ensure_future(look())))
    name = (await alice.call("Email/set", create={"d": given}))["created"]["d"]["id"]
    forget()
    await asyncio.gather(*watching)
    assert seen == {(0, 0), (1, 1)}
    assert (await alice.get(name))[0]["mailboxIds"] == given["mailboxIds"]
    await alice.call("Email/set", destroy=[name])
    apply = store.apply

    async def before(op: Op[Any]) -> Any:
        if isinstance(op, AddEmail):
            await apply(DeleteMailbox(account_id=alice.number, mailbox_id=int(made[1:])))
        return await apply(op)

    monkeypatch.setattr(store, "apply", before)
    answer = await alice.call("Email/set", create={"d": given})
    assert answer["notCreated"]["d"]["properties"] == ["mailboxIds"]
    assert (await alice.call("Email/query"))["ids"] == []


async def test_what_the_server_sets_may_stand_in_a_patch_as_it_is(alice: Client) -> None:
    """RFC 8620 §5.3: a client may send an object back with its changes; what differs is refused."""
    name = await alice.add(letter("Whole"))
    same = ["id", "blobId", "threadId", "size", "receivedAt"]
    (email,) = await alice.get(name, properties=same)
    assert await changed(alice, name, email | {"keywords": {"$seen": True}}) == {}
    (found,) = await alice.get(name, properties=["keywords"])
    assert found["keywords"] == {"$seen": True}
    (whole,) = (await alice.call("Email/get", ids=[name], fetchTextBodyValues=True))["list"]
    more = (await alice.get(name, properties=["header:Subject:asText", "headers", "bodyStructure"]))[0]
    assert await changed(alice, name, whole | more | {"keywords": {"$flagged": True}}) == {}
    assert (await alice.get(name, properties=["keywords"]))[0]["keywords"] == {"$flagged": True}
    for wrong in (*same, "subject", "preview", "hasAttachment", "header:Subject:asText"):
        refused = await changed(alice, name, email | {wrong: "M999", "keywords": {}})
        assert (refused["type"], refused["properties"]) == ("invalidProperties", [wrong])


async def test_what_another_client_keeps_moving_is_not_called_destroyed(
    house: TestHouse, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expunging misses it each time, as when it is in another mailbox by then."""
    moving, still = await alice.add(letter("Moving")), await alice.add(letter("Still"))
    commit, number = house.app.store.commit, int(moving[1:])
    box = await house.app.store.mailbox(alice.number, "INBOX")
    assert box is not None
    uid = (await house.app.store.index(alice.number, box.mailbox_id)).find(number)
    assert uid is not None

    async def missing(*ops: Any) -> Any:
        spared = [
            msgspec.structs.replace(op, uids=Ranges.of_sorted([each for each in op.uids if each != uid]))
            if isinstance(op, Expunge)
            else op
            for op in ops
        ]
        return await commit(*spared)

    monkeypatch.setattr(house.app.store, "commit", missing)
    answer = await alice.call("Email/set", destroy=[moving, still])
    assert answer["destroyed"] == [still]
    assert answer["notDestroyed"][moving]["type"] == "serverUnavailable"
