"""POP3 command lines, CAPA and reply lines."""

from __future__ import annotations

import pytest

from posthouse.pop3 import core, server
from posthouse.pop3.core import Command, Refusal, State
from posthouse.pop3.languages import NAMES, TEXTS, Say, choose_language


@pytest.mark.parametrize(
    ("line", "state", "numbers", "text"),
    [
        (b"USER alice", State.AUTHORIZATION, (), "alice"),
        (b"user alice", State.AUTHORIZATION, (), "alice"),
        (b"PASS  two  spaces ", State.AUTHORIZATION, (), " two  spaces "),
        ("PASS пароль".encode(), State.AUTHORIZATION, (), "пароль"),
        (b"AUTH", State.AUTHORIZATION, (), ""),
        (b"AUTH PLAIN AGE=", State.AUTHORIZATION, (), "PLAIN AGE="),
        (b"LIST", State.TRANSACTION, (), ""),
        (b"LIST 7", State.TRANSACTION, (7,), ""),
        (b"TOP 1 0", State.TRANSACTION, (1, 0), ""),
        (b"RETR 0001", State.TRANSACTION, (1,), ""),
        (b"QUIT ", State.TRANSACTION, (), ""),
    ],
)
def test_commands(line: bytes, state: State, numbers: tuple[int, ...], text: str):
    rule = core.TABLE[line.split()[0].upper()]
    assert core.parse(line, state) == Command(rule, numbers, text)


@pytest.mark.parametrize(
    ("line", "say"),
    [
        (b"", Say.UNKNOWN_COMMAND),
        (b" STAT", Say.UNKNOWN_COMMAND),
        (b"STAT\r", Say.UNKNOWN_COMMAND),
        (b"APOP a b", Say.UNKNOWN_COMMAND),
        (b"USER alice", Say.OUT_OF_PLACE),
        (b"STAT 1", Say.ARGUMENTS_WRONG),
        (b"RETR", Say.ARGUMENTS_WRONG),
        (b"RETR 1 2", Say.ARGUMENTS_WRONG),
        (b"RETR +1", Say.ARGUMENTS_WRONG),
        ("RETR ٣".encode(), Say.ARGUMENTS_WRONG),
        (b"RETR " + b"9" * 11, Say.ARGUMENTS_WRONG),
        (b"TOP 1", Say.ARGUMENTS_WRONG),
        (b"LANG \xff", Say.NOT_UTF8),
    ],
)
def test_refused_lines(line: bytes, say: Say):
    with pytest.raises(Refusal) as refused:
        core.parse(line, State.TRANSACTION)
    assert refused.value.say is say
    assert refused.value.bad


def test_every_command_has_a_handler_and_the_reverse():
    assert set(server.HANDLERS) == {rule.name for rule in core.RULES}


def test_capabilities_tell_what_the_connection_allows():
    lines = core.capabilities(stls=True, user=False, mechanisms=("SCRAM-SHA-256",)).split(b"\r\n")
    assert b"STLS" in lines
    assert b"USER" not in lines
    assert b"SASL SCRAM-SHA-256" in lines
    assert lines[-2:] == [b".", b""]
    bare = core.capabilities(stls=False, user=False, mechanisms=())
    assert not any(line.startswith((b"SASL", b"STLS", b"USER")) for line in bare.split(b"\r\n"))


def test_capability_lines_are_short_enough():
    lines = core.capabilities(stls=True, user=True, mechanisms=("SCRAM-SHA-256-PLUS",) * 3)
    assert all(len(line) + 2 <= 512 for line in lines.split(b"\r\n"))  # RFC 2449 §3


@pytest.mark.parametrize("language", list(NAMES))
def test_every_text_exists_in_every_language(language: str):
    texts = TEXTS[language]
    assert set(texts) == set(Say)
    for say, text in texts.items():
        assert text.count("{}") == say.value.count("{}"), say
        assert not text.startswith("["), say  # RFC 2449 §8
        assert text.isprintable(), say


def test_replies_with_codes():
    assert core.ok("en", Say.OCTETS, 5) == b"+OK 5 octets\r\n"
    refusal = Refusal(Say.IN_USE, code="IN-USE")
    assert core.error("en", refusal) == b"-ERR [IN-USE] The maildrop is in use by another session\r\n"


def test_the_greeting_could_hold_no_timestamp():
    assert b"<" not in core.ok("en", Say.READY, "mx.example.test")  # RFC 2449 §3: gchar


@pytest.mark.parametrize(
    ("wanted", "tag"),
    [
        ("*", "en"),
        ("en", "en"),
        ("EN", "en"),
        ("zh", "zh-CN"),
        ("zh-cn", "zh-CN"),
        ("z", None),
        ("en-US", None),
    ],
)
def test_language_ranges(wanted: str, tag: str | None):
    assert choose_language(wanted) == tag
