"""`GET /metrics`: what happened is counted, by whichever process it happened in, and nobody is named."""

from __future__ import annotations

import asyncio
import imaplib
import os
import signal
import smtplib
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from posthouse import limits
from posthouse.config import Dns, Listen
from posthouse.inbound.mail import our_mail
from tests.app.conftest import Served
from tests.house import TestHouse

TEXT = "From: carol@far.test\r\nTo: alice@north.test\r\nSubject: one\r\n\r\nhello\r\n"
Numbers = dict[tuple[str, frozenset[str]], float]


def numbers(text: str) -> Numbers:
    """(name, values of its labels) → number."""
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def labels(*values: str) -> frozenset[str]:
    return frozenset(values)


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        found: str = answer.read().decode()
    return found


def opened(folder: Path, extra: str = "") -> Served:
    made = Served(folder, extra)
    made.file.write_text(made.file.read_text().replace("[listen]\n", '[listen]\nhealth = "127.0.0.1:0"\n'))
    made.fine("domain", "add", "north.test")
    made.fine("account", "add", "alice@north.test", "--password", "secret")
    made.start()
    return made


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    made = opened(tmp_path)
    yield made
    assert made.stop() == 0, made.log


def send(house: Served, text: str = TEXT) -> None:
    with smtplib.SMTP("127.0.0.1", house.port("smtp"), timeout=20) as client:
        client.sendmail("carol@far.test", ["alice@north.test"], text)


def test_what_happened_is_counted(house: Served) -> None:
    before = numbers(scrape(house.port("health")))
    assert ("posthouse_messages_total", labels("mx", "accepted")) not in before
    for _ in range(3):
        send(house)
    with pytest.raises(smtplib.SMTPDataError):
        send(
            house, TEXT.replace("carol@far.test", "alice@north.test")
        )  # perhaps forged: the DNS does not answer
    with imaplib.IMAP4("127.0.0.1", house.port("imap")) as client:
        client.login("alice", "secret")
        with pytest.raises(imaplib.IMAP4.error), imaplib.IMAP4("127.0.0.1", house.port("imap")) as other:
            other.login("alice", "wrong")
        text = scrape(house.port("health"))
    found = numbers(text)
    assert found["posthouse_messages_total", labels("mx", "accepted")] == 3
    assert found["posthouse_messages_total", labels("mx", "deferred")] == 1
    assert found["posthouse_logins_total", labels("proved")] == 1
    assert found["posthouse_logins_total", labels("failed")] == 1
    assert found["posthouse_connections_total", labels("smtp")] == 4
    assert found["posthouse_connections_total", labels("imap")] == 2
    assert found["posthouse_connections_open", labels("imap")] == 1
    assert found["posthouse_sender_checks_total", labels("spf", "temperror")] == 4
    assert (
        found["posthouse_commits_total", labels()] > before["posthouse_commits_total", labels()]
        and 0 < found["posthouse_commit_seconds_total", labels()] < 60
    )
    assert found["posthouse_disk_octets", labels()] > found["posthouse_disk_free_octets", labels()] > 0
    assert found["process_resident_memory_bytes", labels()] > 10_000_000
    assert not [word for word in ("alice", "carol", "far.test", "127.0.0.1", "one") if f'"{word}' in text]


@pytest.mark.slow
def test_workers_are_counted_too_also_those_that_ended(tmp_path: Path) -> None:
    house = opened(tmp_path, "workers = 2")
    try:

        def accepted() -> float:
            return numbers(scrape(house.port("health"))).get(
                ("posthouse_messages_total", labels("mx", "accepted")), 0
            )

        def become(wanted: float) -> None:
            _within(limits.METRICS_TOLD + 20, lambda: accepted() == wanted)

        send(house)
        send(house)
        become(2)
        before = house.workers()
        assert len(before) == 2
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        _within(20, lambda: len(set(house.workers()) - set(before)) == 2)
        send(house)
        become(3)
    finally:
        house.stop()


def _within(seconds: float, true: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


async def test_findings_and_queue_are_looked_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "METRICS_AGE", 0.2)
    free = dict.fromkeys(("smtp", "health"), ("127.0.0.1:0",))
    nobody = Dns(servers=("127.0.0.1:9",), timeout=0.2)
    house = await TestHouse.open(tmp_path, listen=Listen(**free), dns=nobody)
    try:
        metrics = house.app._metrics

        async def until_told(name: str, *values: str) -> float:
            async with asyncio.timeout(30):
                while (found := numbers(await metrics.text()).get((name, labels(*values)))) is None:
                    await asyncio.sleep(0.02)
            return found

        assert await until_told("posthouse_queue_oldest_seconds") == 0
        assert await until_told("posthouse_status", "queue") == 0
        assert await until_told("posthouse_status", "submission") == 1  # nobody can send: worth a look
        assert "posthouse_queue_recipients{" not in await metrics.text()
        raw = b"From: alice@example.test\r\nTo: dora@far.test\r\nSubject: out\r\n\r\nhello\r\n"
        replies = await house.app.house.pipeline.accept(
            our_mail(raw, "dora@far.test", trace_id="metrics", at=time.time())
        )
        assert [reply.code for reply in replies] == [250]
        assert await until_told("posthouse_queue_recipients", "waiting") == 1
        assert await until_told("posthouse_queue_oldest_seconds") > 0
    finally:
        await house.close()
