"""What happens after the final dot: checks, Received, refusals, and faults at every step."""

from __future__ import annotations

import asyncio
import re

import pytest

from posthouse.errors import Permanent, StoreUnavailable, Temporary
from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.limits import HOPS, MESSAGE_HEADER
from posthouse.smtp.replies import Reply
from tests.inbound.small_house import SmallHouse


async def accept(house: SmallHouse, raw: bytes, *recipients: str, **changes) -> list[str]:
    replies = await house.pipeline.accept(house.mail(*(recipients or ("alice",)), raw=raw, **changes))
    return [str(reply)[:9] for reply in replies]


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        (b"From: eve@elsewhere.test\r\n", "250 2.0.0"),
        (b"Subject: no author at all\r\n", "250 2.0.0"),
        (b"From: broken <<>\r\n", "250 2.0.0"),
        (b"From: alice@example.test\r\n", "550 5.7.1"),
        (b"From: =?utf-8?q?x?= <ALICE@EXAMPLE.TEST>\r\n", "550 5.7.1"),
        (b"from : (comment) alice@example.test (x)\r\n", "550 5.7.1"),
        (b"From: eve@elsewhere.test,\r\n alice@example.test\r\n", "550 5.7.1"),
        (b"From: x@elsewhere.test\r\nfrom: y@elsewhere.test\r\n", "550 5.6.0"),
        (b"Sender: x@elsewhere.test\r\nSender: y@elsewhere.test\r\n", "550 5.6.0"),
        (b"Subject: a\0b\r\n", "550 5.6.0"),
        (b"From: x@elsewhere.test\r\nSubject: a\rFrom: y@elsewhere.test\r\n", "550 5.6.0"),
        (b"Subject: a\r", "550 5.6.0"),
        (b"Received: x\r\n" * HOPS, "250 2.0.0"),
        (b"Received: x\r\n" * (HOPS + 1), "554 5.4.6"),
        (b"X: " + b"x" * MESSAGE_HEADER + b"\r\n", "552 5.3.4"),
        (b"a:\r\n" * 20_000, "552 5.3.4"),
    ],
    ids=lambda value: value[:30] if isinstance(value, bytes) else value,
)
async def test_headers_from_outside(house, header, reply):
    assert await accept(house, header + b"\r\ntext\r\n") == [reply]


async def test_a_domain_that_a_check_proved_may_come_back_from_outside(house):
    async def proves(examination: Examination) -> None:
        examination.aligned.add("example.test")
        examination.fields.append(b"X-Proved: yes\r\n")

    house.pipeline._checks = {Via.MX: (proves, *house.pipeline._checks[Via.MX])}
    assert await accept(house, b"From: alice@example.test\r\n\r\ntext\r\n") == ["250 2.0.0"]
    assert b"\r\nX-Proved: yes\r\n" in (await house.inbox("alice"))[0]


async def test_hosts_of_our_own_may_hand_on_mail_from_our_people(tmp_path):
    house = await SmallHouse.open(tmp_path, trusted=("192.0.2.1",))
    try:
        assert await accept(house, b"From: alice@example.test\r\n\r\nx\r\n") == ["250 2.0.0"]
        assert await accept(house, b"From: alice@example.test\r\n\r\nx\r\n", peer="192.0.2.2") == [
            "550 5.7.1"
        ]
    finally:
        await house.close()


async def test_the_received_field(house):
    await accept(
        house, b"From: e@x.test\r\n\r\ntext\r\n", protocol="ESMTPS", tls="TLSv1.3 TLS_AES_256_GCM_SHA384"
    )
    [message] = await house.inbox("alice")
    received = re.search(rb"^Received: (?:.*\r\n)(?:[ \t].*\r\n)*", message, re.MULTILINE)[0].decode()
    trace_id = re.search(r" id ([0-9a-f]+)", received)[1]
    assert received == (
        "Received: from client.elsewhere.test ([192.0.2.1])\r\n"
        f"\tby mx.example.test (Posthouse) with ESMTPS id {trace_id}\r\n"
        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        "\tfor <alice@example.test>;\r\n"
        "\tMon, 02 Nov 2026 10:00:00 +0000\r\n"
    )


async def test_blind_copies_do_not_show_in_received(house):
    await accept(house, b"From: e@x.test\r\n\r\ntext\r\n", "alice", "bob")
    [message] = await house.inbox("alice")
    assert b"bob" not in message


@pytest.mark.parametrize("raw", [b"text without header\r\n", b" folded\r\n\r\nx\r\n", b"", b"\r\ntext\r\n"])
async def test_a_text_without_header_does_not_become_part_of_ours(house, raw):
    assert await accept(house, raw) == ["250 2.0.0"]
    [message] = await house.inbox("alice")
    header, _, text = message.partition(b"\r\n\r\n")
    assert header.endswith(b" +0000")
    assert text == raw.removeprefix(b"\r\n")


FAULTS = [
    ("mailbox", RuntimeError("bug"), "451 4.3.0"),
    ("commit", RuntimeError("bug"), "451 4.3.0"),
    ("commit", StoreUnavailable("disk full"), "452 4.3.1"),
    ("commit", Temporary("later"), "451 4.3.0"),
    ("commit", Permanent("never"), "554 5.0.0"),
    ("account", OSError("database is away"), "451 4.3.0"),
    ("domains", KeyError("bug"), "451 4.3.0"),
    ("notify", RuntimeError("bug"), "451 4.3.0"),
]


@pytest.mark.parametrize(("step", "fault", "reply"), FAULTS, ids=lambda v: v if isinstance(v, str) else "")
async def test_a_fault_at_any_step_defers_and_keeps_nothing(house, step, fault, reply):
    house.break_at(step, fault)
    assert await accept(house, b"From: e@x.test\r\n\r\nx\r\n", "alice", "off") == [reply] * 2
    house.mend()
    assert await house.inbox("alice") == []


async def test_a_fault_in_a_check_defers(house, caplog):
    async def broken(examination: Examination) -> Reply | None:
        raise ZeroDivisionError

    house.pipeline._checks = {Via.MX: (broken,)}
    [reply] = await house.pipeline.accept(house.mail("alice"))
    assert reply.code == 451
    fault_id = re.search(r"fault ([0-9a-f]+)", reply.text)[1]
    assert fault_id in caplog.text


async def test_a_refused_message_is_in_the_timeline(house):
    mail = house.mail("alice", raw=b"From: alice@example.test\r\n\r\nx\r\n")
    await house.pipeline.accept(mail)
    await house.refusals.flush()
    story = await house.story(mail.trace_id)
    assert {(kind, address) for kind, address, _ in story} == {
        ("refused", "eve@elsewhere.test"),
        ("refused", "alice@example.test"),
    }
    assert all("550 5.7.1" in detail for _, _, detail in story)


async def test_refusals_that_wait_are_limited(house, monkeypatch):
    monkeypatch.setattr("posthouse.inbound.refusals.REFUSALS_PENDING", 2)
    mails = [house.mail("alice", raw=b"From: alice@example.test\r\n\r\nx\r\n") for _ in range(3)]
    for mail in mails:
        await house.pipeline.accept(mail)
    await house.refusals.flush()
    assert [len(await house.story(mail.trace_id)) for mail in mails] == [2, 0, 0]


async def test_refusals_are_written_a_moment_later(house, monkeypatch):
    monkeypatch.setattr("posthouse.inbound.refusals.REFUSALS_DELAY", 0.001)
    mail = house.mail("alice", raw=b"From: alice@example.test\r\n\r\nx\r\n")
    await house.pipeline.accept(mail)
    for _ in range(1000):
        if await house.story(mail.trace_id):
            break
        await asyncio.sleep(0.001)
    assert await house.story(mail.trace_id)


async def test_refusals_that_cannot_be_written_do_no_harm(house):
    await house.pipeline.accept(house.mail("alice", raw=b"From: alice@example.test\r\n\r\nx\r\n"))
    house.break_at("apply", StoreUnavailable("disk full"))
    await house.refusals.flush()
    house.mend()
    assert [r.code for r in await house.pipeline.accept(house.mail("alice"))] == [250]
