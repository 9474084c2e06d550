"""What every engine must do with mailing lists."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from posthouse.errors import Conflict, NotFound
from posthouse.store.interface import AddAccount, PutAlias, RemoveAccount, RemoveDomain
from posthouse.store.mailing_lists import (
    AddMembers,
    ListMember,
    MailingList,
    NoteListBounce,
    Posting,
    PutList,
    RemoveList,
    RemoveMembers,
    Rewriting,
)
from posthouse.store.model import Alias
from tests.kits.engine import NOW, EngineUnderTest, furnish

TEAM = MailingList(
    address="team@example.test",
    title="The team, 团队",
    posting=Posting.ANYONE,
    rewriting=Rewriting.NEVER,
    owners=("ann@example.test",),
    created_at=int(NOW),
)


def adding(*members: str, most: int = 10) -> AddMembers:
    return AddMembers(address=TEAM.address, members=members, at=7, most=most)


class MailingListKit:
    """Mailing lists."""

    async def test_a_list_is_kept_with_its_members(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        await store.apply(PutList(mailing_list=TEAM, new=True))
        assert await store.apply(adding("bob@else.test", "ann@example.test", "bob@else.test")) == 2
        assert await store.apply(adding("bob@else.test", "cat@else.test")) == 1
        await store.apply(NoteListBounce(address=TEAM.address, member="bob@else.test", at=9, bounces=1))
        await store.apply(NoteListBounce(address=TEAM.address, member="nobody@else.test", at=9, bounces=1))
        assert await store.apply(RemoveMembers(address=TEAM.address, members=("cat@else.test", "x@y.z"))) == 1
        members = (
            ListMember(address="ann@example.test", added_at=7),
            ListMember(address="bob@else.test", added_at=7, bounces=1, bounced_at=9),
        )
        expected = msgspec.structs.replace(TEAM, members=members)
        store = await engine.reopen()
        assert await store.mailing_list(TEAM.address) == expected
        assert await store.mailing_lists() == await store.mailing_lists("example.test") == (expected,)
        assert await store.mailing_lists("other.test") == ()
        changed = msgspec.structs.replace(TEAM, title="T", owners=(), posting=Posting.OWNERS)
        await store.apply(PutList(mailing_list=changed))
        assert await store.mailing_list(TEAM.address) == msgspec.structs.replace(changed, members=members)

    async def test_a_list_has_so_many_members_at_most(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        await store.apply(PutList(mailing_list=TEAM, new=True))
        await store.apply(adding("a@x.test", "b@x.test", most=2))
        with pytest.raises(Conflict):
            await store.apply(adding("b@x.test", "c@x.test", most=2))
        assert await store.apply(adding("b@x.test", most=2)) == 0

    async def test_who_gets_an_address_next_is_no_member(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        added = await desk.store.apply(AddAccount(address="a_b@example.test", password="", created_at=NOW))
        others = ("a_b@else.test", "axb+tag@example.test", "a_bc@example.test", "a@b+c@example.test")
        await desk.store.apply(PutList(mailing_list=TEAM, new=True))
        await desk.store.apply(adding("a_b@example.test", "a_b+team@example.test", *others))
        await desk.store.apply(RemoveAccount(account_id=added.account_id))
        found = await desk.store.mailing_list(TEAM.address)
        assert found is not None
        assert {one.address for one in found.members} == set(others)

    async def test_a_list_comes_with_its_members_or_not_at_all(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        with pytest.raises(Conflict):
            await store.commit(PutList(mailing_list=TEAM, new=True), adding("a@x.test", "b@x.test", most=1))
        assert await store.mailing_list(TEAM.address) is None
        await store.commit(PutList(mailing_list=TEAM, new=True), adding("a@x.test"))
        found = await store.mailing_list(TEAM.address)
        assert found is not None and len(found.members) == 1

    async def test_who_joins_at_once_is_in_both(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        await store.apply(PutList(mailing_list=TEAM, new=True))
        await asyncio.gather(*(store.apply(adding(f"m{n}@x.test", most=20)) for n in range(20)))
        found = await store.mailing_list(TEAM.address)
        assert found is not None and len(found.members) == 20

    async def test_its_addresses_are_nobody_elses(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        await store.apply(PutList(mailing_list=TEAM, new=True))
        for name in ("team", "team-owner", "team-request", "team-bounces", "team-unsubscribe"):
            address = f"{name}@example.test"
            with pytest.raises(Conflict):
                await store.apply(AddAccount(address=address, password="", created_at=NOW))
            with pytest.raises(Conflict):
                await store.apply(PutAlias(alias=Alias(address=address, targets=("a@b.test",)), new=True))
            with pytest.raises(Conflict):
                taken = msgspec.structs.replace(TEAM, address=address)
                await store.apply(PutList(mailing_list=taken, new=True))
        await store.apply(PutAlias(alias=Alias(address="club-owner@example.test", targets=()), new=True))
        for name in ("ann", "club"):
            with pytest.raises(Conflict):
                taken = msgspec.structs.replace(TEAM, address=f"{name}@example.test")
                await store.apply(PutList(mailing_list=taken, new=True))

    async def test_what_is_not_there_is_not_changed(self, engine: EngineUnderTest) -> None:
        store = (await furnish(engine)).store
        gone = RemoveMembers(address=TEAM.address, members=())
        for op in (PutList(mailing_list=TEAM), RemoveList(address=TEAM.address), adding("a@x.test"), gone):
            with pytest.raises(NotFound):
                await store.apply(op)
        assert await store.mailing_list(TEAM.address) is None

    async def test_lists_go_with_their_domain(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        heard: list[bool] = []
        desk.store.watch_people(lambda: heard.append(True))
        await desk.store.apply(PutList(mailing_list=TEAM, new=True))
        await desk.store.apply(adding("a@x.test"))
        assert heard
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await desk.store.apply(RemoveDomain(name="example.test"))
        assert await desk.store.mailing_lists() == ()
        await furnish(engine)
        await desk.store.apply(PutList(mailing_list=TEAM, new=True))
        assert await desk.store.mailing_list(TEAM.address) == TEAM, "its members are gone too"
