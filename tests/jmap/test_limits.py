"""What a JMAP client may ask for at most: exactly so much is done, one more is refused and nothing is half done."""

from __future__ import annotations

import asyncio
import base64
import time
from array import array
from typing import Any

import pytest

from posthouse import limits
from posthouse.jmap import email_body
from posthouse.jmap.card_shelf import CardShelves, Shelf
from posthouse.jmap.dates import utc_date
from posthouse.jmap.mail import MailCache
from posthouse.jmap.results import Results
from posthouse.message.mime import scan
from posthouse.message.transfer import decode_transfer
from posthouse.web.event_source import _interval
from tests.jmap.conftest import Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")


def nested(depth: int) -> dict[str, Any]:
    """A filter that stands so deep in operators."""
    inner: dict[str, Any] = {"from": "bob"}
    for _ in range(depth):
        inner = {"operator": "AND", "conditions": [inner]}
    return inner


def beside(count: int) -> dict[str, Any]:
    """An operator with so many conditions."""
    return {"operator": "OR", "conditions": [{"from": f"x{i}"} for i in range(count)]}


def ids(letters: str, count: int) -> list[str]:
    """Well-formed ids of nothing."""
    return [f"{letters}{900_000 + i}" for i in range(count)]


QUERIES = {
    "depth": (lambda most: {"filter": nested(most)}, limits.JMAP_FILTER_DEPTH, "unsupportedFilter"),
    "conditions": (lambda most: {"filter": beside(most)}, limits.JMAP_FILTER_CONDITIONS, "unsupportedFilter"),
    "sorts": (
        lambda most: {"sort": [{"property": "receivedAt"}] * most},
        limits.JMAP_SORTS,
        "unsupportedSort",
    ),
}


@pytest.mark.parametrize("kind", QUERIES)
async def test_a_query_has_a_size(alice: Client, kind: str) -> None:
    made, most, refusal = QUERIES[kind]
    assert (await alice.call("Email/query", **made(most)))["ids"] == []
    assert await alice.error("Email/query", **made(most + 1)) == refusal


ASKED = {
    "Email/parse": ("blobIds", "B", limits.JMAP_PARSE),
    "MDN/parse": ("blobIds", "B", limits.JMAP_PARSE),
    "SearchSnippet/get": ("emailIds", "M", limits.JMAP_SNIPPETS),
}


@pytest.mark.parametrize("method", ASKED)
async def test_so_many_are_looked_at_in_one_call(alice: Client, method: str) -> None:
    name, letters, most = ASKED[method]
    more = {"filter": {"text": "hello"}} if method.startswith("Search") else {}
    asked = ids(letters, most)
    answer = await alice.call(method, **{name: asked}, **more)
    assert sorted(answer["notFound"]) == sorted(asked)
    assert await alice.error(method, **{name: ids(letters, most + 1)}, **more) == "requestTooLarge"


async def test_a_blob_has_so_many_sources(alice: Client) -> None:
    for count, kept in ((limits.JMAP_BLOB_SOURCES, True), (limits.JMAP_BLOB_SOURCES + 1, False)):
        create = {"b": {"data": [{"data:asText": "x"}] * count}}
        answer = await alice.call("Blob/upload", create=create)
        assert ("b" in (answer["created"] or {})) == kept
        if kept:
            assert answer["created"]["b"]["size"] == count
        else:
            assert answer["notCreated"]["b"]["type"] == "invalidProperties"


async def test_a_mailbox_has_a_name_of_so_many_octets(alice: Client) -> None:
    for length, kept in ((limits.JMAP_MAILBOX_NAME, True), (limits.JMAP_MAILBOX_NAME + 1, False)):
        answer = await alice.call("Mailbox/set", create={"m": {"name": "n" * length}})
        assert ("m" in (answer["created"] or {})) == kept
    wide = "驿" * (limits.JMAP_MAILBOX_NAME // 3 + 1)
    answer = await alice.call("Mailbox/set", create={"m": {"name": wide}})
    assert answer["notCreated"]["m"]["properties"] == ["name"]


async def test_mailboxes_stand_so_deep(alice: Client) -> None:
    parent, depth = None, 0
    while True:
        answer = await alice.call("Mailbox/set", create={"m": {"name": f"d{depth}", "parentId": parent}})
        if "m" not in (answer["created"] or {}):
            break
        parent, depth = answer["created"]["m"]["id"], depth + 1
        assert depth <= limits.JMAP_MAILBOX_DEPTH
    assert depth == limits.JMAP_MAILBOX_DEPTH


async def test_a_card_has_a_size(alice: Client) -> None:
    (book,) = (await alice.call("AddressBook/get", ids=None))["list"]

    async def create(length: int) -> Any:
        card = {"addressBookIds": {book["id"]: True}, "notes": {"n": {"note": "x" * length}}}
        return await alice.call("ContactCard/set", create={"c": card})

    assert "c" in (await create(limits.CONTACT_CARD - 1000))["created"]
    assert (await create(limits.CONTACT_CARD))["notCreated"]["c"]["type"] == "tooLarge"


@pytest.mark.parametrize(
    ("most", "method", "made"),
    [
        (limits.JMAP_IDENTITIES, "Identity/set", {"email": "alice@example.test"}),
        (limits.ADDRESS_BOOKS, "AddressBook/set", {"name": "friends"}),
    ],
)
async def test_an_account_keeps_so_many(alice: Client, most: int, method: str, made: dict[str, Any]) -> None:
    have = len((await alice.call(method.replace("set", "get"), ids=None))["list"])
    answer = await alice.call(method, create={f"n{i}": made for i in range(most - have)})
    assert len(answer["created"]) == most - have
    answer = await alice.call(method, create={"more": made})
    assert answer["notCreated"]["more"]["type"] == "overQuota"


async def test_a_letter_is_held_back_for_so_long(alice: Client) -> None:
    own = letter("later").replace("Bob <bob@elsewhere.test>", "alice@example.test")
    email = await alice.add(own, flags=("$draft",))
    (identity, *_) = (await alice.call("Identity/get", ids=None))["list"]
    for seconds, kept in ((limits.JMAP_HOLD, True), (limits.JMAP_HOLD + 1, False)):
        envelope = {
            "mailFrom": {"email": "alice@example.test", "parameters": {"HOLDFOR": str(seconds)}},
            "rcptTo": [{"email": "bob@example.test"}],
        }
        made = {"identityId": identity["id"], "emailId": email, "envelope": envelope}
        answer = await alice.call("EmailSubmission/set", create={"s": made})
        assert ("s" in (answer["created"] or {})) == kept, answer


BUSY = {
    "requests": ("POST", "/jmap/", limits.JMAP_REQUESTS, 400, b'"maxConcurrentRequests"'),
    "uploads": ("POST", "/jmap/upload/{account}/", limits.JMAP_UPLOADS, 400, b'"maxConcurrentUpload"'),
    "streams": (
        "GET",
        "/jmap/eventsource/?types=*&closeafter=no&ping=0",
        limits.JMAP_STREAMS,
        429,
        b"too many",
    ),
}


@pytest.mark.parametrize("kind", BUSY)
async def test_so_many_at_once_by_one_account(alice: Client, bob: Client, kind: str) -> None:
    """RFC 8620 §3.6.1: `limit`, with the name of the limit. Requests whose bodies never end wait in the server."""
    method, path, most, status, word = BUSY[kind]
    open_ones: list[asyncio.StreamWriter] = []

    async def begin(client: Client) -> asyncio.StreamReader:
        port = client.house.port("http")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        open_ones.append(writer)
        name, password = ("alice", "wonderland") if client is alice else ("bob", "builder")
        login = base64.b64encode(f"{name}@example.test:{password}".encode()).decode()
        length = "Content-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n"
        length = length if method == "POST" else ""
        head = f"{method} {path.format(account=client.account_id)} HTTP/1.1\r\nHost: a\r\n{length}"
        writer.write(f"{head}Authorization: Basic {login}\r\n\r\n".encode())
        return reader

    async def refused(reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(5):
            return (await reader.readuntil(b"\r\n\r\n")) + await reader.read(500)

    try:
        first = [await begin(alice) for _ in range(most)]
        async with asyncio.timeout(20):
            for (
                reader
            ) in first:  # until it is inside: asked for its body, or answered with the stream's first line
                await reader.readuntil(b"100 Continue\r\n\r\n" if method == "POST" else b": here\n")
        answer = await refused(await begin(alice))
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert word in answer
        others = await begin(bob)
        async with asyncio.timeout(5):
            assert (await others.readline()).split()[1] in {b"100", b"200"}, "bob is not alice"
        assert all(not reader.at_eof() for reader in first)
    finally:
        for writer in open_ones:
            writer.close()


@pytest.mark.parametrize("behind", [b"", b"{", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"x" * 1000])
async def test_a_stream_ends_with_its_client_whatever_stood_behind_the_request(
    alice: Client, behind: bytes
) -> None:
    login = base64.b64encode(b"alice@example.test:wonderland")
    asked = b"GET /jmap/eventsource/?types=*&closeafter=no&ping=0 HTTP/1.1\r\nHost: a\r\n"

    async def opened(part: bytes) -> asyncio.StreamWriter:
        """A stream; while those that were closed are still counted, one is refused and asked for again."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", alice.house.port("http"))
            writer.write(asked + b"Authorization: Basic " + login + b"\r\n\r\n" + part)
            if (await reader.readline()).startswith(b"HTTP/1.1 200 "):
                await reader.readuntil(b"here\n")
                return writer
            writer.close()
            await asyncio.sleep(0.05)

    async with asyncio.timeout(20):
        for _ in range(4):  # were the earlier ones still there, the last ones would be too many
            for part in (b"", behind):
                streams = [await opened(part) for _ in range(limits.JMAP_STREAMS // 2)]
                for writer in streams:
                    writer.write(behind if not part else b"")
                    writer.close()


# --- result references (RFC 8620 §3.7) ------------------------------------------------------------------------


def refer(call: int, path: str) -> dict[str, str]:
    return {"resultOf": str(call), "name": "Core/echo", "path": path}


async def test_an_answer_that_repeats_itself_is_not_let_grow(alice: Client) -> None:
    """Ten times the answer before, and that again and again: sixty-four calls would be more than there are atoms."""
    calls: list[Any] = [["Core/echo", {"x": "y" * 10_000}, "0"]]
    calls += [
        ["Core/echo", {f"#a{n}": refer(before, "") for n in range(10)}, str(before + 1)]
        for before in range(6)
    ]
    async with asyncio.timeout(10):
        answers = (await alice.request(calls))["methodResponses"]
    assert [name for name, _, _ in answers] == ["Core/echo"] * 3 + ["error"] * 4
    assert {answer["type"] for name, answer, _ in answers if name == "error"} == {"invalidResultReference"}


async def test_a_request_has_so_many_references(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JMAP_REFERENCES", 3)
    for count, name in ((3, "Core/echo"), (4, "error")):
        calls: list[Any] = [["Core/echo", {"x": 1}, "0"], ["Core/echo", {"#a": refer(0, "/x")}, "1"]]
        calls += [["Core/echo", {f"#b{n}": refer(0, "/x") for n in range(count - 1)}, "2"]]
        answers = (await alice.request(calls))["methodResponses"]
        assert [answers[1][0], answers[2][0]] == ["Core/echo", name]


async def test_references_lead_to_so_many_values_and_octets(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def led(path: str, count: int) -> str:
        calls = [["Core/echo", {"x": [{"y": 1}] * count}, "0"], ["Core/echo", {"#a": refer(0, path)}, "1"]]
        return str((await alice.request(calls))["methodResponses"][1][0])

    monkeypatch.setattr(limits, "JMAP_REFERENCED", 5)
    assert [await led("/x/*/y", count) for count in (5, 6)] == ["Core/echo", "error"]
    monkeypatch.setattr(limits, "JMAP_REFERENCED_OCTETS", len("[1,1,1]"))
    assert [await led("/x/*/y", count) for count in (3, 4)] == ["Core/echo", "error"]


async def test_a_path_has_so_many_steps(alice: Client) -> None:
    for steps, name in ((limits.JMAP_POINTER, "Core/echo"), (limits.JMAP_POINTER + 1, "error")):
        deep: Any = 1
        for _ in range(steps - 1):
            deep = [deep]
        calls = [
            ["Core/echo", {"x": deep}, "0"],
            ["Core/echo", {"#a": refer(0, "/x" + "/0" * (steps - 1))}, "1"],
        ]
        assert (await alice.request(calls))["methodResponses"][1][0] == name


# --- what else is counted -------------------------------------------------------------------------------------


async def test_a_query_answers_with_so_many_ids(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JMAP_QUERY", 2)
    for number in range(3):
        await alice.add(letter(f"n{number}"))
    for asked in (None, 5):
        answer = await alice.call("Email/query", limit=asked)
        assert (len(answer["ids"]), answer["limit"]) == (2, 2)
    answer = await alice.call("Email/query", limit=1, position=2)
    assert len(answer["ids"]) == 1
    assert "limit" not in answer


async def test_a_text_condition_has_so_many_words(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JMAP_SEARCH_WORDS", 3)
    await alice.add(letter("something to look into"))
    assert (await alice.call("Email/query", filter={"text": 'a "b c" d'}))["ids"] == []
    assert await alice.error("Email/query", filter={"text": 'a "b c" d e'}) == "unsupportedFilter"


@pytest.mark.parametrize("method", ["Blob/get", "Blob/lookup"])
async def test_so_many_blobs_are_looked_at_in_one_call(alice: Client, method: str) -> None:
    more = {"typeNames": ["Email"]} if method == "Blob/lookup" else {}
    for count in (limits.JMAP_BLOBS, limits.JMAP_BLOBS + 1):
        ((name, answer, _),) = await alice.calls((method, {"ids": ids("B", count)} | more))
        kept = count == limits.JMAP_BLOBS
        assert (name == "error", answer.get("type")) == (not kept, None if kept else "requestTooLarge")


async def test_a_composed_message_has_so_many_parts(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JMAP_BODY_PARTS", 4)
    inbox = await alice.mailbox("inbox")
    for leaves, kept in ((3, True), (4, False)):  # and the multipart around them
        parts = [{"partId": "p", "type": "text/plain"}] * leaves
        made = {
            "mailboxIds": {inbox: True},
            "bodyStructure": {"type": "multipart/mixed", "subParts": parts},
            "bodyValues": {"p": {"value": "x"}},
        }
        answer = await alice.call("Email/set", create={"e": made})
        assert ("e" in (answer["created"] or {})) is kept, answer


async def test_an_address_book_has_a_name_of_so_many_octets(alice: Client) -> None:
    for name, kept in (("n" * 255, True), ("n" * 256, False), ("é" * 128, False)):  # RFC 9610 §2
        answer = await alice.call("AddressBook/set", create={"b": {"name": name}})
        assert ("b" in (answer["created"] or {})) is kept
        if kept:
            await alice.call("AddressBook/set", destroy=[answer["created"]["b"]["id"]])


async def test_an_address_of_a_contact_has_a_length(alice: Client) -> None:
    (book, *_) = (await alice.call("AddressBook/get", ids=None))["list"]
    for length, kept in ((limits.CONTACT_TEXT, True), (limits.CONTACT_TEXT + 1, False)):
        address = "a" * (length - len("@b.test")) + "@b.test"
        card = {"addressBookIds": {book["id"]: True}, "emails": {"e": {"address": address}}}
        answer = await alice.call("ContactCard/set", create={"c": card})
        assert ("c" in (answer["created"] or {})) is kept


async def test_a_vacation_answer_has_so_many_characters(alice: Client) -> None:
    for more, kept in ((0, True), (1, False)):
        half = limits.VACATION_TEXT // 2
        update = {
            "singleton": {"subject": "s" * 10, "textBody": "x" * (half - 10), "htmlBody": "y" * (half + more)}
        }
        answer = await alice.call("VacationResponse/set", update=update)
        assert ("singleton" in (answer["updated"] or {})) is kept
    await alice.call(
        "VacationResponse/set", update={"singleton": {"subject": None, "textBody": None, "htmlBody": None}}
    )


async def test_remembered_results_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "JMAP_RESULTS", 3)
    monkeypatch.setattr(limits, "JMAP_RESULT_IDS", 100)
    results = Results()
    for number in range(5):
        results.put(b"%d" % number, 1, array("Q", range(10)))
    assert [results.get(b"%d" % number, 1) is not None for number in range(5)] == [False] * 2 + [True] * 3
    results.put(b"large", 1, array("Q", range(95)))
    assert [results.get(each, 1) is not None for each in (b"4", b"large")] == [False, True]


async def test_a_pause_between_pings_is_within_bounds() -> None:
    """RFC 8620 §7.3: the server may choose another interval."""
    asked = (0, 1, limits.JMAP_PING_LEAST, 60, limits.JMAP_PING_MOST, 10**6)
    assert [_interval(each) for each in asked] == [0, 5, 5, 60, 300, 300]


async def test_a_blob_id_leads_through_so_many_messages(alice: Client) -> None:
    raw = "Subject: innermost\n\ntext\n"
    for _ in range(limits.JMAP_BLOB_DEPTH + 4):
        raw = "Content-Type: message/rfc822\n\n" + raw
    (email,) = await alice.get(await alice.add(raw), properties=["blobId"])
    within, beyond = (email["blobId"] + "-1" * steps for steps in (8, 9))
    answer = await alice.call("Blob/get", ids=[within, beyond], properties=["size"])
    assert [each["id"] for each in answer["list"]] == [within]
    assert answer["notFound"] == [beyond]


async def test_a_snippet_is_looked_for_so_far(alice: Client) -> None:
    near = await alice.add(letter("Near", "word " + "other " * 200_000))
    far = await alice.add(letter("Far", "other " * 200_000 + "word"))
    answer = await alice.call("SearchSnippet/get", filter={"body": "word"}, emailIds=[near, far])
    shown = {each["emailId"]: each["preview"] for each in answer["list"]}
    assert "<mark>word</mark>" in shown[near]
    assert shown[far] is None, "beyond the first megabyte"


async def test_so_many_records_of_submissions_are_kept(
    alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [0]

    async def count(account_id: int, kind: str) -> int:
        return kept[0]

    monkeypatch.setattr(alice.house.app.store, "item_count", count)
    create = {"s": {"identityId": "I999999", "emailId": "M999999"}}
    for kept[0], kind in ((99_999, "invalidProperties"), (100_000, "overQuota")):
        answer = await alice.call("EmailSubmission/set", create=create)
        assert answer["notCreated"]["s"]["type"] == kind


async def test_a_push_service_has_an_address_of_so_many_characters(alice: Client) -> None:
    for length, kept in ((2048, True), (2049, False)):
        url = "https://push.test/" + "x" * (length - len("https://push.test/"))
        made = {"deviceClientId": "limits", "url": url}
        answer = await alice.request([["PushSubscription/set", {"create": {"p": made}}, "0"]])
        (_, told, _), *_ = answer["methodResponses"]
        assert ("p" in (told["created"] or {})) is kept, told
        if kept:
            gone = {"destroy": [told["created"]["p"]["id"]]}
            await alice.request([["PushSubscription/set", gone, "0"]])


async def test_mail_is_snoozed_for_so_long(alice: Client) -> None:
    name = await alice.add(letter("Later"))
    for years, kept in ((4.9, True), (5.1, False)):
        until = utc_date(time.time() + years * 366 * 86_400)
        answer = await alice.call("Email/set", update={name: {"snoozed": {"until": until}}})
        assert (name in (answer["updated"] or {})) is kept


async def test_a_large_part_is_not_decoded_for_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of base64 beyond a megabyte the size is computed: nobody has us decode hundreds of them for a list."""
    decoded: list[int] = []

    def noted(octets: bytes, encoding: str) -> bytes | None:
        decoded.append(len(octets))
        return decode_transfer(octets, encoding)

    monkeypatch.setattr(email_body, "decode_transfer", noted)
    for size in (700_000, 900_000):
        head = b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        raw = head + base64.encodebytes(bytes(size)).replace(b"\n", b"\r\n")
        root = scan(raw)
        part = email_body.BodyReader(raw, root, "B1", email_body.BodyRequest()).structure()
        assert part["size"] == size
    assert [octets < 2**20 for octets in decoded] == [True]


async def test_a_file_of_cards_has_so_many(alice: Client) -> None:
    card = b"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:x\r\nEND:VCARD\r\n"
    path = f"/jmap/upload/{alice.account_id}/"
    answer = await alice.http.post(path, content=card * 20_001, headers={"content-type": "text/vcard"})
    assert await alice.error("VCard/import", blobId=answer.json()["blobId"]) == "tooLarge"


async def test_accounts_whose_mail_is_remembered_are_bounded(alice: Client) -> None:
    cache = MailCache(alice.house.app.store)
    for number in range(1_500):
        cache.of(number)
    assert len(cache._accounts) == 1_000


async def test_contacts_in_memory_are_bounded(alice: Client) -> None:
    shelves = CardShelves(alice.house.app.store)
    for number in range(100):
        octets = 10 * 1024 * 1024
        shelves._held[10**6 + number] = Shelf(state=1, cards={}, uids={}, sizes={1: octets}, octets=octets)
    await shelves.of(alice.number)
    assert sum(shelf.octets for shelf in shelves._held.values()) <= 64 * 1024 * 1024


async def test_a_contact_that_is_changed_again_and_again_takes_its_room_once(alice: Client) -> None:
    """Else the contacts of all others would be read anew at each look, for the sake of one."""
    (book, *_) = (await alice.call("AddressBook/get", ids=None))["list"]
    made = {"addressBookIds": {book["id"]: True}, "name": {"full": "x" * 5_000}}
    card = (await alice.call("ContactCard/set", create={"c": made}))["created"]["c"]["id"]
    shelves = alice.house.app._jmap.cards
    before = (await shelves.of(alice.number)).octets
    for number in range(20):
        await alice.call("ContactCard/set", update={card: {"name/full": "y" * 5_000 + str(number)}})
        await shelves.of(alice.number)
    assert before > 5_000
    assert (await shelves.of(alice.number)).octets < before + 100
    await alice.call("ContactCard/set", destroy=[card])
    assert (await shelves.of(alice.number)).octets < before - 5_000


@pytest.mark.parametrize(("remembered", "kept"), [(1_000_000, [1, 2]), (1_000_001, [2])])
async def test_threads_of_a_million_emails_are_remembered(
    house: Any, monkeypatch: pytest.MonkeyPatch, remembered: int, kept: list[int]
) -> None:
    cache = MailCache(house.app.store)
    monkeypatch.setattr(
        type(cache.of(1)),
        "remembered",
        property(lambda mail: remembered if mail is cache._accounts[1] else 0),
    )
    cache.of(2)
    assert list(cache._accounts) == kept
