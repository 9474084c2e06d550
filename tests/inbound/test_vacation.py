"""The vacation responder beside the deliveries that it hears of (what it answers: tests/jmap/test_submission.py)."""

from __future__ import annotations

import asyncio

from posthouse.inbound.mail import Mail
from posthouse.inbound.vacation import Operations, VacationResponder
from posthouse.store.account_model import States
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
