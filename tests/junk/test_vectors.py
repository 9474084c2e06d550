"""Every wild message gets a verdict, none takes long, and the filter tells the samples of junk from those of mail."""

from __future__ import annotations

import random
import time
import tracemalloc
from pathlib import Path

import msgspec
import pytest

from posthouse.junk.classifier import Model
from posthouse.junk.desk import messages_of
from posthouse.junk.letter import Letter
from posthouse.junk.tokens import Tokens, read_tokens
from posthouse.limits import TOKEN_SOURCE, TOKENS
from tests.junk.conftest import ALICE, JunkHouse
from tests.machine import slowness

VECTORS = Path(__file__).resolve().parents[3] / "shared" / "vectors"
pytestmark = pytest.mark.skipif(not VECTORS.is_dir(), reason="the vectors are not beside the project")
FILES = sorted(path for path in VECTORS.rglob("*") if path.is_file() and path.stat().st_size < 2_000_000)


def read(raw: bytes) -> Tokens:
    letter = Letter.of(raw)
    return read_tokens(raw[:TOKEN_SOURCE], letter.headers, letter.authors)


@pytest.mark.slow
def test_every_file_is_read_in_bounded_time() -> None:
    slowest = 0.0
    for path in FILES:
        raw = path.read_bytes()
        start = time.process_time()
        tokens = read(raw)
        slowest = max(slowest, time.process_time() - start)
        assert len(tokens.names) <= TOKENS
    assert len(FILES) > 500
    assert slowest < 2.0 * slowness()


def folder(name: str) -> list[tuple[str, ...]]:
    place = VECTORS / "spamassassin-testdata" / "t" / "data" / name
    return [read(path.read_bytes()).names for path in sorted(place.rglob("*")) if path.is_file()]


@pytest.mark.slow
def test_samples_of_junk_and_of_mail_are_told_apart_by_what_was_learnt_from_the_others() -> None:
    """Five parts, each judged by what the other four teach: few and odd samples, so the bounds are modest."""
    samples = [(names, True) for names in folder("spam")] + [(names, False) for names in folder("nice")]
    random.Random(7).shuffle(samples)
    judged: list[tuple[float, bool]] = []
    for part in range(5):
        model = Model()
        for number, (names, junk) in enumerate(samples):
            if number % 5 != part:
                model.learn(names, junk=junk)
        judged += [(model.score(names).junk, junk) for names, junk in samples[part::5]]
    caught = sum(score >= 0.97 for score, junk in judged if junk) / sum(junk for _, junk in judged)
    wrong = sum(score >= 0.97 for score, junk in judged if not junk)
    assert caught > 0.6
    assert wrong <= 2


BOMBS = {
    "nested": b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (i, i) for i in range(5000)
    ),
    "many parts": b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 100_000,
    "many tags": b"Content-Type: text/html\r\n\r\n" + b"<a href=http://" * 200_000,
    "open tags": b"Content-Type: text/html\r\n\r\n" + b"<div <a <b " * 200_000,
    "long word": b"Content-Type: text/plain\r\n\r\n" + b"a" * 3_000_000,
    "many words": b"Content-Type: text/plain\r\n\r\n" + b" ".join(b"w%d" % i for i in range(300_000)),
    "chinese": b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "发票代开".encode() * 100_000,
    "addresses": b"Content-Type: text/plain\r\n\r\n" + b"a.a.a.a@" * 200_000,
    "authors": b"From: " + b"a@b.c," * 100_000 + b"\r\n\r\n",
    "charset": b"Content-Type: text/plain; charset=" + b"x" * 100_000 + b"\r\n\r\nhello",
    "base64": b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"PGEgaHJlZj0" * 100_000,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_little(name: str) -> None:
    raw = b"Subject: x\r\n" + BOMBS[name]
    start = time.process_time()
    tokens = read(raw)
    assert time.process_time() - start < 3.0 * slowness()
    assert len(tokens.names) <= TOKENS
    tracemalloc.start()
    read(raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60_000_000


def test_an_mbox_is_many_messages() -> None:
    first = b"From a@b Mon Jan  1 00:00:00 2026\nSubject: one\n\nx\n\n"
    mbox = first + first.replace(b"one", b"two")
    assert len(list(messages_of(mbox))) == 2
    assert len(list(messages_of(b"Subject: one\r\n\r\nFrom here on\r\n"))) == 1


@pytest.mark.slow
async def test_explaining_every_file_gives_a_verdict(house: JunkHouse) -> None:
    started = time.process_time()
    for path in FILES:
        verdict = await house.junk.desk.explain(account=ALICE, body=path.read_bytes())
        assert verdict.would_change
        assert verdict.to_field().endswith(b"\r\n")
        assert msgspec.json.decode(verdict.to_json())["decision"] == verdict.decision
    assert (time.process_time() - started) / len(FILES) < 0.1 * slowness()
    assert await house.total() == await house.total("Junk") == 0
