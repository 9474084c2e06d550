"""What every engine must do with DKIM keys, DMARC tallies, reports and muted findings."""

from __future__ import annotations

import msgspec
import pytest

from posthouse.errors import NotFound
from posthouse.store.interface import PutDomain, RemoveDomain
from posthouse.store.model import Domain
from posthouse.store.sql import trust
from posthouse.store.trust import (
    AddReport,
    DkimKey,
    DmarcTally,
    ForgetTallies,
    KeyState,
    Mute,
    PruneReports,
    PutDkimKey,
    PutMute,
    RemoveDkimKey,
    RemoveMute,
    Report,
    TallyDmarc,
)
from tests.kits.engine import EngineUnderTest

KEY = DkimKey(
    domain="trust.test",
    selector="r1",
    algorithm="rsa-sha256",
    private_key="PEM",
    created_at=1,
    changed_at=1,
)
REPORT = Report(
    sent=False,
    kind="aggregate",
    domain="trust.test",
    organization="else.test",
    name="42",
    begin=0,
    end=86400,
    at=90000,
    messages=3,
    failures=1,
    content="{}",
)


class TrustKit:
    """What is kept about trust."""

    async def test_keys(self, engine: EngineUnderTest) -> None:
        store = engine.store
        with pytest.raises(NotFound):
            await store.apply(PutDkimKey(key=KEY))
        await store.apply(PutDomain(domain=Domain(name="trust.test"), new=True))
        later = msgspec.structs.replace(KEY, selector="e1", created_at=2, state=KeyState.NEXT)
        await store.commit(PutDkimKey(key=later), PutDkimKey(key=KEY))
        assert await store.dkim_keys("trust.test") == (KEY, later)
        retired = msgspec.structs.replace(KEY, state=KeyState.RETIRED, changed_at=9)
        await store.apply(PutDkimKey(key=retired))
        assert await store.dkim_keys() == (retired, later)
        await store.apply(RemoveDkimKey(domain="trust.test", selector="r1"))
        with pytest.raises(NotFound):
            await store.apply(RemoveDkimKey(domain="trust.test", selector="r1"))
        await store.apply(RemoveDomain(name="trust.test"))
        assert await store.dkim_keys("trust.test") == ()

    async def test_tallies_add_up(self, engine: EngineUnderTest) -> None:
        store = engine.store
        one = DmarcTally(policy_domain="a.test", day=0, row='{"x":1}', count=2)
        other = DmarcTally(policy_domain="a.test", day=86400, row='{"x":1}', count=1)
        await store.apply(TallyDmarc(tallies=(one, other, one)))
        assert await store.dmarc_tallies(86400) == (msgspec.structs.replace(one, count=4),)
        await store.apply(ForgetTallies(policy_domain="a.test", day=0))
        with pytest.raises(NotFound):
            await store.apply(ForgetTallies(policy_domain="a.test", day=0))
        assert await store.dmarc_tallies(10**9) == (other,)

    async def test_a_flood_of_rows_ends_but_those_known_are_counted(
        self, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trust, "REPORT_ROWS_KEPT", 3)
        rows = [
            DmarcTally(policy_domain="a.test", day=0, row=f'{{"x":{number}}}', count=1) for number in range(9)
        ]
        await engine.store.apply(TallyDmarc(tallies=tuple(rows)))
        await engine.store.apply(TallyDmarc(tallies=(rows[8], rows[0])))
        kept = {one.row: one.count for one in await engine.store.dmarc_tallies(86400)}
        assert kept == {'{"x":0}': 2, '{"x":1}': 1, '{"x":2}': 1}

    async def test_a_report_is_kept_once(self, engine: EngineUnderTest) -> None:
        store = engine.store
        number = await store.apply(AddReport(report=REPORT))
        assert number > 0
        assert await store.apply(AddReport(report=REPORT)) == 0
        sent = msgspec.structs.replace(REPORT, sent=True, at=100_000)
        second = await store.apply(AddReport(report=sent))
        kept = msgspec.structs.replace(REPORT, report_id=number)
        assert await store.report(number) == kept
        assert [one.report_id for one in await store.reports("trust.test")] == [second, number]
        assert await store.reports("other.test") == ()
        assert len(await store.reports(limit=1)) == 1
        assert await store.apply(PruneReports(before=95_000)) == 1
        assert await store.report(number) is None

    async def test_mutes(self, engine: EngineUnderTest) -> None:
        store = engine.store
        mute = Mute(domain="a.test", subject="PTR", reason="my provider's", at=5)
        await store.apply(PutMute(mute=mute))
        changed = msgspec.structs.replace(mute, reason="really theirs")
        await store.apply(PutMute(mute=changed))
        assert await store.mutes("a.test") == (changed,)
        await store.apply(RemoveMute(domain="a.test", subject="PTR"))
        with pytest.raises(NotFound):
            await store.apply(RemoveMute(domain="a.test", subject="PTR"))
