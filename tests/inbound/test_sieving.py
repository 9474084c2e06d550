"""Real scripts on real mail: in by SMTP, LMTP, submission and sendmail, out by IMAP."""

from __future__ import annotations

import asyncio
import imaplib
from typing import Any

import msgspec
import pytest

from posthouse.errors import StoreUnavailable
from posthouse.store.interface import AddEmail, Enqueue, Op, PutAccount
from tests.house import PASSWORDS
from tests.inbound.office import ALICE, BOB, RAW, Office


async def test_mail_is_filed_thrown_away_and_kept(office: Office) -> None:
    await office.filter(
        """
        require ["fileinto", "copy"];
        if header :contains "subject" "list" { fileinto :copy "Archive"; }
        elsif header :is "subject" "spam" { discard; }
        elsif header :is "subject" "lost" { fileinto "Nowhere"; }
        """
    )
    for subject in ("my list", "spam", "lost", "other"):
        assert await office.send(RAW.format(subject)) == {}
    assert await office.subjects("Archive") == ["my list"]
    assert await office.subjects("INBOX") == ["my list", "lost", "other"]
    assert await office.log() == [
        "filtered: filed in Archive (line 3)",
        "filtered: kept in INBOX",
        "filtered: discarded (line 4)",
        'filtered: there is no mailbox "Nowhere": kept in INBOX (line 5)',
        "filtered: kept in INBOX",
    ]


async def test_the_envelope_and_our_own_fields_can_be_tested(office: Office) -> None:
    await office.filter(
        """
        require ["fileinto", "envelope"];
        if allof (envelope :is "from" "eve@elsewhere.test", envelope :is "to" "alice+lists@example.test",
                  header :is "delivered-to" "alice+lists@example.test",
                  header :contains "received" "by mx.example.test", size :over 300) { fileinto "Archive"; }
        """
    )
    await office.send(RAW.format("hello"), "alice+lists@example.test")
    assert await office.subjects("Archive") == ["hello"]


@pytest.mark.parametrize("door", ["smtp", "lmtp", "submission"])
async def test_every_door_leads_through_the_script(office: Office, door: str) -> None:
    await office.filter('require "fileinto"; fileinto "Archive";')
    raw, sender = RAW.format("hello"), "eve@elsewhere.test"
    if door == "submission":
        raw, sender = raw.replace("eve@elsewhere.test", ALICE, 1), ALICE
    await office.send(raw, door=door, sender=sender)
    assert await office.subjects("Archive") == ["hello"]


async def test_sendmail_goes_through_the_script(office: Office) -> None:
    await office.filter('require "fileinto"; fileinto "Archive";')
    command = office.house.app.house.administration.command("sendmail")
    await command.call({"sender": "root@example.test", "recipients": [ALICE]}, RAW.format("by hand").encode())
    assert await office.subjects("Archive") == ["by hand"]


async def test_what_imap_appends_is_left_alone(office: Office) -> None:
    await office.filter("discard;")

    def append() -> None:
        with imaplib.IMAP4("127.0.0.1", office.house.port("imap")) as client:
            client.login(ALICE, PASSWORDS[ALICE])
            client.append("INBOX", "", "", RAW.format("mine").encode())

    await asyncio.to_thread(append)
    assert await office.subjects("INBOX") == ["mine"]


async def test_a_redirect_goes_into_the_queue_and_to_people_here(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = office.store
    # Seen on its way: by the time that one looks into the queue, it may have been tried.
    queued: list[Enqueue] = []

    async def commit(*ops: Op[Any]) -> list[Any]:
        queued.extend(op for op in ops if isinstance(op, Enqueue))
        return await type(store).commit(store, *ops)

    monkeypatch.setattr(store, "commit", commit)
    await office.filter(f'require "copy"; redirect :copy "{BOB}"; redirect "friend@elsewhere.test";')
    await office.send()
    assert (await office.subjects("INBOX"), await office.subjects("INBOX", BOB)) == ([], ["hello"])
    message = queued[0].message
    assert message.reverse_path.endswith("=elsewhere.test=eve@example.test")
    assert message.recipients[0].address == "friend@elsewhere.test"


async def test_a_script_that_is_put_away_does_nothing_any_more(office: Office) -> None:
    await office.filter("discard;")
    await office.send()
    await office.house.app.house.sieve_scripts.deactivate(office.house.accounts[ALICE].account_id)
    await office.send(RAW.format("again"))
    assert await office.subjects("INBOX") == ["again"]


async def test_all_that_a_script_wants_is_one_commit(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a crash at any moment leaves all of it or nothing."""
    await office.filter(
        f"""
        require ["fileinto", "copy", "vacation"];
        vacation :days 2 "Away.";
        fileinto :copy "Archive";
        redirect :copy "{BOB}";
        redirect :copy "friend@elsewhere.test";
        """
    )
    copies: list[tuple[Op[Any], ...]] = []
    commit = type(office.store).commit

    async def seen(self, *ops):  # type: ignore[no-untyped-def]
        if any(isinstance(op, AddEmail | Enqueue) for op in ops):
            copies.append(ops)
            if len(copies) == 1:
                raise StoreUnavailable("the disk is full")
        return await commit(self, *ops)

    monkeypatch.setattr(type(office.store), "commit", seen)
    code, _ = await office.send()
    assert code == 452
    assert (await office.subjects("INBOX"), await office.subjects("Archive")) == ([], [])
    assert await office.send() == {}
    monkeypatch.undo()
    first, second = copies
    assert [type(op) for op in first] == [type(op) for op in second]
    # What waits for other hosts is looked at in the commit: the queue may be done with it at once.
    queued = {
        (op.message.reverse_path.partition("=elsewhere")[2], each.address)
        for op in second
        if isinstance(op, Enqueue)
        for each in op.message.recipients
    }
    assert queued == {(".test=eve@example.test", "friend@elsewhere.test"), ("", "eve@elsewhere.test")}
    for name, of in (("INBOX", ALICE), ("Archive", ALICE), ("INBOX", BOB)):
        assert await office.subjects(name, of) == ["hello"]


async def test_a_copy_that_waited_for_room_goes_through_the_script(office: Office) -> None:
    await office.filter('require "fileinto"; fileinto "Archive";', BOB)
    bob = office.house.accounts[BOB]
    await office.store.apply(PutAccount(account=msgspec.structs.replace(bob, quota=2000)))
    await office.house.fill(BOB, 8)
    raw = RAW.format("later") + "y" * 1000 + "\r\n"
    assert await office.send(raw, "team@example.test") == {}
    assert len(await office.store.queue()) == 1
    await office.store.apply(PutAccount(account=bob))
    async with asyncio.timeout(20):
        while await office.house.waiting():
            await office.house.app.house.runner.flush()
            await asyncio.sleep(0.05)
    assert await office.subjects("Archive", BOB) == ["later"]
