"""What mail from strangers makes us ask, count and keep for reports is bounded."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from posthouse.errors import NotFound
from posthouse.inbound import authenticate, questions, report_door, report_sender, tally
from posthouse.inbound.authenticate import hash_body
from posthouse.inbound.learnt_addresses import LearntAddresses
from posthouse.inbound.mail import MailRecipient
from posthouse.inbound.questions import Questions
from posthouse.inbound.report_door import report_in
from posthouse.inbound.tally import DAY
from posthouse.msgauth.dkim_canon import BodyForm
from posthouse.msgauth.report_unpack import ReportError
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.resolver import AddressAnswer, Status
from posthouse.smtp.reception import MemoryBudget
from posthouse.store.model import Content
from posthouse.store.trust import Report
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import NOW, SmallHouse
from tests.inbound.test_authenticate import letter
from tests.inbound.test_reports import Office

WANTED = "v=DMARC1; p=none; rua=mailto:r@{0}; ruf=mailto:f@{0}; fo=1"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[SmallHouse]:
    house = await SmallHouse.open(tmp_path)
    yield house
    await house.close()


def office_with(house: SmallHouse, domains: int, **settings: Any) -> Office:
    office = Office(house, **settings)
    for number in range(domains):
        name = f"d{number}.test"
        office.resolver.add(f'_dmarc.{name}. TXT "{WANTED.format(name)}"')
    return office


# --- questions ----------------------------------------------------------------------------------------------


async def test_the_checks_of_a_message_ask_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = FakeResolver("a.test. A 192.0.2.1\n")
    monkeypatch.setattr(questions, "MSGAUTH_QUESTIONS", 3)
    ask = Questions(resolver)
    assert [(await ask.a("a.test")).status for _ in range(5)] == [Status.FOUND] * 3 + [Status.TEMPORARY] * 2
    assert len(resolver.asked) == 3


async def test_the_checks_of_a_message_wait_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(FakeResolver):
        async def a(self, name: str) -> AddressAnswer:
            if name == "slow.test":
                await asyncio.Event().wait()
            return await super().a(name)

    resolver = Slow("a.test. A 192.0.2.1\n")
    monkeypatch.setattr(questions, "MSGAUTH_TIMEOUT", 0.05)
    ask = Questions(resolver)
    assert (await ask.a("a.test")).status is Status.FOUND
    async with asyncio.timeout(2):
        assert (await ask.a("slow.test")).status is Status.TEMPORARY, "a question under way ends too"
    late = await ask.a("a.test")
    assert late.status is Status.TEMPORARY
    assert late.reason == "the checks of this message took more than 0.05 seconds"
    assert resolver.asked == [("A", "a.test")]


async def test_a_message_has_authors_of_so_many_domains(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticate, "AUTHOR_DOMAINS", 2)
    office = Office(house)
    assert (await office.take(letter("a@a.test, b@b.test, c@a.test"))).startswith("250")
    asked = len(office.resolver.asked)
    reply = await office.take(letter("a@a.test, b@b.test, c@c.test"))
    assert reply == "550 5.6.0 From names authors of too many domains"
    assert len(office.resolver.asked) == asked


@pytest.mark.parametrize(("size", "in_thread"), [(1000, False), (1001, True)])
async def test_a_long_body_is_hashed_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, size: int, in_thread: bool
) -> None:
    monkeypatch.setattr(authenticate, "HASHED_AT_ONCE", 1000)
    threads: list[threading.Thread] = []
    really = authenticate.hash_blocks

    def hash_blocks(*args: Any) -> Any:
        threads.append(threading.current_thread())
        return really(*args)

    monkeypatch.setattr(authenticate, "hash_blocks", hash_blocks)
    form = BodyForm(True, None)
    (found,) = (await hash_body(Content.of(b"x" * size), 0, frozenset({form}))).values()
    assert found.size == size + 2  # the line's end is added
    assert (threads[0] is not threading.main_thread()) is in_thread


# --- counts -------------------------------------------------------------------------------------------------


async def test_rows_in_memory_are_bounded_and_those_known_are_counted(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "TALLY_ROWS", 3)
    office = office_with(house, 5)
    for number in (0, 1, 2, 3, 4, 0):
        await office.take(letter(f"x@d{number}.test"))
    for domain in ("tls.test", "d0.test"):
        office.tallies.note_session(domain, TlsSeen())
    await office.tallies.flush()
    kept = {one.policy_domain: one.count for one in await house.real_store.dmarc_tallies(2**40)}
    assert kept == {"d0.test": 2, "d1.test": 1, "d2.test": 1}


async def test_rows_that_the_store_does_not_take_are_bounded_too(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "TALLY_ROWS", 3)
    office = office_with(house, 0)
    go = asyncio.Event()

    class Away:
        async def apply(self, _: object) -> None:
            await go.wait()
            raise NotFound("away")

    monkeypatch.setattr(office.tallies, "_store", Away())
    for name in ("a", "b"):
        office.tallies.note_session(f"{name}.test", TlsSeen())
    flushing = asyncio.ensure_future(office.tallies.flush())
    while not office.tallies._on_their_way:
        await asyncio.sleep(0)
    for name in ("c", "d", "e"):
        office.tallies.note_session(f"{name}.test", TlsSeen())
    go.set()
    with pytest.raises(NotFound):
        await flushing
    assert len(office.tallies._counts) == 3
    office.tallies.note_session("f.test", TlsSeen())
    assert len(office.tallies._counts) == 3
    office.tallies._counts.clear()
    office.tallies.note_session("g.test", TlsSeen())
    assert len(office.tallies._counts) == 1


async def test_single_failures_that_wait_are_bounded_in_number_and_size(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "FAILURES_WAITING", 2)
    monkeypatch.setattr(tally, "FAILURE_HEADER", 100)
    office = office_with(house, 4, failure_reports=True)
    for number in range(4):
        await office.take(letter(f"x@d{number}.test", "X-Long: " + "x" * 300))
    failures = office.tallies.take_failures()
    assert [len(one.header) for one in failures] == [100, 100]
    await office.take(letter("x@d3.test"))
    assert len(office.tallies.take_failures()) == 1, "what was told makes room"


# --- reports ------------------------------------------------------------------------------------------------


async def test_a_message_larger_than_a_report_is_not_read(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_door, "REPORT_MESSAGE", 1000)
    for size, why in ((1000, "^(?!too large)"), (1001, "too large")):
        with pytest.raises(ReportError, match=why):
            await report_in(house.mail("alice", raw=b"x" * size))


async def test_reports_are_kept_for_their_time(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_sender, "REPORTS_KEPT", 10 * DAY)
    office = office_with(house, 1)
    await office.take(letter("x@d0.test"))
    office.now += DAY
    await office.sender.round()

    async def after(days: float) -> tuple[Report, ...]:
        office.now += days * DAY
        await office.sender.round()
        return await house.real_store.reports()

    assert len(await after(9.9)) == 1
    assert await after(0.2) == ()


@pytest.mark.slow
async def test_addresses_that_are_learnt_are_bounded(house: SmallHouse) -> None:
    """Of one account some thousand, the least of them going first; in memory those of many accounts together."""
    account = house.accounts["alice"]
    learnt = LearntAddresses(house.real_store, lambda: NOW)

    async def write(*numbers: int) -> None:
        mail = house.mail("friend@elsewhere.test")
        people = tuple(MailRecipient(f"p{number}@far.test") for number in numbers)
        mail = msgspec.structs.replace(mail, recipients=people)
        await house.real_store.commit(*await learnt.operations(account.account_id, mail))

    for _ in range(3):
        await write(0)
    for start in range(1, 2_501, 50):
        await write(*range(start, start + 50))
    kept = await learnt.of(account.account_id)
    assert 1_800 < len(kept) <= 2_000
    assert kept[0].email == "p0@far.test", "who is written to often stays"
    assert (
        await learnt.operations(account.account_id, house.mail(*(f"q{n}@far.test" for n in range(51)))) == []
    )
    for number in range(25_000):
        learnt._known[number, ""] = kept[0]
    await write(9_999)
    assert len(learnt._known) == 20_000


async def test_a_name_that_is_learnt_has_so_many_characters(house: SmallHouse) -> None:
    account = house.accounts["alice"]
    learnt = LearntAddresses(house.real_store, lambda: NOW)
    head = f'To: "{"n" * 1_000}" <p@far.test>\r\nSubject: x\r\n\r\ntext\r\n'
    mail = msgspec.structs.replace(house.mail("p@far.test"), content=Content.of(head.encode()))
    await house.real_store.commit(*await learnt.operations(account.account_id, mail))
    (kept,) = await learnt.of(account.account_id)
    assert kept.name == "n" * 200


def test_what_sessions_hold_in_memory_is_bounded() -> None:
    budget = MemoryBudget()
    assert budget.take(256 * 1024 * 1024)
    assert not budget.take(1), "the next message goes to staging"
