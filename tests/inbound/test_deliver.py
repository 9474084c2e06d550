"""Who gets which copy, what is queued, who is told what."""

from __future__ import annotations

import pytest

from posthouse.errors import OverQuota, Permanent, StoreUnavailable, Temporary
from posthouse.inbound.bounceable import Standing
from posthouse.inbound.handling import Handling
from posthouse.inbound.mail import MailRecipient, Via
from posthouse.inbound.notices import NoticeKind
from posthouse.inbound.rulings import Place, Ruling
from posthouse.smtp.replies import Reply
from posthouse.store.interface import PutAlias
from posthouse.store.model import Alias
from tests.inbound.small_house import SmallHouse


async def deliver(house: SmallHouse, *recipients, **changes):
    mail = house.mail(*recipients, **changes)
    return mail, await house.deliverer.deliver(mail, b"Received: here\r\n")


async def test_a_copy_has_return_path_delivered_to_and_received_in_front(house):
    _, result = await deliver(house, "alice+shop")
    assert [r.code for r in result.replies] == [250]
    assert await house.inbox("alice") == [
        b"Return-Path: <eve@elsewhere.test>\r\n"
        b"Delivered-To: alice+shop@example.test\r\n"
        b"Received: here\r\n"
        b"From: eve@elsewhere.test\r\nSubject: hello\r\n\r\ntext\r\n"
    ]
    assert [(d.address, d.uid) for d in result.delivered] == [("alice+shop@example.test", 1)]


@pytest.mark.parametrize(
    ("orcpt", "smtputf8", "shown"),
    [
        ("rfc822;Support+2BX@elsewhere.test", False, b"rfc822; Support+X@elsewhere.test"),
        ("utf-8;wei\\x{DF}@elsewhere.test", False, b"utf-8;wei\\x{DF}@elsewhere.test"),
        ("utf-8;wei\\x{DF}@elsewhere.test", True, "utf-8; wei\u00df@elsewhere.test".encode()),
        ("utf-8;wei\u00df@elsewhere.test", True, "utf-8; wei\u00df@elsewhere.test".encode()),
        ("utf-8;wei\u00df@elsewhere.test", False, None),
        ("rfc822;x+0D+0AX-Put-In:+20yes", True, None),
        ("rfc822;wei+DF@elsewhere.test", True, None),
        ("nonsense", False, None),
        ("", False, None),
    ],
)
async def test_whom_the_sender_named_is_told(house, orcpt: str, smtputf8: bool, shown: bytes | None):
    """RFC 8098 §2.3, RFC 6533 §5: beside Return-Path, so that a receipt can say it."""
    await deliver(house, MailRecipient("one@example.test", "", orcpt), smtputf8=smtputf8)
    (copy,) = await house.inbox("alice")
    assert copy.startswith(b"Return-Path: <eve@elsewhere.test>\r\nDelivered-To: alice@example.test\r\n")
    told = [line for line in copy.split(b"\r\n") if line.lower().startswith((b"original", b"x-put"))]
    assert told == ([b"Original-Recipient: " + shown] if shown is not None else [])


COPIES = [
    # recipients,                               alice, bob, admin, queued
    (("alice",), 1, 0, 0, []),
    (("alice", "alice", "Alice@EXAMPLE.test", "alice+x"), 1, 0, 0, []),
    (("team",), 1, 1, 0, []),
    (("team", "alice", "nested"), 1, 1, 1, []),
    (("one",), 1, 0, 0, []),
    (("away",), 0, 0, 0, ["friend@elsewhere.test"]),
    (("away", "friend@ELSEWHERE.test", "mixed"), 1, 0, 0, ["friend@elsewhere.test"]),
    (
        ("Friend@elsewhere.test", "friend@elsewhere.test", "Friend@elsewhere.test"),
        0,
        0,
        0,
        ["Friend", "friend"],
    ),
    (("wei\u00df@elsewhere.test", "weiss@elsewhere.test"), 0, 0, 0, ["weiss", "wei\u00df"]),
    (("postmaster",), 0, 0, 1, []),
    (("postmaster@example.test", "admin"), 0, 0, 1, []),
    (("x@backup.test",), 0, 0, 0, ["x@backup.test"]),
]


@pytest.mark.parametrize("row", COPIES, ids=lambda row: "+".join(row[0]))
async def test_everyone_gets_one_copy(house, row):
    recipients, alice, bob, admin, queued = row
    _, result = await deliver(house, *recipients)
    assert {r.code for r in result.replies} == {250}
    assert len(result.replies) == len(recipients)
    assert [len(await house.inbox(name)) for name in ("alice", "bob", "admin")] == [alice, bob, admin]
    waiting = [r.address for message in await house.real_store.queue() for r in message.recipients]
    assert sorted(waiting) == [one if "@" in one else f"{one}@elsewhere.test" for one in queued]


async def test_a_queue_entry_keeps_the_envelope(house):
    _, result = await deliver(
        house,
        MailRecipient("friend@elsewhere.test", "SUCCESS,DELAY", "rfc822;f+40x"),
        ret="HDRS",
        envid="QQ",
        body="8BITMIME",
        smtputf8=True,
    )
    queued = await house.real_store.queued(result.queue_id)
    assert (queued.reverse_path, queued.ret, queued.envid, queued.body, queued.smtputf8) == (
        *("eve@elsewhere.test", "HDRS", "QQ", "8BITMIME"),
        True,
    )
    assert [(r.notify, r.orcpt) for r in queued.recipients] == [("SUCCESS,DELAY", "rfc822;f+40x")]
    raw = await house.real_store.read(queued.stored)
    assert raw.startswith(b"Received: here\r\nFrom: eve@elsewhere.test\r\n")


async def test_an_alias_that_leads_nowhere_is_refused(house):
    _, result = await deliver(house, "loop")
    assert [str(r)[:9] for r in result.replies] == ["550 5.1.1"]
    assert not result.accepted


async def test_when_nobody_gets_it_the_reply_says_why_and_nobody_is_written_to(house):
    _, result = await deliver(house, "off", "gone")
    assert [str(r)[:9] for r in result.replies] == ["550 5.2.1", "550 5.1.1"]
    assert house.notices == []


async def test_one_of_several_that_cannot_get_it_is_told_by_notice(house):
    mail, result = await deliver(house, "alice", "off")
    assert [r.code for r in result.replies] == [250, 550]
    [(noticed, [notice])] = house.notices
    assert (noticed.trace_id, notice.kind, notice.address) == (
        *(mail.trace_id, NoticeKind.FAILED),
        "off@example.test",
    )
    assert str(notice.reply).startswith("550 5.2.1")


async def test_over_lmtp_each_has_its_own_reply_and_no_notice(house):
    _, result = await deliver(house, "alice", "off", via=Via.LMTP)
    assert [r.code for r in result.replies] == [250, 550]
    assert house.notices == []


async def test_a_dead_end_behind_a_living_alias_is_told_even_over_lmtp(house):
    _, result = await deliver(house, "mixed", via=Via.LMTP)
    assert [r.code for r in result.replies] == [250]
    assert [n.address for _, notices in house.notices for n in notices] == ["off@example.test"]


@pytest.mark.parametrize(
    ("notify", "reverse_path", "told"),
    [
        ("", "eve@elsewhere.test", 1),
        ("FAILURE", "eve@elsewhere.test", 1),
        ("NEVER", "eve@elsewhere.test", 0),
        ("SUCCESS", "eve@elsewhere.test", 0),
        ("FAILURE", "", 0),
    ],
)
async def test_who_wants_to_hear_of_failures(house, notify, reverse_path, told):
    recipient = MailRecipient("off@example.test", notify)
    await deliver(house, "alice", recipient, reverse_path=reverse_path)
    assert sum(len(notices) for _, notices in house.notices) == told


async def test_success_is_told_after_delivery(house):
    await deliver(house, MailRecipient("alice@example.test", "SUCCESS"), "bob")
    [(_, [notice])] = house.notices
    assert (notice.kind, notice.address) == (NoticeKind.DELIVERED, "alice@example.test")


@pytest.mark.parametrize(
    ("ruling", "code", "told", "heard"),
    [
        (Ruling(), 250, [NoticeKind.DELIVERED], ["alice"]),
        (Ruling(place=Place.JUNK), 250, [NoticeKind.DELIVERED], []),
        (Ruling(place=Place.REJECTS, reply=Reply(550, "5.7.1", "junk")), 550, [], []),
    ],
)
async def test_junk_gets_no_answer_and_what_is_refused_no_notice(house, ruling, code, told, heard):
    """The vacation responder hears of the inbox alone; what is kept to be looked at was not delivered."""
    names, heard_of = {account.account_id: name for name, account in house.accounts.items()}, []
    house.deliverer.told_of = lambda mail, accounts: heard_of.extend(names[one] for one in accounts)

    async def rule(accounts):
        return {one.account_id: ruling for one in accounts}

    mail = house.mail(MailRecipient("alice@example.test", "SUCCESS,FAILURE"))
    result = await house.deliverer.deliver(mail, b"", Handling(rule=rule))
    assert [reply.code for reply in result.replies] == [code]
    assert [notice.kind for _, notices in house.notices for notice in notices] == told
    assert heard_of == heard


@pytest.mark.parametrize(
    ("standing", "place", "told"),
    [
        (Standing.UNKNOWN, Place.INBOX, ["off@example.test", "mixed@example.test"]),
        (Standing.UNKNOWN, Place.JUNK, []),
        (Standing.PROVED, Place.JUNK, ["off@example.test", "mixed@example.test"]),
        (Standing.DOUBTFUL, Place.INBOX, []),
    ],
)
async def test_junk_makes_no_notices_to_whom_it_only_names(house, standing, place, told):
    async def rule(accounts):
        return {one.account_id: Ruling(place=place) for one in accounts}

    mail = house.mail(MailRecipient("mixed@example.test", "SUCCESS,FAILURE"))
    result = await house.deliverer.deliver(mail, b"", Handling(rule=rule, reverse_path=standing))
    assert [reply.code for reply in result.replies] == [250]
    assert [n.address for _, notices in house.notices for n in notices] == told


async def test_an_expanded_alias_answers_success_itself(house):
    await deliver(house, MailRecipient("mixed@example.test", "SUCCESS,FAILURE"))
    kinds = [(n.kind, n.address) for _, notices in house.notices for n in notices]
    assert kinds == [
        (NoticeKind.FAILED, "off@example.test"),
        (NoticeKind.EXPANDED, "mixed@example.test"),
    ]
    [message] = await house.real_store.queue()
    assert [r.notify for r in message.recipients] == ["FAILURE"]


async def test_an_alias_of_one_passes_the_wish_on(house):
    await deliver(house, MailRecipient("away@example.test", "SUCCESS", "rfc822;x"))
    [message] = await house.real_store.queue()
    assert [(r.notify, r.orcpt) for r in message.recipients] == [("SUCCESS", "rfc822;x")]
    assert house.notices == []


async def test_a_mailbox_that_never_settles_defers(house):
    house.break_at("commit", OverQuota("full"))
    with pytest.raises(Temporary):
        await deliver(house, "alice", "off")
    # The failure was told once, not once for each try.
    assert [n.address for _, notices in house.notices for n in notices] == ["off@example.test"]


async def test_a_mailbox_that_never_settles_is_tried_three_times(house):
    tries = 0

    async def never(*ops):
        nonlocal tries
        tries += 1
        raise OverQuota("full")

    house.real_store.commit = never
    with pytest.raises(Temporary):
        await deliver(house, "alice")
    assert tries == 3


async def test_a_fault_in_the_notice_of_a_failure_keeps_nothing(house):
    house.break_at("notify")
    with pytest.raises(RuntimeError):
        await deliver(house, "alice", "off")
    assert await house.inbox("alice") == []


async def test_a_fault_in_the_notice_of_a_success_changes_nothing(house):
    house.break_at("notify")
    _, result = await deliver(house, MailRecipient("alice@example.test", "SUCCESS"))
    assert [r.code for r in result.replies] == [250]
    assert len(await house.inbox("alice")) == 1


async def test_a_full_disk_keeps_nothing(house):
    house.fill_the_disk()
    with pytest.raises(StoreUnavailable):
        await deliver(house, "alice", "friend@elsewhere.test")
    house.mend()
    assert await house.inbox("alice") == []
    assert await house.real_store.queue() == []


async def test_too_many_addresses_behind_aliases_are_refused(house, monkeypatch):
    monkeypatch.setattr("posthouse.inbound.plan.MAIL_TARGETS", 3)
    many = Alias(address="many@example.test", targets=tuple(f"u{n}@elsewhere.test" for n in range(4)))
    await house.real_store.apply(PutAlias(alias=many, new=True))
    with pytest.raises(Permanent):
        await deliver(house, "many")


async def test_the_timeline_tells_the_story(house):
    mail, _ = await deliver(house, "alice", "friend@elsewhere.test", "off")
    story = await house.story(mail.trace_id)
    assert [(kind, address) for kind, address, _ in story] == [
        ("received", "eve@elsewhere.test"),
        ("queued", "friend@elsewhere.test"),
        ("failed", "off@example.test"),
        ("delivered", "alice@example.test"),
    ]
    details = [detail for _, _, detail in story]
    assert "client.elsewhere.test [192.0.2.1]" in details[0]
    assert details[2].startswith("550 5.2.1")
    assert details[3] == "alice@example.test INBOX uid 1"
