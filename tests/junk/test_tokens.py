"""What the filter sees of a message: links that mislead, names of files, words of writing without spaces."""

from __future__ import annotations

import base64
import mailbox
from pathlib import Path

import msgspec
import pytest

from posthouse.junk.block_lists import BlockLists
from posthouse.junk.classifier import READY, Model
from posthouse.junk.desk import messages_of
from posthouse.junk.letter import Letter
from posthouse.junk.markup import misleading_links
from posthouse.junk.survey import Surveyor
from posthouse.junk.tokens import Tokens, read_tokens
from posthouse.msgauth.dmarc import check_dmarc
from posthouse.msgauth.results import Authentication, Result, Spf
from tests.fakes.resolver import FakeResolver


def tokens_in(raw: bytes) -> Tokens:
    letter = Letter.of(raw)
    return read_tokens(raw, letter.headers, letter.authors)


@pytest.mark.parametrize(
    ("source", "misleads"),
    [
        ("<a href=https://evil.example/>www.bank.example</a>", "www.bank.example > evil.example"),
        ("<a href='https://bank.example@evil.test/'>bank.example</a>", "bank.example > evil.test"),
        (
            "<a href=https://evil.example/><font color=blue><b>https://bank.example</b>",
            "bank.example > evil.example",
        ),
        ("<a href=https://evil.co.jp/>bank.co.jp</a>", "bank.co.jp > evil.co.jp"),
        ("<a href=https://evil.ne.jp/>bank.ne.jp</a>", "bank.ne.jp > evil.ne.jp"),
        ("<a href=https://www.bank.co.jp/>bank.co.jp</a>", ""),
        ("<a href=https://login.bank.example/>bank.example</a>", ""),
        ("<a href=https://files.example/x>invoice.2026.pdf</a>", ""),
        ("<a href=https://files.example/x>1.read more</a>", ""),
        ("<a href=https://files.example/x>1.点击查看</a>", ""),
        ("<a href=https://list.example/x>max.muster@bank.example</a>", ""),
        ("<a href=https://pictures.example/><img src=x></a> bank.example", ""),
    ],
)
def test_links_that_show_one_host_and_lead_to_another(source: str, misleads: str) -> None:
    assert list(misleading_links(source)) == ([misleads] if misleads else [])


def html(source: str) -> bytes:
    return b"Content-Type: text/html\r\n\r\n" + source.encode()


def test_a_link_in_numbers_is_a_link() -> None:
    found = tokens_in(
        html("<a href='&#104;ttps&#x3A;//evil&#46;far.test/&#x1f600;'>bank&#46;near.test</a> &#60;b&#62;")
    )
    assert list(found.links) == ["evil.far.test"]
    assert list(found.misleading) == ["bank.near.test > evil.far.test"]
    assert "t:b:1" not in found.names, "what is no letter stays a number"


PROGRAM = base64.b64encode(b"MZ" * 40).decode()


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: application/octet-stream; name=a.exe",
        'Content-Type: application/octet-stream; name="=?utf-8?B?YS5leGU=?="',
        'Content-Type: application/octet-stream; name="a.exe. "',
        "Content-Type: text/plain; name=a.exe",
        "Content-Type: text/plain\r\nContent-Disposition: attachment; filename=a.exe",
        "Content-Disposition: attachment; filename=a.exe",
    ],
)
async def test_a_program_is_known_by_its_name_however_it_is_written(head: str) -> None:
    raw = f"From: a@far.test\r\n{head}\r\nContent-Transfer-Encoding: base64\r\n\r\n{PROGRAM}\r\n".encode()
    survey = await Surveyor(BlockLists([], FakeResolver())).look(Letter.of(raw))
    assert [one.evidence for one in survey.checks if one.check == "program"] == [
        "a program is attached (.exe)"
    ]


POLICIES = """
_dmarc.none.test. TXT "v=DMARC1; p=none"
_dmarc.trying.test. TXT "v=DMARC1; p=quarantine; t=y"
_dmarc.asks.test. TXT "v=DMARC1; p=quarantine"
"""


@pytest.mark.parametrize(
    ("author", "found"),
    [("plain.test", 0.5), ("none.test", 0.5), ("trying.test", 0.5), ("asks.test", 2.0)],
)
async def test_a_policy_that_asks_for_nothing_weighs_nothing(author: str, found: float) -> None:
    """RFC 9989 §5.4: p=none changes nothing; what is not proved is judged as without a record."""
    spf = Spf(result=Result.NONE)
    judged = await check_dmarc(author, spf, (), FakeResolver(POLICIES))
    letter = msgspec.structs.replace(
        Letter.of(f"From: x@{author}\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n".encode()),
        authentication=Authentication(spf=spf, dmarc=(judged.result,)),
    )
    survey = await Surveyor(BlockLists([], FakeResolver())).look(letter)
    assert sum(one.weight for one in survey.checks) == found, survey.checks


THAI_JUNK = "ขอแสดงความยินดีคุณได้รับรางวัลใหญ่กรุณาคลิกที่นี่เพื่อรับเงินรางวัลทันทีด่วนวันนี้เท่านั้น"
THAI_GOOD = "ขอเชิญประชุมคณะกรรมการหมู่บ้านในวันเสาร์ที่ศาลากลางโปรดเตรียมเอกสารรายงานประจำปีมาด้วย"


def thai(text: str, number: int = 0) -> tuple[str, ...]:
    raw = f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text} {number}".encode()
    return tokens_in(raw).names


def test_writing_without_spaces_has_words_too() -> None:
    """A sentence of Thai is longer than any word, and is none."""
    model = Model()
    for number in range(READY):
        model.learn(thai(THAI_JUNK, number), junk=True)
        model.learn(thai(THAI_GOOD, number), junk=False)
    assert model.score(thai("คุณได้รับรางวัลใหญ่เพื่อรับเงินรางวัลทันทีกรุณาคลิกที่นี่วันนี้เท่านั้น")).junk > 0.9
    assert model.score(thai("โปรดเตรียมเอกสารประชุมคณะกรรมการหมู่บ้านวันเสาร์ที่ศาลากลางรายงานประจำปี")).junk < 0.1


def test_an_mbox_is_read_octet_by_octet(tmp_path: Path) -> None:
    """What Python makes of a broken message is not what comes by mail."""
    messages = [
        b"Subject: one\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nnever closed\n",
        b"Subject: =?utf-8?q?t=77o?=\nContent-Type: text/plain;\n  charset=\xff\n\n\xe4\xff\n",
    ]
    box = mailbox.mbox(tmp_path / "box")
    for raw in messages:
        box.add(raw)
    box.close()
    assert list(messages_of((tmp_path / "box").read_bytes())) == messages


@pytest.mark.parametrize("padding", ["<!-- {} -->", "<style>{}</style>", "<SCRIPT type=x>{}</SCRIPT>"])
def test_what_no_reader_meets_takes_no_room(padding: str) -> None:
    shown = "<p>Cheap watches: <a href=https://shop.far.test>look</a>"
    found = tokens_in(html("<html>" + padding.format("harmless " * 6000) + shown))
    assert {"watches", "u:shop.far.test"} <= set(found.names)
    assert "harmless" not in found.names


@pytest.mark.parametrize(
    ("plain", "shown", "wanted"),
    [
        (
            " ".join(f"{number:03x}" for number in range(1000)),
            " ".join(f"word{number}" for number in range(300)),
            {"word0", "word299", "000"},
        ),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 3000))), "中奖发票优惠", {"中奖", "优惠", "一丁"}),
    ],
)
def test_a_text_takes_no_room_from_the_other(plain: str, shown: str, wanted: set[str]) -> None:
    """The plain text that nobody sees beside the HTML may have more words than are taken."""
    head = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8"
    part = html(f"<p>{shown}").replace(b"html", b"html; charset=utf-8", 1)
    found = tokens_in(head + b"\r\n\r\n" + plain.encode() + b"\r\n--b\r\n" + part + b"\r\n--b--\r\n")
    assert wanted <= set(found.names)


@pytest.mark.parametrize("word", ["ｍｏｎｅｙ", "mo\u200bney", "𝗺𝗼𝗻𝗲𝘆", "mo\u00adney", "MONEY"])
def test_a_word_in_other_letters_is_the_same_word(word: str) -> None:
    assert "money" in tokens_in(f"Subject: x\r\n\r\nfree {word} now\r\n".encode()).names


def test_the_subject_is_the_one_that_is_shown() -> None:
    names = tokens_in(b"Subject: harmless\r\nSubject: watches\r\n\r\nx\r\n").names
    assert ("s:watches" in names, "s:harmless" in names) == (True, False)


@pytest.mark.parametrize(
    ("proved", "found"),
    [
        (True, {"f:boss@bank.test", "f:@bank.test"}),
        (False, {"f:unproved:boss@bank.test", "f:unproved:@bank.test"}),
        (None, set()),
    ],
)
def test_an_author_that_is_not_proved_is_another_one(proved: bool | None, found: set[str]) -> None:
    letter = Letter.of(b"From: The Boss <Boss@Bank.test>\r\nSubject: x\r\n\r\ntext\r\n")
    names = read_tokens(letter.content.head, letter.headers, letter.authors, proved).names
    assert {name for name in names if "bank.test" in name} == found
    assert {"f:the", "f:boss"} <= set(names)
