"""OAUTHBEARER (RFC 7628) and XOAUTH2: what a client's one message may be."""

from __future__ import annotations

import json

import pytest

from posthouse.sasl.bearer import BearerExchange
from posthouse.sasl.mechanisms import SERVER_MECHANISMS
from posthouse.sasl.model import Challenge, Facts, Failed, NeedToken

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


def begin(name: str, initial: bytes | None) -> object:
    return SERVER_MECHANISMS[name].start(Facts()).begin(initial)


@pytest.mark.parametrize(
    ("name", "message", "outcome"),
    [
        # the example of RFC 7628 §4.1
        (
            "OAUTHBEARER",
            f"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer {TOKEN}\x01\x01",
            NeedToken("user@example.com", TOKEN),
        ),
        ("OAUTHBEARER", f"n,,\x01auth=bEARER {TOKEN}\x01\x01", NeedToken("", TOKEN)),
        ("OAUTHBEARER", f"y,a=a=2Cb,\x01auth=Bearer {TOKEN}\x01\x01", NeedToken("a,b", TOKEN)),
        ("OAUTHBEARER", f"n,,\x01qs=\x01later=x=y\x01auth=Bearer {TOKEN}\x01\x01", NeedToken("", TOKEN)),
        # RFC 7628 §4.3: so a client asks which scope is wanted
        ("OAUTHBEARER", "n,a=user@example.com,\x01host=h\x01auth=\x01\x01", NeedToken("user@example.com", "")),
        ("OAUTHBEARER", "n,,\x01auth=Basic YTpi\x01\x01", NeedToken("", "")),
        ("XOAUTH2", f"user=a=b@example.com\x01auth=Bearer {TOKEN}\x01\x01", NeedToken("a=b@example.com", TOKEN)),
    ],
)  # fmt: skip
def test_messages(name: str, message: str, outcome: NeedToken) -> None:
    assert begin(name, message.encode()) == outcome
    assert begin(name, None) == Challenge(b"")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("OAUTHBEARER", b""),
        ("OAUTHBEARER", b"\x01"),
        ("OAUTHBEARER", b"n,,\x01\x01"),  # RFC 7628 §3.1: auth is required
        ("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01"),
        ("OAUTHBEARER", b"n,,auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,a=a=zz,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,a=\xff,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"p=tls-exporter,,\x01auth=Bearer x\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer \xc3\xa4\x01\x01"),
        ("OAUTHBEARER", b"n,,\x01auth=Bearer " + b"x" * 10_000 + b"\x01\x01"),
        ("XOAUTH2", b"user=\x01auth=Bearer x\x01\x01"),
        ("XOAUTH2", b"auth=Bearer x\x01\x01"),
        ("XOAUTH2", b"user=\xff\x01auth=Bearer x\x01\x01"),
    ],
)
def test_messages_that_break_the_grammar(name: str, message: bytes) -> None:
    outcome = begin(name, message)
    assert isinstance(outcome, Failed)
    assert outcome.malformed


@pytest.mark.parametrize(("name", "status"), [("OAUTHBEARER", "invalid_token"), ("XOAUTH2", "401")])
def test_a_refusal_says_which_scope_is_wanted(name: str, status: str) -> None:
    exchange = SERVER_MECHANISMS[name].start(Facts())
    assert isinstance(exchange, BearerExchange)
    told = json.loads(exchange.refusal("imap").data)
    assert (told["status"], told["scope"]) == (status, "imap")
