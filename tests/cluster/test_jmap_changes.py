"""A client at one node of two that goes by /changes alone, while others work at both."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from posthouse.config import Store
from tests.house import PASSWORDS, TestHouse
from tests.jmap.conftest import Client
from tests.properties.test_jmap_changes import ALICE, Believer, World, lists_of, true_to

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(1))
async def test_who_goes_by_changes_knows_everything(url: str, seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    houses = [await TestHouse.open(tmp_path / "a", store=Store(url=url))]
    try:
        houses.append(await houses[0].beside(tmp_path / "b", store=Store(url=url)))
        clients = [Client(house, ALICE, PASSWORDS[ALICE]) for house in houses]
        worlds = [World(house, client, dice) for house, client in zip(houses, clients, strict=True)]
        await worlds[0].deliver()
        believer = Believer(clients[1], dice)
        await believer.begin(await lists_of(clients[1]))
        for _ in range(25):
            acts = [dice.choice(worlds).act()() for _ in range(dice.randint(1, 4))]
            await asyncio.gather(*acts, believer.sync())
            async with asyncio.timeout(10):  # what the other node did is heard a moment later
                while (await believer.everything("Email"))[1] != (
                    await Believer(clients[0], dice).everything("Email")
                )[1]:
                    await asyncio.sleep(0.01)
            await believer.sync()
            await true_to(believer)
    finally:
        for client in clients:
            await client.http.aclose()
        for house in houses:
            await house.close()
