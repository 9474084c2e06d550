"""Reports, both ways: counted, made, sent, taken in; each once, none to who did not ask for it."""

from __future__ import annotations

import email
import email.message
import gzip
import json
import re
from datetime import datetime, timedelta

import msgspec
import pytest

from posthouse.config import MsgAuth
from posthouse.errors import Temporary
from posthouse.inbound.authenticate import Authenticate
from posthouse.inbound.mail import Via
from posthouse.inbound.report_sender import ReportSender
from posthouse.inbound.tally import DAY, Tallies
from posthouse.limits import FAILURES_AN_HOUR, REPORT_SETTLED, REPORT_WAIT
from posthouse.message.headers import Headers
from posthouse.msgauth.aggregate import AggregateReport
from posthouse.msgauth.report_reader import FailureReport, read_report
from posthouse.msgauth.tls_report import TlsReport
from posthouse.msgauth.tls_report_writer import TlsSeen, Wanted, reports_wanted
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import NOW, SmallHouse
from tests.inbound.test_authenticate import KEY, ZONE, letter
from tests.msgauth.messages import signed

MORE = """
_dmarc.told.test. TXT "v=DMARC1; p=none; sp=reject; rua=mailto:dmarc@told.test; ruf=mailto:ruf@told.test; fo=1"
_dmarc.outside.test. TXT "v=DMARC1; p=none; rua=mailto:a@agreed.test,mailto:b@asked-nobody.test"
outside.test._report._dmarc.agreed.test. TXT "v=DMARC1"
_dmarc.silent.test. TXT "v=DMARC1; p=none; rua=mailto:a@away.test"
silent.test._report._dmarc.away.test. FAIL
_dmarc.moved.test. TXT "v=DMARC1; p=none; rua=mailto:a@takes.test; ruf=mailto:f@takes.test"
moved.test._report._dmarc.takes.test. TXT "v=DMARC1; p=rejekt; rua=mailto:new@takes.test"
_dmarc.thrown.test. TXT "v=DMARC1; p=none; rua=mailto:a@takes.test; ruf=mailto:f@takes.test"
thrown.test._report._dmarc.takes.test. TXT "v=DMARC1; rua=mailto:new@takes.test,mailto:victim@elsewhere.test"
_dmarc.suffix.test. TXT "v=DMARC1; p=none; psd=y; ruf=mailto:ruf@suffix.test"
"""


class Office:
    """A house that counts and reports, with a clock."""

    def __init__(self, house: SmallHouse, **settings) -> None:
        self.house = house
        self.now = NOW
        self.settings = MsgAuth(**settings)
        self.hosts: list[str] = []
        self.posted: list[tuple[str, dict]] = []
        self.resolver = FakeResolver(ZONE + MORE)
        self.tallies = Tallies(house.real_store, lambda: self.settings, lambda: self.now)
        check = Authenticate(self.resolver, self.settings, hostname="mx.example.test", tell=self.tallies.note)
        checks = house.pipeline._checks
        house.pipeline._checks = {**checks, Via.MX: (*checks[Via.MX][:-1], check, checks[Via.MX][-1])}
        self.sender = ReportSender(
            house.real_store,
            self.resolver,
            self.tallies,
            house.deliverer.operations,
            post=self.post,
            hostname="mx.example.test",
            now=lambda: self.now,
        )

    async def send(self) -> int:
        """Send the reports of today, tomorrow."""
        self.now += DAY
        return await self.sender.reports_send()

    async def post(self, url: str, packed: bytes) -> bool:
        """Somebody's host for TLS reports."""
        answer = self.hosts.pop(0) if self.hosts else "taken"
        if answer == "away":
            raise Temporary("away")
        self.posted.append((url, json.loads(gzip.decompress(packed))))
        return answer == "taken"

    async def take(self, raw: bytes, **changes) -> str:
        mail = self.house.mail("alice", raw=raw, received_at=self.now, **changes)
        return str((await self.house.pipeline.accept(mail))[0])

    async def queued(self) -> list[tuple[str, bytes]]:
        """(recipient, message) of what waits to leave."""
        store = self.house.real_store
        return [(one.recipients[0].address, await store.read(one.stored)) for one in await store.queue()]


@pytest.fixture
async def house(tmp_path):
    house = await SmallHouse.open(tmp_path)
    yield house
    await house.close()


async def test_a_day_becomes_a_report(house):
    office = Office(house)
    for _ in range(3):
        await office.take(signed(letter("info@bank.test"), KEY))
    assert (await office.take(letter("info@bank.test"))).startswith("550")
    await office.tallies.flush()
    assert (await office.take(signed(letter("info@bank.test"), KEY))).startswith("250")
    await office.sender.round()
    assert await office.queued() == [], "the day is not over"
    office.now += DAY
    await office.sender.round()
    await office.sender.round()
    [(to, message)] = await office.queued()
    assert to == "dmarc@bank.test"
    headers = Headers.scan(message)
    subject = (headers.first("subject") or b"").decode()
    # RFC 9990 §3.1.4: the Report-ID is also the unique-id of the file's name, so it is of letters and digits alone.
    named = re.fullmatch(
        r"Report Domain: bank\.test Submitter: mx\.example\.test Report-ID: <([A-Za-z0-9]+)>", subject
    )
    assert named is not None
    assert headers.first("from") == b'"Reports of mx.example.test" <postmaster@example.test>'
    report = read_report(message)
    assert isinstance(report, AggregateReport)
    assert report.report_id == named[1]
    assert (report.policy.domain, report.policy.p, report.policy.sp) == ("bank.test", "reject", "quarantine")
    assert report.end - report.begin == DAY - 1
    assert report.begin <= NOW <= report.end
    assert {(row.count, row.dkim, row.spf, row.disposition) for row in report.rows} == {
        (4, "pass", "fail", "pass"),
        (1, "fail", "fail", "reject"),
    }
    name = f"mx.example.test!bank.test!{report.begin}!{report.end}!{named[1]}.xml.gz"
    assert f'filename="{name}'.encode() in message.replace(b"\r\n ", b"").replace(b"\r\n\t", b"")
    [kept] = await house.real_store.reports()
    assert (kept.sent, kept.messages, kept.failures, kept.organization) == (True, 5, 1, "dmarc@bank.test")


async def test_of_two_nodes_one_sends_it(house):
    office = Office(house)
    await office.take(signed(letter("info@bank.test"), KEY))
    await office.tallies.flush()
    office.now += DAY
    store = house.real_store
    [tally] = await store.dmarc_tallies(2**40)
    assert await office.sender.send_due(2**40) == 1
    assert await office.sender._send(tally.policy_domain, tally.day, [tally]) == 0
    assert len(await office.queued()) == 1


async def test_only_who_agreed_is_written_to(house):
    office = Office(house)
    await office.take(letter("x@outside.test"))
    await office.take(letter("x@silent.test"))
    await office.take(letter("x@lenient.test"))  # asks for no reports
    office.now += DAY
    await office.sender.round()
    assert [to for to, _ in await office.queued()] == ["a@agreed.test"]
    assert [one.policy_domain for one in await house.real_store.dmarc_tallies(2**40)] == ["silent.test"]
    office.now += REPORT_WAIT
    await office.sender.round()
    assert [to for to, _ in await office.queued()] == ["a@agreed.test"]
    assert await house.real_store.dmarc_tallies(2**40) == ()


async def test_two_reports_of_one_day_are_told_apart(house):
    """RFC 9990 §3.5.1, §3.5.4: whoever gets a second report of the same id throws it away."""
    office = Office(house)
    office.resolver.add('_smtp._tls.asks.test. TXT "v=TLSRPTv1; rua=https://a.test/"')
    for _ in range(2):  # the second time as of a node whose store was away
        office.now = NOW
        await office.take(letter("x@told.test"))
        office.tallies.note_session("asks.test", TlsSeen())
        assert await office.send() == 2
    subjects = [Headers.scan(message).first("subject") for _, message in await office.queued()]
    assert len(set(subjects)) == 2
    assert len({document["report-id"] for _, document in office.posted}) == 2
    assert len(await house.real_store.reports()) == 4


async def test_a_day_is_told_of_when_it_is_over_for_all(house):
    """RFC 8460 §4.1; by command too, or the night's report would tell of a part of that time again."""
    office = Office(house)
    await office.take(letter("x@told.test"))
    midnight = int(NOW) // DAY * DAY + DAY
    for now in (NOW, midnight - 1, midnight + 1, midnight + REPORT_SETTLED - 1):
        office.now = now
        await office.sender.round()
        assert await office.sender.reports_send() == 0
    office.now = midnight + REPORT_SETTLED
    assert await office.sender.reports_send() == 1
    assert [to for to, _ in await office.queued()] == ["dmarc@told.test"]


async def test_note_only_says_so_in_the_report(house):
    office = Office(house, verify="report")
    assert (await office.take(letter("info@bank.test"))).startswith("250")
    await office.send()
    report = read_report((await office.queued())[0][1])
    assert isinstance(report, AggregateReport)
    [row] = report.rows
    assert (row.disposition, row.reasons[0].type) == ("none", "local_policy")


async def test_what_a_list_brought_is_reported_as_spared(house):
    """RFC 9990 §3.1.1.9: an applied policy that is not the published one has its reason."""
    office = Office(house)
    assert (await office.take(letter("info@bank.test", "List-Id: <a.b>"))).startswith("250")
    await office.send()
    report = read_report((await office.queued())[0][1])
    assert isinstance(report, AggregateReport)
    [row] = report.rows
    assert (row.disposition, row.reasons[0].type) == ("quarantine", "mailing_list")


async def test_nothing_is_counted_when_switched_off(house):
    office = Office(house, reports=False)
    await office.take(letter("x@told.test"))
    assert await office.send() == 0


async def test_single_failures_are_told_when_configured(house):
    office = Office(house, failure_reports=True, reports=False)
    for _ in range(FAILURES_AN_HOUR + 5):
        await office.take(letter("x@told.test", "X-Secret-Header: yes", body="the text\r\n"))
    await office.sender.send_failures()
    letters = await office.queued()
    assert [to for to, _ in letters] == ["ruf@told.test"] * FAILURES_AN_HOUR
    report = read_report(letters[0][1])
    assert isinstance(report, FailureReport)
    assert (report.domain, report.source_ip, report.delivery_result) == (
        "told.test",
        "192.0.2.1",
        "delivered",
    )
    assert report.subject == "hello"
    assert b"X-Secret-Header: yes" in letters[0][1]
    assert b"the text" not in letters[0][1]


def told_by(message: bytes) -> dict[str, str]:
    """The fields of the machine's part of a failure report."""
    part = next(
        one
        for one in email.message_from_bytes(message).walk()
        if one.get_content_type() == "message/feedback-report"
    )
    inner = part.get_payload(0)
    assert isinstance(inner, email.message.Message)
    return dict(inner.items())


async def test_a_failure_report_says_what_is_not_aligned(house):
    """RFC 9991 §4: Identity-Alignment, and DKIM-* and SPF-DNS of the author domain's own failures."""
    office = Office(house, failure_reports=True, reports=False)
    office.resolver.add(
        'own.test. TXT "v=spf1 ip4:203.0.113.9 \\"x -all"\n'
        '_dmarc.own.test. TXT "v=DMARC1; p=none; fo=1; ruf=mailto:ruf@own.test"\n'
    )
    broken = signed(letter("x@own.test"), msgspec.structs.replace(KEY, domain="own.test", selector="gone"))
    await office.take(broken, reverse_path="x@own.test")
    await office.take(letter("x@told.test"))
    await office.sender.send_failures()
    own, told = [told_by(message) for _, message in await office.queued()]
    assert own["Identity-Alignment"] == "dkim, spf"
    assert (own["DKIM-Domain"], own["DKIM-Selector"]) == ("own.test", "gone")
    assert own["DKIM-Identity"].endswith("@own.test")
    assert "dmarc=fail" in own["Authentication-Results"]
    assert "SPF-DNS" in own
    assert own["SPF-DNS"].startswith('txt : own.test : "v=spf1 ip4:203.0.113.9')
    assert "DKIM-Domain" not in told
    assert "SPF-DNS" not in told


@pytest.mark.parametrize(("options", "told"), [("0", 1), ("1", 2), ("d:s", 0), ("1:d", 2), ("nonsense", 1)])
async def test_single_failures_are_those_that_were_asked_for(house, options, told):
    """RFC 9989 §4.7: whatever is not proved by both (1), by none (0), or nothing of ours (d, s)."""
    office = Office(house, failure_reports=True, reports=False)
    office.resolver.add(
        'asks.test. TXT "v=spf1 ip4:192.0.2.1 -all"\n'
        f'_dmarc.asks.test. TXT "v=DMARC1; p=none; fo={options}; ruf=mailto:ruf@asks.test"\n'
    )
    await office.take(letter("x@asks.test"), reverse_path="x@asks.test")
    await office.take(letter("x@asks.test"), reverse_path="x@elsewhere.test")
    await office.sender.send_failures()
    assert len(await office.queued()) == told


@pytest.mark.parametrize(("mode", "told"), [("r", True), ("s", False)])
async def test_a_failure_report_tells_of_what_would_have_been_aligned(house, mode, told):
    """RFC 9991 §4: of an aligned identifier; in relaxed mode that is whatever belongs to the organization."""
    office = Office(house, failure_reports=True, reports=False)
    office.resolver.add(
        'bounce.own.test. TXT "v=spf1 ip4:203.0.113.9 -all"\n'
        f'_dmarc.own.test. TXT "v=DMARC1; p=none; adkim={mode}; aspf={mode}; ruf=mailto:ruf@own.test"\n'
        '_dmarc.apart.own.test. TXT "v=DMARC1; psd=n"\n'
    )
    raw = letter("x@news.own.test")
    for domain in ("own.test", "apart.own.test", "stranger.test"):
        raw = signed(raw, msgspec.structs.replace(KEY, domain=domain, selector="gone"))
    await office.take(raw, reverse_path="x@bounce.own.test")
    await office.sender.send_failures()
    [(_, message)] = await office.queued()
    found = told_by(message)
    assert found.get("DKIM-Domain") == ("own.test" if told else None)
    assert found.get("SPF-DNS", "").startswith("txt : bounce.own.test : ") is told


async def test_a_failure_of_which_the_dns_is_silent_is_not_told(house):
    office = Office(house, failure_reports=True, reports=False)
    office.resolver.add(
        '_dmarc.own.test. TXT "v=DMARC1; p=none; ruf=mailto:ruf@own.test"\n_dmarc.mute.own.test. FAIL'
    )
    raw = signed(letter("x@own.test"), msgspec.structs.replace(KEY, domain="mute.own.test", selector="gone"))
    await office.take(raw)
    assert await office.sender.send_failures() == 0


async def test_who_takes_failures_of_many_domains_is_not_flooded(house):
    """RFC 9991 §2, §5.1."""
    office = Office(house, failure_reports=True, reports=False)
    for number in range(3):
        office.resolver.add(
            f'_dmarc.d{number}.test. TXT "v=DMARC1; p=none; ruf=mailto:ruf@agreed.test"\n'
            f'd{number}.test._report._dmarc.agreed.test. TXT "v=DMARC1;"\n'
        )
        for _ in range(FAILURES_AN_HOUR // 2):
            await office.take(letter(f"x@d{number}.test"))
    assert await office.sender.send_failures() == FAILURES_AN_HOUR
    office.now += 3600
    await office.take(letter("x@d0.test"))
    assert await office.sender.send_failures() == 1


async def test_a_failed_report_is_not_told_of(house):
    """RFC 9991 §5.1: or two houses could tell each other of it for ever."""
    office = Office(house, failure_reports=True, reports=False)
    kind = 'Content-Type: multipart/report; Report-Type="Feedback-Report"; boundary=x'
    await office.take(letter("x@told.test", kind))
    assert await office.sender.send_failures() == 0


async def test_an_internationalized_sender_is_told_as_it_was_asked(house):
    """RFC 9990 §3.1.1.10: the domain that SPF was asked of."""
    office = Office(house)
    await office.take(letter("x@told.test"), reverse_path="x@b\u00fccher.test")
    await office.send()
    report = read_report((await office.queued())[0][1])
    assert isinstance(report, AggregateReport)
    assert report.rows[0].envelope_from == "xn--bcher-kva.test"


async def test_who_takes_reports_may_name_another_address_of_its_own(house):
    """RFC 9990 §4 step 9."""
    office = Office(house, failure_reports=True)
    await office.take(letter("x@moved.test"))
    await office.send()
    assert sorted(to for to, _ in await office.queued()) == ["f@takes.test", "new@takes.test"]


async def test_who_names_somebody_else_s_address_gets_no_reports(house):
    """RFC 9990 §4: at neither address, or reports could be thrown at somebody."""
    office = Office(house, failure_reports=True)
    await office.take(letter("x@thrown.test"))
    await office.send()
    assert [to for to, _ in await office.queued()] == ["f@takes.test"]


async def test_a_public_suffix_does_not_hear_of_single_messages(house):
    """RFC 9991 §2."""
    office = Office(house, failure_reports=True, reports=False)
    await office.take(letter("x@someone.suffix.test"))
    assert await office.sender.send_failures() == 0
    assert office.tallies.take_failures() == []


async def test_single_failures_are_not_told_otherwise(house):
    office = Office(house)
    await office.take(letter("x@told.test"))
    assert await office.sender.send_failures() == 0


async def test_counts_survive_a_store_that_cannot_take_them(house):
    office = Office(house)
    await office.take(letter("x@told.test"))
    office.tallies._store = house.store
    house.break_at("apply")
    with pytest.raises(RuntimeError):
        await office.tallies.flush()
    house.mend()
    await office.tallies.flush()
    [tally] = await house.real_store.dmarc_tallies(2**40)
    assert tally.count == 1


# --- TLS -----------------------------------------------------------------------------------------------------


async def test_sessions_of_a_day_become_a_tls_report(house):
    """RFC 8460 §4.4, §5.3; and what another house of ours makes of it."""
    office = Office(house)
    office.resolver.add(
        '_smtp._tls.asks.test. TXT "v=TLSRPTv1; rua=mailto:tls@asks.test,https://asks.test/in"'
    )
    failed = TlsSeen(result="validation-failure", mx="mx.asks.test", receiving_ip="192.0.2.9", reason="eof")
    for seen in (TlsSeen(), TlsSeen(), failed):
        office.tallies.note_session("asks.test", seen)
    office.tallies.note_session("never-asked.test", TlsSeen())
    await office.sender.round()
    assert await office.queued() == [], "the day is not over"
    office.now += DAY
    await office.sender.round()
    await office.sender.round()
    [(to, message)] = await office.queued()
    assert to == "tls@asks.test"
    [(url, posted)] = office.posted
    assert url == "https://asks.test/in"
    letter = email.message_from_bytes(message)
    assert (letter["TLS-Report-Domain"], letter["TLS-Report-Submitter"]) == ("asks.test", "mx.example.test")
    assert letter["TLS-Required"] == "No", "it must reach those whose TLS is broken"
    assert (letter.get_content_type(), letter.get_param("report-type")) == ("multipart/report", "tlsrpt")
    part = letter.get_payload(1)
    assert isinstance(part, email.message.Message)
    assert part.get_content_type() == "application/tlsrpt+gzip"
    packed = part.get_payload(decode=True)
    assert isinstance(packed, bytes)
    document = json.loads(gzip.decompress(packed))
    assert document == posted
    assert set(document) == {"organization-name", "date-range", "contact-info", "report-id", "policies"}
    begin = datetime.fromisoformat(document["date-range"]["start-datetime"])
    assert (begin.hour, begin.minute, begin.utcoffset()) == (0, 0, timedelta(0))
    assert document["policies"] == [
        {
            "policy": {"policy-type": "no-policy-found", "policy-domain": "asks.test"},
            "summary": {"total-successful-session-count": 2, "total-failure-session-count": 1},
            "failure-details": [
                {
                    "result-type": "validation-failure",
                    "receiving-mx-hostname": "mx.asks.test",
                    "receiving-ip": "192.0.2.9",
                    "failed-session-count": 1,
                    "failure-reason-code": "eof",
                }
            ],
        }
    ]
    name = part.get_filename() or ""
    assert re.fullmatch(r"mx\.example\.test!asks\.test!\d+!\d+![A-Za-z0-9]+\.json\.gz", name)
    read = read_report(message)
    assert isinstance(read, TlsReport)
    assert (read.domain, read.sessions, read.failures) == ("asks.test", 3, 1)
    [kept] = await house.real_store.reports()
    assert (kept.kind, kept.sent, kept.messages, kept.failures) == ("tls", True, 3, 1)
    assert await house.real_store.dmarc_tallies(2**40) == ()


async def test_a_tls_report_waits_for_the_dns_and_is_not_made_unasked(house):
    office = Office(house, tls_reports=False)
    office.tallies.note_session("away.test", TlsSeen())
    assert await office.send() == 0
    office.settings = MsgAuth()
    office.resolver.add("_smtp._tls.away.test. FAIL")
    office.tallies.note_session("away.test", TlsSeen())
    assert await office.send() == 0
    assert [one.policy_domain for one in await house.real_store.dmarc_tallies(2**40)] == ["tls!away.test"]
    office.now += REPORT_WAIT
    await office.sender.round()
    assert await house.real_store.dmarc_tallies(2**40) == ()
    assert await office.queued() == []


async def test_a_host_that_is_away_gets_its_tls_report_later_or_never(house):
    """RFC 8460 §5.5: a day of tries; whoever has taken it is not bothered again."""
    office = Office(house)
    office.resolver.add('_smtp._tls.asks.test. TXT "v=TLSRPTv1; rua=https://a.test/,https://b.test/"')
    office.tallies.note_session("asks.test", TlsSeen())
    office.now += DAY
    office.hosts = ["taken", "away", "away"]
    for _ in range(2):
        assert await office.sender.reports_send() == 0
    assert await office.sender.reports_send() == 1
    assert [url for url, _ in office.posted] == ["https://a.test/", "https://b.test/"]
    [kept] = await house.real_store.reports()
    assert kept.organization == "https://a.test/, https://b.test/"
    office.tallies.note_session("asks.test", TlsSeen())
    office.now += 3 * DAY
    office.hosts = ["no", "away"]
    assert await office.sender.reports_send() == 0
    assert await house.real_store.dmarc_tallies(2**40) == (), "it is given up"
    assert len(await house.real_store.reports()) == 1
    await office.sender.round()
    assert not office.sender._posted, "nothing waits, so nothing is remembered"


@pytest.mark.parametrize(
    ("texts", "addresses"),
    [
        (["v=TLSRPTv1; rua=mailto:a@b.test"], ("a@b.test",)),
        (["v=TLSRPTv1;rua=mailto:a@b.test, MAILTO:c@d.test;"], ("a@b.test", "c@d.test")),
        (["other", "v=TLSRPTv1; x=y; rua=mailto:a@b.test"], ("a@b.test",)),
        (["v=TLSRPTv1; rua=https://b.test/"], ()),
        (["v=TLSRPTv1; rua=mailto:a@b.test"] * 2, ()),
        (["v=TLSRPTv2; rua=mailto:a@b.test"], ()),
        (["v=TLSRPTv1; rua=mailto:a@b@c.test,mailto:,mailto:x\r\n@b.test"], ()),
        (["v=TLSRPTv1; rua=" + ",".join(f"mailto:a{n}@b.test" for n in range(99))], 5),
        ([], ()),
    ],
)
def test_who_asks_for_tls_reports(texts, addresses):
    """RFC 8460 §3."""
    found = reports_wanted(texts).addresses
    assert (len(found) if isinstance(addresses, int) else found) == addresses


def test_where_tls_reports_are_posted():
    texts = ["v=TLSRPTv1; rua=HTTPS://a.test/x?y=z,http://b.test/,mailto:c@d.test,https://e\tf.test/"]
    assert reports_wanted(texts) == Wanted(addresses=("c@d.test",), pages=("HTTPS://a.test/x?y=z",))
    assert not reports_wanted(["v=TLSRPTv1; rua=http://b.test/"])


# --- coming in -----------------------------------------------------------------------------------------------


def report_letter() -> bytes:
    """One of ours, as another house would get it."""
    from posthouse.inbound.report_letters import Letterhead, aggregate_letter
    from tests.msgauth.test_reports import OURS

    report = msgspec.structs.replace(OURS, policy=msgspec.structs.replace(OURS.policy, domain="example.test"))
    head = Letterhead(
        hostname="mx.far.test", domain="far.test", to="dmarc-reports@example.test", at=NOW, unique="abc"
    )
    return aggregate_letter(report, head)


async def test_a_report_is_read_and_kept_once(house):
    mail = house.mail("dmarc-reports", raw=report_letter())
    assert [reply.code for reply in await house.pipeline.accept(mail)] == [250]
    [kept] = await house.real_store.reports("example.test")
    assert (kept.sent, kept.kind, kept.messages, kept.failures) == (False, "aggregate", 4, 1)
    story = await house.story(mail.trace_id)
    words = "aggregate report of mx.example.test about example.test: 4, 1 failed"
    assert ("reported", "dmarc-reports@example.test", words) in story
    await house.pipeline.accept(house.mail("dmarc-reports+x", raw=report_letter()))
    assert len(await house.real_store.reports()) == 1
    assert await house.inbox("admin") == [], "nobody's mailbox is filled with them"


async def test_what_is_no_report_goes_to_the_postmaster(house):
    mail = house.mail("tls-reports", raw=b"From: eve@elsewhere.test\r\n\r\nHello?\r\n")
    assert [reply.code for reply in await house.pipeline.accept(mail)] == [250]
    [message] = await house.inbox("admin")
    assert b"Hello?" in message
    assert await house.real_store.reports() == ()


async def test_a_tls_report_of_more_sessions_than_can_be_kept_goes_to_the_postmaster(house):
    document = (
        '{"report-id":"1","policies":[{"policy":{"policy-domain":"example.test"},'
        '"summary":{"total-successful-session-count":%s}}]}' % ("9" * 25)
    )
    raw = f"From: eve@elsewhere.test\r\nContent-Type: application/tlsrpt+json\r\n\r\n{document}\r\n".encode()
    assert [one.code for one in await house.pipeline.accept(house.mail("tls-reports", raw=raw))] == [250]
    assert len(await house.inbox("admin")) == 1
    assert await house.real_store.reports() == ()


async def test_a_report_beside_other_recipients(house):
    mail = house.mail("dmarc-reports", "bob", "tls-reports", raw=report_letter())
    assert [reply.code for reply in await house.pipeline.accept(mail)] == [250, 250, 250]
    assert len(await house.real_store.reports()) == 1
    assert len(await house.inbox("bob")) == 1


async def test_an_account_of_that_name_gets_its_mail(house):
    from posthouse.store.interface import AddAccount

    await house.real_store.apply(AddAccount(address="tls-reports@example.test", password="x", created_at=0))
    mail = house.mail("tls-reports", raw=report_letter())
    await house.pipeline.accept(mail)
    assert await house.real_store.reports() == ()


async def test_reports_of_elsewhere_are_not_ours_to_read(house):
    mail = house.mail("dmarc-reports@backup.test", raw=report_letter())
    await house.pipeline.accept(mail)
    assert await house.real_store.reports() == ()
    assert len(await house.real_store.queue()) == 1
