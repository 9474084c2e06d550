"""Sieve scripts on several nodes: what one keeps all run, and two that change them at once undo nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

from posthouse.accounts.sieve_scripts import SieveScripts
from tests.cluster.nodes import nodes
from tests.cluster.test_nodes import desks
from tests.kits.sieve_scripts import Compiler, listing


async def test_nodes_see_each_others_scripts(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 2) as stores:
        account = (await desks(stores))[0].id
        here, there = (SieveScripts(store, Compiler()) for store in stores)
        assert await there.active(account) is None
        await here.put(account, "one", b"one")
        assert listing(await there.shelf(account)) == ["one"]
        await there.activate(account, "one")

        async def both(wanted: str | None) -> None:
            for each in (here, there):
                async with asyncio.timeout(30):
                    while await each.active(account) != wanted:
                        await asyncio.sleep(0.005)

        await both("compiled one")
        await here.put(account, "one", b"changed")
        await both("compiled changed")
        await there.deactivate(account)
        await both(None)


async def test_writers_on_two_nodes_undo_nothing(url: str, tmp_path: Path) -> None:
    async with nodes(url, tmp_path, 2) as stores:
        account = (await desks(stores))[0].id
        scripts = [SieveScripts(store, Compiler()) for store in stores]
        names = [f"script {number}" for number in range(6)]
        await asyncio.gather(*(each.put(account, name, b"keep;") for each in scripts for name in names))
        assert sorted(listing(await scripts[0].shelf(account))) == names
        await asyncio.gather(*(each.activate(account, name) for each in scripts for name in names))
        shelf = await scripts[1].shelf(account)
        assert len([each for each in shelf.scripts if each.active]) == 1
