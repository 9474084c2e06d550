"""The smarthost's URL."""

from __future__ import annotations

import pytest

from posthouse.outbound.relay import Relay, parse_relay
from posthouse.outbound.tls_policy import OPPORTUNISTIC, VERIFIED, VERIFIED_IMMEDIATE
from posthouse.smtp.client_states import Credentials

ME = Credentials("me@x", "p:w/d")


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("", None),
        ("smtp://r.test", Relay(host="r.test", port=25, policy=OPPORTUNISTIC)),
        ("smtp://r.test:2525/", Relay(host="r.test", port=2525, policy=OPPORTUNISTIC)),
        ("smtp://me%40x:p%3Aw%2Fd@r.test:587", Relay(host="r.test", port=587, policy=VERIFIED, login=ME)),
        (
            "smtps://me%40x:p%3Aw%2Fd@r.test",
            Relay(host="r.test", port=465, policy=VERIFIED_IMMEDIATE, login=ME),
        ),
        ("smtp://me%40x:p%3Aw%2Fd@[::1]:587", Relay(host="::1", port=587, policy=OPPORTUNISTIC, login=ME)),
        (
            "smtp://me%40x:p%3Aw%2Fd@r.test?tls=opportunistic",
            Relay(host="r.test", port=25, policy=OPPORTUNISTIC, login=ME),
        ),
    ],
)
def test_read(url: str, relay: Relay | None) -> None:
    assert parse_relay(url) == relay


@pytest.mark.parametrize(
    "url",
    [
        "relay.test",
        "http://me:secret@r.test",
        "smtp://",
        "smtp://me:secret@r.test:port",
        "smtp://me:secret@r.test/path",
        "smtp://me:secret@r.test?tls=maybe",
        "smtps://me:secret@r.test?tls=opportunistic",
        "smtp://me:secret@r.test?other=1",
    ],
)
def test_refused_without_showing_the_password(url: str) -> None:
    with pytest.raises(ValueError, match=r"outbound\.relay") as caught:
        parse_relay(url)
    assert "secret" not in str(caught.value)
