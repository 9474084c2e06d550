"""Submission: what is added, taken out, and refused (RFC 6409 §8)."""

from __future__ import annotations

import re

import pytest

from posthouse.accounts.model import Login
from posthouse.inbound import leave_out
from posthouse.inbound.mail import Via
from posthouse.inbound.received import protocol_word
from posthouse.store.model import Content
from tests.inbound.small_house import SmallHouse


def submitted(house: SmallHouse, raw: bytes, *recipients: str, **changes):
    login = Login(account=house.accounts["alice"], mechanism="PLAIN")
    values = {
        "reverse_path": "alice@example.test",
        "via": Via.SUBMISSION,
        "login": login,
        "protocol": "ESMTPSA",
    }
    return house.mail(*(recipients or ("bob",)), raw=raw, **(values | changes))


async def send(house: SmallHouse, raw: bytes, *recipients: str, **changes) -> list[str]:
    replies = await house.pipeline.accept(submitted(house, raw, *recipients, **changes))
    return [str(reply)[:9] for reply in replies]


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        (b"From: alice@example.test\r\n", "250 2.0.0"),
        (b"From: Alice <ALICE+x@example.test>\r\n", "250 2.0.0"),
        (b"From: team@example.test\r\n", "250 2.0.0"),
        (b"From: alice@example.test, team@example.test\r\n", "250 2.0.0"),
        (b"From: alice@example.test\r\nSender: alice@example.test\r\n", "250 2.0.0"),
        (b"From: alice@example.test\r\nReply-To: boss@elsewhere.test\r\n", "250 2.0.0"),
        (b"From: bob@example.test\r\n", "550 5.7.1"),
        (b"From: alice@elsewhere.test\r\n", "550 5.7.1"),
        (b"From: alice@example.test, bob@example.test\r\n", "550 5.7.1"),
        (b"From: alice@example.test\r\nFrom: alice@example.test\r\n", "550 5.6.0"),
        (b"From: alice@example.test\r\nSender: bob@example.test\r\n", "550 5.7.1"),
        (b"From: alice\r\n", "550 5.6.0"),
        (b"From: undisclosed:;\r\n", "550 5.6.0"),
        (b"Subject: none\r\n", "550 5.6.0"),
    ],
)
async def test_who_may_write_as_whom(house, header, reply):
    assert await send(house, header + b"\r\ntext\r\n") == [reply]


async def test_date_and_message_id_are_added_when_missing(house):
    await send(house, b"From: alice@example.test\r\n\r\ntext\r\n")
    [message] = await house.inbox("bob")
    header, _, text = message.partition(b"\r\n\r\n")
    assert b"\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000" in header
    assert re.search(rb"\r\nMessage-ID: <[0-9a-f]+@mx\.example\.test>", header)
    assert text == b"text\r\n"


async def test_what_is_there_stays_as_it_is(house):
    raw = b"From: alice@example.test\r\nDate: yesterday\r\nmessage-id: <mine@x>\r\n\r\ntext\r\n"
    await send(house, raw)
    [message] = await house.inbox("bob")
    assert message.endswith(b"+0000\r\n" + raw)


async def test_blind_copies_are_taken_out_and_served(house):
    raw = (
        b"From: alice@example.test\r\nBcc: bob@example.test,\r\n friend@elsewhere.test\r\n"
        b"Subject: s\r\nbcc: x@y.test\r\nReturn-Path: <z@y.test>\r\n\r\nBcc: stays in the text\r\n"
    )
    await send(house, raw, "bob", "friend@elsewhere.test")
    [message] = await house.inbox("bob")
    header, _, text = message.partition(b"\r\n\r\n")
    assert b"\r\nbcc:" not in header.lower()
    assert b"y.test" not in header
    assert b"From: alice@example.test\r\nSubject: s" in header
    assert text == b"Bcc: stays in the text\r\n"
    [queued] = await house.real_store.queue()
    assert b"bcc:" not in (await house.real_store.read(queued.stored)).lower().partition(b"\r\n\r\n")[0]


async def test_several_authors_get_a_sender(house):
    await send(house, b"From: team@example.test, alice@example.test\r\n\r\ntext\r\n")
    [message] = await house.inbox("bob")
    assert b"\r\nSender: alice@example.test\r\n" in message


async def test_the_client_stays_unknown(house):
    await send(house, b"From: alice@example.test\r\n\r\ntext\r\n")
    [message] = await house.inbox("bob")
    assert b"192.0.2.1" not in message
    assert b"client.elsewhere.test" not in message
    assert b"with ESMTPSA" in message


async def test_the_client_is_shown_where_configured(tmp_path):
    house = await SmallHouse.open(tmp_path, show_clients=True)
    try:
        await send(house, b"From: alice@example.test\r\n\r\ntext\r\n")
        assert b"client.elsewhere.test ([192.0.2.1])" in (await house.inbox("bob"))[0]
    finally:
        await house.close()


@pytest.mark.parametrize(
    ("fields", "reply"),
    [
        (b"", "550 5.7.1"),
        (b"Auto-Submitted: no\r\n", "550 5.7.1"),
        (b"Auto-Submitted: (written by hand) no\r\n", "550 5.7.1"),
        (b"Auto-Submitted: auto-replied\r\n", "250 2.0.0"),
        (b"Content-Type: Multipart/Report; boundary=x\r\n", "250 2.0.0"),
    ],
)
async def test_an_empty_return_path_is_for_reports(house, fields, reply):
    raw = b"From: alice@example.test\r\n" + fields + b"\r\ntext\r\n"
    assert await send(house, raw, reverse_path="") == [reply]


async def test_a_local_program_is_served_the_same_way(house):
    assert await send(house, b"From: alice@example.test\r\n\r\ntext\r\n", via=Via.LOCAL) == ["250 2.0.0"]
    assert await send(house, b"From: bob@example.test\r\n\r\ntext\r\n", via=Via.LOCAL) == ["550 5.7.1"]


async def test_a_staged_message_is_rewritten_without_bcc(house, monkeypatch):
    monkeypatch.setattr(leave_out, "STAGE_BLOCK", 64)
    monkeypatch.setattr("posthouse.limits.STAGE_MEMORY", 1000)
    header = b"From: alice@example.test\r\nBcc: " + b"b" * 100 + b"@x.test\r\nSubject: s\r\n\r\n"
    text = bytes(range(32, 127)) * 50 + b"\r\n"
    staging = house.real_store.stage()
    for start in range(0, len(header + text), 100):
        await staging.write((header + text)[start : start + 100])
    content = await staging.finish()
    assert content.path is not None
    mail = submitted(house, b"x", content=content)
    assert [r.code for r in await house.pipeline.accept(mail)] == [250]
    [message] = await house.inbox("bob")
    assert message.endswith(b"From: alice@example.test\r\nSubject: s\r\n\r\n" + text)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({}, "SMTP"),
        ({"extended": True}, "ESMTP"),
        ({"extended": True, "tls": True, "login": True}, "ESMTPSA"),
        ({"extended": True, "login": True}, "ESMTPA"),
        ({"extended": True, "utf8": True, "tls": True}, "UTF8SMTPS"),
        ({"extended": True, "lmtp": True}, "LMTP"),
        ({"extended": True, "lmtp": True, "utf8": True}, "UTF8LMTP"),
    ],
)
def test_protocol_words(facts, word):
    none = dict.fromkeys(("lmtp", "extended", "utf8", "tls", "login"), False)
    assert protocol_word(**(none | facts)) == word


def test_content_keeps_its_identity_without_bcc():
    assert list(leave_out._outside(b"abcdef", [(1, 2), (4, 9)])) == [b"a", b"cd"]
    assert list(leave_out._outside(b"abcdef", [])) == [b"abcdef"]
    assert list(leave_out._outside(b"abcdef", [(-5, -1), (0, 3)])) == [b"def"]
    assert Content.of(b"x").size == 1
