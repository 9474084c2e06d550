"""A client at one node of two that goes by /changes alone, while others work at both."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from posthouse.config import Store
from tests.house import PASSWORDS, TestHouse
from tests.jmap.conftest import Client
from tests.properties.test_jmap_changes import ALICE, Believer, World, at_once, lists_of, true_to

pytestmark = pytest.mark.slow


async def test_who_goes_by_changes_knows_everything(url: str, tmp_path: Path) -> None:
    dice = random.Random(0)
    houses = [await TestHouse.open(tmp_path / "a", store=Store(url=url))]
    clients: list[Client] = []
    try:
        houses.append(await houses[0].beside(tmp_path / "b", store=Store(url=url)))
        clients += [Client(house, ALICE, PASSWORDS[ALICE]) for house in houses]
        worlds = [World(house, client, dice) for house, client in zip(houses, clients, strict=True)]
        there, believer = (Believer(client, dice) for client in clients)
        await believer.begin(await lists_of(clients[1]))
        for _ in range(25):
            await at_once([dice.choice(worlds).act() for _ in range(dice.randint(1, 4))], believer)
            async with asyncio.timeout(30):  # what the other node did is heard a moment later
                while (await believer.everything("Email"))[1] != (await there.everything("Email"))[1]:
                    await asyncio.sleep(0.01)
            await believer.sync()
            await true_to(believer)
    finally:
        for client in clients:
            await client.http.aclose()
        for house in houses:
            await house.close()
