"""What a script may read, ask, take and send is bounded; large and odd messages come through it whole."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.inbound import sieve_facts, sieve_means, sieving
from posthouse.inbound.handling import Handling
from posthouse.inbound.rulings import Place, Ruling
from posthouse.sieve.actions import Action, FileInto, Keep, Outcome, Redirect
from posthouse.sieve.facts import Facts
from posthouse.sieve.questions import MailboxExists, MailboxIdExists, Metadata, Seen, SpecialUseExists
from posthouse.sieve.tables import Script
from posthouse.sieve.validate import compile_script
from posthouse.smtp.replies import Reply
from posthouse.store.metadata import SetMetadata
from tests.inbound.small_house import HELLO, SmallHouse


class Scripted:
    """A small house in which alice has a script that does what a test says."""

    def __init__(self, house: SmallHouse, *requires: str, reads_text: bool = False) -> None:
        self.house = house
        self.seen: list[Facts] = []
        self.threads: list[int] = []
        self.script = Script(commands=(), requires=frozenset(requires), reads_text=reads_text)
        self.scripts: SieveScripts[Script] = SieveScripts(house.store, lambda text: self.script)
        sieving.let_scripts_act(house.deliverer, self.scripts, "mx.example.test", time.time)

    @classmethod
    async def open(
        cls, house: SmallHouse, patch: pytest.MonkeyPatch, *requires: str, **more: Any
    ) -> Scripted:
        made = cls(house, *requires, **more)
        alice = house.accounts["alice"].account_id
        await made.scripts.put(alice, "main", b"keep;")
        await made.scripts.activate(alice, "main")
        patch.setattr(sieving, "run", made.run)
        made.outcome()
        return made

    def outcome(self, *actions: Action, **more: Any) -> None:
        """The script ends with this."""
        self.wanted = Outcome(actions=actions or (Keep(),), **more)

    def body(self, facts: Facts) -> Iterator[Any]:
        """What the script does before it ends."""
        yield from ()

    def run(self, script: Script, facts: Facts, *, briefly: bool = False) -> Iterator[Any]:
        self.seen.append(facts)
        self.threads.append(threading.get_ident())
        yield from self.body(facts)
        return self.wanted

    async def deliver(
        self, raw: bytes = HELLO, handling: Handling | None = None
    ) -> list[tuple[str, str, str]]:
        """Deliver to alice; what the timeline says of scripts."""
        mail = self.house.mail("alice", raw=raw)
        if len(raw) > 10_000:
            staging = self.house.real_store.stage()
            for start in range(0, len(raw), 5000):
                await staging.write(raw[start : start + 5000])
            mail = self.house.mail("alice", content=await staging.finish())
        await self.house.deliverer.deliver(mail, b"Received: here\r\n", handling or Handling())
        return [each for each in await self.house.story(mail.trace_id) if each[0] == "filtered"]


async def test_a_script_sees_the_beginning_of_a_large_message(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve_facts, "SIEVE_TEXT", 20_000)
    monkeypatch.setattr(sieve_facts, "MESSAGE_HEADER", 10_000)
    office = await Scripted.open(house, monkeypatch, reads_text=True)
    raw = HELLO + b"0123456789" * 4000
    await office.deliver(raw)
    (facts,) = office.seen
    assert len(facts.content) == 20_000
    assert facts.size == len((await house.inbox("alice"))[0])
    assert facts.content == (await house.inbox("alice"))[0][:20_000]


async def test_the_header_of_a_large_message_is_changed_and_the_rest_stays(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve_facts, "SIEVE_TEXT", 20_000)
    monkeypatch.setattr(sieve_facts, "MESSAGE_HEADER", 10_000)
    office = await Scripted.open(house, monkeypatch, reads_text=True)
    raw = HELLO + b"0123456789" * 4000
    await office.deliver(raw)
    (facts,) = office.seen
    (before,) = await house.inbox("alice")
    office.outcome(content=b"X-New: 1\r\n" + facts.content)
    await office.deliver(raw)
    assert (await house.inbox("alice"))[1] == b"X-New: 1\r\n" + before
    office.outcome(content=b"Subject: short\r\n\r\nshort")
    story = await office.deliver(raw)
    assert (await house.inbox("alice"))[2] == before
    assert ("filtered", "alice@example.test", "not changed: it is too large for that") in story


@pytest.mark.parametrize("text", [b"", b"0123456789" * 500_000], ids=["small", "staged"])
async def test_a_changed_message_is_sent_on_without_the_fields_of_its_delivery(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch, text: bytes
) -> None:
    """RFC 5321 §4.4: what leaves has no Return-Path; RFC 9228 §4: each delivery is named once."""
    monkeypatch.setattr(sieve_facts, "SIEVE_TEXT", 20_000)
    monkeypatch.setattr(sieve_facts, "MESSAGE_HEADER", 10_000)
    office = await Scripted.open(house, monkeypatch, reads_text=True)
    await office.deliver(HELLO + text)
    (facts,) = office.seen
    office.outcome(Redirect(address="friend@else.test"), content=b"X-New: 1\r\n" + facts.content)
    await office.deliver(HELLO + text)
    (queued,) = await house.store.queue()
    whole = await house.store.whole(queued.stored)
    head = whole.partition(b"\r\n\r\n")[0].lower()
    assert (head.count(b"return-path:"), head.count(b"delivered-to:")) == (0, 1)
    assert b"\r\nx-new: 1\r\n" in head
    assert whole.endswith(HELLO.partition(b"\r\n\r\n")[2] + text)


async def test_a_large_message_that_fits_is_changed_wholly(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch, reads_text=True)
    office.outcome(content=b"Subject: short\r\n\r\nshort")
    await office.deliver(HELLO + b"0123456789" * 4000)
    assert await house.inbox("alice") == [b"Subject: short\r\n\r\nshort"]


async def test_large_texts_and_slow_scripts_leave_the_event_loop(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch, reads_text=True)
    here = threading.get_ident()
    await office.deliver()
    await office.deliver(HELLO + b"x" * sieving.SIEVE_INLINE)
    assert [each == here for each in office.threads] == [True, False]

    def slow(facts: Facts) -> Iterator[Any]:
        time.sleep(2 * sieving.SIEVE_SLOW)
        yield from ()

    office.threads.clear()
    monkeypatch.setattr(sieving, "SIEVE_SLOW_KEPT", 1)
    filters = house.deliverer.filters
    assert isinstance(filters, sieving.Sieving)
    filters._slow.add(0)  # somebody else's
    office.body = slow  # type: ignore[method-assign]
    await office.deliver()
    await office.deliver()
    assert [each == here for each in office.threads] == [True, False]
    assert filters._slow == {house.accounts["alice"].account_id}


async def test_questions_are_answered_and_counted(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = house.accounts["alice"].account_id
    archive = await house.real_store.mailbox(alice, "Archive")
    assert archive is not None
    values = {"/private/comment": b"mine"}
    await house.real_store.apply(
        SetMetadata(account_id=alice, mailbox_id=archive.mailbox_id, values=dict(values))
    )
    office = await Scripted.open(house, monkeypatch)
    asked = {
        MailboxExists("archive"): False,
        MailboxExists("inbox"): True,
        MailboxIdExists(f"F{archive.mailbox_id}"): True,
        MailboxIdExists("F999999"): False,
        SpecialUseExists("", "\\junk"): True,
        SpecialUseExists("Archive", "\\Archive"): True,
        SpecialUseExists("Archive", "\\Junk"): False,
        SpecialUseExists("", "\\All"): False,
        Metadata("Archive", "/PRIVATE/comment"): "mine",
        Metadata("Nowhere", "/private/comment"): None,
        Metadata("", "/private/comment"): None,
        Seen(b"id"): False,
    }
    answers: list[Any] = []

    def ask(facts: Facts) -> Iterator[Any]:
        for question in asked:
            answer = yield question
            answers.append(answer)

    office.body = ask  # type: ignore[method-assign]
    office.outcome(Keep(), remember=((b"id", 60),))
    await office.deliver()
    assert answers == list(asked.values())
    answers.clear()
    await office.deliver()
    assert answers[-1] is True, "what was remembered is a duplicate now"

    def ask_on(facts: Facts) -> Iterator[Any]:
        while True:
            yield MailboxExists("x")

    office.body = ask_on  # type: ignore[method-assign]
    story = await office.deliver()
    assert "the script failed: it asks more than 200 questions" in [detail for _, _, detail in story]
    assert len(await house.inbox("alice")) == 4, "with the notice of it"


async def test_a_run_ends_after_some_seconds(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    office = await Scripted.open(house, monkeypatch)
    monkeypatch.setattr(sieving, "SIEVE_SECONDS", 0.05)

    def ask(facts: Facts) -> Iterator[Any]:
        yield Seen(b"id")

    async def silent(account_id: int, kind: str, *more: Any) -> Any:
        if kind == "SieveSeen":
            await asyncio.Event().wait()
        return await house.real_store.memos(account_id, kind, *more)

    office.body = ask  # type: ignore[method-assign]
    monkeypatch.setattr(house.store, "memos", silent, raising=False)
    mail = house.mail("alice")
    await house.deliverer.deliver(mail, b"")
    assert "the script failed: it takes more than 0.05 seconds" in [
        d for _, _, d in await house.story(mail.trace_id)
    ]


async def test_an_unforeseen_fault_keeps_the_message(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch)

    def broken(facts: Facts) -> Iterator[Any]:
        raise ZeroDivisionError
        yield

    office.body = broken  # type: ignore[method-assign]
    story = await office.deliver()
    assert "something went wrong here" in story[0][2]
    assert len(await house.inbox("alice")) == 2


async def test_a_script_that_compiles_no_more_keeps_the_message(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch)

    from posthouse.sieve.validate import compile_script

    scripts = SieveScripts(house.store, lambda text: compile_script(b"no such command;"))
    sieving.let_scripts_act(house.deliverer, scripts, "mx.example.test", time.time)
    story = await office.deliver()
    assert story[0][2].startswith("the script failed: the script cannot be used any more: line 1")
    assert len(await house.inbox("alice")) == 2


async def test_what_it_sends_is_counted_by_the_hour(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sieve_means, "SIEVE_SENT", 3)
    office = await Scripted.open(house, monkeypatch)
    office.outcome(Redirect(address="a@far.test"), Redirect(address="b@far.test"))
    await office.deliver()
    await office.deliver()
    assert [r.address[0] for q in await house.real_store.queue() for r in q.recipients] == ["a", "b", "a"]
    assert len(await house.inbox("alice")) == 1


async def test_scripts_in_turn_end(house: SmallHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each copy goes to another address, which is an account with the same script."""
    office = await Scripted.open(house, monkeypatch)
    chain = ["alice", "bob", "admin", "small"]
    for name in chain[1:]:
        number = house.accounts[name].account_id
        await office.scripts.put(number, "main", b"keep;")
        await office.scripts.activate(number, "main")
    following = dict(zip(chain, [*chain[1:], "alice"], strict=True))
    monkeypatch.setattr("posthouse.inbound.sieve_redirect.SIEVE_DEPTH", 3)

    def run(script: Script, facts: Facts, **_: bool) -> Iterator[Any]:
        yield from ()
        return Outcome(
            actions=(Redirect(address=f"{following[facts.address.partition('@')[0]]}@example.test"),)
        )

    monkeypatch.setattr(sieving, "run", run)
    story = await office.deliver()
    assert len(await house.inbox("admin")) == 1
    assert any("3 scripts in turn have sent it on" in detail for _, _, detail in story)


def judge(ruling: Ruling) -> Handling:
    async def rule(accounts: Any) -> dict[int, Ruling]:
        return {each.account_id: ruling for each in accounts}

    return Handling(rule=rule)


@pytest.mark.parametrize(
    ("percent", "spam"), [(-1, 0), (0, 1), (9, 1), (49, 5), (50, 6), (99, 10), (100, 10)]
)
async def test_what_the_judge_thinks_is_told_to_who_asks(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch, percent: int, spam: int
) -> None:
    """RFC 5235 §2.2, §2.3."""
    office = await Scripted.open(house, monkeypatch, "spamtest")
    await office.deliver(handling=judge(Ruling(junk_percent=percent, virus=1)))
    (facts,) = office.seen
    assert (facts.spam, facts.spam_percent, facts.virus) == (spam, percent, 1)


async def test_who_tests_for_junk_decides_before_it_is_refused(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch, "spamtestplus")
    refused = Ruling(place=Place.REJECTS, reply=Reply(550, "5.7.1", "no"), junk_percent=100)
    await office.deliver(handling=judge(refused))
    office.outcome(FileInto(mailbox="Archive"))
    await office.deliver(handling=judge(refused))
    assert (len(await house.inbox("alice", "Rejects")), len(await house.inbox("alice", "Archive"))) == (1, 1)


async def test_the_headers_are_those_that_are_stored(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = await Scripted.open(house, monkeypatch)
    await office.deliver(b"text without a header\r\n", Handling(end=b"\r\n"))
    await office.deliver(handling=judge(Ruling(field=b"X-Posthouse-Verdict: accept\r\n")))
    stored = await house.inbox("alice")
    assert [facts.headers.raw[: facts.headers.end] for facts in office.seen] == [
        raw[: raw.index(b"\r\n\r\n") + 4] for raw in stored
    ]
    assert office.seen[1].headers.first("x-posthouse-verdict") == b"accept"
    assert office.seen[1].environment["phase"] == "during"
    assert office.seen[1].recipient == "alice@example.test"


async def test_what_takes_long_is_begun_anew_in_a_thread_before_it_did(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile expression over a long field keeps nobody else waiting, not even the first time."""
    ran = []
    real = sieving.run

    def seen(*given: Any, **how: Any) -> Any:
        ran.append(how)
        return real(*given, **how)

    monkeypatch.setattr(sieving, "run", seen)
    scripts: SieveScripts[Script] = SieveScripts(house.store, compile_script)
    sieving.let_scripts_act(house.deliverer, scripts, "mx.example.test", time.time)
    filters = house.deliverer.filters
    assert isinstance(filters, sieving.Sieving)
    alice = house.accounts["alice"].account_id
    script = (
        b'require ["regex", "fileinto", "mailbox"]; if mailboxexists "Nowhere" { discard; }'
        b' if not header :regex "subject" "(x+x+)+y" { fileinto :create "Slow"; }'
    )
    await scripts.put(alice, "main", script)
    await scripts.activate(alice, "main")
    monkeypatch.setattr(sieving, "SIEVE_SLOW", 60.0)
    await house.deliverer.deliver(house.mail("alice", raw=HELLO), b"Received: here\r\n", Handling())
    assert (ran, filters._slow) == ([{"briefly": True}], set())
    ran.clear()
    hostile = b"Subject: " + b"x" * 60_000 + b"\r\n\r\nHello.\r\n"
    for _ in range(2):
        await house.deliverer.deliver(house.mail("alice", raw=hostile), b"Received: here\r\n", Handling())
    assert (ran, filters._slow) == ([{"briefly": True}, {}, {}], {alice})
    assert len(await house.inbox("alice", "Slow")) == 3
