"""`status` and `domain check`: each line says what is the matter and how to mend it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from posthouse.house import House
from posthouse.net.certificates import make_pair
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.domains import Domains
from posthouse.operations.findings import Finding, Level
from posthouse.operations.status import HouseFacts, HouseStatus
from posthouse.store.interface import Enqueue
from posthouse.store.model import Content, NewQueued, NewRecipient
from tests.fakes.resolver import FakeResolver

GOOD = """
north.test.     MX   10 mx.north.test.
north.test.     TXT  "v=spf1 mx -all"
mx.north.test.  A    192.0.2.1
1.2.0.192.in-addr.arpa. PTR mx.north.test.
"""


def records(house: House, zone: str) -> DomainRecords:
    return DomainRecords(
        Domains(house.store),
        FakeResolver(zone),
        hostname="mx.north.test",
        ports={"smtp": 25, "submission": 587, "submissions": 465, "imaps": 993},
    )


async def found(house: House, zone: str, *, backup: bool = False) -> dict[str, Level]:
    await Domains(house.store).domain_add(name="north.test", backup=backup)
    findings = await records(house, zone).domain_check(name="north.test")
    return {finding.subject: finding.level for finding in findings}


async def test_a_domain_in_order(house: House) -> None:
    levels = await found(house, GOOD)
    assert levels == {
        "MX north.test": Level.FINE,
        "SPF north.test": Level.FINE,
        "host mx.north.test": Level.FINE,
        "PTR 192.0.2.1": Level.FINE,
    }


@pytest.mark.parametrize(
    ("zone", "backup", "subject", "level"),
    [
        ("", False, "MX north.test", Level.WRONG),
        ("", False, "host mx.north.test", Level.WRONG),
        ("north.test. MX 10 elsewhere.test.", False, "MX north.test", Level.WRONG),
        (
            "north.test. MX 5 other.test.\nnorth.test. MX 10 mx.north.test.",
            False,
            "MX north.test",
            Level.LOOK,
        ),
        ("north.test. MX 10 mx.north.test.", True, "MX north.test", Level.WRONG),
        ("north.test. MX 5 other.test.\nnorth.test. MX 10 mx.north.test.", True, "MX north.test", Level.FINE),
        ("north.test. FAIL", False, "MX north.test", Level.LOOK),
        ("north.test. FAIL", False, "SPF north.test", Level.LOOK),
        ('north.test. TXT "other"', False, "SPF north.test", Level.LOOK),
        ('north.test. TXT "v=spf1 -all"\nnorth.test. TXT "v=spf1 mx"', False, "SPF north.test", Level.WRONG),
        ("mx.north.test. A 192.0.2.1", False, "PTR 192.0.2.1", Level.LOOK),
        ("mx.north.test. FAIL", False, "host mx.north.test", Level.LOOK),
    ],
)
async def test_a_domain_out_of_order(
    house: House, zone: str, backup: bool, subject: str, level: Level
) -> None:
    assert (await found(house, zone, backup=backup))[subject] is level


async def test_records_to_publish(house: House) -> None:
    await Domains(house.store).domain_add(name="north.test")
    answer = await records(house, "").domain_dns(name="north.test")
    zone = answer.zone.split("\n")
    assert [" ".join(line.split()) for line in zone if line] == [
        "north.test. IN MX 10 mx.north.test.",
        'north.test. IN TXT "v=spf1 mx -all"',
        "_submissions._tcp.north.test. IN SRV 0 1 465 mx.north.test.",
        "_submission._tcp.north.test. IN SRV 1 1 587 mx.north.test.",
        "_imaps._tcp.north.test. IN SRV 0 1 993 mx.north.test.",
    ]


# --- status -------------------------------------------------------------------------------------------


class Fixture:
    """A status whose surroundings can be changed."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.listening = {"smtp": ["0.0.0.0:25"], "submissions": ["0.0.0.0:465"]}
        self.now = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
        self.certificate = folder / "certificate.pem"
        self.zone = GOOD

    async def levels(self, *, connections: int = 10, own: bool = True) -> dict[str, Finding]:
        facts = HouseFacts(
            hostname="mx.north.test",
            data=self.house.config.data,
            certificate=self.certificate,
            own_certificate=own,
            connections=connections,
            reserved=("http",),
        )
        status = HouseStatus(
            self.house.store,
            records(self.house, self.zone),
            facts,
            listening=lambda: self.listening,
            started_at=self.now - 100,
            now=lambda: self.now,
        )
        return {finding.subject: finding for finding in await status.status()}


@pytest.fixture
async def fixture(house: House, tmp_path: Path) -> Fixture:
    return Fixture(house, tmp_path)


async def test_every_finding_that_is_not_fine_says_what_to_do(fixture: Fixture) -> None:
    fixture.listening = {}
    fixture.zone = ""
    for finding in (await fixture.levels()).values():
        assert finding.level is Level.FINE or finding.fix, finding


async def test_reserved_listeners_and_missing_ones_are_named(fixture: Fixture) -> None:
    found = await fixture.levels()
    assert found["server"].level is Level.FINE
    assert found["http"].level is Level.LOOK
    del fixture.listening["submissions"]
    assert (await fixture.levels())["submission"].level is Level.LOOK


@pytest.mark.parametrize(
    ("hostname", "age_days", "own", "level"),
    [
        ("mx.north.test", 0, True, Level.FINE),
        ("mx.north.test", 0, False, Level.LOOK),
        ("mx.other.test", 0, True, Level.WRONG),
        ("mx.north.test", 10_000, True, Level.WRONG),
    ],
)
async def test_certificate(fixture: Fixture, hostname: str, age_days: int, own: bool, level: Level) -> None:
    made = datetime.fromtimestamp(fixture.now - age_days * 86400, UTC)
    fixture.certificate.write_bytes(make_pair(hostname, made).certificate)
    assert (await fixture.levels(own=own))["certificate"].level is level


async def test_a_check_that_fails_by_itself_hides_no_other(fixture: Fixture) -> None:
    fixture.certificate.write_text("no certificate")
    found = await fixture.levels()
    assert found["certificate"].level is Level.WRONG
    assert "failed" in found["certificate"].text
    assert found["queue"].level is Level.FINE


async def test_open_folder_and_old_queue_are_seen(fixture: Fixture) -> None:
    os.chmod(fixture.house.config.data, 0o755)
    await fixture.house.store.apply(
        Enqueue(
            message=NewQueued(
                trace_id="t",
                reverse_path="a@north.test",
                recipients=(NewRecipient(address="b@far.test", held=True),),
                created_at=fixture.now - 10 * 3600,
            ),
            content=Content.of(b"Subject: x\r\n\r\n"),
        )
    )
    found = await fixture.levels()
    assert found["data folder"].level is Level.WRONG
    assert found["queue"].level is Level.LOOK


async def test_too_few_open_files_are_seen(fixture: Fixture) -> None:
    assert (await fixture.levels(connections=10**9))["files"].level is Level.LOOK
