"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, the server's side (RFC 5802, RFC 7677; tls-exporter: RFC 9266).

The password never crosses the wire, and the server holds no secret from which a client could log in. The client's
word on channel binding is checked against what we offered, so that nobody in the middle can have struck the -PLUS
form from our list (RFC 5802 §6).
"""

from __future__ import annotations

import binascii
import enum
import hashlib
import hmac
import re
from base64 import b64decode, b64encode

import msgspec

from posthouse import limits
from posthouse.sasl.model import Challenge, Done, Facts, Failed, NeedKeys, Outcome, ScramKeys
from posthouse.sasl.saslprep import saslprep

# RFC 5802 §7: gs2-header, then client-first-message-bare; "m=" is a mandatory extension that we do not know.
_CLIENT_FIRST = re.compile(
    rb"(?P<gs2>(?:(?P<flag>[ny])|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<authzid>[^,]+))?,)"
    rb"(?P<bare>n=(?P<login>[^,]+),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<unproved>c=(?P<channel>[A-Za-z0-9+/]+=*),r=(?P<nonce>[\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/]+=*)"
)
_ESCAPE = re.compile(rb"=(?!2C|3D)")


def derive_keys(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """The server's keys for a password (RFC 5802 §3). Slow by design. Raises ValueError as `saslprep`."""
    salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
    return ScramKeys(
        iterations=iterations,
        salt=salt,
        stored_key=hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )


def format_keys(keys: ScramKeys) -> str:
    """`iterations$salt$stored_key$server_key`, base64."""
    parts = (keys.salt, keys.stored_key, keys.server_key)
    return "$".join([str(keys.iterations), *(b64encode(part).decode() for part in parts)])


def parse_keys(text: str) -> ScramKeys:
    """Read back what `format_keys` wrote. Raises ValueError on anything else."""
    iterations, salt, stored_key, server_key = text.split("$")
    return ScramKeys(
        iterations=int(iterations),
        salt=b64decode(salt, validate=True),
        stored_key=b64decode(stored_key, validate=True),
        server_key=b64decode(server_key, validate=True),
    )


def saslname(raw: bytes) -> str | None:
    """RFC 5802 §5.1: UTF-8 with `=2C` for a comma and `=3D` for an equals sign; any other `=` is an error."""
    if len(raw) > limits.LOGIN_OCTETS or _ESCAPE.search(raw) or b"\0" in raw:
        return None
    try:
        return raw.replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8")
    except UnicodeDecodeError:
        return None


class _Await(enum.Enum):
    FIRST = enum.auto()
    KEYS = enum.auto()
    FINAL = enum.auto()
    NOTHING = enum.auto()


class _Opening(msgspec.Struct, frozen=True):
    """What the client's first message settled."""

    login: str
    bare: bytes
    channel: bytes
    """gs2-header and channel binding data: what `c=` of its last message must say."""
    nonce: bytes
    """The client's part."""


class ScramExchange:
    """One run. `plus`: this is the -PLUS mechanism, which must bind the channel."""

    def __init__(self, facts: Facts, *, plus: bool) -> None:
        self._facts = facts
        self._plus = plus
        self._await = _Await.FIRST
        self._opening: _Opening | None = None
        self._keys: ScramKeys | None = None
        self._server_first = b""

    def begin(self, initial: bytes | None) -> Outcome:
        """Ask for the client's first message with an empty challenge when it did not come along."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Outcome:
        """The client's first message, then its last."""
        state, self._await = self._await, _Await.NOTHING
        if state is _Await.FIRST:
            return self._client_first(response)
        if state is _Await.FINAL:
            return self._client_final(response)
        return Failed("SCRAM: a message out of turn")

    def give_keys(self, keys: ScramKeys) -> Challenge:
        """After NeedKeys: the keys of that login (or a stable fake for one that does not exist)."""
        assert self._opening is not None
        self._keys = keys
        self._await = _Await.FINAL
        nonce = self._opening.nonce.decode() + self._facts.nonce
        self._server_first = f"r={nonce},s={b64encode(keys.salt).decode()},i={keys.iterations}".encode()
        return Challenge(self._server_first)

    def _client_first(self, message: bytes) -> Outcome:
        match = _CLIENT_FIRST.fullmatch(message)
        if match is None:
            return Failed("SCRAM: the first message breaks the grammar")
        login = saslname(match["login"])
        authzid = saslname(match["authzid"] or b"")
        if not login or authzid is None:
            return Failed("SCRAM: undecodable name")
        if authzid and authzid.casefold() != login.casefold():
            return Failed("SCRAM: authorisation as somebody else", login, malformed=False)
        binding = match["binding"]
        if self._plus != (binding is not None):
            return Failed("SCRAM: channel binding does not fit the mechanism", login)
        if match["flag"] == b"y" and self._facts.plus_offered:
            # RFC 5802 §6: the client believes that we have no -PLUS, but we offered it.
            return Failed("SCRAM: downgrade, the offer of channel binding was lost on the way", login)
        bound = self._facts.bindings.get(binding.decode()) if binding is not None else b""
        if bound is None:
            return Failed("SCRAM: unsupported channel binding type", login)
        self._opening = _Opening(login, match["bare"], match["gs2"] + bound, match["nonce"])
        self._await = _Await.KEYS
        return NeedKeys(login)

    def _client_final(self, message: bytes) -> Outcome:
        opening, keys = self._opening, self._keys
        assert opening is not None
        assert keys is not None
        match = _CLIENT_FINAL.fullmatch(message)
        if match is None:
            return Failed("SCRAM: the last message breaks the grammar", opening.login)
        try:
            channel, proof = b64decode(match["channel"]), b64decode(match["proof"])
        except binascii.Error:
            return Failed("SCRAM: broken base64", opening.login)
        if not hmac.compare_digest(channel, opening.channel):
            return Failed("SCRAM: channel bindings don't match", opening.login, malformed=False)
        if not hmac.compare_digest(match["nonce"], opening.nonce + self._facts.nonce.encode()):
            return Failed("SCRAM: not our nonce", opening.login)
        # RFC 5802 §3: ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage); H(ClientKey) must be StoredKey.
        auth_message = b",".join((opening.bare, self._server_first, match["unproved"]))
        signature = hmac.digest(keys.stored_key, auth_message, "sha256")
        if len(proof) != len(signature):
            return Failed("SCRAM: proof of a wrong length", opening.login)
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key):
            return Failed("SCRAM: wrong password", opening.login, malformed=False)
        final = b"v=" + b64encode(hmac.digest(keys.server_key, auth_message, "sha256"))
        return Done(opening.login, final)
