"""`status` and `domain check`: each line says what is the matter and how to mend it."""

from __future__ import annotations

import ast
import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import dns.zone
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.errors import NotFound
from posthouse.house import House
from posthouse.msgauth.dkim_sign import key_record, load_private_key, make_private_key, private_pem
from posthouse.msgauth.mta_sts import PolicyUnread, StsPolicy
from posthouse.net.certificates import ensure_pair, make_pair
from posthouse.operations.acme.names import LeftOut
from posthouse.operations.acme.renewal import Standing
from posthouse.operations.dkim_keys import DkimKeys
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.domains import Domains
from posthouse.operations.findings import Finding, Level
from posthouse.operations.household import Household
from posthouse.operations.status import HouseFacts, HouseStatus
from posthouse.operations.timeline import Timeline
from posthouse.smtp.replies import DAMAGED
from posthouse.store.interface import Enqueue, LeaseDue, PutDomain, RecordEvents, RecordOutcomes
from posthouse.store.model import Content, Domain, Event, NewQueued, NewRecipient, Outcome, RecipientState
from posthouse.store.trust import DkimKey, PutDkimKey
from tests.fakes.resolver import FakeResolver

ROOT = Path(__file__).resolve().parents[2]

GOOD = """
north.test.     MX   10 mx.north.test.
north.test.     TXT  "v=spf1 mx -all"
mx.north.test.  TXT  "v=spf1 a -all"
_dmarc.north.test. TXT "v=DMARC1; p=reject; rua=mailto:dmarc-reports@north.test"
_smtp._tls.north.test. TXT "v=TLSRPTv1; rua=mailto:tls-reports@north.test"
_submissions._tcp.north.test. SRV 0 1 465 mx.north.test.
_submission._tcp.north.test. SRV 1 1 587 mx.north.test.
_imaps._tcp.north.test. SRV 0 1 993 mx.north.test.
mx.north.test.  A    192.0.2.1
1.2.0.192.in-addr.arpa. PTR mx.north.test.
"""


def records(house: House, zone: str, certificate: Path | None = None) -> DomainRecords:
    return DomainRecords(
        house.store,
        Domains(house.store),
        FakeResolver(zone),
        Household("mx.north.test", {"smtp": 25, "submission": 587, "submissions": 465, "imaps": 993}),
        certificate=certificate,
    )


KEY = DkimKey(
    domain="north.test",
    selector="e1",
    algorithm="ed25519-sha256",
    private_key=private_pem(make_private_key("ed25519-sha256")),
    created_at=1,
    changed_at=1,
)
PUBLISHED = f'e1._domainkey.north.test. TXT "{key_record(load_private_key(KEY.private_key))}"\n'


async def found(house: House, zone: str, *, backup: bool = False) -> dict[str, Level]:
    await Domains(house.store).domain_add(name="north.test", backup=backup)
    await house.store.apply(PutDkimKey(key=KEY))
    findings = await records(house, zone).domain_check(name="north.test")
    assert all(finding.fix or finding.level is Level.FINE for finding in findings), "each says how to mend it"
    return {finding.subject: finding.level for finding in findings}


async def test_a_domain_in_order(house: House) -> None:
    levels = await found(house, GOOD + PUBLISHED)
    assert set(levels.values()) == {Level.FINE}
    assert list(levels) == [
        "MX north.test",
        "SPF north.test",
        "SPF mx.north.test",
        "DKIM e1",
        "DMARC north.test",
        "TLSRPT north.test",
        "SRV _submissions._tcp.north.test",
        "SRV _submission._tcp.north.test",
        "SRV _imaps._tcp.north.test",
        "host mx.north.test",
        "PTR 192.0.2.1",
    ]


OURS = "mx.north.test. A 192.0.2.1\nnorth.test. MX 10 mx.north.test.\n"


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
        (OURS + 'north.test. TXT "v=spf1 ip4:192.0.2.2 -all"', False, "SPF north.test", Level.WRONG),
        (OURS + 'north.test. TXT "v=spf1 ip4:192.0.2.0/29 -all"', False, "SPF north.test", Level.FINE),
        (OURS, False, "SPF mx.north.test", Level.LOOK),
        (OURS + 'mx.north.test. TXT "v=spf1 mx -all"', False, "SPF mx.north.test", Level.WRONG),
        (OURS + 'mx.north.test. TXT "v=spf1 a -all"', False, "SPF mx.north.test", Level.FINE),
        (
            OURS + 'mx.north.test. TXT "v=spf1 a -all"\nmx.north.test. TXT "v=spf1 mx"',
            False,
            "SPF mx.north.test",
            Level.WRONG,
        ),
        ("", False, "DKIM e1", Level.WRONG),
        ("e1._domainkey.north.test. FAIL", False, "DKIM e1", Level.LOOK),
        ('e1._domainkey.north.test. TXT "v=DKIM1; p="', False, "DKIM e1", Level.WRONG),
        ("", False, "DMARC north.test", Level.LOOK),
        (
            '_dmarc.north.test. TXT "v=DMARC1; p=none; rua=mailto:a@b.test"',
            False,
            "DMARC north.test",
            Level.LOOK,
        ),
        ('_dmarc.north.test. TXT "v=DMARC1; p=reject"', False, "DMARC north.test", Level.LOOK),
        ('_dmarc.north.test. TXT "v=DMARC1; p=rejekt"', False, "DMARC north.test", Level.WRONG),
        (
            '_dmarc.north.test. TXT "v=DMARC1; p=reject"\n_dmarc.north.test. TXT "v=DMARC1; p=none"',
            False,
            "DMARC north.test",
            Level.WRONG,
        ),
        ("", False, "TLSRPT north.test", Level.LOOK),
        ("", False, "SRV _imaps._tcp.north.test", Level.LOOK),
        (
            "_imaps._tcp.north.test. SRV 0 1 143 mx.north.test.",
            False,
            "SRV _imaps._tcp.north.test",
            Level.LOOK,
        ),
        ("mx.north.test. A 192.0.2.1", False, "PTR 192.0.2.1", Level.LOOK),
        ("mx.north.test. FAIL", False, "host mx.north.test", Level.LOOK),
    ],
)
async def test_a_domain_out_of_order(
    house: House, zone: str, backup: bool, subject: str, level: Level
) -> None:
    assert (await found(house, zone, backup=backup))[subject] is level


@pytest.mark.parametrize(
    ("zone", "level"),
    [
        ("", Level.LOOK),
        ("autoconfig.north.test. FAIL", Level.LOOK),
        ("autoconfig.north.test. CNAME mx.north.test.", Level.FINE),
        ("autoconfig.north.test. CNAME web.elsewhere.test.", Level.LOOK),
        ("autoconfig.north.test. A 192.0.2.1", Level.FINE),
        ("autoconfig.north.test. A 192.0.2.9", Level.LOOK),
    ],
)
async def test_the_name_by_which_mail_programs_ask_leads_to_us(house: House, zone: str, level: Level) -> None:
    await Domains(house.store).domain_add(name="north.test")
    commands = DomainRecords(
        *(house.store, Domains(house.store), FakeResolver(OURS + zone)),
        Household("mx.north.test", {"https": 443}),
    )
    findings = {f.subject: f for f in await commands.domain_check(name="north.test")}
    finding = findings["CNAME autoconfig.north.test"]
    assert finding.level is level
    assert level is Level.FINE or finding.fix
    await commands.domain_mute(name="north.test", kind="autoconfig", reason="no Thunderbird here")
    findings = {f.subject: f for f in await commands.domain_check(name="north.test")}
    assert findings["AUTOCONFIG north.test"].text == "not looked at: no Thunderbird here"


async def test_what_is_muted_is_not_looked_at(house: House) -> None:
    await Domains(house.store).domain_add(name="north.test")
    commands = records(house, OURS)
    for kind in ("dmarc", "PTR", "SRV", "DKIM", "TLSRPT"):
        await commands.domain_mute(name="north.test", kind=kind, reason="another department's")
    findings = {f.subject: f for f in await commands.domain_check(name="north.test")}
    assert findings["DMARC north.test"].level is Level.FINE
    assert findings["PTR 192.0.2.1"].text == "not looked at: another department's"
    await commands.domain_unmute(name="north.test", kind="DMARC")
    findings = {f.subject: f for f in await commands.domain_check(name="north.test")}
    assert findings["DMARC north.test"].level is Level.LOOK
    with pytest.raises(ValueError, match="mute one of"):
        await commands.domain_mute(name="north.test", kind="weather", reason="rain")
    with pytest.raises(NotFound):
        await commands.domain_unmute(name="north.test", kind="DMARC")


async def test_records_to_publish(house: House, tmp_path: Path) -> None:
    await Domains(house.store).domain_add(name="north.test")
    await house.store.apply(PutDkimKey(key=KEY))
    ensure_pair(
        tmp_path / "certificate.pem", tmp_path / "key.pem", "mx.north.test", datetime(2026, 11, 1, tzinfo=UTC)
    )
    answer = await records(house, "mx.north.test. A 192.0.2.1", tmp_path / "certificate.pem").domain_dns(
        name="north.test"
    )
    zone = [" ".join(line.split()) for line in answer.zone.split("\n") if line]
    certificate = x509.load_pem_x509_certificate((tmp_path / "certificate.pem").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert zone == [
        "north.test. IN MX 10 mx.north.test.",
        'north.test. IN TXT "v=spf1 mx -all"',
        'mx.north.test. IN TXT "v=spf1 a -all"',
        f'e1._domainkey.north.test. IN TXT "{key_record(load_private_key(KEY.private_key))}"',
        '_dmarc.north.test. IN TXT "v=DMARC1; p=quarantine; rua=mailto:dmarc-reports@north.test"',
        '_smtp._tls.north.test. IN TXT "v=TLSRPTv1; rua=mailto:tls-reports@north.test"',
        f"_25._tcp.mx.north.test. IN TLSA 3 1 1 {hashlib.sha256(key).hexdigest()}",
        "_submissions._tcp.north.test. IN SRV 0 1 465 mx.north.test.",
        "_submission._tcp.north.test. IN SRV 1 1 587 mx.north.test.",
        "_imaps._tcp.north.test. IN SRV 0 1 993 mx.north.test.",
        "; in its own zone: 1.2.0.192.in-addr.arpa. IN PTR mx.north.test.",
    ]


@pytest.mark.parametrize("own", [False, True])
async def test_a_policy_for_tls_needs_a_certificate_that_others_believe(house: House, own: bool) -> None:
    await Domains(house.store).domain_add(name="north.test")
    commands = DomainRecords(
        *(house.store, Domains(house.store), FakeResolver()),
        Household("mx.north.test", {"https": 443}),
        own_certificate=own,
    )
    kinds = {record.kind for record in (await commands.domain_dns(name="north.test")).records}
    assert ("MTA-STS" in kinds) is own
    findings = [f for f in await commands.domain_check(name="north.test") if f.subject.startswith("MTA-STS")]
    assert len(findings) == (2 if own else 0), "the record, and the host where the policy is read"


async def test_other_hosts_in_mx_are_planned_and_looked_for(house: House) -> None:
    await Domains(house.store).domain_add(name="north.test")
    plans = []
    for backups in ((), ("backup.far.test",)):
        commands = DomainRecords(
            *(house.store, Domains(house.store), FakeResolver(GOOD)),
            Household("mx.north.test", {"https": 443}),
            own_certificate=True,
            backups=backups,
        )
        plans.append((await commands.domain_dns(name="north.test")).records)
    assert [r.value for r in plans[1] if r.type == "MX"] == ["10 mx.north.test.", "20 backup.far.test."]
    before, after = ([r.value for r in plan if r.kind == "MTA-STS" and r.type == "TXT"] for plan in plans)
    assert before != after, "RFC 8461 §3.1: another policy has another id"
    [finding] = [f for f in await commands.domain_check(name="north.test") if f.subject.startswith("MX")]
    assert (finding.level, "backup.far.test" in finding.text) == (Level.LOOK, True)
    assert "20 backup.far.test." in finding.fix


async def test_a_policy_that_has_changed_needs_another_id(house: House) -> None:
    await Domains(house.store).domain_add(name="north.test")

    async def unreadable(domain: str) -> StsPolicy:
        raise PolicyUnread("not here")

    def serving(record: str, *backups: str) -> DomainRecords:
        return DomainRecords(
            *(house.store, Domains(house.store), FakeResolver(GOOD + record)),
            Household("mx.north.test", {"https": 443}),
            own_certificate=True,
            backups=backups,
            read_policy=unreadable,
        )

    async def level(commands: DomainRecords) -> Level:
        found = await commands.domain_check(name="north.test")
        return next(finding.level for finding in found if finding.subject == "MTA-STS north.test")

    plan = (await serving("").domain_dns(name="north.test")).records
    [value] = [record.value for record in plan if record.kind == "MTA-STS" and record.type == "TXT"]
    record = f"_mta-sts.north.test. TXT {value}\n"
    assert await level(serving(record)) is Level.FINE
    assert await level(serving(record.replace("; ", ";"))) is Level.FINE
    assert await level(serving(record, "backup.far.test")) is Level.LOOK


SENT = 'north.test. TXT "v=spf1 {} -all"\nmx.north.test. A 192.0.2.1\nother.test. A 2.0.0.9\n'


async def checked_spf(commands: DomainRecords) -> Finding:
    found = await commands.domain_check(name="north.test")
    return next(finding for finding in found if finding.subject == "SPF north.test")


async def planned_spf(commands: DomainRecords) -> list[str]:
    return [r.value for r in (await commands.domain_dns(name="north.test")).records if r.kind == "SPF"]


async def test_addresses_that_we_send_from_are_in_spf(house: House) -> None:
    await Domains(house.store).domain_add(name="north.test")

    def sending(spf: str) -> DomainRecords:
        return DomainRecords(
            *(house.store, Domains(house.store), FakeResolver(SENT.format(spf))),
            Household("mx.north.test", {}),
            sources=("2.0.0.7", "10.0.0.7", "2a00::7"),
        )

    assert await planned_spf(sending("mx")) == [
        '"v=spf1 mx ip4:2.0.0.7 ip6:2a00::7 -all"',
        '"v=spf1 a ip4:2.0.0.7 ip6:2a00::7 -all"',
    ]
    finding = await checked_spf(sending("a:mx.north.test"))
    assert (finding.level, "2.0.0.7" in finding.text) == (Level.WRONG, True)
    assert (await checked_spf(sending("a:mx.north.test ip4:2.0.0.7 ip6:2a00::7"))).level is Level.FINE


@pytest.mark.parametrize(
    ("relay", "term"),
    [("smtp://me:secret@Relay.test:587", "a:relay.test"), ("smtps://2.0.0.9", "ip4:2.0.0.9")],
)
async def test_mail_through_a_relay_is_not_refused_by_our_spf(house: House, relay: str, term: str) -> None:
    """Nobody but the relay's owner knows where it sends from: `-all` would have all our mail refused."""
    await Domains(house.store).domain_add(name="north.test")
    commands = DomainRecords(
        *(house.store, Domains(house.store), FakeResolver(SENT.format("include:relay.test"))),
        Household("mx.north.test", {}),
        relay=relay,
    )
    assert await planned_spf(commands) == [f'"v=spf1 mx {term} ~all"', f'"v=spf1 a {term} ~all"']
    assert (await checked_spf(commands)).level is Level.FINE, "what the relay's owner said"


@pytest.mark.parametrize("failing", ["relay.test. FAIL", "mx.north.test. FAIL"])
async def test_spf_that_cannot_be_asked_is_neither_fine_nor_wrong(house: House, failing: str) -> None:
    await Domains(house.store).domain_add(name="north.test")
    host = "" if failing.startswith("mx") else "mx.north.test. A 192.0.2.1\n"
    zone = f'north.test. TXT "v=spf1 a:relay.test -all"\n{host}{failing}\n'
    commands = DomainRecords(
        *(house.store, Domains(house.store), FakeResolver(zone)),
        Household("mx.north.test", {}),
    )
    finding = await checked_spf(commands)
    assert (finding.level, "cannot be asked" in finding.text) == (Level.LOOK, True)


async def test_the_zone_text_is_a_zone_that_passes_the_check(house: House) -> None:
    """What we say is to be published, published, leaves nothing to mend; long keys come in pieces."""
    rsa = DkimKeys(house.store, Domains(house.store), FakeResolver())
    await Domains(house.store).domain_add(name="north.test")
    await rsa.make_first("north.test")
    zone = (await records(house, "").domain_dns(name="north.test")).zone
    dns.zone.from_text(
        f"$ORIGIN north.test.\n$TTL 60\n@ SOA a. b. 1 2 3 4 5\n@ NS ns.test.\n{zone}", "north.test."
    )
    text = "\n".join(line.replace(" IN ", " ", 1) for line in zone.splitlines() if not line.startswith(";"))
    text += "\nmx.north.test. A 192.0.2.1\n192.0.2.1 PTR mx.north.test.\n"
    findings = await records(house, text).domain_check(name="north.test")
    assert [f for f in findings if f.level is not Level.FINE] == []


# --- status -------------------------------------------------------------------------------------------


class Fixture:
    """A status whose surroundings can be changed."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.listening = {"smtp": ["0.0.0.0:25"], "submissions": ["0.0.0.0:465"]}
        self.now = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
        self.certificate = folder / "certificate.pem"
        self.zone = GOOD
        self.backups = house.backups
        self.objects: str | None = None
        self.public_name = ""
        self.standing: Standing | None = None

    async def probe_objects(self) -> str | None:
        return self.objects

    def status(self, *, connections: int = 10, own: bool = True) -> HouseStatus:
        facts = HouseFacts(
            household=Household("mx.north.test", {}, public_name=self.public_name),
            data=self.house.config.data,
            certificate=self.certificate,
            own_certificate=own,
            standing=lambda: self.standing,
            connections=connections,
        )
        return HouseStatus(
            self.house.store,
            records(self.house, self.zone),
            facts,
            self.backups,
            listening=lambda: self.listening,
            probe_objects=self.probe_objects,
            started_at=self.now - 100,
            now=lambda: self.now,
        )

    async def levels(self, *, connections: int = 10, own: bool = True) -> dict[str, Finding]:
        status = self.status(connections=connections, own=own)
        return {finding.subject: finding for finding in await status.status()}


@pytest.fixture
async def fixture(house: House, tmp_path: Path) -> Fixture:
    return Fixture(house, tmp_path)


async def test_every_finding_that_is_not_fine_says_what_to_do(fixture: Fixture) -> None:
    fixture.listening = {}
    fixture.zone = ""
    for finding in (await fixture.levels()).values():
        assert finding.level is Level.FINE or finding.fix, finding


async def test_missing_listeners_are_named(fixture: Fixture) -> None:
    found = await fixture.levels()
    assert found["server"].level is Level.FINE
    del fixture.listening["submissions"]
    assert (await fixture.levels())["submission"].level is Level.LOOK


@pytest.mark.parametrize(
    ("hostname", "age_days", "own", "level"),
    [
        ("mx.north.test", 0, True, Level.FINE),
        ("mx.north.test", 0, False, Level.LOOK),
        ("mx.other.test", 0, True, Level.WRONG),
        ("mx.north.test", 10_000, True, Level.WRONG),
        ("mx.north.test", -10, True, Level.WRONG),
    ],
)
async def test_certificate(fixture: Fixture, hostname: str, age_days: int, own: bool, level: Level) -> None:
    made = datetime.fromtimestamp(fixture.now - age_days * 86400, UTC)
    fixture.certificate.write_bytes(make_pair(hostname, made).certificate)
    assert (await fixture.levels(own=own))["certificate"].level is level


@pytest.mark.parametrize(
    ("fault", "overdue_days", "own", "level"),
    [
        ("", -30, True, Level.FINE),
        ("", 0, False, Level.LOOK),
        ("away", -30, True, Level.LOOK),
        ("away", 2.9, True, Level.LOOK),
        ("away", 3.1, True, Level.WRONG),
        ("away", -30, False, Level.WRONG),
    ],
)
async def test_how_it_stands_with_the_authority(
    fixture: Fixture, fault: str, overdue_days: float, own: bool, level: Level
) -> None:
    """Wrong as soon as what is in use does not bridge the time any more."""
    now = datetime.fromtimestamp(fixture.now, UTC)
    fixture.certificate.write_bytes(make_pair("mx.north.test", now).certificate)
    fixture.standing = Standing(
        directory="https://ca.test/directory",
        renew_at=int(fixture.now - overdue_days * 86400) if own else 0,
        try_at=0,
        fault=fault,
        fault_at=0,
        left_out=(LeftOut("mta-sts.north.test", "has no address"),),
    )
    found = (await fixture.levels(own=own))["certificate"]
    assert found.level is level
    assert fault in found.text
    assert not found.text.startswith("mx.north.test") or "mta-sts.north.test has no address" in found.text


@pytest.mark.parametrize(
    ("doors", "names", "level"),
    [
        (("smtp", "submissions"), ("mx.north.test", "mail.north.test"), Level.FINE),
        (("smtp", "submissions"), ("mx.north.test",), Level.WRONG),
        (("smtp", "lmtp", "health"), ("mx.north.test",), Level.FINE),
        (("imaps", "https"), ("mail.north.test",), Level.FINE),
        (("imaps", "https"), ("mx.north.test",), Level.WRONG),
    ],
)
async def test_a_certificate_has_the_names_by_which_others_come(
    fixture: Fixture, doors: tuple[str, ...], names: tuple[str, ...], level: Level
) -> None:
    fixture.public_name = "mail.north.test"
    fixture.listening = {name: [":1"] for name in doors}
    made = make_pair(names[0], datetime.fromtimestamp(fixture.now, UTC), also=names[1:])
    fixture.certificate.write_bytes(made.certificate)
    assert (await fixture.levels())["certificate"].level is level


async def test_a_certificate_that_was_renewed_and_is_not_shown_is_seen(fixture: Fixture) -> None:
    """The tool that renews it did not tell the server, which will show the old one to its end."""
    made = datetime.fromtimestamp(fixture.now, UTC)
    fixture.certificate.write_bytes(make_pair("mx.north.test", made).certificate)
    status = fixture.status()

    async def certificate() -> Finding:
        return next(one for one in await status.status() if one.subject == "certificate")

    assert (await certificate()).level is Level.FINE
    fixture.certificate.write_bytes(make_pair("mx.north.test", made).certificate)
    found = await certificate()
    assert (found.level, found.fix) == (Level.WRONG, "send SIGHUP")
    fixture.listening = {}
    assert (await certificate()).level is Level.FINE, "no server: the next one shows it"


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


async def test_damaged_messages_in_the_queue_are_seen(fixture: Fixture) -> None:
    store = fixture.house.store
    queue_id = await store.apply(
        Enqueue(
            message=NewQueued(
                trace_id="t",
                reverse_path="a@north.test",
                recipients=(NewRecipient(address="b@far.test"),),
                created_at=fixture.now,
            ),
            content=Content.of(b"Subject: x\r\n\r\n"),
        )
    )
    [lease] = await store.apply(LeaseDue(holder="x", now=fixture.now, until=fixture.now + 60, limit=1))
    outcome = Outcome(
        recipient_id=lease.message.recipients[0].recipient_id,
        state=RecipientState.WAITING,
        at=fixture.now,
        next_attempt_at=fixture.now + 60,
        reply=str(DAMAGED),
    )
    await store.apply(RecordOutcomes(queue_id=queue_id, token=lease.token, outcomes=(outcome,)))
    found = await fixture.levels()
    assert found["queue"].level is Level.WRONG
    assert found["queue"].text == "messages for 1 recipients are damaged in the store"


async def test_too_few_open_files_are_seen(fixture: Fixture) -> None:
    assert (await fixture.levels(connections=10**9))["files"].level is Level.LOOK


async def test_an_object_store_that_cannot_be_used_is_said_with_why(fixture: Fixture) -> None:
    assert "object store" not in await fixture.levels(), "an embedded store has none"
    fixture.objects = ""
    assert (await fixture.levels())["object store"].level is Level.FINE
    fixture.objects = "NoSuchBucket"
    finding = (await fixture.levels())["object store"]
    assert (finding.level, "NoSuchBucket" in finding.text) == (Level.WRONG, True)


async def test_a_backup_that_is_missing_or_old_is_worth_a_look(fixture: Fixture, tmp_path: Path) -> None:
    assert "backup" not in await fixture.levels(), "a house without accounts has nothing to lose"
    await fixture.house.administration.command("domain.add").call({"name": "north.test"}, b"")
    somebody = {"address": "ann@north.test", "password": "wonderland"}
    await fixture.house.administration.command("account.add").call(somebody, b"")
    assert (await fixture.levels())["backup"].level is Level.LOOK
    async for _ in fixture.backups.backup_make(folder=str(tmp_path / "copy")):
        pass
    (row,) = await fixture.backups.backup_list()
    assert (row.folder, row.accounts) == (str(tmp_path / "copy"), 1)
    fixture.now = row.made_at + 3600
    assert (await fixture.levels())["backup"].level is Level.FINE
    fixture.now = row.made_at + 9 * 86400
    assert (await fixture.levels())["backup"].level is Level.LOOK


def test_the_webmail_has_words_for_every_reason() -> None:
    """The pages say in Chinese why a record is wanted: they know each reason by its English text."""
    words = (ROOT / "webmail/src/i18n/en/admin.ts").read_text()
    source = ast.parse((ROOT / "posthouse/operations/dns_plan.py").read_text())
    texts = {node.value for node in ast.walk(source) if isinstance(node, ast.Constant)}
    known = set(re.findall(r"'admin\.why\.[\w-]+': ['\"](.*)['\"],", words))
    assert known <= texts, known - texts
    assert len(known) == 15


async def test_status_looks_at_so_many_domains(fixture: Fixture) -> None:
    """A house of a thousand domains would ask the DNS ten thousand questions each time."""
    for number in range(40):
        domain = Domain(name=f"d{number:02}.test")
        await fixture.house.store.apply(PutDomain(domain=domain, new=True))
    subjects = await fixture.levels()
    assert sum(subject.startswith("MX ") for subject in subjects) == 20


async def test_the_latest_lines_of_the_timeline_are_bounded(house: House) -> None:
    line = Event(trace_id="t", at=1.0, kind="k", address="a", detail="d")
    for _ in range(12):
        await house.store.apply(RecordEvents(events=(line,) * 100))
    assert len(await Timeline(house.store).message_latest(limit=10**6)) == 1_000


async def test_a_message_to_be_explained_has_a_size(house: House) -> None:
    with pytest.raises(ValueError, match="larger than 52428800 octets"):
        await house.junk.desk.explain(body=bytes(50 * 1024 * 1024 + 1))
