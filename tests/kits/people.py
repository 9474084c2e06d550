"""What every engine must do with domains, accounts, aliases, passwords and the timeline."""

from __future__ import annotations

import msgspec
import pytest

from posthouse.errors import Conflict, NotFound
from posthouse.store.interface import (
    AddAccount,
    AddAppPassword,
    PruneEvents,
    PutAccount,
    PutAlias,
    PutDomain,
    RecordEvents,
    RememberRecipient,
    RemoveAccount,
    RemoveAlias,
    RemoveAppPassword,
    RemoveDomain,
    TouchAppPassword,
)
from posthouse.store.model import Alias, Domain, DomainKind, Event
from tests.kits.engine import NOW, EngineUnderTest, furnish


class PeopleKit:
    """People."""

    async def test_domains_are_kept_and_changed(self, engine: EngineUnderTest) -> None:
        store = engine.store
        first = Domain(name="b.test", catch_all="all@b.test", created_at=NOW)
        await store.apply(PutDomain(domain=first, new=True))
        await store.apply(PutDomain(domain=Domain(name="a.test", kind=DomainKind.BACKUP, recipients="list")))
        with pytest.raises(Conflict):
            await store.apply(PutDomain(domain=first, new=True))
        changed = msgspec.structs.replace(first, catch_all="")
        await store.apply(PutDomain(domain=changed))
        store = await engine.reopen()
        assert [domain.name for domain in await store.domains()] == ["a.test", "b.test"]
        assert (await store.domains())[1] == changed

    async def test_a_domain_with_accounts_stays(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await desk.store.apply(
            PutAlias(alias=Alias(address="x@example.test", targets=("y@z.test",)), new=True)
        )
        with pytest.raises(Conflict):
            await desk.store.apply(RemoveDomain(name="example.test"))
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await desk.store.apply(RemoveDomain(name="example.test"))
        assert await desk.store.domains() == ()
        assert await desk.store.alias("x@example.test") is None, "its aliases go with it"
        with pytest.raises(NotFound):
            await desk.store.apply(RemoveDomain(name="example.test"))

    async def test_accounts_are_found_by_address_and_number(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        assert await desk.store.account("ann@example.test") == desk.account
        assert await desk.store.account_by_id(desk.id) == desk.account
        assert await desk.store.account("nobody@example.test") is None
        await furnish(engine, "zoe@other.test")
        assert [each.address for each in await desk.store.accounts()] == [
            "ann@example.test",
            "zoe@other.test",
        ]
        assert [each.address for each in await desk.store.accounts("other.test")] == ["zoe@other.test"]

    async def test_an_address_is_taken_once(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        alias = Alias(address="list@example.test", targets=("ann@example.test", "bob@else.test"))
        await desk.store.apply(PutAlias(alias=alias, new=True))
        for address in ("ann@example.test", "list@example.test"):
            with pytest.raises(Conflict):
                await desk.store.apply(AddAccount(address=address, password="", created_at=NOW))
            with pytest.raises(Conflict):
                await desk.store.apply(PutAlias(alias=Alias(address=address, targets=()), new=True))
        with pytest.raises(Conflict):
            await desk.store.apply(PutAlias(alias=Alias(address="ann@example.test", targets=())))
        assert await desk.store.alias("list@example.test") == alias

    async def test_accounts_live_in_local_domains_only(self, engine: EngineUnderTest) -> None:
        store = engine.store
        await store.apply(PutDomain(domain=Domain(name="far.test", kind=DomainKind.BACKUP), new=True))
        for address in ("x@far.test", "x@unknown.test"):
            with pytest.raises(NotFound):
                await store.apply(AddAccount(address=address, password="", created_at=NOW))

    async def test_lookups_are_current_after_every_change(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        heard: list[bool] = []
        end = desk.store.watch_people(lambda: heard.append(True))
        assert await desk.store.account("new@example.test") is None
        added = await desk.store.apply(AddAccount(address="new@example.test", password="", created_at=NOW))
        assert await desk.store.account("new@example.test") == added
        assert heard
        heard.clear()
        changed = msgspec.structs.replace(added, disabled=True, password="other", display_name="N")
        await desk.store.apply(PutAccount(account=changed))
        assert await desk.store.account("new@example.test") == changed
        assert await desk.store.account_by_id(added.account_id) == changed
        assert heard
        end()
        with pytest.raises(NotFound):
            await desk.store.apply(
                PutAccount(account=msgspec.structs.replace(changed, address="q@example.test"))
            )

    async def test_aliases_change_and_go(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        await desk.store.apply(
            PutAlias(alias=Alias(address="a@example.test", targets=("x@y.test",)), new=True)
        )
        await desk.store.apply(
            PutAlias(alias=Alias(address="a@example.test", targets=("p@q.test", "x@y.test")))
        )
        assert [alias.targets for alias in await desk.store.aliases("example.test")] == [
            ("p@q.test", "x@y.test")
        ]
        await desk.store.apply(RemoveAlias(address="a@example.test"))
        assert await desk.store.alias("a@example.test") is None
        assert await desk.store.aliases() == ()
        with pytest.raises(NotFound):
            await desk.store.apply(RemoveAlias(address="a@example.test"))

    async def test_removing_an_account_takes_all_its_mail(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        added = await desk.add(await desk.box(), "a", "b")
        await desk.store.apply(AddAppPassword(account_id=desk.id, name="phone", password="h", created_at=NOW))
        await desk.store.apply(RemoveAccount(account_id=desk.id))
        await engine.settle()
        with pytest.raises(NotFound):
            await desk.store.mailboxes(desk.id)
        again = await furnish(engine)
        assert again.id != desk.id, "numbers are never used again"
        assert (await again.store.usage(again.id)).messages == 0
        assert await again.store.app_passwords(again.id) == ()
        await engine.reopen()
        assert await engine.store.messages(desk.id, [added[0].email_id]) == [None]

    async def test_app_passwords_are_made_used_and_revoked(self, engine: EngineUnderTest) -> None:
        desk = await furnish(engine)
        made = await desk.store.apply(
            AddAppPassword(account_id=desk.id, name="phone", password="h", created_at=NOW)
        )
        await desk.store.apply(TouchAppPassword(app_password_id=made.app_password_id, at=NOW + 5))
        assert await desk.store.app_passwords(desk.id) == (
            msgspec.structs.replace(made, last_used_at=NOW + 5),
        )
        other = await furnish(engine, "bob@example.test")
        with pytest.raises(NotFound):
            await desk.store.apply(
                RemoveAppPassword(account_id=other.id, app_password_id=made.app_password_id)
            )
        await desk.store.apply(RemoveAppPassword(account_id=desk.id, app_password_id=made.app_password_id))
        assert await desk.store.app_passwords(desk.id) == ()

    async def test_known_recipients_are_remembered(self, engine: EngineUnderTest) -> None:
        store = engine.store
        assert await store.known_recipient("x@far.test") is None
        await store.apply(RememberRecipient(address="x@far.test", valid=False, at=5))
        assert await store.known_recipient("x@far.test") == (False, 5)
        await store.apply(RememberRecipient(address="x@far.test", valid=True, at=9))
        store = await engine.reopen()
        assert await store.known_recipient("x@far.test") == (True, 9)


class TimelineKit:
    """The timeline."""

    async def test_lines_are_found_by_message_and_by_address(self, engine: EngineUnderTest) -> None:
        def line(trace: str, at: float, kind: str, address: str) -> Event:
            return Event(trace_id=trace, at=at, kind=kind, address=address, detail="-")

        first = (line("t1", 1.0, "received", "a@x.test"), line("t1", 2.0, "stored", "b@x.test"))
        second = (line("t2", 3.0, "received", "a@x.test"),)
        await engine.store.apply(RecordEvents(events=first))
        await engine.store.apply(RecordEvents(events=second))
        store = await engine.reopen()
        assert await store.events(trace_id="t1") == list(first)
        assert await store.events(address="a@x.test") == [first[0], second[0]]
        assert await store.events(address="a@x.test", limit=1) == [second[0]], "the latest"
        assert await store.apply(PruneEvents(before=3.0)) == 2
        assert await store.events() == [second[0]]
        assert await store.apply(PruneEvents(before=99.0)) == 1
        assert await store.apply(PruneEvents(before=99.0)) == 0
