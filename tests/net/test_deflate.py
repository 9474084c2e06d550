"""Raw DEFLATE in bounded steps, and what may be forgotten while nothing is said."""

from __future__ import annotations

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthouse.limits import DEFLATE_INPUT, DEFLATE_STEP
from posthouse.net.deflate import Compressor, Inflater, NotDeflated

FLUSHES = (zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_NO_FLUSH, zlib.Z_BLOCK)
CORPUS = b"".join(b"a%d UID FETCH %d:* (UID FLAGS BODY.PEEK[HEADER])\r\n" % (i, i * 7) for i in range(2000))


def everything(inflater: Inflater) -> bytes:
    out = b""
    while inflater.waiting:
        out += inflater.take()
    return out


def test_a_compressor_that_rested_goes_on_with_the_same_stream() -> None:
    compressor, client = Compressor(), zlib.decompressobj(-15)
    heard = b""
    for i in range(50):
        heard += client.decompress(compressor.compress(b"* %d EXISTS\r\n" % i, flush=True))
        if i % 7 == 3:
            compressor.rest()
    assert heard == b"".join(b"* %d EXISTS\r\n" % i for i in range(50))


def test_a_bomb_is_inflated_step_by_step() -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = bomb.compress(b"\0" * 20_000_000) + bomb.flush(zlib.Z_SYNC_FLUSH)
    inflater = Inflater()
    inflater.feed(raw)
    size = 0
    while inflater.waiting:
        piece = inflater.take()
        assert len(piece) <= DEFLATE_STEP
        size += len(piece)
    assert size == 20_000_000


def test_a_step_takes_in_so_much_and_no_more() -> None:
    # Blocks of nothing give nothing, however many they are: so what is taken in is bounded too.
    inflater = Inflater()
    inflater.feed(b"\x02\x08\x20\x80\x00" * DEFLATE_INPUT)  # four of them
    before = len(inflater.unread)
    while inflater.waiting:
        assert inflater.take() == b""
        assert before - len(inflater.unread) <= DEFLATE_INPUT
        before = len(inflater.unread)


def test_a_step_ends_behind_a_flush_wherever_it_was_cut() -> None:
    client = zlib.compressobj(6, zlib.DEFLATED, -15)
    first = client.compress(b"one\r\n") + client.flush(zlib.Z_SYNC_FLUSH)
    second = client.compress(b"two\r\n") + client.flush(zlib.Z_SYNC_FLUSH)
    for at in range(len(first) + 1):
        inflater = Inflater()
        heard = b""
        for piece in (first[:at], first[at:] + second + b"clear text"):
            inflater.feed(piece)
            while inflater.waiting and not (heard == b"one\r\n" and inflater.between_blocks):
                heard += inflater.take()
        assert heard == b"one\r\n"
        assert inflater.unread == second + b"clear text"
        assert inflater.take() == b"two\r\n"
        assert inflater.unread == b"clear text"


@pytest.mark.parametrize(
    "raw", [b"\xff\xff\xff\xff", b"a NOOP\r\n", b"\x1f\x8b\x08\x00", zlib.compress(b"a NOOP\r\n")]
)
def test_what_is_no_deflated_stream(raw: bytes) -> None:
    inflater = Inflater()
    inflater.feed(raw)
    with pytest.raises(NotDeflated):
        everything(inflater)


def test_octets_behind_the_end_of_the_stream() -> None:
    inflater = Inflater()
    client = zlib.compressobj(6, zlib.DEFLATED, -15)
    inflater.feed(client.compress(b"a LOGOUT\r\n") + client.flush() + b"more")
    assert inflater.take() == b"a LOGOUT\r\n"
    assert inflater.ended
    with pytest.raises(NotDeflated):
        inflater.take()


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH])
def test_an_inflater_rests_behind_a_flush_and_is_still_asked_for_what_was_said(flush: int) -> None:
    client = zlib.compressobj(9, zlib.DEFLATED, -15)
    inflater = Inflater()
    inflater.feed(client.compress(CORPUS) + client.flush(flush))
    assert everything(inflater) == CORPUS
    inflater.rest()
    assert inflater._state is None
    again = client.compress(CORPUS[-20_000:]) + client.flush(flush)
    if flush == zlib.Z_SYNC_FLUSH:
        assert len(again) < 500  # it refers to what was said before
    inflater.feed(again)
    assert everything(inflater) == CORPUS[-20_000:]


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.data())
def test_resting_at_any_octet_changes_nothing(seed: int, data: st.DataObject) -> None:
    chance = random.Random(seed)
    client = zlib.compressobj(
        chance.choice((0, 1, 6, 9)), zlib.DEFLATED, -chance.randint(9, 15), 8, chance.choice((0, 2, 3, 4))
    )
    said, raw = b"", b""
    for _ in range(chance.randint(1, 12)):
        start = chance.randrange(len(CORPUS))
        text = CORPUS[start : start + chance.choice((1, 20, 300))]
        if chance.random() < 0.4:
            text = chance.randbytes(len(text))
        said += text
        raw += client.compress(text) + client.flush(chance.choice(FLUSHES))
    raw += client.flush(zlib.Z_SYNC_FLUSH)
    inflater, heard, at = Inflater(), b"", 0
    while at < len(raw):
        size = data.draw(st.sampled_from((1, 2, 7, 100, 1000)))
        inflater.feed(raw[at : at + size])
        at += size
        heard += everything(inflater)
        inflater.rest()
    assert heard == said
