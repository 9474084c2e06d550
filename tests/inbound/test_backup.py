"""Mail that our own backup MX took: what it found counts, and nothing is refused that it would have to bounce."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from posthouse.config import MsgAuth
from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.inbound.rulings import RuleFor, Ruling
from posthouse.inbound.vouched import first_client
from posthouse.message.headers import Headers
from posthouse.store.model import Account
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import SmallHouse

BACKUP = "192.0.2.1"
ZONE = """
bank.test. TXT "v=spf1 -all"
_dmarc.bank.test. TXT "v=DMARC1; p=quarantine"
"""
TOOK = (
    b"Received: from liar.test ([198.51.100.7])\r\n"
    b"\tby backup.example.test (Posthouse) with ESMTP id 1;\r\n\tMon, 2 Nov 2026 10:00:00 +0000\r\n"
)


def says(results: str) -> bytes:
    """The field of the backup."""
    return f"Authentication-Results: backup.example.test; {results}\r\n".encode()


def letter(author: str = "info@bank.test") -> bytes:
    return f"From: {author}\r\nTo: alice@example.test\r\nSubject: hello\r\n\r\ntext\r\n".encode()


class Watcher:
    """A judge that only looks."""

    def __init__(self) -> None:
        self.seen: list[Examination] = []

    def __call__(self, examination: Examination) -> RuleFor:
        async def rule(_: Sequence[Account]) -> dict[int, Ruling]:
            self.seen.append(examination)
            return {}

        return rule


Open = Callable[..., Coroutine[Any, Any, tuple[SmallHouse, Watcher]]]


@pytest.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    houses: list[SmallHouse] = []

    async def make(**changes: Any) -> tuple[SmallHouse, Watcher]:
        values: dict[str, Any] = {"resolver": FakeResolver(ZONE), "trusted": (BACKUP,)}
        house = await SmallHouse.open(tmp_path / str(len(houses)), **(values | changes))
        houses.append(house)
        watcher = Watcher()
        house.pipeline._judge = watcher
        return house, watcher

    yield make
    for house in houses:
        await house.close()


async def place(house: SmallHouse, raw: bytes) -> tuple[str, str]:
    """(reply code, folder)."""
    [reply] = await house.pipeline.accept(house.mail("alice", raw=raw))
    for folder in ("INBOX", "Junk"):
        if await house.inbox("alice", folder):
            return str(reply)[:3], folder
    return str(reply)[:3], ""


@pytest.mark.parametrize(
    "above",
    [
        b"",
        b"Authentication-Results: backup.example.test; dmarc=pass header.from=bank.test\r\n",
        b"Authentication-Results: backup.example.test; dmarc=pass header.from=bank.test\r\n" + TOOK,
        b"Authentication-Results: (x) BACKUP.example.test 1; dmarc=pass header.from=bank.test\r\n" + TOOK,
        b"Authentication-Results: mx.example.test; dmarc=pass header.from=bank.test\r\n" + TOOK,
        TOOK,
    ],
    ids=["plain", "forged results", "and Received", "in other writing", "in the primary's name", "Received"],
)
async def test_what_the_backup_takes_carries_its_domains_wish(opened: Open, above: bytes) -> None:
    """Two pipelines, one behind the other: p=quarantine reaches the folder, whatever a client says in their names."""
    backup, _ = await opened(trusted=())
    backup.pipeline._hostname = "backup.example.test"
    backup.pipeline._our_names = lambda: ("backup.example.test",)
    for check in backup.pipeline._checks[Via.MX]:
        if hasattr(check, "_authserv"):
            check._hostname = check._authserv = "backup.example.test"
    backup.primary["alice@backup.test"] = "valid"
    mail = backup.mail(
        "alice@backup.test", raw=above + letter(), peer="198.51.100.7", reverse_path="x@bank.test"
    )
    assert [str(reply)[:3] for reply in await backup.pipeline.accept(mail)] == ["250"]
    [entry] = await backup.real_store.queue()
    queued = await backup.real_store.read(entry.stored)
    house, watcher = await opened()
    assert await place(house, queued) == ("250", "Junk")
    [seen] = watcher.seen
    assert seen.authentication is not None
    assert [str(one.result) for one in seen.authentication.dmarc] == ["fail"]
    assert str(seen.authentication.spf.result) == "fail"
    assert seen.client is not None
    assert seen.client.address == "198.51.100.7"


QUARANTINE = "spf=fail smtp.mailfrom=x@bank.test; dmarc=fail header.from=bank.test policy.dmarc=quarantine"


@pytest.mark.parametrize(
    ("results", "author", "folder"),
    [
        (QUARANTINE, "info@bank.test", "Junk"),
        (QUARANTINE.replace("quarantine", "reject"), "info@bank.test", "Junk"),
        (QUARANTINE.replace("quarantine", "none"), "info@bank.test", "INBOX"),
        (QUARANTINE.replace("quarantine", "?!"), "info@bank.test", "INBOX"),
        # A pass asks for nothing, and what is said of another domain is not said of the author's.
        (QUARANTINE.replace("dmarc=fail", "dmarc=pass"), "info@bank.test", "INBOX"),
        (QUARANTINE, "info@other.test", "INBOX"),
        # One of our people, not proved: a stranger would be refused.
        ("dmarc=fail header.from=example.test", "bob@example.test", "Junk"),
        ("dkim=pass header.d=elsewhere.test", "bob@example.test", "Junk"),
        ("dmarc=pass header.from=example.test", "bob@example.test", "INBOX"),
        ("dkim=pass header.d=example.test", "bob@example.test", "INBOX"),
        ("spf=pass smtp.helo=example.test", "bob@example.test", "Junk"),
    ],
)
async def test_what_follows_from_the_words_of_the_backup(
    opened: Open, results: str, author: str, folder: str
) -> None:
    house, _ = await opened()
    assert await place(house, says(results) + TOOK + letter(author)) == ("250", folder)


async def test_report_mode_only_notes_what_the_backup_found(opened: Open) -> None:
    house, watcher = await opened(msgauth=MsgAuth(verify="report"))
    assert await place(house, says(QUARANTINE) + TOOK + letter()) == ("250", "INBOX")
    assert watcher.seen


async def test_who_is_judged_is_the_client_of_the_backup(opened: Open) -> None:
    house, watcher = await opened()
    await place(
        house,
        says("dkim=pass header.d=bank.test; iprev=pass policy.iprev=192.0.2.9 policy.name=a.test")
        + TOOK
        + letter(),
    )
    [seen] = watcher.seen
    assert seen.client is not None
    assert (seen.client.address, seen.client.helo) == ("198.51.100.7", "liar.test")
    found = seen.authentication
    assert found is not None
    assert found.authentic
    assert (found.iprev.name, found.dkim[0].domain) == ("a.test", "bank.test")


async def test_a_host_that_says_nothing_proves_nothing_and_its_own_mail_is_its_own(opened: Open) -> None:
    house, watcher = await opened()
    assert await place(house, TOOK + letter()) == ("250", "INBOX")
    [seen] = watcher.seen
    assert seen.authentication is not None
    assert not seen.authentication.authentic
    for raw in (letter("bob@example.test"), TOOK.replace(b"ESMTP", b"ESMTPSA") + letter("bob@example.test")):
        assert (await place(house, raw))[0] == "250"
    assert len(watcher.seen) == 1


@pytest.mark.parametrize(
    ("received", "client"),
    [
        (b"from a.test ([192.0.2.9]) by b.test with ESMTP id 1", "192.0.2.9"),
        (b"from a.test ([IPv6:2001:db8::9])\r\n\tby b.test with ESMTPS id 1", "2001:db8::9"),
        (b"from a.test (host.a.test [192.0.2.9]) by b.test with ESMTP", "192.0.2.9"),
        (b"from unknown (HELO [203.0.113.1]) (192.0.2.9) by b.test with SMTP", "192.0.2.9"),
        (b"from host.a.test ([192.0.2.9] helo=[203.0.113.1]) by b.test with esmtp", "192.0.2.9"),
        # The name is the client's own word.
        (b"from [203.0.113.1] ([192.0.2.9]) by b.test with ESMTP id 1", "192.0.2.9"),
        (b"from localhost (logged in) by b.test with ESMTPSA id 1", None),
        (b"from a.test ([192.0.2.9]) by b.test with ESMTPSA id 1", None),
        (b"by b.test with LMTP id 192.0.2.9", None),
        (b"from a.test by b.test ([192.0.2.9])", None),
        (b"", None),
    ],
)
def test_the_client_in_a_received_field(received: bytes, client: str | None) -> None:
    found = first_client(Headers.scan(b"Received: " + received + b"\r\n\r\n"))
    assert (found.address if found is not None else None) == client
