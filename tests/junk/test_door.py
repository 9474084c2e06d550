"""What strangers meet: refusals, Rejects, greylist, traps, rates, rspamd and ClamAV as other people's servers."""

from __future__ import annotations

import asyncio
import imaplib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from posthouse.config import Inbound, Junk
from posthouse.junk.guard import Counters, Guard, single_of, wide_of
from posthouse.junk.rejects import expire_rejects
from posthouse.junk.rspamd import Rspamd
from posthouse.store.interface import PutAlias
from posthouse.store.model import Alias, Content
from tests.junk.conftest import ALICE, BOB, JunkHouse, letter, open_house

pytestmark = pytest.mark.slow
EVE = "Eve <eve@elsewhere.test>"


@asynccontextmanager
async def house_with(folder: Path, **junk: object) -> AsyncIterator[JunkHouse]:
    made = await open_house(folder, junk=Junk(**junk))  # type: ignore[arg-type]
    try:
        yield made
    finally:
        await made.house.close()


async def test_a_verdict_is_in_the_header_in_the_store_and_in_the_timeline(house: JunkHouse) -> None:
    forged = letter(EVE, "hi", X_Posthouse_Verdict="accept; score=-99")
    await house.comes(forged)
    raw = await house.by_imap(lambda c: (c.select("INBOX"), c.fetch("1", "(BODY.PEEK[HEADER])"))[1])
    header = raw[1][0][1]
    assert header.count(b"X-Posthouse-Verdict:") == 1
    assert b"score=-99" not in header
    verdict = await house.verdict()
    assert verdict["decision"] == "accept"
    assert verdict["would_change"]
    assert any(event.kind == "judged" for event in await house.store.events(address=ALICE))


async def test_a_name_that_names_no_host_is_recorded_and_not_refused(house: JunkHouse) -> None:
    """RFC 5321 §4.1.4; what it is worth stands in the verdict."""

    def send(name: bytes) -> None:
        with socket.create_connection(("127.0.0.1", house.house.port("smtp"))) as peer:
            lines = (
                b"EHLO %b" % name,
                b"MAIL FROM:<eve@elsewhere.test>",
                b"RCPT TO:<alice@example.test>",
                b"DATA",
                letter(EVE, "scanned") + b".",
                b"QUIT",
            )
            replies = peer.makefile("rb")
            replies.readline()
            for line in lines:
                peer.sendall(line + b"\r\n")
                while (reply := replies.readline())[3:4] == b"-":
                    pass
                assert reply[:1] in b"23", (line, reply)

    await asyncio.to_thread(send, b"mail.elsewhere.test")
    before = (await house.verdict())["checks"]
    await asyncio.to_thread(send, b'(none) by evil.test; "x')
    said = {"check": "no-name", "weight": 0.5}
    words = "the peer calls itself ?none??by?evil.test???x, which names no host"
    assert [one for one in (await house.verdict())["checks"] if one not in before] == [
        said | {"evidence": words}
    ]
    [first, second] = await house.by_imap(
        lambda c: (c.select("INBOX"), c.fetch("1:2", "(BODY.PEEK[HEADER])"))[1][1][::2]
    )
    assert b"Received: from mail.elsewhere.test ([127.0.0.1])\r\n" in first[1]
    assert b"Received: from ?none??by?evil.test???x ([127.0.0.1])\r\n" in second[1]


async def test_facts_for_the_reader(house: JunkHouse) -> None:
    mine = letter(ALICE, "Hello").replace(f"To: {ALICE}".encode(), b"To: bank@examplebank.test")
    await house.by_imap(lambda client: client.append("Sent", "", "", mine))
    await house.comes(
        letter('"ceo@examplebank.test" <ceo@examp1ebank.test>', "urgent", Reply_To="boss@gmail.test")
    )
    facts = await house.facts("Junk")
    assert facts["look-alike"] == "examplebank.test"
    assert facts["address-in-name"] == "ceo@examplebank.test"
    assert facts["reply-to-elsewhere"] == "boss@gmail.test"
    assert facts["not-aligned"] == "unproved"
    assert "first-contact" in facts


async def test_refused_junk_is_kept_in_rejects_and_can_be_rescued(tmp_path: Path) -> None:
    async with house_with(tmp_path, junk_at=0.5, refuse_at=0.5, rejects=True) as house:
        assert (await house.comes(letter(EVE, "unwanted"))).startswith("550")
        assert await house.total("Rejects") == 1
        assert await house.total("INBOX") == await house.total("Junk") == 0
        assert "Rejects" not in await house.store.subscriptions(house.alice.account_id)

        def rescue(client: imaplib.IMAP4) -> None:
            client.select("Rejects")
            client._simple_command("MOVE", "1", "INBOX")

        await house.by_imap(rescue)
        model = await house.junk.models.of(house.alice.account_id)
        assert model is not None
        assert (model.junk, model.good) == (0, 1)
        await house.comes(letter(EVE, "unwanted too", "again something that nobody asked for"))
        assert await expire_rejects(house.store, 3600.0) == 0
        assert await expire_rejects(house.store, -10.0) == await house.total("Rejects") + 1


async def test_what_its_owner_put_into_rejects_stays(tmp_path: Path) -> None:
    """Somebody who comes from another server may have a mailbox of that name, with old mail."""
    async with house_with(tmp_path, junk_at=0.5, refuse_at=0.5, rejects=True) as house:

        def fill(client: imaplib.IMAP4) -> None:
            client.create("Rejects")
            client.append("Rejects", "", '"01-Jan-2001 00:00:00 +0000"', letter(EVE, "of the publisher"))
            client.append("INBOX", "", '"01-Jan-2001 00:00:00 +0000"', letter(EVE, "moved"))
            client.select("INBOX")
            client._simple_command("MOVE", "1", "Rejects")

        await house.by_imap(fill)
        assert (await house.comes(letter(EVE, "unwanted"))).startswith("550")
        assert await house.total("Rejects") == 3
        assert await expire_rejects(house.store, -10.0) == 1
        assert await house.total("Rejects") == 2


async def test_without_rejects_it_is_only_refused_and_reporting_refuses_nothing(tmp_path: Path) -> None:
    async with house_with(tmp_path / "a", junk_at=0.5, refuse_at=0.5) as house:
        assert (await house.comes(letter(EVE, "unwanted"))).startswith("550")
        assert await house.store.mailbox(house.alice.account_id, "Rejects") is None
    async with house_with(tmp_path / "b", junk_at=0.5, refuse_at=0.5, filter="report") as house:
        assert (await house.comes(letter(EVE, "unwanted"))).startswith("250")
        assert (await house.verdict())["decision"] == "reject"
    async with house_with(tmp_path / "c", junk_at=0.5, filter="off") as house:
        await house.comes(letter(EVE, "unwanted"))
        assert await house.total("INBOX") == 1


async def test_a_greylisted_stranger_comes_again(tmp_path: Path) -> None:
    async with house_with(tmp_path, greylist="strangers") as house:
        assert (await house.comes(letter(EVE, "first try"))).startswith("451")
        assert (await house.comes(letter(EVE, "first try"))).startswith("451"), "too soon"
        assert await house.total() == 0
        house.house.app.house.clock.advance(120)
        assert (await house.comes(letter(EVE, "first try"))).startswith("250")
        assert (await house.comes(letter("new@new.test", "a"), "new@new.test", (BOB,))).startswith("250")


async def test_what_is_put_off_for_one_is_kept_for_nobody(tmp_path: Path) -> None:
    """One is asked to come again, the other refuses and would keep it: it comes again as a whole."""
    async with house_with(tmp_path, greylist="strangers", junk_at=5.0, refuse_at=5.0, rejects=True) as house:
        bob = house.house.accounts[BOB].account_id
        await house.store.commit(
            *await house.junk.history.judged(bob, "eve@elsewhere.test", junk=True, before="", proved=False)
        )
        assert (await house.comes(letter(EVE, "to both"), to=(ALICE, BOB))).startswith("451")
        assert [await house.total("INBOX"), await house.total("Rejects", BOB)] == [0, 0]
        house.house.app.house.clock.advance(120)
        assert (await house.comes(letter(EVE, "to both"), to=(ALICE, BOB))).startswith("250")
        assert [await house.total("INBOX"), await house.total("Rejects", BOB)] == [1, 1]


async def test_who_steps_into_a_trap_is_suspected(tmp_path: Path) -> None:
    async with house_with(tmp_path, traps=("trap@example.test",)) as house:
        await house.junk.guard.springs("127.0.0.1", "TRAP@example.test")
        await house.comes(letter(EVE, "after the trap"))
        assert (await house.checks("Junk"))["trap"] > 5
        house.junk.guard._trapped.clear()
        assert "trap" in await house.junk.guard.suspicion("127.0.0.9"), "it is in the store"


async def test_rates_and_the_tarpit(house: JunkHouse) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    guard = Guard(house.store, sleep=sleep)
    guard.furnish(rate=3, traps=())
    assert [guard.admits("192.0.2.1") for _ in range(4)] == [True, True, True, False]
    assert guard.admits("192.0.2.2")
    assert all(guard.admits("127.0.0.1") for _ in range(100))
    for _ in range(8):
        await guard.refused("192.0.2.7")
    assert waited == [1.0, 2.0, 3.0]
    await guard.refused("127.0.0.1")
    assert len(waited) == 3
    assert single_of("2001:db8::1") == single_of("2001:db8::2") != single_of("2001:db8:0:1::1")
    assert wide_of("2001:db8:0:1::1") == wide_of("2001:db8:0:2::1")


def test_counters_slide_over_a_minute() -> None:
    now = [0.0]
    counters = Counters(lambda: now[0])
    assert counters.add("a", 10) == 10
    now[0] = 90.0
    assert counters.add("a") == pytest.approx(6)
    now[0] = 300.0
    assert counters.add("a") == 1


def test_counters_of_two_processes_count_together() -> None:
    now = [0.0]
    one, other = Counters(lambda: now[0]), Counters(lambda: now[0])
    one.spread, other.spread = other.heard, one.heard
    for _ in range(3):
        now[0] += 2.0
        one.add("192.0.2.7")
        other.add("192.0.2.7")
    assert other.add("192.0.2.7", 0) == pytest.approx(6)
    told: list[tuple[str, ...]] = []
    one.spread = told.append
    for number in range(200):  # within a second
        one.add(f"192.0.2.{number}")
    assert len(told) == 3
    assert max(sum(map(len, words)) + 3 * len(words) for words in told) < 8000


class Answering:
    """A server that gives one answer to all; `heard` keeps what came."""

    def __init__(self, answer: bytes, until: bytes) -> None:
        self.answer, self.until, self.heard = answer, until, b""

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while self.until not in self.heard:
            piece = await reader.read(65536)
            if not piece:
                break
            self.heard += piece
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]


def http(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body)


async def test_rspamd_is_asked_and_its_opinion_weighs(tmp_path: Path) -> None:
    says = {
        "action": "add header", "score": 8.2, "required_score": 15.0,
        "symbols": {"BAYES_SPAM": {"score": 5.1, "name": "BAYES_SPAM"}},
    }  # fmt: skip
    rspamd = Answering(http(says), b"the text\r\n")
    async with (
        rspamd.serving() as port,
        house_with(tmp_path, rspamd=f"http://127.0.0.1:{port}") as house,
    ):
        await house.comes(letter(EVE, "hello", "the text"))
        assert (await house.checks("Junk"))["rspamd"] == 5.0
    head = rspamd.heard.split(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /checkv2 ")
    for line in (
        b"from: eve@elsewhere.test",
        b"rcpt: alice@example.test",
        b"ip: 127.0.0.1",
        b"helo: mail.elsewhere.test",
    ):
        assert line in head


async def test_rspamd_hears_of_addresses_outside_ascii() -> None:
    server = Answering(http({"action": "no action"}), b"text")
    async with server.serving() as port:
        client = Rspamd(f"http://127.0.0.1:{port}")
        envelope = {"From": "\u00e4@elsewhere.test", "Helo": "a\r\nb"}
        opinion = await client.ask(Content.of(b"text"), envelope, ("\u00f6@example.test",))
        await client.close()
    assert opinion.action == "no action"
    for line in ("From: \u00e4@elsewhere.test", "Rcpt: \u00f6@example.test", "Helo: ab"):
        assert f"\r\n{line}\r\n".encode() in server.heard


async def test_rspamd_that_is_away_costs_nobody_mail(tmp_path: Path) -> None:
    async with house_with(tmp_path, rspamd="http://127.0.0.1:9") as house:
        assert (await house.comes(letter(EVE, "hello"))).startswith("250")
        assert (await house.checks())["rspamd"] == 0.0


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (b"stream: OK\0", "250"),
        (b"stream: Eicar-Test FOUND\0", "554"),
        (b"INSTREAM size limit exceeded. ERROR\0", "554"),
        (b"Can't allocate memory ERROR\0", "451"),
        (b"", "451"),
    ],
)
async def test_clamav_is_asked(tmp_path: Path, answer: bytes, reply: str) -> None:
    clamd = Answering(answer, bytes(4))
    async with clamd.serving() as port, house_with(tmp_path, clamav=f"127.0.0.1:{port}") as house:
        got = await house.comes(letter(EVE, "hello", "something attached"))
        assert got.startswith(reply), got
    assert clamd.heard.startswith(b"zINSTREAM\0")
    assert b"something attached" in clamd.heard


@pytest.mark.parametrize(
    ("answer", "reply"), [(b"stream: OK\0", "250"), (b"stream: Eicar-Test FOUND\0", "554"), (b"", "451")]
)
async def test_no_fault_of_the_filter_leads_past_clamav(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, reply: str
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    clamd = Answering(answer, bytes(4))
    async with clamd.serving() as port, house_with(tmp_path, clamav=f"127.0.0.1:{port}") as house:
        monkeypatch.setattr(house.junk.judge.surveyor, "look", broken)
        assert (await house.comes(letter(EVE, "hello"))).startswith(reply)


@pytest.mark.parametrize(
    ("answer", "reply", "queued"),
    [(b"stream: OK\0", "250", 1), (b"stream: Eicar-Test FOUND\0", "554", 0), (b"", "451", 0)],
)
async def test_what_an_alias_hands_on_passes_clamav_too(
    tmp_path: Path, answer: bytes, reply: str, queued: int
) -> None:
    clamd = Answering(answer, bytes(4))
    async with clamd.serving() as port, house_with(tmp_path, clamav=f"127.0.0.1:{port}") as house:
        alias = Alias(address="away@example.test", targets=("friend@far.test",))
        await house.store.apply(PutAlias(alias=alias, new=True))
        got = await house.comes(letter(EVE, "hello", "something attached"), to=(alias.address,))
        assert got.startswith(reply), got
        assert len(await house.store.queue()) == queued
    assert b"something attached" in clamd.heard


async def test_while_clamav_is_away_mail_is_put_off(tmp_path: Path) -> None:
    async with house_with(tmp_path, clamav="127.0.0.1:9") as house:
        assert (await house.comes(letter(EVE, "hello"))).startswith("451")
        assert await house.total() == 0


async def test_octets_that_are_no_text_keep_no_mail_from_its_reader(house: JunkHouse) -> None:
    raw = letter("X <t\xe1m@elsewhere.test>", "h\xe9", "caf\xe9").decode().encode("latin-1")
    assert (await house.comes(raw)).startswith("250")
    assert await house.total() == 1
    assert (await house.verdict())["checks"]

    def act(client: imaplib.IMAP4) -> None:
        client.select("INBOX")
        client._simple_command("MOVE", "1", "Junk")

    await house.by_imap(act)
    assert await house.store.lessons(10) == []


async def test_a_fault_of_the_filter_keeps_no_mail_from_its_reader(
    house: JunkHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(house.junk.judge, "rule", broken)
    assert (await house.comes(letter(EVE, "hello"))).startswith("250")
    assert await house.total() == 1


BY_OUR_BACKUP = (
    b"Authentication-Results: backup.example.test; spf=pass smtp.mailfrom=eve@elsewhere.test;\r\n"
    b"\tdmarc=none header.from=elsewhere.test\r\n"
    b"Received: from mail.elsewhere.test ([198.51.100.7])\r\n\tby backup.example.test with ESMTP id 1\r\n"
)
OURS = Inbound(trusted=("127.0.0.1/32",))


async def test_what_our_backup_hands_on_is_judged_by_its_first_client(tmp_path: Path) -> None:
    made = await open_house(tmp_path, inbound=OURS, junk=Junk(traps=("trap@example.test",)))
    try:
        await made.junk.guard.springs("198.51.100.7", "trap@example.test")
        assert (await made.comes(BY_OUR_BACKUP + letter(EVE, "hello"))).startswith("250")
        found = await made.checks("Junk")
        assert found["trap"] > 5
        assert "unproved" not in found, "SPF proved it there"
        assert (await made.comes(letter(EVE, "our backup's own mail"))).startswith("250")
        assert await made.total("INBOX") == 1
    finally:
        await made.house.close()


@pytest.mark.parametrize(
    "junk",
    [
        {"junk_at": 0.5, "refuse_at": 0.5, "rejects": True},
        {"junk_at": 0.5, "refuse_at": 0.5, "greylist": "strangers"},
        {"clamav": b"stream: Eicar-Test FOUND\0"},
        {"clamav": b"INSTREAM size limit exceeded. ERROR\0"},
    ],
    ids=["score", "greylist", "virus", "too-large-to-scan"],
)
async def test_what_our_backup_hands_on_goes_to_junk_and_is_never_refused(
    tmp_path: Path, junk: dict[str, object]
) -> None:
    clamd = Answering(bytes(junk.get("clamav", b"")), bytes(4))  # type: ignore[call-overload]
    async with clamd.serving() as port:
        settings = junk | ({"clamav": f"127.0.0.1:{port}"} if "clamav" in junk else {})
        made = await open_house(tmp_path, inbound=OURS, junk=Junk(**settings))  # type: ignore[arg-type]
        try:
            raw = BY_OUR_BACKUP.replace(b"spf=pass", b"spf=fail") + letter(EVE, "hello", "unwanted")
            assert (await made.comes(raw)).startswith("250")
            assert (await made.total("Junk"), await made.total("Rejects")) == (1, 0)
            assert (await made.verdict("Junk"))["decision"] == "junk"
        finally:
            await made.house.close()


async def test_explaining_for_nobody_in_particular_asks_all(house: JunkHouse) -> None:
    verdict = await house.junk.desk.explain(body=letter(EVE, "hello"))
    assert "fault" not in {one.check for one in verdict.checks}
    assert "first-contact" in {one.fact for one in verdict.facts}
