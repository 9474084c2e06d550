"""The vacation responder beside the deliveries that it hears of (what it answers: tests/jmap/test_submission.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from posthouse.inbound.mail import Mail
from posthouse.inbound.vacation import KIND, Operations, Vacation, VacationResponder
from posthouse.store.account_model import States
from posthouse.store.interface import PutItem
from tests.inbound.small_house import SmallHouse


async def test_a_flood_of_mail_is_looked_at_so_many_at_once(house: SmallHouse) -> None:
    """Beyond that mail is delivered unanswered: what waits here holds its message in memory."""
    gate, asked = asyncio.Event(), 0

    class Slow:
        """A store that lets the responder wait."""

        async def states(self, account_id: int) -> States:
            nonlocal asked
            asked += 1
            await gate.wait()
            return await house.real_store.states(account_id)

    def unused() -> Operations:
        raise AssertionError("nobody is away")

    responder = VacationResponder(Slow(), house.directory, unused, "mx.example.test")  # type: ignore[arg-type]
    mail: Mail = house.mail("alice")
    for _ in range(60):
        responder.delivered(mail, [house.accounts["alice"].account_id])
    await asyncio.sleep(0)
    assert asked == 50
    gate.set()
    await responder.close()
    responder.delivered(mail, [house.accounts["alice"].account_id])
    await responder.close()
    assert asked == 51


async def test_who_has_an_address_outside_ascii_is_answered_at_it(house: SmallHouse) -> None:
    """RFC 2047 §5 (3): no encoded word stands in an address."""
    account = house.accounts["alice"]
    vacation = Vacation(is_enabled=True, text_body="Away.")
    await house.real_store.apply(
        PutItem(
            account_id=account.account_id, kind=KIND, item_id=1, new=True, data=msgspec.json.encode(vacation)
        )
    )
    written: list[Mail] = []

    async def operations(mail: Mail, prefix: bytes) -> list[Any]:
        written.append(mail)
        return []

    responder = VacationResponder(house.real_store, house.directory, lambda: operations, "mx.example.test")
    raw = b"From: x@far.test\r\nTo: alice@example.test\r\n\r\nAre you there?\r\n"
    mail = house.mail("alice", raw=raw, reverse_path="weiß@far.test")
    responder.delivered(mail, [account.account_id])
    await responder.close()
    assert "\r\nTo: <weiß@far.test>\r\n".encode() in written[0].content.head
