"""A whole house with a mailing list, its name servers, and the one host to which it sends everything."""

from __future__ import annotations

import asyncio
import imaplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.message
import dns.rcode
import dns.rdatatype
import msgspec

from posthouse.config import Dns, Junk, Outbound, Testing
from posthouse.store.mailing_lists import AddMembers, MailingList, PutList, RemoveMembers
from tests.fakes.mail_server import FakeMailServer
from tests.fakes.name_server import FakeNameServer, answer
from tests.house import PASSWORDS, TestHouse
from tests.inbound.test_sent_on import REPORT, Office

TEAM = "crew@example.test"
ALICE, BOB, ADMIN = "alice@example.test", "bob@example.test", "admin@example.test"
POST = b"From: Alice <alice@example.test>\r\nSubject: hello\r\nList-Id: <other.test>\r\n\r\nA text\r\n"
WAY = b"<mailto:crew-unsubscribe+"
_HERE = 'TXT "v=spf1 ip4:127.0.0.1 -all"'
RECORDS = {
    ("strict.test", "TXT"): [_HERE],
    ("_dmarc.strict.test", "TXT"): ['TXT "v=DMARC1; p=reject"'],
    ("easy.test", "TXT"): [_HERE],
    ("_dmarc.easy.test", "TXT"): ['TXT "v=DMARC1; p=none"'],
    ("suspect.test", "TXT"): ['TXT "v=spf1 -all"'],
    ("_dmarc.suspect.test", "TXT"): ['TXT "v=DMARC1; p=quarantine"'],
}
"""strict.test and easy.test send from here, suspect.test does not."""


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


def raw(author: str, *fields: str) -> bytes:
    """A message of an author."""
    more = "".join(f"{field}\r\n" for field in fields)
    return f"From: {author}\r\nSubject: hello\r\n{more}\r\nA text\r\n".encode()


class ListOffice(Office):
    """The house: `crew@example.test` has alice, bob and pal@friend.test; the administrator owns it."""

    async def make(self, address: str, *members: str, **fields: object) -> None:
        """Another list."""
        made = MailingList(address=address, **fields)  # type: ignore[arg-type]
        await self.house.app.store.apply(PutList(mailing_list=made, new=True))
        await self.join(address, *members)

    async def join(self, address: str, *members: str) -> None:
        await self.house.app.store.apply(AddMembers(address=address, members=members, at=1, most=9999))

    async def drop(self, address: str, *members: str) -> None:
        await self.house.app.store.apply(RemoveMembers(address=address, members=members))

    async def set(self, address: str = TEAM, **fields: object) -> None:
        found = await self.known(address)
        await self.house.app.store.apply(PutList(mailing_list=msgspec.structs.replace(found, **fields)))

    async def known(self, address: str = TEAM) -> MailingList:
        found = await self.house.app.store.mailing_list(address)
        assert found is not None
        return found

    async def members(self, address: str = TEAM) -> dict[str, int]:
        """On how many days copies came back, by member."""
        return {one.address: one.bounces for one in (await self.known(address)).members}

    async def post(self, author: str, text: bytes = b"", to: str = TEAM) -> str:
        """By login where the author is one of ours, else by the MX; the last reply."""
        login = author if author in PASSWORDS else ""
        return await self.say(author, to, text or raw(author), login=login)

    async def mailbox(self, of: str, name: str = "INBOX") -> list[bytes]:
        """What IMAP shows there."""

        def run() -> list[bytes]:
            with imaplib.IMAP4("127.0.0.1", self.house.port("imap")) as client:
                client.login(of, PASSWORDS[of])
                status, count = client.select(name, readonly=True)
                if status != "OK" or count == [b"0"]:
                    return []
                _, data = client.fetch("1:*", "(BODY.PEEK[])")
                return [each[1] for each in data if isinstance(each, tuple)]

        return await asyncio.to_thread(run)

    async def counts(self) -> list[int]:
        """How many messages alice, bob and the administrator have."""
        return [len(await self.mailbox(each)) for each in (ALICE, BOB, ADMIN)]

    def later(self, seconds: float) -> None:
        """So much time goes by."""
        self.house.app.house.clock.advance(seconds)


@asynccontextmanager
async def list_office(folder: Path, **changes: object) -> AsyncIterator[ListOffice]:
    """Open it."""
    extensions = ["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"]
    async with FakeMailServer(extensions=extensions) as far, FakeNameServer(resolve) as names:
        relay = f"smtp://127.0.0.1:{far.port}?tls=opportunistic"
        values: dict[str, object] = {
            "outbound": Outbound(relay=relay),
            "dns": Dns(servers=(names.at,), timeout=2),
            "junk": Junk(filter="off"),
            "testing": Testing(clock=True),
        }
        house = await TestHouse.open(folder, **(values | changes))
        office = ListOffice(house, far)
        try:
            await office.make(TEAM, ALICE, BOB, "pal@friend.test", title="The team", owners=(ADMIN,))
            yield office
        finally:
            await house.close()


def failed() -> bytes:
    """A notice that a copy cannot be delivered."""
    return REPORT.replace(b"\r\n\r\nno\r\n", b"\r\n\r\nAction: failed\r\n")


def head_of(copy: bytes) -> bytes:
    return copy.partition(b"\r\n\r\n")[0]
