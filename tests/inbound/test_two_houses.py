"""A backup MX and its primary, two whole houses over real sockets: who refuses, and where the mail ends."""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from posthouse.config import Dns, Inbound, Junk, Outbound
from posthouse.message.headers import Headers, unfold
from posthouse.msgauth.authres import parse_authres
from posthouse.store.interface import AddAccount, PutAlias, PutDomain
from posthouse.store.model import Alias, Domain, DomainKind
from tests.fakes.name_server import FakeNameServer, answer
from tests.house import CHEAP, TestHouse

PRIMARY: Final = "127.0.0.1"
BACKUP: Final = "127.0.0.3"
"""The backup hands on from here; strangers come from the primary's address."""
ANY: Final = ssl._create_unverified_context()
RECORDS: Final = {
    ("shop.test", "MX"): ["MX 10 mx.shop.test.", "MX 20 backup.shop.test."],
    ("mx.shop.test", "A"): [f"A {PRIMARY}"],
    ("backup.shop.test", "A"): [f"A {BACKUP}"],
    ("bank.test", "TXT"): ['TXT "v=spf1 -all"'],
    ("_dmarc.bank.test", "TXT"): ['TXT "v=DMARC1; p=quarantine"'],
    ("strict.test", "TXT"): ['TXT "v=spf1 -all"'],
    ("_dmarc.strict.test", "TXT"): ['TXT "v=DMARC1; p=reject"'],
    ("honest.test", "TXT"): ['TXT "v=spf1 ip4:127.0.0.1 -all"'],
    ("_dmarc.honest.test", "TXT"): ['TXT "v=DMARC1; p=reject"'],
}


def resolve(query: dns.message.Message, how: str) -> list[bytes]:
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    found = RECORDS.get((name, dns.rdatatype.to_text(question.rdtype)), [])
    exists = any(known == name or known.endswith(f".{name}") for known, _ in RECORDS)
    return [
        answer(
            query,
            *(f"{name}. 60 IN {record}" for record in found),
            rcode=dns.rcode.NOERROR if exists else dns.rcode.NXDOMAIN,
            authority=() if found else ("test. 60 IN SOA ns.test. x.test. 1 60 60 60 60",),
        )
    ]


class Pair:
    """Both houses; shop.test is at home in the primary."""

    def __init__(self, primary: TestHouse, backup: TestHouse) -> None:
        self.primary = primary
        self.backup = backup

    async def say(self, house: TestHouse, reverse_path: str, raw: bytes, to: str = "carol@shop.test") -> str:
        """A stranger's transaction with one of them: the last reply."""

        def talk() -> str:
            with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=30) as client:
                client.ehlo("client.example")
                for verb in (f"MAIL FROM:<{reverse_path}>", f"RCPT TO:<{to}>"):
                    code, text = client.docmd(verb)
                    if code >= 300:
                        return f"{code} {text.decode()}"
                code, text = client.data(raw)
                return f"{code} {text.decode()}"

        return await asyncio.to_thread(talk)

    async def handed_on(self) -> None:
        """Wait until the backup has nothing left."""
        async with asyncio.timeout(20):
            while await self.backup.waiting():
                await asyncio.sleep(0.05)

    async def where(self) -> dict[str, int]:
        return {folder: await self.primary.total("carol@shop.test", folder) for folder in ("INBOX", "Junk")}

    async def arrived(self, folder: str) -> Headers:
        """The header of the only message there, as a client reads it."""

        def read() -> bytes:
            with imaplib.IMAP4_SSL("127.0.0.1", self.primary.port("imaps"), ssl_context=ANY) as client:
                client.login("carol@shop.test", "x")
                client.select(folder, readonly=True)
                [part, _] = client.fetch("1", "(BODY.PEEK[])")[1]
            assert isinstance(part, tuple)
            return part[1]

        return Headers.scan(await asyncio.to_thread(read))


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with FakeNameServer(resolve) as names:
        dns_settings = Dns(servers=(names.at,), timeout=5)
        primary = await TestHouse.open(
            tmp_path / "primary",
            hostname="mx.shop.test",
            dns=dns_settings,
            inbound=Inbound(trusted=(f"{BACKUP}/32",)),
            junk=Junk(refuse_at=1.0),
        )
        store = primary.app.store
        await store.apply(PutDomain(domain=Domain(name="shop.test", created_at=0), new=True))
        primary.accounts["carol@shop.test"] = await store.apply(
            AddAccount(address="carol@shop.test", password=CHEAP.hash("x"), created_at=0)
        )
        backup = await TestHouse.open(
            tmp_path / "backup",
            hostname="backup.shop.test",
            dns=dns_settings,
            outbound=Outbound(port=primary.port("smtp"), source=(BACKUP,)),
        )
        theirs = Domain(name="shop.test", kind=DomainKind.BACKUP, created_at=0)
        await backup.app.store.apply(PutDomain(domain=theirs, new=True))
        yield Pair(primary, backup)
        await backup.close()
        await primary.close()


def letter(author: str, above: str = "") -> bytes:
    return f"{above}From: {author}\r\nTo: carol@shop.test\r\nSubject: hello\r\n\r\ntext\r\n".encode()


FORGED: Final = (
    "Authentication-Results: backup.shop.test; dmarc=pass header.from=bank.test\r\n"
    "Received: from a.test ([192.0.2.1]) by backup.shop.test with ESMTP id 1; Mon, 2 Nov 2026 10:00:00 +0000\r\n"
)
"""A stranger speaks in the name of the backup."""


@pytest.mark.parametrize("above", ["", FORGED], ids=["plain", "with forged results"])
async def test_quarantine_asked_for_reaches_the_folder_through_the_backup(pair: Pair, above: str) -> None:
    reply = await pair.say(pair.backup, "x@bank.test", letter("info@bank.test", above))
    assert reply.startswith("250"), reply
    await pair.handed_on()
    assert await pair.where() == {"INBOX": 0, "Junk": 1}
    [found, *_] = (await pair.arrived("Junk")).all("authentication-results")
    told = parse_authres(unfold(found))
    assert told.host == "mx.shop.test", "a reader believes the host that it reads from"
    by_method = {one.method: one.result for one in told.results}
    assert (by_method["spf"], by_method["dmarc"]) == ("fail", "fail")


async def test_what_is_proved_at_the_backup_is_proved_in_the_inbox(pair: Pair) -> None:
    """The address that sends is the stranger's own: by the backup's address SPF would fail."""
    reply = await pair.say(pair.backup, "x@honest.test", letter("info@honest.test"))
    assert reply.startswith("250"), reply
    await pair.handed_on()
    assert await pair.where() == {"INBOX": 1, "Junk": 0}
    [found, *_] = (await pair.arrived("INBOX")).all("authentication-results")
    assert {one.method: one.result for one in parse_authres(unfold(found)).results}["dmarc"] == "pass"


async def test_what_a_domain_wants_refused_is_refused_at_the_backup(pair: Pair) -> None:
    """In the stranger's own session: nobody else would hear of it."""
    reply = await pair.say(pair.backup, "x@strict.test", letter("info@strict.test"))
    assert reply.startswith("550"), reply
    assert await pair.backup.waiting() == 0
    assert await pair.where() == {"INBOX": 0, "Junk": 0}


async def test_what_the_primary_refuses_to_strangers_it_takes_from_its_backup(pair: Pair) -> None:
    """Else the backup would have to bounce to an address that nobody proved."""
    forged = letter("carol@shop.test")
    assert (await pair.say(pair.primary, "x@nobody.test", forged)).startswith("550")
    reply = await pair.say(pair.backup, "x@nobody.test", forged)
    assert reply.startswith("250"), reply
    await pair.handed_on()
    assert await pair.where() == {"INBOX": 0, "Junk": 1}
    [said] = (await pair.arrived("Junk")).all("x-posthouse-verdict")
    assert b"own-domain=+5.0" in said and b"policy" not in said
    assert not await pair.backup.app.store.queue(), "and there is no bounce"


async def test_what_is_refused_for_its_sum_is_only_junk_through_the_backup(pair: Pair) -> None:
    """The primary refuses what the junk filter weighs above `junk.refuse_at`, but not from its backup."""
    suspicious = letter("info@bank.test")
    assert (await pair.say(pair.primary, "x@bank.test", suspicious)).startswith("550")
    assert (await pair.say(pair.backup, "x@bank.test", suspicious)).startswith("250")
    await pair.handed_on()
    assert await pair.where() == {"INBOX": 0, "Junk": 1}
    assert not await pair.backup.app.store.queue()


async def test_a_recipient_that_the_primary_does_not_know_is_refused_by_the_backup(pair: Pair) -> None:
    reply = await pair.say(pair.backup, "x@honest.test", letter("info@honest.test"), "nobody@shop.test")
    assert reply.startswith("550"), reply


async def test_a_stranger_that_is_not_the_backup_is_not_believed(pair: Pair) -> None:
    """The same words over the primary's own door, from another address."""
    reply = await pair.say(pair.primary, "x@strict.test", letter("info@strict.test", FORGED))
    assert reply.startswith("550"), reply


@pytest.mark.parametrize("recipients", ["ask", "list"])
async def test_what_comes_back_through_the_backup_finds_the_sender(pair: Pair, recipients: str) -> None:
    there, here = pair.primary.app.store, pair.backup.app.store
    alias = Alias(address="friend@shop.test", targets=("pal@nowhere.test",))
    await there.apply(PutAlias(alias=alias, new=True))
    domain = Domain(name="shop.test", kind=DomainKind.BACKUP, recipients=recipients, created_at=0)
    await here.apply(PutDomain(domain=domain))
    await pair.say(pair.primary, "jo@honest.test", letter("jo@honest.test"), "friend@shop.test")
    [made] = [
        e.detail.split()[-1] for e in await there.events(address="jo@honest.test") if e.kind == "rewritten"
    ]
    assert made.endswith("=honest.test=jo@shop.test")
    assert (await pair.say(pair.backup, "", letter("x@pal.test"), made))[:3] == "250"
    await pair.handed_on()
    # Our own notice (the friend's host is nowhere), and the one that came by the backup.
    async with asyncio.timeout(20):
        while len(back := [e.detail for e in await there.events(address=made) if e.kind == "returned"]) < 2:
            await asyncio.sleep(0.05)
    assert back == ["goes back to jo@honest.test"] * 2
    forged = made.replace("jo@", "you@")
    assert (await pair.say(pair.backup, "", letter("x@pal.test"), forged))[:9] == "550 5.1.1"
