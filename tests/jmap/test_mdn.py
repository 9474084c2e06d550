"""MDN/send and MDN/parse (RFC 9007)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from posthouse import limits
from posthouse.jmap.mdn_parse import read_mdn
from posthouse.store.interface import Enqueue, Op
from posthouse.store.model import Content
from tests.jmap.conftest import Client, letter

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISPLAYED = {"actionMode": "manual-action", "sendingMode": "mdn-sent-manually", "type": "displayed"}
ASKS = "Disposition-Notification-To: <bob@example.test>\n"


async def send(alice: Client, email: str, **more: Any) -> list[Any]:
    """Send one; all responses."""
    own = (await alice.call("Identity/get"))["list"][0]["id"]
    given = {"forEmailId": email, "disposition": DISPLAYED} | more
    patch = {"#m": {"keywords/$mdnsent": True}}
    return await alice.calls(
        ("MDN/send", {"identityId": own, "send": {"m": given}, "onSuccessUpdateEmail": patch})
    )


async def test_a_receipt_is_sent_once_and_can_be_read(alice: Client, bob: Client) -> None:
    email = await alice.add(letter("Important", more=ASKS))
    extra = {"X-Extra": "yes"}
    first, second = await send(
        alice, email, textBody="I saw it.", includeOriginalMessage=True, extensionFields=extra
    )
    told = first[1]["sent"]["m"]
    assert told["finalRecipient"] == "rfc822; alice@example.test"
    assert told["originalMessageId"] == "<Important@elsewhere.test>"
    assert second[1]["updated"] == {email: None}
    again = (await send(alice, email))[0][1]
    assert again["notSent"]["m"]["type"] == "mdnAlreadySent"
    (name,) = (await bob.call("Email/query"))["ids"]
    (arrived,) = await bob.get(name, properties=["blobId", "subject", "header:Return-Path", "from"])
    assert (arrived["subject"], arrived["header:Return-Path"]) == ("Read: Important", " <>")
    answer = await bob.call("MDN/parse", blobIds=[arrived["blobId"], "U0"])
    parsed = answer["parsed"][arrived["blobId"]]
    assert parsed["disposition"] == DISPLAYED
    assert parsed["textBody"].strip() == "I saw it."
    assert parsed["finalRecipient"] == "rfc822; alice@example.test"
    assert parsed["originalMessageId"] == "<Important@elsewhere.test>"
    assert parsed["includeOriginalMessage"] is True
    assert parsed["extensionFields"] == extra
    assert answer["notFound"] == ["U0"]
    (plain,) = await alice.get(email, properties=["blobId"])
    assert (await alice.call("MDN/parse", blobIds=[plain["blobId"]]))["notParsable"] == [plain["blobId"]]


@pytest.mark.parametrize("final", [None, "rfc822\r\nX-Put-In: yes; alice@example.test"])
async def test_nobody_puts_fields_into_a_receipt(alice: Client, bob: Client, final: str | None) -> None:
    """Neither the sender, by line ends in an encoded word, nor the client."""
    original = "Original-Recipient: =?utf-8?q?rfc822;_x=0D=0AX-Put-In:_yes?=\n"
    email = await alice.add(letter("Crafted", more=ASKS + original))
    await send(alice, email, finalRecipient=final)
    (name,) = (await bob.call("Email/query"))["ids"]
    (arrived,) = await bob.get(name, properties=["blobId"])
    parsed = (await bob.call("MDN/parse", blobIds=[arrived["blobId"]]))["parsed"][arrived["blobId"]]
    assert parsed["disposition"] == DISPLAYED
    assert not parsed["extensionFields"]


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({"forEmailId": "M999999"}, "notFound"),
        ({"disposition": DISPLAYED | {"type": "eaten"}}, "invalidProperties"),
        ({"disposition": None}, "invalidProperties"),
        ({"error": ["x"]}, "invalidProperties"),
        ({"colour": 1}, "invalidProperties"),
        ({"extensionFields": {"X": "a\r\nb: c"}}, "invalidProperties"),
        ({"reportingUA": "a\r\nb"}, "invalidProperties"),
    ],
)
async def test_receipts_that_are_refused(alice: Client, more: dict[str, Any], kind: str) -> None:
    email = await alice.add(letter("Important", more=ASKS))
    assert (await send(alice, email, **more))[0][1]["notSent"]["m"]["type"] == kind


async def test_a_receipt_floods_nobody(alice: Client, bob: Client) -> None:
    """The sender of a message says where its receipts go."""
    most = limits.MDN_RECIPIENTS
    for count, kept in ((most, True), (most + 1, False)):
        others = [f"p{i}@far.test" for i in range(count - 1)]
        asks = (
            f"Disposition-Notification-To: {', '.join(['bob@example.test', *others, 'bob@example.test'])}\n"
        )
        email = await alice.add(letter(f"To {count}", more=asks))
        answer = (await send(alice, email))[0][1]
        assert ("m" in (answer["sent"] or {})) == kept
        if not kept:
            assert answer["notSent"]["m"]["type"] == "forbidden"
    assert len((await bob.call("Email/query"))["ids"]) == 1


async def test_nobody_is_told_who_did_not_ask(alice: Client) -> None:
    email = await alice.add(letter("Plain"))
    assert (await send(alice, email))[0][1]["notSent"]["m"]["type"] == "notFound"  # RFC 9007 §2.1
    wrong = await alice.error("MDN/send", identityId="I999", send={"m": {}})
    assert wrong == "invalidArguments"


async def test_an_address_outside_ascii_stays_one(alice: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 2047 §5 (3): no encoded word stands in an address."""
    store = alice.house.app.store
    # Seen on its way: by the time that one looks into the queue, it may have been tried.
    queued: list[Enqueue] = []

    async def commit(*ops: Op[Any]) -> list[Any]:
        queued.extend(op for op in ops if isinstance(op, Enqueue))
        return await type(store).commit(store, *ops)

    monkeypatch.setattr(store, "commit", commit)
    asks = "Return-Path: <weiß@far.test>\nDisposition-Notification-To: <weiß@far.test>\n"
    email = await alice.add(letter("From afar", more=asks))
    first, _ = await send(alice, email)
    assert "m" in first[1]["sent"]
    (receipt,) = queued
    assert [one.address for one in receipt.message.recipients] == ["weiß@far.test"]
    assert isinstance(receipt.content, Content)
    assert "\r\nTo: <weiß@far.test>\r\n".encode() in receipt.content.beginning()


AUTOMATIC = {"actionMode": "automatic-action", "sendingMode": "mdn-sent-automatically", "type": "processed"}


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ("Return-Path: <bob@EXAMPLE.test>\nDisposition-Notification-To: Bob <bob@example.test>\n", None),
        ("Return-Path: <x@example.test>\nDisposition-Notification-To: <bob@example.test>\n", "forbidden"),
        ("Return-Path: <Bob@example.test>\nDisposition-Notification-To: <bob@example.test>\n", "forbidden"),
        ("Return-Path: <>\nDisposition-Notification-To: <bob@example.test>\n", "forbidden"),
        ("Disposition-Notification-To: <bob@example.test>\n", "forbidden"),
        ("Return-Path: <bob@example.test>\n" + ASKS.replace("\n", ", <x@example.test>\n"), "forbidden"),
        ("Return-Path: <bob@example.test>\n" + ASKS + ASKS, "forbidden"),
    ],
)
async def test_no_receipt_goes_by_itself_to_somebody_else(
    alice: Client, fields: str, error: str | None
) -> None:
    """RFC 8098 §2.1: only to the one address in Return-Path; for others somebody must be asked."""
    email = await alice.add(letter("Important", more=fields))
    answer = (await send(alice, email, disposition=AUTOMATIC))[0][1]
    assert (answer["notSent"] or {}).get("m", {}).get("type") == error
    if error:
        assert (await send(alice, email))[0][1]["notSent"] is None  # who was asked may say yes


async def test_a_receipt_is_not_answered_by_one(alice: Client) -> None:
    """RFC 8098 §2.1."""
    report = (
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\n\n'
        "--b\n\nRead.\n--b\nContent-Type: message/%sdisposition-notification\n\n"
        "Final-Recipient: rfc822;bob@example.test\nDisposition: manual-action/MDN-sent-manually; displayed\n--b--\n"
    )
    for kind in ("", "global-"):
        raw = f"From: bob@example.test\nMessage-ID: <{kind}r@x>\n{ASKS}{report % kind}"
        assert (await send(alice, await alice.add(raw)))[0][1]["notSent"]["m"]["type"] == "notFound"


async def test_comments_stand_anywhere_in_a_disposition() -> None:
    """RFC 8098 §2.3, §3.2.6: what reads it must take them; RFC 6533 §5: of either type."""
    said = "(a) manual-action (b) / (c;d) MDN-sent-manually (e) ; (f/g) Displayed (h) / error"
    for kind in ("disposition-notification", "global-disposition-notification"):
        found = read_mdn(
            b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nRead.\r\n--b\r\n"
            + f"Content-Type: message/{kind}\r\n\r\nDisposition: {said}\r\n".encode()
            + "Final-Recipient: utf-8; wei\u00df@a.test\r\n--b--\r\n".encode()
        )
        assert found is not None
        assert msgspec.to_builtins(found.disposition) == DISPLAYED
        assert found.final_recipient == "utf-8; wei\u00df@a.test"


async def test_what_is_not_ascii_makes_a_report_of_the_other_type(alice: Client, bob: Client) -> None:
    """RFC 8098 §3.1, RFC 6533 §5: the report by its fields, what is returned by its header."""
    for extra, kind in (
        ("plain", "disposition-notification"),
        ("wei\u00df", "global-disposition-notification"),
    ):
        email = await alice.add(letter(f"Of {extra}", more=ASKS))
        await send(alice, email, extensionFields={"X-Extra": extra}, includeOriginalMessage=True)
        name = (await bob.call("Email/query", filter={"subject": extra}))["ids"][0]
        (arrived,) = await bob.get(name, properties=["blobId", "bodyStructure"])
        types = [part["type"] for part in arrived["bodyStructure"]["subParts"]]
        assert types[1:] == [f"message/{kind}", "message/rfc822" if extra.isascii() else "message/global"]
        parsed = (await bob.call("MDN/parse", blobIds=[arrived["blobId"]]))["parsed"][arrived["blobId"]]
        assert parsed["extensionFields"] == {"X-Extra": extra}
