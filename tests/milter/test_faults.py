"""Filters that are away, die, drip or talk nonsense: mail waits or goes by without them, as the configuration says."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path

import pytest

from posthouse.config import Milter
from posthouse.inbound import milter_passage, milter_talk, milters
from posthouse.milter import packets
from tests.milter.conftest import ALICE, BOB, RAW, house_with
from tests.milter.scripted import CLOSE, GO_ON, HANG, Scripted, header, say

pytestmark = pytest.mark.slow

NONSENSE = (
    CLOSE,
    say("?"),
    say("h", b"X-Early\0before its time\0") + GO_ON,
    say("y", b"250 2.0.0 fine\0"),
    say("y", b"no reply\0"),
    say("y", b"550 without its end"),
    struct.pack(">I", 0),
    struct.pack(">I", 2**31) + b"c",
)
AT_THE_END = (
    CLOSE,
    header("h", "X-Half", "done") + CLOSE,
    say("s"),
    say("h", b"no value\0"),
    say("h", b"no name: \0value\0"),
    say("i", b"\0\0"),
    say("+", b"<nobody at all>\0") + GO_ON,
    say("e", b"<a b>\0") + GO_ON,
    header("h", "X-Half", "done") + say("+", b"<>\0") + GO_ON,
    say("y", b"250 2.0.0 fine\0"),
    say("c")[:-1],
)
NEGOTIATIONS = (
    say("c"),
    say("O", b"short"),
    say("O", struct.pack(">III", 7, 0, 0)),
    say("O", struct.pack(">III", 1, 0, 0)),
    say("O", struct.pack(">III", 6, 0x10000, 0)),
    say("O", struct.pack(">III", 6, 0, 0x800)),
    say("O", struct.pack(">IIII", 6, 0, 0, 99) + b"j\0"),
)


@pytest.mark.parametrize(("when_away", "code"), [("defer", 451), ("accept", 250)])
async def test_who_talks_nonsense_is_away(tmp_path: Path, when_away: str, code: int) -> None:
    script = Scripted()
    async with script.serving() as place:
        milter = Milter(socket=place, when_away=when_away, timeout=0.5)  # type: ignore[arg-type]
        async with house_with(tmp_path, milter) as house:
            cases = [(stage, answer) for stage in "CRLB" for answer in NONSENSE]
            cases += [("E", answer) for answer in AT_THE_END]
            for stage, answer in cases:
                script.answers = {stage: answer}
                assert (await house.comes())[0][0] == code, (stage, answer)
            script.answers = {}
            fine = script.negotiation
            for script.negotiation in NEGOTIATIONS:
                assert (await house.comes())[0][0] == code, script.negotiation
            script.negotiation = fine
            came = await house.messages()
            assert len(came) == (0 if code == 451 else len(cases) + len(NEGOTIATIONS))
            assert not any(b"X-Half" in one or b"X-Early" in one for one in came), "all of it or nothing"
            assert (await house.comes())[0][0] == 250, "it has come to its senses"


async def test_nobody_there(tmp_path: Path) -> None:
    away = (Milter(socket="inet:127.0.0.1:9"), Milter(socket=f"unix:{tmp_path}/none"))
    for number, milter in enumerate(away):
        async with house_with(tmp_path / str(number), milter) as house:
            ((code, text),) = await house.comes()
            assert (code, text[:5]) == (451, "4.7.1")
            assert any("cannot be reached" in detail for _, detail in await house.story())


async def test_what_it_refused_before_it_died_is_refused(tmp_path: Path) -> None:
    script = Scripted({"R": [say("r"), GO_ON], "T": CLOSE})
    async with script.serving() as place:
        async with house_with(tmp_path, Milter(socket=place, when_away="accept")) as house:
            assert (await house.comes(RAW, ALICE, BOB))[0][0] == 250
            assert not await house.messages() and await house.messages(of=BOB)
            script.answers = {"R": say("r")}
            assert (await house.comes())[0][0] == 550


async def test_silence_has_an_end_and_progress_begins_it_anew(tmp_path: Path) -> None:
    script = Scripted({"E": HANG})
    async with script.serving() as place:
        async with house_with(tmp_path, Milter(socket=place, timeout=0.3)) as house:
            assert (await house.comes())[0][0] == 451
            script.answers = {"E": [say("p") * 5 + GO_ON]}
            assert (await house.comes())[0][0] == 250


async def test_still_at_work_cannot_last_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milters, "MILTERS_TOTAL", 0.5)
    script = Scripted({"E": HANG})
    script.before_hanging = say("p")
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        async with asyncio.timeout(20):
            assert (await house.comes())[0][0] == 451
        assert any("together took more than" in detail for _, detail in await house.story())


async def test_bounds_of_what_it_may_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milter_talk, "MILTER_CHANGES", 3)
    monkeypatch.setattr(milter_talk, "MESSAGE_HEADER", 200)
    monkeypatch.setattr(packets, "MILTER_PACKET", 500)
    monkeypatch.setattr(milter_passage, "SMTP_RECIPIENTS", 1)
    monkeypatch.setattr(milter_passage, "MILTER_WORDS", 40)
    few = header("h", "X", "1") * 3
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        cases = (
            (few + GO_ON, 250),
            (few + header("h", "X", "1") + GO_ON, 451),
            (header("h", "X", "1" * 150) + GO_ON, 250),
            (header("h", "X", "1" * 150) * 2 + GO_ON, 451),
            (say("b", b"x" * 499) + GO_ON, 250),
            (say("b", b"x" * 500) + GO_ON, 451),
            (say("+", b"<bob@example.test>\0") + GO_ON, 250),
            (say("+", b"<bob@example.test>\0") * 2 + say("+", b"<admin@example.test>\0") + GO_ON, 451),
            (say("q", b"why " * 20 + b"\0") + GO_ON, 250),
        )
        for answer, code in cases:
            script.answers = {"E": answer}
            assert (await house.comes())[0][0] == code, answer
        told = [detail for kind, detail in await house.story() if kind == "milter"]
        assert max(len(detail) for detail in told) < 100


async def test_a_body_is_no_longer_than_messages_may_be(tmp_path: Path) -> None:
    from posthouse.config import Limits

    script = Scripted({"E": say("b", b"x" * 50_000) * 3 + GO_ON})
    async with script.serving() as place:
        async with house_with(tmp_path, Milter(socket=place), limits=Limits(message_size=100_000)) as house:
            assert (await house.comes())[0][0] == 451
            script.answers = {"E": say("b", b"x" * 50_000) + GO_ON}
            assert (await house.comes())[0][0] == 250


async def test_a_filter_has_so_many_connections_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(milters, "MILTER_AT_ONCE", 2)
    script = Scripted()
    script.delay = 0.2
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        replies = await asyncio.gather(*(house.comes() for _ in range(5)))
        assert {one[0][0] for one in replies} == {250}
    assert (script.connections, script.most_open) == (5, 2)


async def test_a_filter_that_takes_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(milter_talk, "MILTER_CONNECT", 0.2)

    async def never(*_: object) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(asyncio, "open_connection", never)
    async with house_with(tmp_path, Milter(socket="inet:127.0.0.1:9")) as house:
        assert (await house.comes())[0][0] == 451


async def test_a_chunk_is_as_long_as_filters_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from posthouse.inbound import milter_text

    monkeypatch.setattr(milter_text, "MILTER_CHUNK", 4)
    script = Scripted()
    async with script.serving() as place, house_with(tmp_path, Milter(socket=place)) as house:
        assert (await house.comes())[0][0] == 250
    assert script.told("B") == [b"The ", b"text", b".\r\n"]


async def test_a_reload_takes_up_other_filters(tmp_path: Path) -> None:
    import msgspec

    script = Scripted({"E": say("r")})
    async with script.serving() as place, house_with(tmp_path) as house:
        app = house.house.app
        assert (await house.comes())[0][0] == 250
        await app.reload(msgspec.structs.replace(app.config, milter=(Milter(socket=place),)))
        assert (await house.comes())[0][0] == 550
        await app.reload(msgspec.structs.replace(app.config, milter=()))
        assert (await house.comes())[0][0] == 250
