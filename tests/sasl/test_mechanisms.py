"""PLAIN, LOGIN, SASLprep, and what a connection is offered."""

from __future__ import annotations

import pytest

from posthouse.sasl.mechanisms import SERVER_MECHANISMS, offered_mechanisms
from posthouse.sasl.model import Challenge, Facts, Failed, NeedVerify
from posthouse.sasl.saslprep import saslprep

SCRAM = ("SCRAM-SHA-256",)
PLUS = ("SCRAM-SHA-256-PLUS",)
CLEAR = ("PLAIN", "LOGIN")
TOKENS = ("OAUTHBEARER", "XOAUTH2")
"""RFC 7628 §3: never without TLS."""


def begin(name: str, initial: bytes | None) -> object:
    return SERVER_MECHANISMS[name].start(Facts()).begin(initial)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (b"\0tim\0tanstaaftanstaaf", NeedVerify("tim", "tanstaaftanstaaf")),
        (b"tim\0tim\0secret", NeedVerify("tim", "secret")),
        (b"TIM\0tim\0secret", NeedVerify("tim", "secret")),
        ("\0grün\0pässword".encode(), NeedVerify("grün", "pässword")),
    ],
)
def test_plain(response: bytes, outcome: NeedVerify) -> None:
    assert begin("PLAIN", response) == outcome


@pytest.mark.parametrize(
    "response",
    [b"", b"tim", b"\0tim", b"\0tim\0", b"\0\0x", b"\0tim\0x\0y", b"\0\xff\0x", b"\0tim\0" + b"x" * 2000],
)
def test_plain_that_breaks_the_grammar(response: bytes) -> None:
    outcome = begin("PLAIN", response)
    assert isinstance(outcome, Failed)
    assert outcome.malformed


def test_plain_for_somebody_else_is_refused() -> None:
    assert begin("PLAIN", b"boss\0tim\0secret") == Failed(
        "PLAIN: authorisation as somebody else", "tim", malformed=False
    )


def test_plain_asks_when_nothing_came_along() -> None:
    assert begin("PLAIN", None) == Challenge(b"")


@pytest.mark.parametrize("initial", [None, b"tim"])
def test_login_asks_twice_or_takes_the_name_along(initial: bytes | None) -> None:
    exchange = SERVER_MECHANISMS["LOGIN"].start(Facts())
    outcome = exchange.begin(initial)
    if initial is None:
        assert outcome == Challenge(b"Username:")
        outcome = exchange.step(b"tim")
    assert outcome == Challenge(b"Password:")
    assert exchange.step(b"secret") == NeedVerify("tim", "secret")


@pytest.mark.parametrize("answer", [b"", b"\xff", b"a\0b", b"x" * 2000])
def test_login_with_a_broken_answer(answer: bytes) -> None:
    exchange = SERVER_MECHANISMS["LOGIN"].start(Facts())
    exchange.begin(None)
    assert isinstance(exchange.step(answer), Failed)


@pytest.mark.parametrize(
    ("tls", "loopback", "policy", "binding", "offered"),
    [
        (True, False, "loopback", True, PLUS + SCRAM + CLEAR + TOKENS),
        (True, False, "never", False, SCRAM + CLEAR + TOKENS),
        (False, True, "loopback", False, SCRAM + CLEAR),
        (False, True, "never", True, SCRAM),
        (False, False, "loopback", False, SCRAM),
        (False, False, "always", False, SCRAM + CLEAR),
        (False, False, "sometimes", False, SCRAM),
    ],
)
def test_what_is_offered(
    tls: bool, loopback: bool, policy: str, binding: bool, offered: tuple[str, ...]
) -> None:
    got = offered_mechanisms(tls=tls, loopback=loopback, plaintext_policy=policy, channel_binding=binding)
    assert got == offered


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # RFC 4013 §3
        ("I\xadX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\xaa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("密码", "密码"),
    ],
)
def test_saslprep(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\x07", "\u0627\x31", "a\u0627", "\ue000", "x\u200e"])
def test_saslprep_refuses(text: str) -> None:
    with pytest.raises(ValueError):
        saslprep(text)
