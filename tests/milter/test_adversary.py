"""Filters that want to do harm, and messages that are written to slip past one or to break it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from posthouse.config import Junk, Milter
from posthouse.inbound import milter_passage
from tests.machine import slowness
from tests.milter.conftest import ALICE, BOB, RAW, Filtered, house_with
from tests.milter.scripted import CLOSE, GO_ON, Scripted, header, say
from tests.waiting import until

pytestmark = pytest.mark.slow


async def test_octet_by_octet(tmp_path: Path) -> None:
    script = Scripted({"E": header("h", "X-Slow", "but right") + say("b", b"new\r\n") + GO_ON})
    script.by_octets = True
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        assert (await house.arrived()).endswith(b"X-Slow: but right\r\n\r\nnew\r\n")


async def test_who_closes_with_the_last_word_has_said_it(tmp_path: Path) -> None:
    script = Scripted({"E": header("h", "X-Seen", "1") + GO_ON + CLOSE})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        assert b"X-Seen: 1" in await house.arrived()
        script.answers = {"M": say("r") + CLOSE}
        assert (await house.comes())[0][0] == 550


UNASKED = (
    ({"M": GO_ON + GO_ON}, 0, "twice"),
    ({"C": GO_ON + say("a")}, 0, "the second word is another"),
    ({}, 0x80, "header fields that it said it would not answer"),
    ({"E": GO_ON + say("r")}, 0, "after its last word"),
    ({"E": GO_ON + header("h", "X-Late", "x")}, 0, "a change after its last word"),
    ({"M": say("s")}, 0, "enough of a body, long before there is one"),
    ({"L": say("s")}, 0, "the same at a header field"),
    ({"N": say("s")}, 0, "and at the end of the header"),
)


@pytest.mark.parametrize(("when_away", "code"), [("defer", 451), ("accept", 250)])
async def test_who_speaks_unasked_is_not_understood(tmp_path: Path, when_away: str, code: int) -> None:
    """Its answers would be taken for those to other questions, a refusal for none."""
    script = Scripted()
    async with script.serving() as place:
        milter = Milter(socket=place, name="odd", when_away=when_away, timeout=2)  # type: ignore[arg-type]
        async with house_with(tmp_path, milter) as house:
            fine = script.negotiation
            for answers, steps, why in UNASKED:
                script.answers = dict(answers)
                script.negotiation = Scripted(steps=steps).negotiation
                assert (await house.comes())[0][0] == code, why
            script.answers, script.negotiation = {}, fine
            assert (await house.comes())[0][0] == 250
            assert not any(b"X-Late" in one for one in await house.messages())
            told = [detail for _, detail in await house.story() if "cannot be understood" in detail]
            assert len(told) >= len(UNASKED)


BROKEN_HEADERS = (
    header("h", "From", "Boss <boss@bank.test>") + GO_ON,
    header("i", "Sender", "a@b.test", 1) + header("i", "sender", "a@b.test", 1) + GO_ON,
    header("h", "X", "1" * 100_000) * 2 + header("h", "X", "1" * 70_000) + GO_ON,
    header("h", "X-\u00fc", "x") + GO_ON,
    header("h", "X Y", "x") + GO_ON,
    header("h", "", "x") + GO_ON,
    say("h", b"X\0a\0b\0") + GO_ON,
    say("m", b"\0\0") + GO_ON,
)


@pytest.mark.parametrize(("when_away", "code"), [("defer", 451), ("accept", 250)])
async def test_a_header_that_would_be_refused_at_the_door(tmp_path: Path, when_away: str, code: int) -> None:
    script = Scripted()
    async with script.serving() as place:
        milter = Milter(socket=place, when_away=when_away)  # type: ignore[arg-type]
        async with house_with(tmp_path, milter) as house:
            for answer in BROKEN_HEADERS:
                script.answers = {"E": header("h", "X-Half", "done") + answer}
                assert (await house.comes())[0][0] == code, answer[:60]
            came = await house.messages()
    assert len(came) == (len(BROKEN_HEADERS) if code == 250 else 0)
    assert all(one.endswith(RAW) for one in came), "all of it or nothing"


async def test_a_value_begins_no_field_and_no_body(tmp_path: Path) -> None:
    values = (
        "\n\nbody",
        "\r\n\r\nFrom: x@y.test\r\n\r\nbody",
        "a\rFrom: x@y.test",
        "\n.\n",
        "\r\n\t\r\n\r\nX: y",
    )
    changes = b"".join(header("h", f"X-{number}", value) for number, value in enumerate(values))
    changes += header("m", "Subject", "one\n\nSubject: two", 1) + header("i", "X-9", "\nTo: z", 0)
    script = Scripted({"E": changes + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
        head, _, body = (await house.arrived()).partition(b"\r\n\r\n")
    assert body == b"The text.\r\n"
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert [names.count(name) for name in (b"From", b"To", b"Subject", b"X")] == [1, 1, 1, 0]


async def test_addresses_that_would_break_a_line(tmp_path: Path) -> None:
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        for address in (
            b"<a@b.test>\r\nX: y",
            b'<"a\r\nX: y"@b.test>',
            b"<a@b.test> SIZE=1",
            b"<\xff\xfe@b.test>\r",
        ):
            for letter in "+e":
                script.answers = {"E": say(letter, address + b"\0") + GO_ON}
                assert (await house.comes())[0][0] == 451, (letter, address)


async def test_who_changes_the_author_has_no_proof_for_the_new_one(tmp_path: Path) -> None:
    script = Scripted({"E": header("m", "From", "Boss <boss@bank.test>", 1) + GO_ON})
    async with (
        script.serving() as place,
        house_with(tmp_path, Milter(socket=place), junk=Junk()) as house,
    ):
        assert (await house.comes())[0][0] == 250
        raw = await house.arrived()
    assert b"From: Boss <boss@bank.test>" in raw
    assert b"Authentication-Results" not in raw, "what was found was of another"
    assert b"not-aligned" in raw


async def test_words_of_a_refusal_are_short_and_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milter_passage, "MILTER_WORDS", 100)
    said = (
        "550-5.7.1 \x1b[31mred\x07\u202e \u00fc\r\n" + "550-5.7.1 again\r\n" * 50 + "550 5.7.1 " + "x" * 9_000
    )
    script = Scripted({"E": say("y", said.encode() + b"\0")})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        ((code, text),) = await house.comes()
        assert (code, text[:11]) == (550, "5.7.1 ?[31m") and text.isascii() and len(text) < 300
        details = [detail for kind, detail in await house.story() if kind == "refused"]
        assert details and all(one.isprintable() and len(one) < 300 for one in details)
        script.answers = {"R": say("y", said.encode() + b"\0")}
        assert (await house.comes(RAW, ALICE, BOB))[0][0] == 550
        script.answers = {"E": say("y", "550 5.\u0667.1 digits of others\0".encode())}
        ((code, text),) = await house.comes()
        assert (code, text[:6]) == (550, "5.7.1 ") and "\\u" not in text[:6]


# --- the message's side ---------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 0x100000])
async def test_a_long_field_is_shown_as_far_as_filters_take_it(tmp_path: Path, steps: int) -> None:
    """libmilter breaks off at more than 65,535 octets: with "accept" a long field would lead past every filter."""
    raw = b"X-Long: " + b"\r\n ".join([b"x" * 70] * 2_000) + b"\r\n" + b"X" * 66_000 + b": y\r\n" + RAW
    script = Scripted(steps=steps)
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        assert (await house.arrived()).endswith(raw)
    shown = script.told("L")
    assert len(shown[0]) == 65_535 and shown[0].endswith(b"x\0") and shown[0].count(b"\0") == 2
    assert len(shown) == 8 and max(map(len, shown)) == 65_535


async def test_a_field_without_octets_a_name_of_eight_bits_and_a_line_that_is_none(tmp_path: Path) -> None:
    raw = b"Empty:\r\nX-\xc3\xbc: y\r\nNo field at all\r\nTab\t: z\r\nHigh: \xff\xfe\r\n" + RAW
    script = Scripted({"E": header("h", "X-Seen", "1") + GO_ON})
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes(raw))[0][0] == 250
        raw_seen = raw.replace(b"\ttwo\r\n", b"\ttwo\r\nX-Seen: 1\r\n")
        assert (await house.arrived()).endswith(raw_seen)
    assert b"High\0\xff\xfe\0" in script.told("L") and b"Empty\0\0" in script.told("L")


# --- what it costs --------------------------------------------------------------------------------------


def sockets() -> int:
    """How many this process has."""
    found = 0
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the one that reads the folder
            found += os.readlink(entry.path).startswith("socket:")
    return found


async def test_who_takes_nothing_keeps_no_connection_of_ours(tmp_path: Path) -> None:
    """Octets that a filter never reads are not kept for it."""
    ends: list[asyncio.StreamWriter] = []

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(17)
        ends.append(writer)
        writer.write(Scripted(steps=0xFF080).negotiation)
        writer.transport.pause_reading()  # type: ignore[attr-defined]

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    place = f"inet:127.0.0.1:{server.sockets[0].getsockname()[1]}"
    raw = RAW + b"a line of text\r\n" * 1_000_000
    async with house_with(tmp_path, Milter(socket=place, timeout=0.5)) as house:
        await refused(house, raw)
        before = sockets()
        for _ in range(3):
            await refused(house, raw)
        await until(lambda: sockets() - before <= 3)  # the filter's own ends, none of ours
    for end in ends:
        end.transport.abort()
    server.close()


FLOODS = ((say("p") * 50_000, 1), (say("b") * 50_000, 1), (say("b", b"x") * 50_000, 1), (b"", 9_900))


@pytest.mark.parametrize(("flood", "fields"), FLOODS)
async def test_a_flood_of_words_leaves_others_their_turn(tmp_path: Path, flood: bytes, fields: int) -> None:
    """Words of the filter's, and header fields to one that answers none."""
    script = Scripted(steps=0x80, silent="L")
    longest = 0.0

    async def others() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - began)

    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        await house.comes()
        script.answers = {"E": flood + GO_ON}
        turns = asyncio.create_task(others())
        assert (await house.comes(b"X: y\r\n" * fields + RAW))[0][0] == 250
        turns.cancel()
    assert longest < 0.1 * slowness(), "seconds of work in one piece"


async def refused(house: Filtered, raw: bytes) -> None:
    assert (await house.comes(raw))[0][0] == 451


async def test_bodies_of_what_is_refused_are_not_kept(tmp_path: Path) -> None:
    """Each filter gives a large body; then one refuses, dies or asks for what cannot be done."""
    body = b"".join(say("b", b"x" * 65_000) for _ in range(30))
    first, second = Scripted({"E": body + GO_ON}), Scripted()
    async with first.serving() as one, second.serving() as two:
        async with house_with(tmp_path, Milter(socket=one), Milter(socket=two)) as house:
            assert (await house.comes())[0][0] == 250
            await asyncio.sleep(0.1)
            kept = files(tmp_path)
            assert max(path.stat().st_size for path in kept) > 1_900_000
            for answer in (
                say("r"),
                body + say("t"),
                body + say("?"),
                body + header("h", "From", "x@y.test") + GO_ON,
            ):
                second.answers = {"E": answer}
                assert (await house.comes())[0][0] in (550, 451)
                await asyncio.sleep(0.1)
                assert files(tmp_path) == kept, answer[-20:]


def files(folder: Path) -> set[Path]:
    """All segments of the store."""
    return {path for path in folder.rglob("*") if path.suffix == ".seg"}
