"""Mail of others that a whole house sends on: how it leaves, and how what comes back finds its sender."""

from __future__ import annotations

import asyncio
import imaplib
import smtplib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from posthouse import limits
from posthouse.config import Inbound, Outbound, Testing
from posthouse.inbound.sender_rewriting import SenderRewriting
from posthouse.inbound.sent_on import SentOn
from posthouse.store.interface import PutAlias, PutDomain
from posthouse.store.model import Alias, Domain
from tests.fakes.mail_server import FakeMailServer, Received
from tests.house import PASSWORDS, TestHouse

HELLO = b"From: jo@far.test\r\nSubject: hello\r\n\r\nA text  \r\n.with a dot\r\n"
REPORT = (
    b"From: MAILER-DAEMON@mx.friend.test\r\nTo: x\r\nSubject: failed\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\n\r\nno\r\n--b--\r\n'
)
LONG = f"{'bounce-' * 8}1@mail.newsletter.test"


class Office:
    """The house, and the one host that it sends everything to."""

    def __init__(self, house: TestHouse, far: FakeMailServer) -> None:
        self.house = house
        self.far = far

    async def say(
        self, sender: str, to: str, raw: bytes = HELLO, *, login: str = "", options: str = ""
    ) -> str:
        """One transaction: its last reply."""

        def talk() -> str:
            port = self.house.port("submission" if login else "smtp")
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                client.ehlo("client.example")
                if login:
                    client.starttls()
                    client.ehlo("client.example")
                    client.login(login, PASSWORDS[login])
                for verb in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>{options}"):
                    code, text = client.docmd(verb)
                    if code >= 300:
                        return f"{code} {text.decode()}"
                code, text = client.data(raw)
                return f"{code} {text.decode()}"

        return await asyncio.to_thread(talk)

    async def sent(self, count: int = 1) -> list[Received]:
        """What has come to the other host."""
        async with asyncio.timeout(10):
            while len(self.far.messages) < count:
                await asyncio.sleep(0.02)
        await self.settled()
        assert len(self.far.messages) == count
        return self.far.messages

    async def settled(self) -> None:
        async with asyncio.timeout(10):
            while await self.house.waiting():
                await asyncio.sleep(0.02)

    async def script(self, text: str) -> None:
        scripts = self.house.app.house.sieve_scripts
        number = self.house.accounts["alice@example.test"].account_id
        await scripts.put(number, "main", text.encode())
        await scripts.activate(number, "main")

    async def rewritten(self, sender: str = "jo@far.test") -> str:
        """With what sender its mail leaves through the alias."""
        before = len(self.far.messages)
        assert (await self.say(sender, "friend@example.test"))[:3] == "250"
        return (await self.sent(before + 1))[-1].sender

    async def command(self, name: str, arguments: dict[str, Any]) -> list[Any]:
        return [each async for each in self.house.app.house.administration.run(name, arguments)]

    async def log(self, kind: str, address: str) -> list[str]:
        """Lines of a kind about an address, as `message log` tells them."""
        events = await self.house.app.store.events(address=address)
        return [event.detail for event in events if event.kind == kind]


Open = Callable[..., Any]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    houses: list[TestHouse] = []
    async with FakeMailServer(extensions=["PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"]) as far:

        async def make(**changes: object) -> Office:
            relay = f"smtp://127.0.0.1:{far.port}?tls=opportunistic"
            house = await TestHouse.open(tmp_path, outbound=Outbound(relay=relay), **changes)
            houses.append(house)
            for name, *targets in (
                ("friend", "pal@friend.test"),
                ("mixed", "alice@example.test", "pal@friend.test"),
                ("nested", "friend@example.test"),
            ):
                alias = Alias(address=f"{name}@example.test", targets=tuple(targets))
                await house.app.store.apply(PutAlias(alias=alias, new=True))
            return Office(house, far)

        yield make
        for house in houses:
            await house.close()


@pytest.fixture
async def office(opened: Open) -> Office:
    made = await opened()
    assert isinstance(made, Office)
    return made


async def test_an_alias_sends_on_in_its_own_name_and_changes_nothing(office: Office) -> None:
    assert (await office.say("jo@far.test", "friend@example.test"))[:3] == "250"
    [received] = await office.sent()
    assert received.sender.startswith("SRS0=") and received.sender.endswith("=far.test=jo@example.test")
    assert received.recipients == ["pal@friend.test"]
    # What is signed is as it was: above it stand our trace fields, and nothing else.
    assert received.content.endswith(HELLO) and received.content.count(b"\r\nFrom:") == 1
    assert b"SRS0" not in received.content
    assert await office.log("rewritten", "jo@far.test") == [f"sent on from {received.sender}"]


@pytest.mark.parametrize("script", ['redirect "pal@friend.test";', 'redirect :copy "friend@example.test";'])
async def test_a_script_sends_on_in_the_name_of_its_account(office: Office, script: str) -> None:
    await office.script(f'require ["copy"];\r\n{script}')
    assert (await office.say("jo@far.test", "alice@example.test"))[:3] == "250"
    [received] = await office.sent()
    assert received.sender.endswith("=far.test=jo@example.test")
    assert received.content.endswith(HELLO)


async def test_a_copy_that_stays_keeps_its_sender(office: Office) -> None:
    assert (await office.say("jo@far.test", "mixed@example.test"))[:3] == "250"
    await office.sent()

    def read() -> bytes:
        with imaplib.IMAP4("127.0.0.1", office.house.port("imap")) as client:
            client.login("alice@example.test", "wonderland")
            client.select("INBOX", readonly=True)
            [part, _] = client.fetch("1", "(BODY.PEEK[])")[1]
        assert isinstance(part, tuple)
        return part[1]

    assert (await asyncio.to_thread(read)).startswith(b"Return-Path: <jo@far.test>\r\n")


@pytest.mark.parametrize("kind", ["alias", "domain"])
async def test_the_domain_that_sends_on_is_the_one_that_was_written_to(office: Office, kind: str) -> None:
    await office.house.app.store.apply(PutDomain(domain=Domain(name="second.test", created_at=0), new=True))
    targets = {"alias": "pal@friend.test", "domain": "friend@example.test"}[kind]
    alias = Alias(address="x@second.test", targets=(targets,))
    await office.house.app.store.apply(PutAlias(alias=alias, new=True))
    await office.say("jo@far.test", "x@second.test")
    [received] = await office.sent()
    assert received.sender.endswith("@second.test")


async def test_what_needs_no_other_sender_keeps_its_own(office: Office) -> None:
    assert (await office.say("", "friend@example.test", REPORT))[:3] == "250"
    own = HELLO.replace(b"jo@far.test", b"alice@example.test")
    assert (await office.say("alice@example.test", "friend@example.test", own, login="alice@example.test"))[
        :3
    ] == "250"
    assert (await office.say("alice@example.test", "pal@friend.test", own, login="alice@example.test"))[
        :3
    ] == "250"
    assert {one.sender for one in await office.sent(3)} == {"", "alice@example.test"}


async def test_it_can_be_switched_off_and_what_was_sent_still_comes_back(opened: Open) -> None:
    office = await opened(inbound=Inbound(rewrite_senders=False))
    assert await office.rewritten() == "jo@far.test"
    office.house.app.house.sent_on.rewrites = True
    made = await office.rewritten()
    office.house.app.house.sent_on.rewrites = False
    assert (await office.say("", made, REPORT))[:3] == "250"
    assert (await office.sent(3))[-1].recipients == ["jo@far.test"]


@pytest.mark.parametrize(
    "sender", ["jo@far.test", LONG, '"a b"@far.test', "SRS0=HHH=TT=x.test=jo@first.test"]
)
@pytest.mark.parametrize("fold", [str, str.lower, str.upper])
async def test_a_bounce_finds_the_sender(office: Office, sender: str, fold: Callable[[str], str]) -> None:
    made = await office.rewritten(sender)
    assert len(made.rpartition("@")[0]) <= limits.SRS_LOCAL_PART
    assert (await office.say("", fold(made), REPORT))[:3] == "250"
    back = (await office.sent(2))[-1]
    assert back.sender == "" and [one.lower() for one in back.recipients] == [sender.lower()]
    assert back.content.endswith(REPORT)
    [detail] = await office.log("returned", made)
    assert detail.lower() == f"goes back to {sender.lower()}"


async def test_a_sender_beyond_ascii_is_written_to_as_such(office: Office) -> None:
    async def by_hand() -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", office.house.port("smtp"))
        for line in (
            "EHLO c.test",
            "MAIL FROM:<ж@far.test> SMTPUTF8",
            "RCPT TO:<friend@example.test>",
            "DATA",
        ):
            writer.write(f"{line}\r\n".encode())
        writer.write(HELLO.replace(b"\r\n.with", b"\r\n..with") + b".\r\nQUIT\r\n")
        text = (await reader.read()).decode()
        writer.close()
        return text

    assert "250 2.0.0 Accepted" in await by_hand()
    made = (await office.sent())[-1].sender
    assert made.isascii()
    assert (await office.say("", made, REPORT))[:3] == "250"
    await office.sent(2)
    assert any(line.startswith("RCPT TO:<ж@far.test>") for line in office.far.commands)


async def test_what_the_next_host_refuses_is_told_to_the_sender_by_us(office: Office) -> None:
    office.far.say("RCPT TO:<pal@", "550 5.1.1 nobody here")
    options = " NOTIFY=FAILURE ORCPT=rfc822;friend@example.test"
    assert (await office.say("jo@far.test", "friend@example.test", options=options))[:3] == "250"
    [told] = await office.sent()
    assert told.sender == "" and told.recipients == ["jo@far.test"]
    assert b"Original-Recipient: rfc822; friend@example.test\r\n" in told.content
    assert b"Final-Recipient: rfc822; pal@friend.test\r\n" in told.content


async def test_what_comes_back_and_cannot_be_delivered_ends_there(office: Office) -> None:
    made = await office.rewritten()
    office.far.say("RCPT TO:<jo@", "550 5.1.1 nobody here")
    assert (await office.say("", made, REPORT))[:3] == "250"
    await office.settled()
    assert len(office.far.messages) == 1


async def test_who_asks_whether_a_sender_exists_hears_yes_and_what_is_no_notice_is_refused(
    office: Office,
) -> None:
    made = await office.rewritten()
    assert (await office.say("spam@other.test", made))[:9] == "550 5.7.1"
    automatic = HELLO.replace(b"Subject", b"Auto-Submitted: auto-replied\r\nSubject")
    assert (await office.say("away@friend.test", made, automatic))[:3] == "250"
    # Nobody is told what becomes of an automatic answer.
    assert (await office.sent(2))[-1].sender == ""


async def test_what_was_not_made_here_is_refused(office: Office) -> None:
    await office.house.app.store.apply(
        PutDomain(domain=Domain(name="example.test", catch_all="alice@example.test", created_at=0))
    )
    made = await office.rewritten()
    forged = SenderRewriting(b"another").rewrite("jo@far.test", "example.test", 1e9).address
    for address in (made.replace("jo@", "you@"), forged, "SRS0=a@example.test", "srs1+tag@example.test"):
        assert (await office.say("", address, REPORT))[:9] == "550 5.1.1", address
    assert await office.house.total("alice@example.test") == 0
    assert (await office.say("", "anybody@example.test", REPORT))[:3] == "250"


async def test_an_old_address_is_refused(opened: Open) -> None:
    office = await opened(testing=Testing(clock=True))
    made, long = await office.rewritten(), await office.rewritten(LONG)
    office.house.app.house.clock.advance(limits.SRS_DAYS * 86400)
    assert (await office.say("", long, REPORT))[:3] == "250"
    office.house.app.house.clock.advance(2 * 86400)
    for address in (made, long):
        assert "too old" in await office.say("", address, REPORT)


async def test_no_account_and_no_alias_gets_such_an_address(office: Office) -> None:
    for name, arguments in (
        ("account.add", {"address": "srs0=x@example.test", "password": "long enough words"}),
        ("alias.add", {"address": "SRS1+x@example.test", "targets": ("alice@example.test",)}),
    ):
        with pytest.raises(ValueError, match="comes back"):
            await office.command(name, arguments)


async def test_too_much_for_one_sender_comes_later(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.inbound.sent_on.RETURNS", 2)
    made, other = await office.rewritten(), await office.rewritten("kim@far.test")
    replies = [(await office.say("", fold(made), REPORT))[:9] for fold in (str, str.lower, str.upper)]
    assert [one[:3] for one in replies] == ["250", "250", "450"]
    assert (await office.say("", other, REPORT))[:3] == "250"


async def test_senders_that_are_counted_are_bounded(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthouse.inbound.sent_on.RETURNS", 1)
    monkeypatch.setattr("posthouse.inbound.sent_on.RETURNS_TABLE", 2)
    now = 0.0
    house = office.house.app.house
    counting = SentOn(house.store, house.directory, b"", lambda: now)
    assert [counting.admits(name) for name in ("a", "A", "b", "c", "a")] == [True, False, True, True, True]
    now = limits.RETURNS_WINDOW
    assert counting.admits("a")


async def test_mail_may_come_back_to_us_with_the_sender_we_gave_it(office: Office) -> None:
    made = await office.rewritten()
    assert (await office.say(made, "bob@example.test"))[:3] == "250"
    assert (await office.say(made.replace("jo@", "you@"), "bob@example.test"))[:9] == "550 5.7.1"
    # And when it is sent on once more, it is not rewritten once more.
    assert (await office.say(made, "nested@example.test"))[:3] == "250"
    assert (await office.sent(2))[-1].sender == made


async def test_the_key_is_the_stores(office: Office) -> None:
    made, long = await office.rewritten(), await office.rewritten(LONG)
    await office.house.restart()
    # As after a move to another engine, or a restored database: only what is in the store has come along.
    house = office.house.app.house
    other = SentOn(house.store, house.directory, b"another secret", house.clock)
    assert await other.origin(made) == "jo@far.test"
    assert await other.origin(long) == LONG
    assert (await office.say("", made, REPORT))[:3] == "250"


async def test_the_route_back_is_explained(office: Office) -> None:
    made = await office.rewritten()
    steps = await office.command("trace", {"address": made})
    assert [step["text"] for step in steps if step["kind"] == "who"] == [
        f"{made.lower()} is for what comes back to mail that was sent on (SRS)",
        "jo@far.test is not ours: its mail hosts are looked up",
    ]
