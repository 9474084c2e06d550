"""ACME without a real authority: what is due when, which names, what stays on disk, what a server may do to us."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from posthouse import limits
from posthouse.config_tls import Acme
from posthouse.errors import Conflict
from posthouse.net.certificates import make_pair, names_of
from posthouse.operations.acme.authority import Authority, certificate_id, seconds_of
from posthouse.operations.acme.challenges import Challenges
from posthouse.operations.acme.faults import AcmeFault
from posthouse.operations.acme.files import AcmeFiles, State
from posthouse.operations.acme.names import Wanted, choose_names
from posthouse.operations.acme.renewal import Renewal
from posthouse.operations.acme.timing import Held, ask_again, pause, renewal_at, rest, why_due
from posthouse.operations.certificates import Certificates
from posthouse.resolver import AddressAnswer
from tests.fakes.authority import FakeAuthority, silent
from tests.fakes.clock import FakeClock
from tests.fakes.resolver import FakeResolver
from tests.house import TestHouse
from tests.waiting import until

HOST = "mx.north.test"
DAY = 86_400.0
HELD = Held(names=(HOST,), not_before=0.0, not_after=90 * DAY)


# --- what is due ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suggested", "days"),
    [(0.0, 60), (30 * DAY, 30), (80 * DAY, 80), (89 * DAY, 81)],
)
def test_it_is_renewed_when_suggested_or_after_two_thirds_and_never_at_its_end(
    suggested: float, days: int
) -> None:
    assert renewal_at(HELD, suggested) == pytest.approx(days * DAY)
    for now, due in ((days * DAY - 1, ""), (days * DAY + 1, "its time has come")):
        assert why_due(HELD, [HOST], suggested=suggested, orders=(), now=now) == due


def test_new_names_are_a_reason_but_not_again_and_again() -> None:
    names = [HOST, "mta-sts.north.test"]
    recent = [DAY * n / 2 for n in range(limits.ACME_ORDERS)]
    now = DAY * 6
    assert why_due(HELD, names, suggested=0, orders=recent[1:], now=now) == "not in it: mta-sts.north.test"
    assert why_due(HELD, names, suggested=0, orders=recent, now=now) == ""
    assert why_due(HELD, names, suggested=0, orders=recent, now=DAY * 8) != "", "a week later"
    assert why_due(HELD, [], suggested=0, orders=(), now=now) == "", "fewer names are no reason"
    assert why_due(None, names, suggested=0, orders=recent, now=now) != "", "the first one is"


def test_pauses_grow_to_a_day_and_obey_the_authority_for_so_long() -> None:
    assert [pause(n, chance=1.0) for n in (1, 2, 3)] == [600, 1200, 2400]
    assert pause(50, chance=1.0) == limits.ACME_RETRY_MOST == DAY
    assert 0.9 * 600 <= pause(1) <= 1.1 * 600
    assert pause(1, told=3 * DAY, chance=1.0) == 3 * DAY
    assert pause(1, told=1e9, chance=1.0) == limits.ACME_TOLD_MOST
    assert [rest(n) for n in (1, 2)] == [3600, 7200]
    assert rest(50) == limits.ACME_NAME_RETRY_MOST
    assert [ask_again(told) for told in (None, 1.0, 7200.0, 1e9)] == [
        limits.ACME_ASK,
        limits.ACME_ASK_LEAST,
        7200.0,
        limits.ACME_ASK_MOST,
    ]


def test_retry_after_is_read_in_both_forms() -> None:
    now = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
    assert seconds_of("120") == 120
    assert seconds_of("Sat, 28 Nov 2026 13:00:00 GMT", lambda: now) == 3600
    assert seconds_of("Sat, 28 Nov 2026 11:00:00 GMT", lambda: now) == 0
    assert seconds_of("") is seconds_of("soon") is None


# --- names ------------------------------------------------------------------------------------------------

ZONE = f"""
{HOST}. A 192.0.2.1
{HOST}. AAAA 2001:db8::1
balancer.north.test. A 192.0.2.9
mta-sts.north.test. CNAME {HOST}.
autoconfig.north.test. A 192.0.2.1
autodiscover.north.test. A 192.0.2.1
autodiscover.north.test. A 198.51.100.7
mta-sts.south.test. FAIL
autoconfig.south.test. FAIL
"""


async def test_names_that_lead_elsewhere_or_nowhere_are_left_out_with_the_reason() -> None:
    wanted = Wanted(hostname=HOST, others=("balancer.north.test",), domains=("north.test", "south.test"))
    found = await choose_names(wanted, FakeResolver(ZONE), had=["mta-sts.south.test"])
    assert found.names == (
        HOST,
        "balancer.north.test",
        "mta-sts.north.test",
        "mta-sts.south.test",
        "autoconfig.north.test",
    )
    assert {one.name: one.why for one in found.left_out} == {
        "autodiscover.north.test": "leads to 198.51.100.7, not here",
        "autoconfig.south.test": "the DNS cannot be asked now",
        "autodiscover.south.test": "has no address",
    }
    assert found.why_not == ""


async def test_a_host_without_address_orders_nothing() -> None:
    found = await choose_names(Wanted(hostname=HOST), FakeResolver(""))
    assert found.why_not == f"{HOST} has no address"
    doors = Wanted(hostname=HOST, unprovable="no door")
    assert (await choose_names(doors, FakeResolver(ZONE))).why_not == "no door"


async def test_names_that_rest_are_left_out() -> None:
    wanted = Wanted(hostname=HOST, domains=("north.test",))
    found = await choose_names(wanted, FakeResolver(ZONE), resting={"mta-sts.north.test": "refused"})
    assert found.names == (HOST, "autoconfig.north.test")
    assert found.left_out[0].why == "refused"


class Counting(FakeResolver):
    """Notes how many questions are open at once."""

    def __init__(self, zone: str) -> None:
        super().__init__(zone)
        self.open = self.most = 0

    async def a(self, host: str) -> AddressAnswer:
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.001)
        self.open -= 1
        return await super().a(host)


async def test_a_certificate_has_so_many_names_and_so_many_are_asked_for_at_once() -> None:
    domains = tuple(f"d{n}.test" for n in range(limits.ACME_NAMES))
    zone = f"{HOST}. A 192.0.2.1\n" + "".join(f"mta-sts.{each}. A 192.0.2.1\n" for each in domains)
    resolver = Counting(zone)
    found = await choose_names(Wanted(hostname=HOST, domains=domains), resolver)
    assert len(found.names) == limits.ACME_NAMES
    assert found.left_out[0].why == "a certificate has 100 names at most"
    assert resolver.most == limits.ACME_QUESTIONS


# --- files ------------------------------------------------------------------------------------------------


def test_a_pair_that_tls_cannot_use_never_takes_the_place_of_one_that_works(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path / "acme")
    pair, other = (make_pair(HOST, datetime.now(UTC)) for _ in range(2))
    files.install(pair.certificate, pair.key)
    before = files.pair.read_bytes()
    for chain, key in ((other.certificate, pair.key), (b"no certificate", pair.key), (b"", pair.key)):
        with pytest.raises((ValueError, OSError)):
            files.install(chain, key)
        assert files.pair.read_bytes() == before
    assert stat.S_IMODE(files.pair.stat().st_mode) == 0o600


def test_the_key_stays_from_the_self_signed_pair_on(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path / "acme")
    pair = make_pair(HOST, datetime.now(UTC))
    (tmp_path / "key.pem").write_bytes(pair.key)
    assert files.key(tmp_path / "key.pem") == pair.key
    files.install(pair.certificate, pair.key)
    (tmp_path / "key.pem").write_bytes(make_pair(HOST, datetime.now(UTC)).key)
    assert files.key(tmp_path / "key.pem") == pair.key, "that of the pair in use goes first"
    assert files.key(tmp_path / "nothing.pem") == pair.key
    assert b"PRIVATE KEY" in AcmeFiles(tmp_path / "new").key(tmp_path / "nothing.pem")


def test_a_state_that_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path)
    directory = "https://ca.test/directory"
    files.keep(directory, State(account="https://ca.test/1"))
    assert files.state(directory).account == "https://ca.test/1"
    assert files.state("https://ca.test/other") == State(), "one folder for each authority"
    (files.of(directory) / "state.json").write_text("{")
    assert files.state(directory) == State()
    account = files.account_key(directory)
    assert files.account_key(directory) == account
    assert stat.S_IMODE((files.of(directory) / "account.pem").stat().st_mode) == 0o600


# --- a server that is not as it should be -------------------------------------------------------------------


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeAuthority]:
    made = FakeAuthority(tmp_path)
    yield made
    made.stop()


def authority(fake: FakeAuthority, tmp_path: Path) -> Authority:
    settings = Acme(directory=fake.directory, ca=fake.ca)
    return Authority(settings, AcmeFiles(tmp_path).account_key(fake.directory), "", threading.Event())


def test_a_nonce_may_fail_so_often(fake: FakeAuthority, tmp_path: Path) -> None:
    fake.answers["/newAccount"] = lambda _: (400, {}, fake.problem("badNonce"))
    with pytest.raises(AcmeFault, match="badNonce"):
        authority(fake, tmp_path).account()
    assert fake.count("/newAccount") == limits.ACME_NONCES


def test_an_answer_may_be_so_large(
    fake: FakeAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ACME_SIZE", 100_000)
    fake.answers["/directory"] = lambda _: (200, {}, b" " * 90_000 + b"{}")
    with pytest.raises(AcmeFault, match="newAccount"):
        authority(fake, tmp_path).account()
    fake.answers["/directory"] = lambda _: (200, {}, b" " * 400_000 + b"{}")
    with pytest.raises(AcmeFault, match="too large"):
        authority(fake, tmp_path).account()


def test_a_silent_server_is_left_alone(
    fake: FakeAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ACME_ANSWER", 1.0)
    fake.answers["/directory"] = silent(5)
    began = time.monotonic()
    with pytest.raises(AcmeFault, match="cannot be reached"):
        authority(fake, tmp_path).account()
    assert time.monotonic() - began < 4


def test_a_server_that_nobody_vouches_for_is_not_believed(fake: FakeAuthority, tmp_path: Path) -> None:
    key = AcmeFiles(tmp_path).account_key(fake.directory)
    stranger = Authority(Acme(directory=fake.directory), key, "", threading.Event())
    with pytest.raises(AcmeFault, match="CERTIFICATE_VERIFY_FAILED"):
        stranger.account()
    assert fake.asked == []


def test_proof_has_so_much_time(fake: FakeAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ACME_PROOF", 0.5)
    monkeypatch.setattr(limits, "ACME_POLL", 0.1)
    waiting = {
        "status": "pending",
        "finalize": f"{fake.url}/finalize",
        "authorizations": [f"{fake.url}/name"],
    }
    challenge = {"type": "http-01", "status": "processing", "url": f"{fake.url}/challenge", "token": "a" * 43}
    fake.answers["/order/1"] = lambda _: (200, {}, waiting)
    name = {"status": "pending", "identifier": {"type": "dns", "value": HOST}, "challenges": [challenge]}
    fake.answers["/name"] = lambda _: (200, {}, name)
    offered = Challenges()
    one = authority(fake, tmp_path)
    one.account()
    with pytest.raises(AcmeFault, match="in time"):
        one.prove(one.begin([HOST]), offered)
    assert 3 <= fake.count("/name") <= 8, "one question each ACME_POLL seconds"
    assert offered.answer("a" * 43) is None, "withdrawn again"


def test_what_went_wrong_is_told_in_so_many_characters_with_the_names_and_the_pause(
    fake: FakeAuthority, tmp_path: Path
) -> None:
    names = [
        fake.problem("rejectedIdentifier", identifier={"type": "dns", "value": each})
        for each in ("a.north.test", "b.north.test")
    ]
    said = fake.problem("rateLimited", subproblems=names) | {"detail": "x" * 5000}
    fake.answers["/newOrder"] = lambda _: (429, {"Retry-After": "4000"}, said)
    one = authority(fake, tmp_path)
    one.account()
    with pytest.raises(AcmeFault) as caught:
        one.begin([HOST, "a.north.test", "b.north.test"])
    assert caught.value.retry_after == 4000
    assert set(caught.value.names) == {"a.north.test", "b.north.test"}
    assert len(caught.value.public) == limits.ACME_FAULT


# --- rounds -------------------------------------------------------------------------------------------------


class Office:
    """A renewal at a fake authority."""

    def __init__(self, fake: FakeAuthority, folder: Path) -> None:
        self.files = AcmeFiles(folder / "acme")
        self.clock = FakeClock(time.time())
        self.zone = f"{HOST}. A 192.0.2.1\nmta-sts.north.test. A 192.0.2.1\n"
        self.wanted = Wanted(hostname=HOST)
        self.renewal = Renewal(
            self.files,
            self_made_key=folder / "key.pem",
            resolver=lambda: FakeResolver(self.zone),
            wanted=self._wanted,
            now=self.clock,
        )
        self.directory = fake.directory
        self.renewal.settings = Acme(directory=fake.directory, ca=fake.ca)
        self.renewal.installed = self._installed
        self.shown = 0

    async def _wanted(self) -> Wanted:
        return self.wanted

    async def _installed(self) -> None:
        self.shown += 1

    @property
    def state(self) -> State:
        return self.files.state(self.directory)

    def leaf(self) -> x509.Certificate:
        found = self.files.leaf()
        assert found is not None
        return found


@pytest.fixture
def office(fake: FakeAuthority, tmp_path: Path) -> Office:
    return Office(fake, tmp_path)


async def test_the_suggested_time_is_asked_for_kept_and_obeyed(fake: FakeAuthority, office: Office) -> None:
    """RFC 9773: Pebble of Debian does not offer it."""
    now = datetime.now(UTC)
    fake.window = (now + timedelta(days=10), now + timedelta(days=11))
    await office.renewal.round()
    first = office.leaf()
    assert office.shown == 1
    await office.renewal.round()
    place = f"/renewal/{certificate_id(first)}"
    assert fake.count(place) == 1
    assert 10 * DAY <= office.state.suggested - now.timestamp() <= 11 * DAY
    standing = office.renewal.standing()
    assert standing is not None
    assert standing.renew_at == int(office.state.suggested)
    await office.renewal.round()
    assert fake.count(place) == 1, "not before the two hours that it asked for"
    office.clock.advance(7300)
    await office.renewal.round()
    assert fake.count(place) == 2
    assert office.shown == 1
    fake.window = (now - timedelta(days=2), now - timedelta(days=1))  # it is to be revoked, say
    office.clock.advance(7300)
    await office.renewal.round()
    assert office.shown == 2
    assert office.leaf().serial_number != first.serial_number
    orders = [payload for path, payload in fake.asked if path == "/newOrder"]
    assert [order.get("replaces") for order in orders] == [None, certificate_id(first)]


async def test_without_a_suggestion_it_goes_on(fake: FakeAuthority, office: Office) -> None:
    fake.window = (datetime.now(UTC), datetime.now(UTC))
    await office.renewal.round()
    fake.answers[f"/renewal/{certificate_id(office.leaf())}"] = lambda _: (500, {}, {})
    await office.renewal.round()
    assert office.state.ask_at == pytest.approx(office.clock() + limits.ACME_ASK)
    assert office.state.failures == 0
    office.clock.advance(61 * DAY)
    await office.renewal.round()
    assert office.shown == 2


async def test_a_failure_waits_as_long_as_the_authority_asks(fake: FakeAuthority, office: Office) -> None:
    fake.answers["/newOrder"] = lambda _: (429, {"Retry-After": "100000"}, fake.problem("rateLimited"))
    await office.renewal.round()
    assert office.state.try_at == pytest.approx(office.clock() + 100_000)
    office.clock.advance(99_000)
    await office.renewal.round()
    assert fake.count("/newOrder") == 1
    del fake.answers["/newOrder"]
    office.clock.advance(2_000)
    await office.renewal.round()
    assert office.shown == 1
    assert office.state.failures == 0
    assert office.state.fault == ""


async def test_names_fail_in_so_many_rounds(fake: FakeAuthority, office: Office) -> None:
    office.wanted = Wanted(hostname=HOST, others=tuple(f"n{n}.north.test" for n in range(9)))
    office.zone += "".join(f"{name}. A 192.0.2.1\n" for name in office.wanted.others)

    def refuse(payload: Any) -> tuple[int, dict[str, str], Any]:
        last = payload["identifiers"][-1]
        return 400, {}, fake.problem("rejectedIdentifier", identifier=last)

    fake.answers["/newOrder"] = refuse
    await office.renewal.round()
    assert fake.count("/newOrder") == limits.ACME_ROUNDS
    assert set(office.state.resting) == {"n8.north.test", "n7.north.test", "n6.north.test"}
    assert office.state.failures == 1


async def test_a_certificate_for_another_key_is_not_taken(fake: FakeAuthority, office: Office) -> None:
    await office.renewal.round()
    before = office.files.pair.read_bytes()
    strange = make_pair(HOST, datetime.now(UTC)).certificate
    fake.answers["/certificate"] = lambda _: (
        200,
        {"Content-Type": "application/pem-certificate-chain"},
        strange,
    )
    with pytest.raises(Exception, match="for another key"):
        await office.renewal.renew()
    assert office.files.pair.read_bytes() == before
    assert office.state.order == ""
    assert office.shown == 1


async def test_a_new_name_of_a_domain_is_added_when_the_dns_shows_it(
    fake: FakeAuthority, office: Office
) -> None:
    await office.renewal.round()
    office.wanted = Wanted(hostname=HOST, domains=("north.test",))
    await office.renewal.round()
    assert names_of(office.leaf()) == (HOST, "mta-sts.north.test")
    assert len(office.state.orders) == 1
    await office.renewal.round()
    assert office.shown == 2


async def test_a_new_key_is_taken_when_asked_for(fake: FakeAuthority, office: Office) -> None:
    await office.renewal.round()
    key = office.leaf().public_key()
    await office.renewal.renew()
    assert office.leaf().public_key() == key
    await office.renewal.renew(new_key=True)
    assert office.leaf().public_key() != key


async def test_another_authority_is_asked_while_the_first_ones_certificate_stays(
    fake: FakeAuthority, office: Office
) -> None:
    await office.renewal.round()
    first = office.leaf()
    office.renewal.settings = Acme(directory=f"{fake.url}/other", ca=fake.ca)
    await office.renewal.round()
    assert office.leaf() == first
    standing = office.renewal.standing()
    assert standing is not None
    assert "malformed" in standing.fault
    assert standing.renew_at == 0


async def test_what_the_dns_must_mend_costs_no_order_and_no_pause(
    fake: FakeAuthority, office: Office
) -> None:
    zone, office.zone = office.zone, ""
    await office.renewal.round()
    assert office.state.fault == f"{HOST} has no address"
    assert (await office.renewal.plan()).why_not == f"{HOST} has no address"
    assert fake.asked == []
    office.zone = zone
    await office.renewal.round()
    assert office.shown == 1


async def test_where_nothing_is_served_nothing_is_ordered(fake: FakeAuthority, office: Office) -> None:
    office.renewal.installed = None
    with pytest.raises(Conflict, match="does not run"):
        await office.renewal.renew()
    office.renewal.settings = Acme()
    with pytest.raises(Conflict, match="no authority"):
        await office.renewal.renew()
    await office.renewal.round()
    assert office.renewal.standing() is None
    assert fake.asked == []


async def test_it_is_looked_at_soon_after_the_start_and_then_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[float] = []

    async def note(_: Renewal) -> None:
        rounds.append(time.monotonic())

    monkeypatch.setattr(Renewal, "round", note)
    monkeypatch.setattr(limits, "ACME_FIRST", 0.3)
    monkeypatch.setattr(limits, "ACME_LOOK", 0.5)
    began = time.monotonic()
    house = await TestHouse.open(tmp_path)
    try:
        await until(lambda: len(rounds) >= 2)
        assert began + 0.3 < rounds[0] < rounds[1] - 0.4
    finally:
        await house.close()


async def test_a_step_that_hangs_is_given_up(
    fake: FakeAuthority, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ACME_STEP", 0.5)
    fake.answers["/directory"] = silent(3)
    await office.renewal.round()
    assert office.state.fault == "the authority kept us waiting"
    assert office.state.try_at > office.clock()


async def test_a_fault_is_over_when_nothing_is_due_any_more(fake: FakeAuthority, office: Office) -> None:
    await office.renewal.round()
    zone, office.zone = office.zone, ""
    await office.renewal.round()
    assert office.state.fault
    office.zone = zone
    await office.renewal.round()
    assert office.state.fault == ""
    assert office.shown == 1


async def test_a_pause_from_a_clock_that_was_wrong_is_not_kept(fake: FakeAuthority, office: Office) -> None:
    office.files.keep(office.directory, State(try_at=office.clock() + 365 * DAY, failures=1))
    await office.renewal.round()
    assert office.shown == 1


def test_a_pair_that_was_damaged_is_not_shown(tmp_path: Path) -> None:
    files = AcmeFiles(tmp_path / "acme")
    assert not files.usable()
    pair = make_pair(HOST, datetime.now(UTC))
    files.install(pair.certificate, pair.key)
    assert files.usable()
    files.pair.write_bytes(pair.certificate)
    assert not files.usable()


async def test_whoever_waits_for_an_order_hears_that_it_goes_on(
    fake: FakeAuthority, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CONTROL_IDLE", 2.0)
    fake.answers["/directory"] = lambda _: (time.sleep(1.2), fake.usual("/directory", None))[1]
    commands = Certificates(office.files.pair, True, office.renewal)
    heard = [each.done async for each in commands.certificate_renew()]
    assert heard[:2] == [False, False]
    assert heard[-1] is True
    assert office.shown == 1
    del fake.answers["/directory"]
    fake.answers["/newOrder"] = lambda _: (500, {}, fake.problem("serverInternal"))
    with pytest.raises(AcmeFault, match="serverInternal"):
        [each async for each in commands.certificate_renew()]


def test_a_house_without_an_authority_loads_none_of_it() -> None:
    """It takes a third of a second to load."""
    words = "import sys, posthouse.app, posthouse.supervisor; print({'acme', 'josepy', 'requests'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
