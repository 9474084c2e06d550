"""What local programs hand in: line ends whatever they were, and a large message keeps nobody waiting."""

from __future__ import annotations

import asyncio

import pytest

from posthouse.inbound import line_ends
from posthouse.inbound.mail import Mail
from posthouse.inbound.sendmail import Sendmail
from posthouse.limits import MB, SENDMAIL_PIECE
from posthouse.smtp.replies import Reply


class Pipeline:
    """Notes how often others had their turn before a message came."""

    turns = 0
    before = -1
    raw = b""

    async def accept(self, mail: Mail) -> list[Reply]:
        self.before = self.turns
        self.raw = b"".join(mail.content.chunks)
        return [Reply(250, "2.0.0", "Ok") for _ in mail.recipients]

    async def others(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


async def hand_in(body: bytes) -> Pipeline:
    pipeline = Pipeline()
    door = Sendmail(pipeline, domain="north.test", message_size=50 * MB)  # type: ignore[arg-type]
    others = asyncio.create_task(pipeline.others())
    await asyncio.sleep(0)
    pipeline.turns = 0
    await door.sendmail(recipients=("bob@far.test",), user="alice", body=body)
    others.cancel()
    return pipeline


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("piece", [1, 2, 3, 7, SENDMAIL_PIECE])
async def test_line_ends_become_cr_lf(monkeypatch: pytest.MonkeyPatch, end: bytes, piece: int) -> None:
    monkeypatch.setattr(line_ends, "SENDMAIL_PIECE", piece)
    lines = [b"From: a@north.test", b"Subject: x", b"", b"one", b"", b"", b"two", b""]
    assert (await hand_in(end.join(lines))).raw == b"\r\n".join(lines)


async def test_mixed_line_ends_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_ends, "SENDMAIL_PIECE", 5)
    raw = (await hand_in(b"From: a@north.test\n\nx\r\r\ny\n\r\nz\r")).raw
    assert raw == b"From: a@north.test\r\n\r\nx\r\n\r\ny\r\n\r\nz\r\n"


async def test_a_large_message_leaves_the_others_their_turns() -> None:
    pipeline = await hand_in(b"From: a@north.test\n\n" + b"x" * 70 + b"\n" * (8 * MB))
    assert pipeline.before > 10, "they go on while its line ends are made"
    assert (await hand_in(b"From: a@north.test\n\nx\n")).before == 0, "a small one needs no thread"


@pytest.mark.parametrize("line", [b"From ann@far.test Sun Sep  9 01:46:40 2001", b">From x y"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_the_envelope_line_of_an_mbox_is_no_part_of_the_message(line: bytes, end: bytes) -> None:
    lines = [b"From: a@north.test", b"Subject: x", b"", b"From here on it is text", b""]
    assert (await hand_in(end.join([line, *lines]))).raw == b"\r\n".join(lines)


@pytest.mark.parametrize("first", [b"From : a@north.test", b"From\t : a@north.test", b"from: a@north.test"])
async def test_the_field_from_stays_in_every_spelling(first: bytes) -> None:
    raw = first + b"\r\nSubject: x\r\n\r\ntext\r\n"
    assert (await hand_in(raw)).raw.endswith(raw)
