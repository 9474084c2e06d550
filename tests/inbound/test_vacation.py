"""The vacation responder beside the deliveries that it hears of (what it answers: tests/jmap/test_submission.py)."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from posthouse.inbound.answers import may_answer
from posthouse.inbound.mail import Mail
from posthouse.inbound.vacation import KIND, Operations, Vacation, VacationResponder
from posthouse.message.headers import Headers
from posthouse.store.account_model import States
from posthouse.store.interface import AddAccount, PutItem
from posthouse.store.model import Account
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


async def answer_to(house: SmallHouse, reverse_path: str, account: Account | None = None) -> Mail:
    """What somebody who is away answers."""
    account = account or house.accounts["alice"]
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
    raw = f"From: x@far.test\r\nTo: {account.address}\r\n\r\nAre you there?\r\n".encode()
    responder.delivered(house.mail(account.address, raw=raw, reverse_path=reverse_path), [account.account_id])
    await responder.close()
    (answer,) = written
    return answer


async def test_who_has_an_address_outside_ascii_is_answered_at_it(house: SmallHouse) -> None:
    """RFC 2047 §5 (3): no encoded word stands in an address."""
    answer = await answer_to(house, "weiß@far.test")
    assert "\r\nTo: <weiß@far.test>\r\n".encode() in answer.content.head
    assert answer.smtputf8


async def test_who_is_away_and_has_an_address_outside_ascii_needs_smtputf8(house: SmallHouse) -> None:
    """RFC 6531 §3.2: also when the envelope is ASCII."""
    user = await house.real_store.apply(AddAccount(address="用户@example.test", password="", created_at=0))
    answer = await answer_to(house, "x@far.test", user)
    assert "From: 用户@example.test\r\n".encode() in answer.content.head
    assert (answer.smtputf8, answer.body) == (True, "8BITMIME")


async def test_a_domain_outside_ascii_is_answered_by_its_a_label(house: SmallHouse) -> None:
    answer = await answer_to(house, "x@bücher.test")
    assert b"\r\nTo: <x@xn--bcher-kva.test>\r\n" in answer.content.head
    assert not answer.smtputf8


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ("Subject: hello\n", True),
        ("Auto-Submitted: no (really)\n", True),
        ("Auto-Submitted: no\nAuto-Submitted: auto-generated\n", False),
        ("Auto-Submitted: auto-replied; x=y\n", False),
        ("Precedence: bulk\n", False),
        ("List-Id: <x.test>\n", False),
        ("Content-Type: Multipart/Report; boundary=x\n", False),
    ],
)
def test_what_a_program_wrote_is_not_answered(fields: str, answered: bool) -> None:
    """RFC 3834 §2, §5."""
    assert may_answer(Headers.scan(f"{fields}\ntext\n".encode()), "x@far.test") is answered
