"""What the keeping of Sieve scripts must hold on every engine."""

from __future__ import annotations

import asyncio

import pytest

from posthouse import limits
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.accounts.sieve_shelf import (
    NameTaken,
    NameUnfit,
    ScriptActive,
    ScriptTooLarge,
    Shelf,
    TooManyScripts,
)
from posthouse.errors import NotFound, Permanent, Temporary
from posthouse.store.interface import RemoveAccount
from tests.kits.engine import Desk, EngineUnderTest, furnish


class Faulty(Exception):
    """What the compiler of these tests says."""


class Compiler:
    """Compiles all but what has "bad" in it, and counts."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, text: bytes) -> str:
        self.seen.append(text)
        if b"bad" in text:
            raise Faulty("line 1")
        return f"compiled {text.decode('utf-8', 'replace')}"


def listing(shelf: Shelf) -> list[str]:
    """Names, with a star at the active one."""
    return [f"{each.name}{'*' if each.active else ''}" for each in shelf.scripts]


class SieveScriptKit:
    """Run with the fixture `engine`."""

    async def begin(self, engine: EngineUnderTest) -> tuple[Desk, SieveScripts[str], Compiler]:
        compiler = Compiler()
        return await furnish(engine), SieveScripts(engine.store, compiler), compiler

    async def test_a_script_is_put_changed_renamed_and_removed(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        assert await scripts.put(desk.id, "summer", b"keep;\r\n") == "compiled keep;\r\n"
        await scripts.put(desk.id, "winter", b"stop;")
        await scripts.put(desk.id, "summer", "# é\n".encode())
        shelf = await scripts.shelf(desk.id)
        assert listing(shelf) == ["summer", "winter"]
        assert shelf.named("summer").raw == "# é\n".encode()
        await scripts.rename(desk.id, "summer", "spring")
        renamed = await scripts.get(desk.id, "spring")
        assert renamed.script_id == shelf.named("summer").script_id
        assert renamed.raw == "# é\n".encode()
        await scripts.delete(desk.id, "spring")
        await engine.reopen()
        assert listing(await SieveScripts(engine.store, Compiler()).shelf(desk.id)) == ["winter"]

    async def test_one_script_at_most_is_active(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        await scripts.deactivate(desk.id)
        for name in ("one", "two"):
            await scripts.put(desk.id, name, name.encode())
        await scripts.activate(desk.id, "one")
        await scripts.activate(desk.id, "two")
        assert listing(await scripts.shelf(desk.id)) == ["one", "two*"]
        with pytest.raises(ScriptActive):
            await scripts.delete(desk.id, "two")
        await scripts.put(desk.id, "two", b"changed")
        await scripts.rename(desk.id, "two", "three")
        assert listing(await scripts.shelf(desk.id)) == ["one", "three*"], "it stays active"
        state = await engine.store.states(desk.id)
        await scripts.activate(desk.id, "three")
        assert await engine.store.states(desk.id) == state, "nothing to do, nothing written"
        await scripts.deactivate(desk.id)
        await scripts.delete(desk.id, "three")
        assert listing(await scripts.shelf(desk.id)) == ["one"]

    async def test_what_is_not_there_or_taken_is_said(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        for wrong in (
            scripts.get(desk.id, "none"),
            scripts.delete(desk.id, "none"),
            scripts.activate(desk.id, "none"),
            scripts.rename(desk.id, "none", "more"),
        ):
            with pytest.raises(NotFound):
                await wrong
        await scripts.put(desk.id, "one", b"keep;")
        await scripts.put(desk.id, "two", b"keep;")
        with pytest.raises(NameTaken) as told:
            await scripts.rename(desk.id, "one", "two")
        assert told.value.script_id == (await scripts.get(desk.id, "two")).script_id
        with pytest.raises(NameTaken):
            await scripts.change(desk.id, lambda shelf: shelf.add("one", "keep;"))
        await scripts.rename(desk.id, "one", "one")

    async def test_names_are_unicode_in_one_form(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        await scripts.put(desk.id, "e\u0301te\u0301", b"keep;")
        await scripts.put(desk.id, "\u00e9t\u00e9", b"stop;")
        assert listing(await scripts.shelf(desk.id)) == ["\u00e9t\u00e9"]
        assert (await scripts.get(desk.id, "e\u0301te\u0301")).raw == b"stop;"
        await scripts.put(desk.id, "\U0001f4ec" * 128, b"keep;")
        for name in (
            "",
            "a\r\n",
            "\x7f",
            "\u0085",
            "\u2028",
            "\u2029",
            "\ud800",
            "a" * (limits.SIEVE_NAME + 1),
        ):
            with pytest.raises(NameUnfit):
                await scripts.put(desk.id, name, b"keep;")
            with pytest.raises(NameUnfit):
                await scripts.rename(desk.id, "\u00e9t\u00e9", name)

    async def test_only_what_compiles_is_kept(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        await scripts.put(desk.id, "one", b"keep;")
        with pytest.raises(Faulty):
            await scripts.put(desk.id, "one", b"bad")
        with pytest.raises(Faulty):
            await scripts.check(b"bad")
        with pytest.raises(Permanent):
            await scripts.put(desk.id, "one", b"\xff")
        assert (await scripts.get(desk.id, "one")).raw == b"keep;"

    async def test_there_is_room_for_so_many_and_so_large(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("posthouse.accounts.sieve_shelf.SIEVE_SCRIPTS", 3)
        desk, scripts, compiler = await self.begin(engine)
        for name in ("one", "two", "three"):
            await scripts.put(desk.id, name, b"k" * limits.SIEVE_SCRIPT)
        with pytest.raises(TooManyScripts):
            await scripts.put(desk.id, "four", b"keep;")
        await scripts.put(desk.id, "three", b"keep;")
        del compiler.seen[:]
        for wrong in (
            scripts.put(desk.id, "one", b"k" * (limits.SIEVE_SCRIPT + 1)),
            scripts.check(b"k" * (limits.SIEVE_SCRIPT + 1)),
        ):
            with pytest.raises(ScriptTooLarge):
                await wrong
        assert compiler.seen == []
        shelf = await scripts.shelf(desk.id)
        with pytest.raises(ScriptTooLarge):
            shelf.alter(shelf.named("one"), text="\u00e9" * limits.SIEVE_SCRIPT)

    async def test_of_many_writers_none_undoes_another(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        names = [f"script {number}" for number in range(8)]
        await asyncio.gather(*(scripts.put(desk.id, name, b"keep;") for name in [*names, *names]))
        assert sorted(listing(await scripts.shelf(desk.id))) == names, "each name once"
        await asyncio.gather(*(scripts.activate(desk.id, name) for name in names))
        assert len([each for each in (await scripts.shelf(desk.id)).scripts if each.active]) == 1
        done = await asyncio.gather(
            *(scripts.rename(desk.id, name, "last") for name in names), return_exceptions=True
        )
        assert done.count(None) == 1
        assert all(isinstance(each, NameTaken) for each in done if each is not None)

    async def test_who_is_always_too_late_is_told(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        desk, scripts, _ = await self.begin(engine)
        tried = 0
        shelf_now = scripts.shelf

        async def overtaken(account_id: int) -> Shelf:
            nonlocal tried
            tried += 1
            found = await shelf_now(account_id)
            await engine.store.apply(found.lock())
            return found

        monkeypatch.setattr(scripts, "shelf", overtaken)
        with pytest.raises(Temporary):
            await scripts.change(desk.id, lambda shelf: shelf.add("one", "keep;"))
        assert tried == limits.SIEVE_WRITES

    async def test_the_active_script_is_compiled_once(self, engine: EngineUnderTest) -> None:
        desk, scripts, compiler = await self.begin(engine)
        assert await scripts.active(desk.id) is None
        await scripts.put(desk.id, "one", b"one")
        await scripts.put(desk.id, "two", b"two")
        assert await scripts.active(desk.id) is None
        await scripts.activate(desk.id, "one")
        del compiler.seen[:]
        assert [await scripts.active(desk.id) for _ in range(3)] == ["compiled one"] * 3
        assert compiler.seen == [b"one"]
        await scripts.activate(desk.id, "two")
        assert await scripts.active(desk.id) == "compiled two"
        assert await scripts.included(desk.id, "one") == "compiled one"
        assert await scripts.included(desk.id, "none") is None
        assert await scripts.included(desk.id, "") is None
        await scripts.deactivate(desk.id)
        assert await scripts.active(desk.id) is None

    async def test_a_script_that_compiles_no_more_is_told_each_time(self, engine: EngineUnderTest) -> None:
        desk, scripts, compiler = await self.begin(engine)
        await scripts.change(desk.id, lambda shelf: shelf.add("old", "bad"))
        await scripts.activate(desk.id, "old")
        for _ in range(3):
            with pytest.raises(Faulty):
                await scripts.active(desk.id)
        assert compiler.seen == [b"bad"]

    async def test_compiled_scripts_take_so_much_room(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("posthouse.accounts.sieve_scripts.SIEVE_CACHED", 2 * limits.SIEVE_CACHED_LEAST)
        desk, scripts, compiler = await self.begin(engine)
        others = [desk, await furnish(engine, "bea@example.test"), await furnish(engine, "cai@example.test")]
        for each in others:
            await scripts.put(each.id, "one", b"one")
            await scripts.activate(each.id, "one")
        del compiler.seen[:]
        for each in [*others, others[2], others[1], others[0], others[1]]:
            assert await scripts.active(each.id) == "compiled one"
        assert len(compiler.seen) == 4, "the one that was asked for longest ago made room"
        big = b"x" * (2 * limits.SIEVE_CACHED_LEAST + 1)
        await scripts.put(desk.id, "one", big)
        del compiler.seen[:]
        for _ in range(2):
            await scripts.active(desk.id)
        assert compiler.seen == [big, big], "too large to be kept"

    async def test_an_account_that_is_gone_has_no_scripts(self, engine: EngineUnderTest) -> None:
        desk, scripts, _ = await self.begin(engine)
        await scripts.put(desk.id, "one", b"keep;")
        await engine.store.apply(RemoveAccount(account_id=desk.id))
        with pytest.raises(NotFound):
            await scripts.put(desk.id, "one", b"keep;")
