"""RRVS (RFC 7293) over real sockets: by the parameter, by the field, and in the queue."""

from __future__ import annotations

import pytest

from posthouse.smtp.extensions import Role
from posthouse.store.interface import AddAccount
from tests.inbound.small_house import SmallHouse
from tests.smtp.test_server import ready

MADE = 1_700_000_000  # 2023-11-14T22:13:20Z
BEFORE, AFTER = "2023-11-14T22:13:19Z", "2023-11-14T23:13:20+01:00"
FIELD = "Require-Recipient-Valid-Since: {}; {}\r\n"
OLD, NEW = "Tue, 14 Nov 2023 22:13:19 +0000", "Tue, 14 Nov 2023 22:13:21 +0000"


@pytest.fixture
async def young(house: SmallHouse) -> SmallHouse:
    """With the account young@example.test."""
    house.accounts["young"] = await house.real_store.apply(
        AddAccount(address="young@example.test", password="", created_at=MADE)
    )
    return house


@pytest.mark.parametrize(
    ("recipient", "since", "wanted"),
    [
        ("young@example.test", AFTER, "250"),
        ("young@example.test", BEFORE, "550 5.7.17"),
        ("young+tag@example.test", f"{BEFORE};c", "550 5.7.17"),
        ("young@example.test", f"{AFTER};R", "250"),
        ("nobody@example.test", AFTER, "550 5.1.1"),
        ("postmaster", BEFORE, "250"),
        ("postmaster@example.test", BEFORE, "250"),
        ("team@example.test", BEFORE, "250"),
        *(("young@example.test", wrong, "501 5.5.4") for wrong in ("now", "2023-11-14", "2023-11-14T22:13:19",
          f"{BEFORE};X", f"{BEFORE};", "2023-13-14T22:13:19Z", "2023-11-14T22:13:19+99:00")),
    ],
)  # fmt: skip
async def test_a_recipient_is_who_had_the_address(
    young: SmallHouse, recipient: str, since: str, wanted: str
) -> None:
    client = await ready(await young.listen(), "EHLO me", "MAIL FROM:<eve@elsewhere.test>")
    assert (await client.say(f"RCPT TO:<{recipient}> RRVS={since}")).startswith(wanted)
    assert (await client.say("RCPT TO:<alice@example.test>")).startswith("250")


async def test_without_a_value_it_is_nothing(young: SmallHouse) -> None:
    client = await ready(await young.listen(), "EHLO me", "MAIL FROM:<eve@elsewhere.test>")
    assert (await client.say("RCPT TO:<young@example.test> RRVS")).startswith("501 5.5.4")
    client = await ready(await young.listen(), "HELO me", "MAIL FROM:<eve@elsewhere.test>")
    assert (await client.say(f"RCPT TO:<young@example.test> RRVS={AFTER}")).startswith("555 5.5.4")


@pytest.mark.parametrize(
    ("address", "date", "wanted"),
    [
        ("young@example.test", NEW, "250"),
        ("Young@Example.Test", OLD, "550 5.7.17"),
        ("alice@example.test", OLD, "250"),
        ("young@example.test", "some day", "250"),
    ],
)
async def test_the_field_says_the_same(young: SmallHouse, address: str, date: str, wanted: str) -> None:
    client = await ready(
        await young.listen(),
        "EHLO me",
        "MAIL FROM:<eve@elsewhere.test>",
        "RCPT TO:<young@example.test>",
        "DATA",
    )
    text = f"From: eve@elsewhere.test\r\n{FIELD.format(address, date)}\r\nx\r\n.\r\n"
    assert (await client.send(text.encode())).startswith(wanted)
    assert len(await young.inbox("young")) == (wanted == "250")


async def test_it_is_queued_for_the_address_that_was_named(house: SmallHouse) -> None:
    port = await house.listen(Role.SUBMISSION)
    client = await ready(port, "EHLO me", "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3b25kZXJsYW5k")
    await client.say(
        "MAIL FROM:<alice@example.test>",
        f"RCPT TO:<x@faraway.test> RRVS={AFTER};r",
        f"RCPT TO:<away@example.test> RRVS={AFTER}",
        "DATA",
    )
    assert (await client.send(b"From: alice@example.test\r\n\r\nx\r\n.\r\n")).startswith("250")
    queued = [one for message in await house.real_store.queue() for one in message.recipients]
    assert {one.address: one.rrvs for one in queued} == {
        "x@faraway.test": f"{AFTER};R",
        "friend@elsewhere.test": "",
    }


@pytest.mark.parametrize("order", [("alice", "young"), ("young", "alice")])
async def test_the_field_is_about_one_recipient_the_others_get_it(
    young: SmallHouse, order: tuple[str, str]
) -> None:
    client = await ready(
        await young.listen(),
        "EHLO me",
        "MAIL FROM:<eve@elsewhere.test>",
        *(f"RCPT TO:<{name}@example.test>" for name in order),
        "DATA",
    )
    text = f"From: eve@elsewhere.test\r\n{FIELD.format('young@example.test', OLD)}\r\nx\r\n.\r\n"
    assert (await client.send(text.encode())).startswith("250")
    assert [len(await young.inbox(name)) for name in ("alice", "young")] == [1, 0]
    ((mail, (notice,)),) = young.notices
    assert mail.reverse_path == "eve@elsewhere.test"
    assert (notice.address, notice.reply.enhanced) == ("young@example.test", "5.7.17")


async def test_in_lmtp_each_recipient_hears_of_itself(young: SmallHouse) -> None:
    client = await ready(
        await young.listen(Role.LMTP),
        "LHLO me",
        "MAIL FROM:<eve@elsewhere.test>",
        "RCPT TO:<young@example.test>",
        "RCPT TO:<alice@example.test>",
        "DATA",
    )
    text = f"From: eve@elsewhere.test\r\n{FIELD.format('young@example.test', OLD)}\r\nx\r\n.\r\n"
    assert (await client.send(text.encode())).startswith("550 5.7.17")
    assert (await client.send(b"")).startswith("250")
    assert [len(await young.inbox(name)) for name in ("alice", "young")] == [1, 0]
