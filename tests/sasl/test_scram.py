"""SCRAM-SHA-256(-PLUS) against the example of RFC 7677 §3 and against clients that cheat or stumble."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest

from posthouse.sasl.model import Challenge, Done, Facts, Failed, NeedKeys, ScramKeys
from posthouse.sasl.scram import ScramExchange, derive_keys, format_keys, parse_keys

SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
BOUND = b"hash of our certificate"
KEYS = derive_keys("pencil", SALT, 4096)


def client_final(
    password: str, first: bytes, server_first: bytes, *, channel: bytes, keys: ScramKeys = KEYS
) -> bytes:
    """What a client answers, by RFC 5802 §3, written apart from the code under test."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), keys.salt, keys.iterations)
    client_key = hmac.new(salted, b"Client Key", "sha256").digest()
    stored_key = hashlib.sha256(client_key).digest()
    nonce = server_first.split(b",")[0]
    unproved = b"c=" + b64encode(channel) + b"," + nonce
    bare = first[first.index(b"n=", 2) :]
    message = b",".join([bare, server_first, unproved])
    signature = hmac.new(stored_key, message, "sha256").digest()
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return unproved + b",p=" + b64encode(proof)


def test_the_example_of_rfc_7677() -> None:
    exchange = ScramExchange(Facts(nonce=SERVER_NONCE), plus=False)
    assert exchange.begin(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO") == NeedKeys("user")
    assert exchange.give_keys(KEYS) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    done = exchange.step(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert done == Done("user", b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def run(first: bytes, *, channel: bytes, password: str = "pencil", plus: bool, **facts: object) -> object:
    exchange = ScramExchange(Facts(nonce=SERVER_NONCE, **facts), plus=plus)  # type: ignore[arg-type]
    outcome = exchange.begin(first)
    if not isinstance(outcome, NeedKeys):
        return outcome
    challenge = exchange.give_keys(KEYS)
    return exchange.step(client_final(password, first, challenge.data, channel=channel))


@pytest.mark.parametrize("binding", ["tls-server-end-point", "tls-exporter"])
def test_channel_binding_that_matches(binding: str) -> None:
    header = f"p={binding},,".encode()
    outcome = run(
        header + b"n=user,r=abc",
        channel=header + BOUND,
        plus=True,
        bindings={binding: BOUND},
        plus_offered=True,
    )
    assert isinstance(outcome, Done)


def test_channel_binding_of_another_connection_is_refused() -> None:
    header = b"p=tls-exporter,,"
    outcome = run(
        header + b"n=user,r=abc", channel=header + b"another", plus=True, bindings={"tls-exporter": BOUND}
    )
    assert isinstance(outcome, Failed)


def test_wrong_password() -> None:
    outcome = run(b"n,,n=user,r=abc", channel=b"n,,", password="pen", plus=False)
    assert outcome == Failed("SCRAM: wrong password", "user", malformed=False)


def test_a_client_that_was_not_shown_the_plus_form_is_warned_off() -> None:
    outcome = run(b"y,,n=user,r=abc", channel=b"y,,", plus=False, plus_offered=True)
    assert isinstance(outcome, Failed)
    assert "downgrade" in outcome.reason


def test_a_client_that_could_bind_where_nothing_was_offered_is_welcome() -> None:
    assert isinstance(run(b"y,,n=user,r=abc", channel=b"y,,", plus=False), Done)


def test_the_flag_cannot_be_changed_on_the_way() -> None:
    """The client sent "y", somebody made it "n": `c=` gives it away (RFC 5802 §6)."""
    outcome = run(b"n,,n=user,r=abc", channel=b"y,,", plus=False)
    assert isinstance(outcome, Failed)


@pytest.mark.parametrize(
    ("first", "plus"),
    [
        (b"", False),
        (b"n,,n=user", False),
        (b"n,,n=,r=abc", False),
        (b"n,,r=abc,n=user", False),
        (b"x,,n=user,r=abc", False),
        (b"n,,m=ext,n=user,r=abc", False),
        (b"n,,n=us=er,r=abc", False),
        (b"n,,n=\xff\xfe,r=abc", False),
        (b"n,,n=user,r=a b", False),
        (b"n,a=other,n=user,r=abc", False),
        (b"p=tls-exporter,,n=user,r=abc", False),
        (b"n,,n=user,r=abc", True),
        (b"p=tls-unique,,n=user,r=abc", True),
        (b"n,,n=" + b"x" * 5000 + b",r=abc", False),
    ],
)
def test_first_messages_that_are_refused(first: bytes, plus: bool) -> None:
    exchange = ScramExchange(Facts(nonce=SERVER_NONCE, bindings={"tls-exporter": BOUND}), plus=plus)
    assert isinstance(exchange.begin(first), Failed)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=abc,p=AAAA",
        b"c=biws,r=abc" + SERVER_NONCE.encode() + b",p=AAAA",
        b"c=biws,r=abc" + SERVER_NONCE.encode() + b",p=A",
        b"c=biws,r=xyz" + SERVER_NONCE.encode() + b",p=" + b64encode(bytes(32)),
        b"c=,r=abc" + SERVER_NONCE.encode() + b",p=" + b64encode(bytes(32)),
    ],
)
def test_last_messages_that_are_refused(final: bytes) -> None:
    exchange = ScramExchange(Facts(nonce=SERVER_NONCE), plus=False)
    exchange.begin(b"n,,n=user,r=abc")
    exchange.give_keys(KEYS)
    assert isinstance(exchange.step(final), Failed)
    assert isinstance(exchange.step(final), Failed), "an exchange that has ended stays ended"


def test_escaped_names_and_equal_authorisation() -> None:
    exchange = ScramExchange(Facts(nonce=SERVER_NONCE), plus=False)
    assert exchange.begin(b"n,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=abc") == NeedKeys("a,b=c")


def test_without_an_initial_response_an_empty_challenge_asks() -> None:
    assert ScramExchange(Facts(nonce="n"), plus=False).begin(None) == Challenge(b"")


def test_keys_survive_being_written_down() -> None:
    assert parse_keys(format_keys(KEYS)) == KEYS


@pytest.mark.parametrize("text", ["", "1$2$3", "x$AAAA$AAAA$AAAA", "4096$?$AAAA$AAAA"])
def test_broken_keys_are_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_keys(text)
