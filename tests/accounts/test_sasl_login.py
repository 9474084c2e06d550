"""The driver of SASL exchanges, with a client that speaks SCRAM by its own arithmetic."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest

from posthouse import limits
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import LoginFailed
from posthouse.accounts.sasl_login import (
    Cancelled,
    ConnectionFacts,
    MechanismUnknown,
    ResponseMalformed,
    authenticate_sasl,
)

TLS = ConnectionFacts(
    peer="192.0.2.1", tls=True, loopback=False, server_end_point=b"end point", exporter=b"exp"
)
CLEAR = ConnectionFacts(peer="192.0.2.1", tls=False, loopback=False)

pytestmark = pytest.mark.usefixtures("alice")


class Answers:
    """A client that gives prepared responses and keeps the challenges."""

    def __init__(self, *responses: bytes) -> None:
        self.responses = list(responses)
        self.challenges: list[bytes] = []

    async def __call__(self, challenge: bytes) -> bytes:
        self.challenges.append(challenge)
        if not self.responses:
            raise Cancelled("*")
        return self.responses.pop(0)


class ScramClient:
    """RFC 5802 §3 from the client's side."""

    def __init__(self, login: str, password: str, header: bytes = b"n,,", bound: bytes = b"") -> None:
        self.password = password.encode()
        self.header = header
        self.bound = bound
        self.bare = b"n=" + login.encode() + b",r=fyko+d2lbbFgONRv9qkxdawL"
        self.final = b""

    @property
    def first(self) -> bytes:
        return self.header + self.bare

    async def __call__(self, challenge: bytes) -> bytes:
        if not challenge:
            return self.first
        if challenge.startswith(b"v="):
            self.final = challenge
            return b""
        fields = dict(field.split(b"=", 1) for field in challenge.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, b64decode(fields[b"s"]), int(fields[b"i"]))
        key = hmac.new(salted, b"Client Key", "sha256").digest()
        unproved = b"c=" + b64encode(self.header + self.bound) + b",r=" + fields[b"r"]
        message = b",".join([self.bare, challenge, unproved])
        signature = hmac.new(hashlib.sha256(key).digest(), message, "sha256").digest()
        return unproved + b",p=" + b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True)))


@pytest.mark.parametrize("with_initial", [True, False])
async def test_plain(directory: Directory, with_initial: bool) -> None:
    message = b"\0alice\0secret"
    client = Answers() if with_initial else Answers(message)
    login = await authenticate_sasl(directory, "plain", message if with_initial else None, client, TLS)
    assert (login.account.address, login.mechanism) == ("alice@north.test", "PLAIN")
    assert client.challenges == ([] if with_initial else [b""])


async def test_login(directory: Directory) -> None:
    login = await authenticate_sasl(directory, "LOGIN", None, Answers(b"alice", b"secret"), TLS)
    assert login.mechanism == "LOGIN"


@pytest.mark.parametrize(
    ("mechanism", "header", "bound", "facts"),
    [
        ("SCRAM-SHA-256", b"n,,", b"", CLEAR),
        ("SCRAM-SHA-256", b"n,,", b"", TLS),
        ("SCRAM-SHA-256", b"y,,", b"", CLEAR),
        ("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,", b"end point", TLS),
        ("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,", b"exp", TLS),
    ],
)
@pytest.mark.parametrize("with_initial", [True, False])
async def test_scram(
    directory: Directory,
    mechanism: str,
    header: bytes,
    bound: bytes,
    facts: ConnectionFacts,
    with_initial: bool,
) -> None:
    client = ScramClient("alice", "secret", header, bound)
    initial = client.first if with_initial else None
    login = await authenticate_sasl(directory, mechanism, initial, client, facts)
    assert (login.account.address, login.mechanism) == ("alice@north.test", mechanism)
    assert client.final.startswith(b"v=")


@pytest.mark.parametrize("name", ["alice", "nobody"])
async def test_scram_with_a_wrong_password_and_with_an_unknown_name_fail_alike(
    directory: Directory, name: str
) -> None:
    client = ScramClient(name, "wrong")
    with pytest.raises(LoginFailed) as failed:
        await authenticate_sasl(directory, "SCRAM-SHA-256", client.first, client, CLEAR)
    assert type(failed.value) is LoginFailed


async def test_downgrade_is_refused(directory: Directory) -> None:
    client = ScramClient("alice", "secret", b"y,,")
    with pytest.raises(LoginFailed):
        await authenticate_sasl(directory, "SCRAM-SHA-256", client.first, client, TLS)


@pytest.mark.parametrize(
    ("mechanism", "facts"),
    [("PLAIN", CLEAR), ("LOGIN", CLEAR), ("SCRAM-SHA-256-PLUS", CLEAR), ("CRAM-MD5", TLS), ("", TLS)],
)
async def test_mechanisms_that_are_not_offered(
    directory: Directory, mechanism: str, facts: ConnectionFacts
) -> None:
    with pytest.raises(MechanismUnknown):
        await authenticate_sasl(directory, mechanism, b"\0alice\0secret", Answers(), facts)


async def test_the_client_gives_up(directory: Directory) -> None:
    with pytest.raises(Cancelled):
        await authenticate_sasl(directory, "LOGIN", None, Answers(b"alice"), TLS)


@pytest.mark.parametrize("response", [b"garbage", b"\0a\0" + b"x" * limits.SASL_RESPONSE])
async def test_malformed_responses(directory: Directory, response: bytes) -> None:
    with pytest.raises(ResponseMalformed):
        await authenticate_sasl(directory, "PLAIN", None, Answers(response), TLS)


async def test_wrong_scram_proofs_are_counted(directory: Directory) -> None:
    outcomes = []
    for _ in range(limits.LOGIN_FAILURES_PER_ACCOUNT + 10):
        client = ScramClient("alice", "wrong")
        try:
            await authenticate_sasl(directory, "SCRAM-SHA-256", client.first, client, CLEAR)
        except Exception as fault:
            outcomes.append(type(fault).__name__)
    assert "LoginDelayed" in outcomes
