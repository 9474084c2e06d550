"""The brake: what an account sends in an unusual way is held, not lost; people are told; one command lets it go."""

from __future__ import annotations

import asyncio
import smtplib
from pathlib import Path
from typing import Any

import pytest

from posthouse.config import Dns, Sending
from posthouse.errors import StoreUnavailable
from posthouse.junk import sending as junk
from posthouse.junk.history import History
from posthouse.limits import SENDING_SAVED
from posthouse.store.interface import Op
from posthouse.store.model import Account, RecipientState
from tests.fakes.clock import FakeClock
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


class Doors:
    """Two processes of one house, each with its own counts; what one tells is heard by the other, or lost."""

    def __init__(self, house: JunkHouse, clock: FakeClock) -> None:
        settings = Sending(usual=20, per_domain=45)
        self.alice, self.store = house.alice, house.store
        self.told: list[str] = []
        self.pair = [
            junk.Sending(house.store, History(house.store, clock), settings, self._tell, clock)
            for _ in range(2)
        ]
        self.join()

    async def _tell(self, _: Account, why: str) -> list[Op[Any]]:
        self.told.append(why)
        return []

    def join(self) -> None:
        first, second = self.pair
        first.spread, second.spread = second.heard, first.heard

    def part(self) -> None:
        for one in self.pair:
            one.spread = lambda _: None

    async def leaves(self, door: int, count: int, start: int) -> junk.Leave:
        people = [f"p{number}@far.test" for number in range(start, start + count)]
        found = await self.pair[door].leave(self.alice, "192.0.2.7", people, people)
        if found.ops:
            await self.store.commit(*found.ops)
        return found


async def test_the_brake_counts_what_all_processes_send(tmp_path: Path) -> None:
    house, clock = await open_house(tmp_path), FakeClock()
    try:
        doors = Doors(house, clock)
        for number in range(3):  # by turns, so that neither alone sees much
            assert not (await doors.leaves(number % 2, 3, number * 10)).held
        held = await doors.leaves(1, 3, 100)
        assert "recipients in an hour" in held.held
        assert (await doors.leaves(0, 1, 200)).held == held.held
        assert len(doors.told) == 1, "told once, not by each"
        assert await doors.pair[0].release(house.alice)
        assert not (await doors.leaves(1, 1, 300)).held
        assert (await doors.leaves(1, 33, 400)).reply is not None, (
            "the domain's limit is counted together too"
        )
    finally:
        await house.house.close()


async def test_a_release_that_could_not_be_kept_releases_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, clock = await open_house(tmp_path), FakeClock()
    try:
        doors = Doors(house, clock)
        assert (await doors.leaves(0, 25, 0)).held

        async def away(*_: object) -> None:
            raise StoreUnavailable("the disk is gone")

        with monkeypatch.context() as patch:
            patch.setattr(doors.store, "commit", away)
            with pytest.raises(StoreUnavailable):
                await doors.pair[0].release(house.alice)
        assert (await doors.leaves(0, 1, 100)).held
        assert await doors.pair[0].release(house.alice), "it was held until now"
        assert not (await doors.leaves(0, 1, 101)).held
    finally:
        await house.house.close()


async def test_a_process_that_heard_nothing_finds_out_that_an_account_is_held(tmp_path: Path) -> None:
    house, clock = await open_house(tmp_path), FakeClock()
    try:
        doors = Doors(house, clock)
        assert not (await doors.leaves(0, 1, 0)).held
        doors.part()
        assert (await doors.leaves(1, 25, 50)).held
        assert not (await doors.leaves(0, 1, 100)).held
        clock.advance(SENDING_SAVED + 1)
        assert (await doors.leaves(0, 1, 101)).held
        clock.advance(SENDING_SAVED + 1)
        assert (await doors.leaves(1, 1, 102)).held, "what another writes down does not release it"
        await doors.pair[1].release(house.alice)
        clock.advance(SENDING_SAVED + 1)
        assert not (await doors.leaves(0, 1, 103)).held
    finally:
        await house.house.close()


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
