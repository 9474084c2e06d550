"""The answers to MAIL and RCPT, as tables."""

from __future__ import annotations

import msgspec
import pytest

from posthouse.accounts.model import Login
from posthouse.inbound.mail import Via
from posthouse.inbound.policy import Peer, Transaction
from posthouse.limits import BACKUP_UNVERIFIED
from posthouse.store.interface import PutAccount
from tests.inbound.small_house import SMALL_QUOTA, SmallHouse

STRANGER = Peer(via=Via.MX, address="192.0.2.1")


def login_of(house: SmallHouse, name: str) -> Peer:
    login = Login(account=house.accounts[name], mechanism="PLAIN")
    return Peer(via=Via.SUBMISSION, address="192.0.2.1", login=login)


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("eve@elsewhere.test", "250 2.1.0"),
        ("", "250 2.1.0"),
        ("x@backup.test", "250 2.1.0"),
        ("x@sub.example.test", "250 2.1.0"),
        ("x@[192.0.2.7]", "250 2.1.0"),
        ("alice@example.test", "550 5.7.1"),
        ("nobody@EXAMPLE.TEST", "550 5.7.1"),
    ],
)
async def test_senders_of_strangers(house, sender, code):
    reply = await house.policy.mail(STRANGER, Transaction(reverse_path=sender))
    assert str(reply).startswith(code)


async def test_hosts_of_our_own_may_hand_on_mail_of_our_senders(tmp_path):
    house = await SmallHouse.open(tmp_path, trusted=("192.0.2.0/28", "2001:db8::/32"))
    ours = Transaction(reverse_path="alice@example.test")
    try:
        for address, code in (("192.0.2.1", 250), ("192.0.2.16", 550), ("2001:db8::1", 250), ("", 550)):
            assert (await house.policy.mail(Peer(via=Via.MX, address=address), ours)).code == code
        relay = await house.policy.rcpt(
            Peer(via=Via.MX, address="192.0.2.1"), Transaction(reverse_path=""), "x@elsewhere.test"
        )
        assert str(relay).startswith("550 5.7.1")
    finally:
        await house.close()


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("alice@example.test", "250 2.1.0"),
        ("Alice@Example.Test", "250 2.1.0"),
        ("alice+tag@example.test", "250 2.1.0"),
        ("team@example.test", "250 2.1.0"),
        ("nested@example.test", "250 2.1.0"),
        ("", "250 2.1.0"),
        ("bob@example.test", "553 5.7.1"),
        ("away@example.test", "553 5.7.1"),
        ("nobody@example.test", "553 5.7.1"),
        ("alice@elsewhere.test", "553 5.7.1"),
        ("loop@example.test", "553 5.7.1"),
    ],
)
async def test_senders_of_a_login(house, sender, code):
    reply = await house.policy.mail(login_of(house, "alice"), Transaction(reverse_path=sender))
    assert str(reply).startswith(code)


RECIPIENTS = [
    # address,                     stranger,    login,       LMTP
    ("alice@example.test", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("ALICE+x@Example.Test", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("team@example.test", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("away@example.test", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("postmaster", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("Postmaster@example.test", "250 2.1.5", "250 2.1.5", "250 2.1.5"),
    ("nobody@example.test", "550 5.1.1", "550 5.1.1", "550 5.1.1"),
    ("off@example.test", "550 5.2.1", "550 5.2.1", "550 5.2.1"),
    ("friend@elsewhere.test", "550 5.7.1", "250 2.1.5", "550 5.7.1"),
    ("friend@[192.0.2.7]", "550 5.7.1", "250 2.1.5", "550 5.7.1"),
    ("a@backup.test", "250 2.1.5", "250 2.1.5", "550 5.7.1"),
]


@pytest.mark.parametrize("row", RECIPIENTS, ids=lambda row: row[0])
async def test_recipients(house, row):
    peers = STRANGER, login_of(house, "alice"), Peer(via=Via.LMTP, address="")
    for peer, code in zip(peers, row[1:], strict=True):
        reply = await house.policy.rcpt(peer, Transaction(reverse_path="eve@elsewhere.test"), row[0])
        assert str(reply).startswith(code), peer.via


@pytest.mark.parametrize(
    ("size", "code"),
    [(0, "250"), (SMALL_QUOTA, "250"), (SMALL_QUOTA + 1, "552 5.2.2")],
)
async def test_a_message_larger_than_the_quota_never_fits(house, size, code):
    reply = await house.policy.rcpt(STRANGER, Transaction(reverse_path="", size=size), "small@example.test")
    assert str(reply).startswith(code)


async def test_a_full_mailbox_is_full_for_now(house):
    await house.pipeline.accept(house.mail("small", raw=b"From: e@x.test\r\n\r\n" + b"x" * 1500))
    for size, code in ((0, "250"), (1000, "452 4.2.2")):
        transaction = Transaction(reverse_path="", size=size)
        reply = await house.policy.rcpt(STRANGER, transaction, "small@example.test")
        assert str(reply).startswith(code)
    whole = msgspec.structs.replace(house.accounts["small"], quota=1000)
    await house.real_store.apply(PutAccount(account=whole))
    reply = await house.policy.rcpt(STRANGER, Transaction(reverse_path=""), "small@example.test")
    assert str(reply).startswith("452 4.2.2")


async def test_the_primary_is_asked_about_recipients(house):
    house.primary.update({"yes@backup.test": "valid", "no@backup.test": "invalid"})
    transaction = Transaction(reverse_path="eve@elsewhere.test")
    for address, code in (("yes@backup.test", "250"), ("no@backup.test", "550 5.1.1")):
        assert str(await house.policy.rcpt(STRANGER, transaction, address)).startswith(code)
    assert transaction.unverified == 0


async def test_a_few_unverified_recipients_are_held_not_a_dictionary(house):
    transaction = Transaction(reverse_path="eve@elsewhere.test")
    replies = [
        await house.policy.rcpt(STRANGER, transaction, f"u{n}@backup.test")
        for n in range(BACKUP_UNVERIFIED + 2)
    ]
    assert [reply.code for reply in replies] == [250] * BACKUP_UNVERIFIED + [451, 451]
