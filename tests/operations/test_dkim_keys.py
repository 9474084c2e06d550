"""DKIM keys: made with a domain, rotated in two steps or on schedule, used only when published."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from posthouse.errors import Conflict, NotFound, StoreUnavailable
from posthouse.house import House
from posthouse.limits import DKIM_RETIRED
from posthouse.operations.dkim_keys import DkimKeys, KeyRow
from posthouse.operations.domains import Domains
from posthouse.resolver import TextAnswer
from posthouse.store.trust import KeyState, PutDkimKey
from tests.fakes.resolver import FakeResolver

DAY = 86400
NAME = "keys.test"


class Care:
    """Keys, a DNS, and a clock to move."""

    def __init__(self, house: House, rotate: float = 0) -> None:
        self.now = 1_790_000_000.0
        self.resolver = FakeResolver()
        self.domains = Domains(house.store)
        self.changes = 0
        self.keys = DkimKeys(
            house.store,
            self.domains,
            self.resolver,
            rotate=rotate,
            changed=self._changed,
            now=lambda: self.now,
        )
        self.domains.make_keys = self.keys.make_first

    def _changed(self) -> None:
        self.changes += 1

    async def states(self) -> dict[str, str]:
        return {row.selector: row.state for row in await self.keys.domain_dkim(name=NAME)}

    def publish(self, rows: list[KeyRow]) -> None:
        for row in rows:
            self.resolver.add(f'{row.name}. TXT "{row.record}"')


async def test_a_domain_has_keys_from_its_first_day(house: House) -> None:
    care = Care(house)
    await care.domains.domain_add(name=NAME)
    rows = await care.keys.domain_dkim(name=NAME)
    assert [(row.algorithm, row.state) for row in rows] == [
        ("ed25519-sha256", "active"),
        ("rsa-sha256", "active"),
    ]
    assert all(row.record.startswith("v=DKIM1; k=") and "PRIVATE" not in row.record for row in rows)
    await care.domains.domain_add(name="backup.keys.test", backup=True)
    assert await care.keys.domain_dkim(name="backup.keys.test") == []


async def test_rotation_by_command_waits_for_the_dns(house: House) -> None:
    care = Care(house)
    await care.domains.domain_add(name=NAME)
    old = list(await care.states())
    care.now += 90 * DAY
    fresh = await care.keys.dkim_rotate(name=NAME)
    assert [row.state for row in fresh] == ["next", "next"]
    with pytest.raises(Conflict, match="does not show"):
        await care.keys.dkim_rotate(name=NAME)
    care.publish(fresh)
    await care.keys.dkim_rotate(name=NAME)
    states = await care.states()
    assert {states[selector] for selector in old} == {"retired"}
    assert {states[row.selector] for row in fresh} == {"active"}
    with pytest.raises(Conflict):
        await care.keys.dkim_remove(name=NAME, selector=fresh[0].selector)
    await care.keys.dkim_remove(name=NAME, selector=old[0])
    with pytest.raises(NotFound):
        await care.keys.dkim_remove(name=NAME, selector=old[0])


async def test_a_key_forgotten_while_the_dns_is_asked_stays_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    care = Care(house)
    await care.domains.domain_add(name=NAME)
    old = await care.states()
    fresh = await care.keys.dkim_rotate(name=NAME)
    care.publish(fresh)
    answer = care.resolver.txt

    async def forget_then_answer(name: str) -> TextAnswer:
        for row in fresh:
            if row.selector in await care.states():
                await care.keys.dkim_remove(name=NAME, selector=row.selector)
        return await answer(name)

    monkeypatch.setattr(care.resolver, "txt", forget_then_answer)
    await care.keys.round()
    assert await care.states() == old, "and the keys that sign go on signing"


async def test_two_rotations_at_once_show_the_keys_that_are_kept(house: House) -> None:
    care = Care(house)
    await care.domains.domain_add(name=NAME)
    one, other = await asyncio.gather(care.keys.dkim_rotate(name=NAME), care.keys.dkim_rotate(name=NAME))
    kept = {row.name: row.record for row in await care.keys.domain_dkim(name=NAME) if row.state == "next"}
    assert kept == {row.name: row.record for row in one} == {row.name: row.record for row in other}


async def test_an_administrator_may_insist(house: House) -> None:
    care = Care(house)
    await care.domains.domain_add(name=NAME)
    rows = await care.keys.dkim_rotate(name=NAME, now=True)
    assert sorted(row.state for row in rows) == ["active", "active", "retired", "retired"]
    assert len({row.selector for row in rows}) == 4, "twice on one day, and all have their names"


async def test_rotation_on_schedule(house: House) -> None:
    care = Care(house, rotate=180 * DAY)
    await care.domains.domain_add(name=NAME)
    await care.keys.round()
    assert set((await care.states()).values()) == {"active"}
    care.now += 181 * DAY
    await care.keys.round()
    await care.keys.round()
    assert sorted((await care.states()).values()) == ["active", "active", "next", "next"]
    care.publish([row for row in await care.keys.domain_dkim(name=NAME) if row.state == "next"])
    seen = care.changes
    await care.keys.round()
    assert sorted((await care.states()).values()) == ["active", "active", "retired", "retired"]
    assert care.changes > seen, "whoever keeps keys in memory is told"
    care.now += DKIM_RETIRED + 1
    await care.keys.round()
    assert list((await care.states()).values()) == ["active", "active"]


async def test_a_domain_whose_keys_are_broken_keeps_no_other_from_care(house: House) -> None:
    care = Care(house, rotate=180 * DAY)
    await care.domains.domain_add(name="broken.test")
    care.now += DAY  # the older keys are cared for first
    await care.domains.domain_add(name=NAME)
    broken = (await house.store.dkim_keys("broken.test"))[0]
    waiting = msgspec.structs.replace(broken, selector="x", private_key="no key", state=KeyState.NEXT)
    await house.store.apply(PutDkimKey(key=waiting))
    care.now += 181 * DAY
    await care.keys.round()
    assert sorted((await care.states()).values()) == ["active", "active", "next", "next"]


async def test_a_store_that_fails_is_no_fault_of_a_domain(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    care = Care(house, rotate=180 * DAY)
    await care.domains.domain_add(name=NAME)
    care.now += 181 * DAY

    async def failing(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(house.store, "commit", failing)
    with pytest.raises(StoreUnavailable):
        await care.keys.round()


async def test_domains_from_before_get_keys(house: House) -> None:
    care = Care(house)
    care.domains.make_keys = None
    await care.domains.domain_add(name=NAME)
    assert await care.states() == {}
    await care.keys.round()
    assert set((await care.states()).values()) == {"active"}


async def test_keys_of_strangers_domains_are_not_made(house: House) -> None:
    care = Care(house)
    with pytest.raises(NotFound):
        await care.keys.dkim_rotate(name="elsewhere.test")
    await care.domains.domain_add(name="backup.keys.test", backup=True)
    with pytest.raises(Conflict):
        await care.keys.dkim_rotate(name="backup.keys.test")
