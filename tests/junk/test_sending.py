"""The brake: what an account sends in an unusual way is held, not lost; people are told; one command lets it go."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path

import pytest

from posthouse.config import Dns, Sending
from posthouse.store.model import RecipientState
from tests.house import PASSWORDS
from tests.junk.conftest import ALICE, JunkHouse, open_house

pytestmark = pytest.mark.slow


async def sends(house: JunkHouse, count: int, start: int = 0, domain: str = "far.test") -> str:
    """Alice sends one message to so many people; the reply."""
    people = [f"p{number}@{domain}" for number in range(start, start + count)]
    raw = f"From: {ALICE}\r\nSubject: news\r\n\r\nnews\r\n"

    def run() -> str:
        with smtplib.SMTP("127.0.0.1", house.house.port("submission")) as client:
            client.login(ALICE, PASSWORDS[ALICE])
            client.mail(ALICE)
            for one in people:
                client.rcpt(one)
            code, text = client.data(raw)
            return f"{code} {text.decode()}"

    return await asyncio.to_thread(run)


async def states(house: JunkHouse) -> dict[str, int]:
    found: dict[str, int] = {}
    for message in await house.store.queue():
        for one in message.recipients:
            key = "held" if one.state is RecipientState.HELD else "going"
            found[key] = found.get(key, 0) + 1
    return found


async def test_unusual_sending_is_held_told_and_released(tmp_path: Path) -> None:
    house = await open_house(tmp_path, sending=Sending(usual=20))
    try:
        assert (await sends(house, 8)).startswith("250")
        assert await states(house) == {"going": 8}
        assert (await sends(house, 15, 8)).startswith("250"), "held is not refused"
        assert (await sends(house, 1, 50)).startswith("250")
        assert (await states(house))["held"] == 16
        assert await house.total("INBOX") == 1, "the owner is told once"
        (held,) = await house.junk.account_held()
        assert held.address == ALICE
        assert "recipients in an hour" in held.why
        done = await house.junk.account_release(address=ALICE)
        assert (done.was_held, done.recipients) == (True, 16)
        assert "held" not in await states(house)
        assert await house.junk.account_held() == []
        assert (await sends(house, 30, 100)).startswith("250")
        assert "held" not in await states(house), "so much is usual now"
    finally:
        await house.house.close()


async def test_a_brake_survives_a_restart_and_can_be_turned_off(tmp_path: Path) -> None:
    house = await open_house(tmp_path, sending=Sending(usual=4))
    await sends(house, 9)
    assert (await states(house)) == {"held": 9}
    house.junk.sending._states.clear()
    await sends(house, 1, 20)
    assert (await states(house)) == {"held": 10}
    await house.house.close()
    other = await open_house(tmp_path / "other", sending=Sending(usual=4, brake=False))
    await sends(other, 9)
    assert (await states(other)) == {"going": 9}
    await other.house.close()


async def test_limits_refuse_in_words(tmp_path: Path) -> None:
    house = await open_house(tmp_path, sending=Sending(per_account=10))
    try:
        assert (await sends(house, 11)).startswith("550 5.7.28")
        assert (await sends(house, 8)).startswith("250")
        assert (await sends(house, 3, 20)).startswith("451 4.7.28")
        assert (await sends(house, 2, 20)).startswith("250")
        assert sum((await states(house)).values()) == 10
    finally:
        await house.house.close()


async def test_many_failures_hold(tmp_path: Path) -> None:
    house = await open_house(tmp_path, dns=Dns(servers=("127.0.0.1:9",), timeout=0.05))
    try:
        await sends(house, 30)
        (message,) = await house.store.queue()
        house.junk.sending.failed(message, 25)
        await sends(house, 1, 40)
        assert (await states(house))["held"] == 1
        assert "failed" in (await house.junk.account_held())[0].why
    finally:
        await house.house.close()
