"""LANGUAGE (RFC 5255 §3), over sockets; every text that a reply may say has a translation."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.imap.languages import CHINESE, choose_language, say
from tests.imap.conftest import Client, Post
from tests.imap.shared import Neighbours, shared_club

IMAP = Path(__file__).resolve().parents[2] / "posthouse" / "imap"
SAYING = frozenset({"No", "Bad", "Goodbye", "Completion", "_bye", "_reject"})


async def said(client: Client, text: bytes) -> list[str]:
    """A command's answer, in lines without their ends."""
    return [line.decode().removesuffix("\r\n") for line in await client.command(text)]


async def test_examples_of_the_rfc(post: Post) -> None:
    client = await post.connect()
    assert (await said(client, b"LANGUAGE MUL"))[0].startswith("t NO ")
    assert await said(client, b"LANGUAGE") == ["* LANGUAGE (en zh-CN i-default)", "t OK LANGUAGE completed"]
    assert await said(client, b"LANGUAGE FR-CA EN-CA") == ["* LANGUAGE (en)", "t OK LANGUAGE completed"]
    assert await said(client, b'LANGUAGE "zh-CN"') == ["* LANGUAGE (zh-CN)", "t OK LANGUAGE 已完成"]
    assert await said(client, b"LANGUAGE FR") == ["t NO 没有支持这些语言"], "still in the language before"
    assert await said(client, b'LANGUAGE "default"') == ["* LANGUAGE (i-default)", "t OK LANGUAGE completed"]


async def test_all_that_is_said_is_said_in_it(post: Post) -> None:
    client = await post.connect()
    await client.command(b"LANGUAGE zh")
    assert (await said(client, b"LOGIN alice@example.test wrong"))[-1].endswith("用户名或密码错误")
    assert (await said(client, b"LOGIN alice@example.test wonderland"))[-1].endswith("] 登录成功")
    assert await said(client, b"SELECT Nowhere") == ["t NO [NONEXISTENT] 没有这个邮箱"]
    assert await said(client, b"FETCH 1 FLAGS") == ["t BAD 当前状态下不能使用 FETCH"]
    assert await said(client, b"SELECT (") == ["t BAD 命令有语法错误（第 9 个字节处）"]
    assert await said(client, b"NONSENSE") == ["t BAD 未知命令"]
    assert await said(client, b"LOGOUT") == ["* BYE 正在退出", "t OK LOGOUT 已完成"]


async def test_it_ends_with_the_login(post: Post) -> None:
    client = await post.login()
    await client.command(b"LANGUAGE zh-CN")
    assert (await said(client, b"UNAUTHENTICATE"))[-1].endswith("] Nobody is logged in"), "RFC 8437 §4"
    assert (await said(client, b"NOOP"))[-1] == "t OK NOOP completed"


async def test_the_prefix_of_others_is_translated(people: Neighbours) -> None:
    _, bob = await shared_club(people)
    plain = '* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL'
    assert (await bob.ok("NAMESPACE")) == [plain]
    await bob.ok("LANGUAGE zh-CN")
    translated = plain.replace('Users/" "/"', 'Users/" "/" "TRANSLATION" ("&UXZO1nUoYjc-/")')
    assert (await bob.ok("NAMESPACE")) == [translated]


async def test_a_list_of_languages_has_an_end(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAP_LANGUAGES", 2)
    client = await post.connect()
    assert (await said(client, b"LANGUAGE fr *"))[-1] == "t OK LANGUAGE completed"
    assert (await said(client, b"LANGUAGE fr de en"))[-1].startswith("t BAD Too many languages")


@pytest.mark.parametrize(
    ("ranges", "chosen"),
    [
        (["zh"], "zh-CN"),
        (["ZH-cn"], "zh-CN"),
        (["zh-CN-x-a"], "zh-CN"),
        (["zh-TW"], None),
        (["zh-TW", "en-GB"], "en"),
        (["fr", "*"], "i-default"),
        (["i-default"], "i-default"),
        (["z"], None),
        (["", "-", "en-"], "en"),
    ],
)
def test_choosing(ranges: list[str], chosen: str | None) -> None:
    assert choose_language(ranges) == chosen


def texts() -> Iterator[str]:
    """The texts in the code that go into replies as they are."""
    for path in sorted(IMAP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in SAYING:
                for value in (*node.args, *(each.value for each in node.keywords)):
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value


def test_every_text_is_translated() -> None:
    missing = {text for text in texts() if text and say("zh-CN", text).isascii()}
    assert not missing


def test_no_translation_is_of_a_text_that_nobody_says() -> None:
    elsewhere = {"Logging out", "wrong name or password"}
    assert CHINESE.keys() <= set(texts()) | elsewhere


@pytest.mark.parametrize("text", [*CHINESE.values()])
def test_a_translation_is_good_text(text: str) -> None:
    assert "[" not in text, "RFC 5255 §3.5"
    assert text.isprintable()
