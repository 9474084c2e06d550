"""The driver of SASL exchanges, with a client that speaks SCRAM by its own arithmetic."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from types import SimpleNamespace

import msgspec
import pytest

from posthouse import limits
from posthouse.accounts import sasl_login
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import LoginFailed
from posthouse.accounts.passwords import make_scram
from posthouse.accounts.sasl_login import (
    Cancelled,
    ConnectionFacts,
    MechanismUnknown,
    ResponseMalformed,
    authenticate_sasl,
)
from posthouse.sasl.model import Challenge
from posthouse.store.credentials import CredentialKind, RemoveCredentials
from posthouse.store.interface import PutAccount
from posthouse.store.model import Account

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


async def test_a_password_that_was_changed_meanwhile_does_not_let_in(directory: Directory) -> None:
    """Whoever holds an exchange open with the old password must not finish it after the change."""
    store = directory._store
    account = await store.account("alice@north.test")
    assert account is not None

    class Slow(ScramClient):
        async def __call__(self, challenge: bytes) -> bytes:
            if challenge.startswith(b"r="):
                changed = msgspec.structs.replace(account, password="", scram=make_scram("new"))
                await store.apply(PutAccount(account=changed))
            return await super().__call__(challenge)

    client = Slow("alice", "secret")
    with pytest.raises(LoginFailed):
        await authenticate_sasl(directory, "SCRAM-SHA-256", client.first, client, CLEAR)
    again = ScramClient("alice", "new")
    await authenticate_sasl(directory, "SCRAM-SHA-256", again.first, again, CLEAR)


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


# --- bearer tokens ---------------------------------------------------------------------------------------------


def oauth(token: str, login: str = "") -> bytes:
    """RFC 7628 §3.1."""
    return f"n,{'a=' + login if login else ''},\x01auth=Bearer {token}\x01\x01".encode()


async def token(directory: Directory, account: Account, *scope: str, expires_at: int = 0) -> str:
    """A token with a scope."""
    _, secret = await directory.bearers.add_token(account, name="x", scope=scope, expires_at=expires_at)
    return secret


@pytest.mark.parametrize("scope", [(), ("imap",), ("smtp", "imap")])
@pytest.mark.parametrize("login", ["", "alice", "ALICE@north.test"])
@pytest.mark.parametrize("with_initial", [True, False])
async def test_a_token_opens_the_doors_of_its_scope(
    directory: Directory, alice: Account, scope: tuple[str, ...], login: str, with_initial: bool
) -> None:
    message = oauth(await token(directory, alice, *scope), login)
    client = Answers(message)
    found = await authenticate_sasl(directory, "oauthbearer", message if with_initial else None, client, TLS)
    assert (found.account.address, found.mechanism) == ("alice@north.test", "OAUTHBEARER")
    assert client.challenges == ([] if with_initial else [b""])


async def test_xoauth2(directory: Directory, alice: Account) -> None:
    message = f"user=alice@north.test\x01auth=Bearer {await token(directory, alice)}\x01\x01".encode()
    found = await authenticate_sasl(directory, "XOAUTH2", message, Answers(), TLS)
    assert found.account.account_id == alice.account_id


async def test_tokens_that_are_no_good(directory: Directory, alice: Account, bob: Account) -> None:
    """RFC 7628 §3.2.2, §3.2.3: the reason as a challenge, an answer that means nothing, and then it has failed."""
    mine = await token(directory, alice)
    wrong = [
        oauth(await token(directory, alice, "jmap", "smtp")),
        oauth(await token(directory, alice, expires_at=5)),
        oauth(mine, "bob"),
        oauth(mine, "nobody"),
        oauth(mine[:-1]),
        oauth("x"),
        b"n,,\x01auth=\x01\x01",
    ]
    for message in wrong:
        client = Answers(b"\x01")
        with pytest.raises(LoginFailed) as failed:
            await authenticate_sasl(directory, "OAUTHBEARER", message, client, TLS)
        assert not isinstance(failed.value, ResponseMalformed)
        (challenge,) = client.challenges
        assert json.loads(challenge) == {"status": "invalid_token", "scope": "imap"}
    revoked = RemoveCredentials(account_id=alice.account_id, kind=CredentialKind.TOKEN)
    await directory._store.apply(revoked)
    with pytest.raises(LoginFailed):
        await authenticate_sasl(directory, "OAUTHBEARER", oauth(mine), Answers(b"\x01"), TLS)


async def test_tokens_go_over_tls_only(directory: Directory, alice: Account) -> None:
    """RFC 7628 §3."""
    message = oauth(await token(directory, alice))
    facts = ConnectionFacts(peer="", tls=False, loopback=True, plaintext_policy="always")
    for mechanism in ("OAUTHBEARER", "XOAUTH2"):
        with pytest.raises(MechanismUnknown):
            await authenticate_sasl(directory, mechanism, message, Answers(), facts)


async def test_guessed_tokens_are_counted(directory: Directory) -> None:
    outcomes = []
    for _ in range(limits.LOGIN_FAILURES_PER_ADDRESS + 2):
        try:
            await authenticate_sasl(directory, "OAUTHBEARER", oauth("pht_guess"), Answers(), TLS)
        except Exception as fault:
            outcomes.append(type(fault).__name__)
    assert outcomes[-1] == "LoginDelayed"


async def test_an_exchange_has_so_many_steps(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless:
        def begin(self, _: bytes | None) -> Challenge:
            return Challenge(b"more")

        step = begin

    plain = SimpleNamespace(start=lambda _: Endless())
    monkeypatch.setattr(sasl_login, "SERVER_MECHANISMS", {"PLAIN": plain})
    asked = 0

    async def ask(_: bytes) -> bytes:
        nonlocal asked
        asked += 1
        assert asked < 100
        return b"x"

    with pytest.raises(ResponseMalformed):
        await authenticate_sasl(directory, "PLAIN", None, ask, TLS)
    assert asked == limits.SASL_STEPS
