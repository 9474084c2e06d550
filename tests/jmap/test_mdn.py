"""MDN/send and MDN/parse (RFC 9007)."""

from __future__ import annotations

from typing import Any

import pytest

from posthouse import limits
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
