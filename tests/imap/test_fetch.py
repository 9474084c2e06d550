"""FETCH beyond the conversations: large messages, batches, faults in the middle, what is read and when."""

from __future__ import annotations

import base64
import re

import pytest

from posthouse import limits
from posthouse.errors import LocalProtocolError, NotFound
from posthouse.imap.fetch_args import parse_fetch
from posthouse.imap.fetch_plan import make_plan
from posthouse.imap.grammar import Reader
from posthouse.imap.rows import DateTexts, FlagTexts
from posthouse.ranges import Ranges
from posthouse.store.interface import Expunge, SetFlags
from tests.fakes.memory_store import ACCOUNT, MemoryStore
from tests.imap.talk import Talk

HEADER = b"From: a@north.test\r\nSubject: large\r\nMIME-Version: 1.0\r\n"
SMALL = HEADER + b"\r\nshort\r\n"


def large(octets: int = limits.IMAP_WHOLE * 3) -> bytes:
    """A message of two parts, the second one base64 of NULs and letters."""
    body = base64.encodebytes(bytes(range(256)) * (octets // 340)).replace(b"\n", b"\r\n")
    return (
        HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n"
        b"--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + body + b"--b\r\nContent-Transfer-Encoding: x-odd\r\n\r\nwho knows\r\n--b--\r\n"
    )  # fmt: skip


def literals(answer: bytes) -> list[bytes]:
    """The literals of an answer, by their announced lengths."""
    found, position = [], 0
    while (match := re.compile(rb"\{(\d+)\}\r\n").search(answer, position)) is not None:
        position = match.end() + int(match.group(1))
        found.append(answer[match.end() : position])
    return found


async def selected(*raws: bytes) -> tuple[MemoryStore, Talk]:
    store = MemoryStore()
    for raw in raws:
        store.add("INBOX", raw)
    talk = Talk(store)
    await talk("SELECT INBOX")
    return store, talk


SECTIONS = (
    "BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[2] BODY.PEEK[2.MIME] BODY.PEEK[4] "
    "BODY.PEEK[HEADER.FIELDS (subject)] BODY.PEEK[HEADER.FIELDS.NOT (subject)] BODY.PEEK[]<10.300000> "
    "BODY.PEEK[2]<262140.20> BINARY.PEEK[2] BINARY.PEEK[2]<100.70000> BINARY.SIZE[2] BINARY.SIZE[4] BINARY.PEEK[4] "
    "UID FLAGS RFC822.SIZE ENVELOPE"
)


async def test_a_message_that_streams_is_answered_as_one_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, talk = await selected(large())
    streamed = await talk.raw(f"FETCH 1 ({SECTIONS})")
    monkeypatch.setattr(limits, "IMAP_WHOLE", 2**30)
    assert await talk.raw(f"FETCH 1 ({SECTIONS})") == streamed.replace(b"t2 ", b"t3 ")
    raw = large()
    assert literals(streamed)[0] == raw
    assert literals(streamed)[2] == raw[raw.index(b"\r\n\r\n") + 4 :]


async def test_a_large_message_is_never_read_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    store, talk = await selected(large())
    pieces: list[int] = []
    read = store.read

    async def noted(*args: object) -> bytes:
        octets = await read(*args)  # type: ignore[arg-type]
        pieces.append(len(octets))
        return octets

    async def never(*args: object) -> list[bytes | None]:
        raise AssertionError("read as a whole")

    monkeypatch.setattr(store, "read", noted)
    monkeypatch.setattr(store, "messages", never)
    await talk.raw("FETCH 1 BODY.PEEK[]")
    assert len(pieces) > 2
    assert max(pieces) <= limits.IMAP_WHOLE


async def test_a_keyword_that_comes_into_use_while_a_message_is_read_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, talk = await selected(SMALL)
    index = store.index_of("INBOX")
    messages = store.messages

    async def interrupted(*args: object) -> list[bytes | None]:
        await store.apply(
            SetFlags(
                account_id=ACCOUNT, mailbox_id=index.mailbox_id, uids=Ranges(((1, 1),)),
                action="add", flags=frozenset({"$Later"}),
            )
        )  # fmt: skip
        return await messages(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "messages", interrupted)
    answer = await talk.raw("FETCH 1 (BODY[])")
    assert b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Later)\r\n" in answer
    assert b"FLAGS (\\Seen $Later)" in answer


async def test_of_a_message_only_the_header_is_read_when_only_it_is_asked_for() -> None:
    store, talk = await selected(large())
    answer = await talk.raw("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")
    assert literals(answer) == [b"Subject: large\r\n\r\n"]
    assert store.reads < 1000


@pytest.mark.parametrize("fault", [NotFound("gone"), RuntimeError("broken on purpose")])
async def test_a_message_that_breaks_off_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """The literal has been announced: nothing true could be said any more."""
    store, talk = await selected(large())
    read = store.read

    async def broken(stored: object, offset: int, length: int) -> bytes:
        if offset:
            raise fault
        return await read(stored, offset, length)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "read", broken)
    with pytest.raises(LocalProtocolError):
        await talk.raw("FETCH 1 BODY.PEEK[]")


async def test_what_cannot_be_decoded_is_refused_before_anything_is_said() -> None:
    _, talk = await selected(large(), SMALL)
    assert await talk("FETCH 1 BINARY.PEEK[3]") == [
        "NO [UNKNOWN-CTE] The content transfer encoding is unknown"
    ]
    assert (await talk("FETCH 1 BINARY.PEEK[]<0.1>"))[-1] == "OK FETCH completed"


async def test_binary_is_for_leaves() -> None:
    inner = HEADER + b"Content-Type: message/rfc822\r\n\r\n" + SMALL
    _, talk = await selected(inner)
    assert (await talk("FETCH 1 BINARY.PEEK[1]"))[-1].startswith("NO [CANNOT]")


async def test_large_and_small_messages_mix_in_order() -> None:
    raws = [SMALL, large(), SMALL, large(limits.IMAP_WHOLE * 2), SMALL]
    _, talk = await selected(*raws)
    answer = await talk.raw("FETCH 1:* (UID BODY.PEEK[])")
    assert literals(answer) == raws
    assert re.findall(rb"^\* (\d) FETCH \(UID \1 ", answer, re.MULTILINE) == [b"1", b"2", b"3", b"4", b"5"]


async def test_batches_hold_a_bounded_number_of_octets(monkeypatch: pytest.MonkeyPatch) -> None:
    store, talk = await selected(*[HEADER + b"\r\n" + b"x" * 900 + b"\r\n"] * 50)
    monkeypatch.setattr(limits, "IMAP_FETCH_BYTES", 10_000)
    sums: list[int] = []
    messages = store.messages

    async def noted(*args: object) -> list[bytes | None]:
        raws = await messages(*args)  # type: ignore[arg-type]
        sums.append(sum(len(raw or b"") for raw in raws))
        return raws

    monkeypatch.setattr(store, "messages", noted)
    assert len(literals(await talk.raw("FETCH 1:* BODY.PEEK[]"))) == 50
    assert len(sums) > 4
    assert max(sums) <= 10_000


async def test_seen_is_one_commit_and_told_behind_the_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    store, talk = await selected(SMALL, SMALL, SMALL)
    await talk("STORE 2 +FLAGS.SILENT (\\Seen)")
    monkeypatch.setattr(limits, "IMAP_FETCH_BYTES", len(SMALL))
    before = store.index_of("INBOX").highest_modseq
    text = (await talk.raw("FETCH 1:3 BODY[TEXT]")).decode()
    assert text.endswith(
        "* 1 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (FLAGS (\\Seen))\r\nt3 OK FETCH completed\r\n"
    )
    assert store.index_of("INBOX").highest_modseq > before
    assert all(bits & 1 for bits in store.index_of("INBOX").flags)
    assert await talk("NOOP") == ["OK NOOP completed"]


async def test_a_full_disk_keeps_nobody_from_reading() -> None:
    store, talk = await selected(SMALL)
    store.full = True
    answer = await talk.raw("FETCH 1 (FLAGS BODY[TEXT])")
    assert literals(answer) == [b"short\r\n"]
    assert b"FLAGS ()" in answer
    assert b"t2 OK" in answer


async def test_a_message_that_vanishes_while_it_is_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    store, talk = await selected(SMALL, SMALL, SMALL)
    index = store.index_of("INBOX")
    messages = store.messages

    async def late(account_id: int, ids: object) -> list[bytes | None]:
        email_id = index.email_ids[1]
        await store.apply(
            Expunge(account_id=ACCOUNT, mailbox_id=1, uids=type(index.uid_set())(((2, 2),)), force=True)
        )
        store._emails.pop(email_id)
        monkeypatch.setattr(store, "messages", messages)
        return await messages(account_id, ids)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "messages", late)
    text = (await talk.raw("FETCH 1:3 BODY.PEEK[TEXT]")).decode()
    assert re.findall(r"^\* (\d) FETCH", text, re.MULTILINE) == ["1", "3"]
    assert "NO [EXPUNGEISSUED]" in text
    assert await talk("NOOP") == ["* 2 EXPUNGE", "OK NOOP completed"]


async def test_a_template_does_not_take_a_field_name_for_its_own() -> None:
    _, talk = await selected(SMALL)
    answer = await talk.raw('FETCH 1 BODY.PEEK[HEADER.FIELDS ("100%d" "%b")]')
    assert answer.startswith(b'* 1 FETCH (BODY[HEADER.FIELDS ("100%d" "%b")] {2}\r\n\r\n)')


def test_a_plan_asks_for_no_more_than_its_items_need() -> None:
    def needs(items: str) -> object:
        return make_plan(parse_fetch(Reader(f" 1 ({items})".encode()), False).items).needs

    flags = needs("FLAGS UID INTERNALDATE RFC822.SIZE MODSEQ")
    assert flags.reads is False  # type: ignore[attr-defined]
    listing = needs("ENVELOPE BODYSTRUCTURE")
    assert (listing.fields, listing.raw) == (("envelope", "body_structure"), False)  # type: ignore[attr-defined]
    assert needs("BODY.PEEK[HEADER]").header_only is True  # type: ignore[attr-defined]
    assert needs("BODY.PEEK[HEADER] BODY.PEEK[1]").header_only is False  # type: ignore[attr-defined]


def test_flag_texts_learn_new_keywords_later() -> None:
    texts = FlagTexts(("$Junk",))
    assert texts[1 | 8 | 32] == b"\\Seen \\Deleted $Junk"
    assert texts[64] == b""
    assert 64 not in texts
    assert not texts.knows(64)


@pytest.mark.parametrize(
    ("posix", "text"),
    [
        (0, b'" 1-Jan-1970 00:00:00 +0000"'),
        (1_700_000_000, b'"14-Nov-2023 22:13:20 +0000"'),
        (2**32 - 1, b'" 7-Feb-2106 06:28:15 +0000"'),
    ],
)
def test_internal_dates(posix: int, text: bytes) -> None:
    assert DateTexts().date_time(posix) == text
