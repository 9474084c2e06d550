"""A backup MX asks the primary about recipients, remembers, and does not wait for one that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.msgauth.tls_report_writer import TlsSeen
from posthouse.outbound.mx import Host, Route
from posthouse.outbound.tls_policy import OPPORTUNISTIC, HostUntrusted, TlsPolicy
from posthouse.outbound.verify import Known, RecipientVerifier
from posthouse.store.interface import PutDomain, RememberRecipient
from posthouse.store.model import Domain, DomainKind
from tests.fakes.mail_server import CLOSE, FakeMailServer
from tests.outbound.office import Office

ZONE = """
    theirs.test.    MX 10 mx1.far.test.
    theirs.test.    MX 20 mx.us.test.
    mx1.far.test.   A  127.0.0.1
    mx.us.test.     A  127.0.0.9
"""


@pytest.fixture
async def far() -> AsyncIterator[FakeMailServer]:
    async with FakeMailServer() as server:
        server.say("RCPT TO:<no@", "550 5.1.1 unknown")
        yield server


@pytest.fixture
async def office(tmp_path: Path, far: FakeMailServer) -> AsyncIterator[Office]:
    office = await Office.open(tmp_path, ZONE, far.port)
    await office.backup_for("theirs.test")
    yield office
    await office.close()


@pytest.fixture
def verifier(office: Office) -> RecipientVerifier:
    return RecipientVerifier(office.store, office.courier, cache=100, clock=office.clock)


async def test_yes_and_no_are_asked_once_and_remembered(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    for _ in range(2):
        assert await verifier.verify("yes@theirs.test") is Known.VALID
        assert await verifier.verify("YES@theirs.test") is Known.VALID
        assert await verifier.verify("no@theirs.test") is Known.INVALID
    assert far.count("RCPT") == 2
    assert far.count("MAIL FROM:<>") == 2
    assert far.count("DATA") == 0
    assert far.connections == 1, "the second question uses the open connection"
    assert await office.store.known_recipient("yes@theirs.test") == (True, int(office.clock()))


async def test_what_a_dictionary_attack_asks_is_remembered_within_bounds(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VERIFY_REFUSED", 2)
    far.say("RCPT", "550 unknown")
    for name in ("a", "b", "c", "c", "a"):
        assert await verifier.verify(f"{name}@theirs.test") is Known.INVALID
    assert far.count("RCPT") == 4
    assert await office.store.known_recipient("a@theirs.test") is None


async def test_an_old_answer_is_asked_again(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    await verifier.verify("yes@theirs.test")
    office.clock.advance(100)
    far.say("RCPT", "550 gone")
    assert await verifier.verify("yes@theirs.test") is Known.INVALID
    assert await office.store.known_recipient("yes@theirs.test") == (False, int(office.clock()))


async def test_while_the_primary_is_away_the_memory_answers_however_old(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    await verifier.verify("yes@theirs.test")
    await verifier.verify("no@theirs.test")
    await office.courier.close()
    await far.stop()
    office.clock.advance(10_000_000)
    assert await verifier.verify("yes@theirs.test") is Known.VALID
    assert await verifier.verify("no@theirs.test") is Known.INVALID
    assert await verifier.verify("new@theirs.test") is Known.UNKNOWN


async def test_a_primary_that_is_away_is_left_alone_for_a_while(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    await far.stop()
    assert await verifier.verify("a@theirs.test") is Known.UNKNOWN
    await far.start()
    assert await verifier.verify("b@theirs.test") is Known.UNKNOWN
    assert far.connections == 0
    office.clock.advance(limits.VERIFY_AWAY)
    assert await verifier.verify("b@theirs.test") is Known.VALID


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("RCPT", "450 later"),
        ("MAIL", "550 you are blocked"),
        ("RCPT", "554 5.7.1 you are blocked"),
        ("RCPT", "552 5.2.2 mailbox full"),
        ("RCPT", CLOSE),
        ("CONNECT", "554 no"),
    ],
)
async def test_what_says_nothing_about_the_recipient_is_not_remembered(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier, command: str, reply: str
) -> None:
    far.say(command, reply)
    assert await verifier.verify("a@theirs.test") is Known.UNKNOWN
    assert await office.store.known_recipient("a@theirs.test") is None


async def test_a_slow_primary_does_not_hold_the_sender(
    far: FakeMailServer, verifier: RecipientVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VERIFY_TIMEOUT", 0.05)
    far.say("RCPT", None)
    assert await verifier.verify("a@theirs.test") is Known.UNKNOWN


async def test_a_connection_that_has_died_says_nothing_of_the_primary(
    far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    assert await verifier.verify("yes@theirs.test") is Known.VALID
    far.say("MAIL", CLOSE, times=1)
    assert await verifier.verify("other@theirs.test") is Known.VALID
    assert far.connections == 2


async def test_a_host_that_must_not_be_trusted_now_keeps_nobody_from_another(
    office: Office, verifier: RecipientVerifier
) -> None:
    office.resolver.add("theirs.test. MX 5 mx0.far.test.\nmx0.far.test. A 127.0.0.1")

    class Pickers:
        async def for_host(self, route: Route, host: Host) -> TlsPolicy:
            if host.name == "mx0.far.test":
                raise HostUntrusted("its TLSA records cannot be looked up", TlsSeen())
            return OPPORTUNISTIC

    office.courier._policies = Pickers()
    assert await verifier.verify("yes@theirs.test") is Known.VALID


async def test_equal_questions_are_asked_once(far: FakeMailServer, verifier: RecipientVerifier) -> None:
    answers = await asyncio.gather(*(verifier.verify("yes@theirs.test") for _ in range(5)))
    assert set(answers) == {Known.VALID}
    assert far.count("RCPT") == 1


async def test_questions_at_once_are_bounded(
    office: Office, far: FakeMailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "VERIFY_AT_ONCE", 2)
    verifier = RecipientVerifier(office.store, office.courier, cache=100, clock=office.clock)
    await asyncio.gather(*(verifier.verify(f"r{number}@theirs.test") for number in range(10)))
    assert far.most_open <= 2


async def test_a_list_needs_no_question(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    listed = Domain(name="theirs.test", kind=DomainKind.BACKUP, recipients="list")
    await office.store.apply(PutDomain(domain=listed))
    await office.store.apply(RememberRecipient(address="yes@theirs.test", valid=True, at=0))
    assert await verifier.verify("yes@theirs.test") is Known.VALID
    assert await verifier.verify("other@theirs.test") is Known.INVALID
    assert far.connections == 0


async def test_what_comes_back_to_the_primarys_forwards_is_in_no_list(
    office: Office, far: FakeMailServer, verifier: RecipientVerifier
) -> None:
    listed = Domain(name="theirs.test", kind=DomainKind.BACKUP, recipients="list")
    await office.store.apply(PutDomain(domain=listed))
    far.say("RCPT TO:<SRS0=FORGED", "550 5.1.1 not ours")
    assert await verifier.verify("SRS0=good=AA=far.test=jo@theirs.test") is Known.VALID
    assert await verifier.verify("SRS0=forged=AA=far.test=jo@theirs.test") is Known.INVALID
    await far.stop()
    assert await verifier.verify("SRS0=other=AA=far.test=jo@theirs.test") is Known.UNKNOWN
