"""Old stories are forgotten, young ones kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthouse.config import Config, MsgAuth
from posthouse.house import House
from posthouse.inbound.tally import Failure
from posthouse.operations.upkeep import Upkeep
from posthouse.store.credentials import AddCredential, CredentialKind
from posthouse.store.interface import AddAccount, AddUpload, PutDomain
from posthouse.store.model import Content, Domain, Event
from posthouse.store.operations import RecordEvents
from tests.fakes.resolver import FakeResolver

DAY = 86400.0


@pytest.mark.parametrize(("kept", "left"), [(30 * DAY, ["young"]), (0.0, ["old", "young"])])
async def test_the_timeline_forgets(house: House, kept: float, left: list[str]) -> None:
    now = 100 * DAY
    events = tuple(
        Event(trace_id=name, at=at, kind="received", address="a@north.test", detail="")
        for name, at in (("old", now - 31 * DAY), ("young", now - 29 * DAY))
    )
    await house.store.apply(RecordEvents(events=events))
    await Upkeep(house.store, lambda: kept, lambda: now).round()
    found = await house.store.events(address="a@north.test")
    assert [event.trace_id for event in found] == left


async def test_it_can_be_stopped_at_once(house: House) -> None:
    upkeep = Upkeep(house.store, lambda: DAY)
    upkeep.start()
    await upkeep.stop()


async def test_ended_sessions_are_forgotten(house: House) -> None:
    now = 100 * DAY
    await house.store.apply(PutDomain(domain=Domain(name="north.test")))
    account = await house.store.apply(AddAccount(address="a@north.test", password="", created_at=1))
    for key, end in ((b"old", now - 1), (b"young", now + 1)):
        await house.store.apply(
            AddCredential(
                account_id=account.account_id,
                kind=CredentialKind.SESSION,
                key=key,
                created_at=1,
                expires_at=int(end),
                most=9,
            )
        )
    await Upkeep(house.store, lambda: DAY, lambda: now).round()
    assert [item.key for item in await house.store.credentials(account.account_id)] == [b"young"]


async def test_uploads_that_nobody_used_are_forgotten(house: House) -> None:
    """RFC 8620 §6: a client has an hour at least; what is kept for ever is a store of files for strangers."""
    now = 100 * DAY
    await house.store.apply(PutDomain(domain=Domain(name="north.test")))
    account = await house.store.apply(AddAccount(address="a@north.test", password="", created_at=1))
    made = [
        await house.store.apply(
            AddUpload(
                account_id=account.account_id,
                content=Content.of(b"%d" % hours),
                media_type="a/b",
                created_at=int(now - hours * 3600),
            )
        )
        for hours in (1, 23, 25)
    ]
    await Upkeep(house.store, lambda: DAY, lambda: now).round()
    found = await house.store.uploads(account.account_id, [each.upload_id for each in made])
    assert [each is not None for each in found] == [True, True, False]


async def test_every_process_tells_of_the_failures_that_it_saw(tmp_path: Path, cheap_hashes: None) -> None:
    """One node does what is done for all; what only this process knows is its own to do (RFC 9991)."""
    settings = MsgAuth(failure_reports=True)
    house = await House.open(Config(hostname="mx.north.test", data=tmp_path / "data", msgauth=settings))
    house.resolver = house.reports._resolver = FakeResolver('_dmarc.told.test. TXT "v=DMARC1"\n')
    seen = Failure(
        domain="told.test",
        policy_domain="told.test",
        to=("ruf@told.test",),
        peer="192.0.2.1",
        reverse_path="",
        at=1.0,
        results="spf=fail",
        delivered="delivered",
        failed="dmarc",
        result="fail",
        unaligned=("dkim", "spf"),
        signatures=(),
        strict_dkim=False,
        spf_domain="",
        strict_spf=False,
        header=b"Subject: x\r\n",
    )
    house.tallies._failures.append(seen)
    try:
        for duty in house.duties(jobs=False):
            await duty.run()
        assert [one.recipients[0].address for one in await house.store.queue()] == ["ruf@told.test"]
    finally:
        await house.close()
