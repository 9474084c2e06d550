"""Bearer tokens instead of passwords: OAUTHBEARER (RFC 7628), and XOAUTH2, its older form that many clients speak.

Only under TLS, for whoever overhears a token has it. A token names its account by itself; a name that comes along must
be that account's. Our tokens are made in the settings, not by an authorisation server: so a refusal names the scope
that is wanted and no place where to ask for a token. `host` and `port` are read over: one house has many names.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from posthouse import limits
from posthouse.sasl.model import Challenge, Facts, Failed, NeedToken, Outcome
from posthouse.sasl.scram import saslname

_PAIRS: Final = rb"((?:[A-Za-z]+=[\x20-\x7e\t\r\n]*\x01)*)\x01"
# RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep; we have no channel binding for it.
_OAUTHBEARER: Final = re.compile(rb"[ny],(?:a=([^,]+))?,\x01" + _PAIRS)
_XOAUTH2: Final = re.compile(rb"user=([^\x01]+)\x01" + _PAIRS)
_AUTH: Final = re.compile(rb"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)


class BearerExchange:
    """One message of the client; the caller says what a refusal is answered with (`refusal`)."""

    grammar: re.Pattern[bytes] = _OAUTHBEARER

    def __init__(self, facts: Facts) -> None:
        del facts  # nothing of the connection matters but TLS, and without that this is not offered

    def begin(self, initial: bytes | None) -> Outcome:
        """Ask for the message with an empty challenge when it did not come along."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Outcome:
        """Take the message apart."""
        match = self.grammar.fullmatch(response) if len(response) <= limits.SASL_RESPONSE else None
        login = self.name(match[1] or b"") if match is not None else None
        if match is None or login is None:
            return Failed("a bearer message breaks the grammar")
        # RFC 7628 §3.1: keys that are not known are read over, auth must be there.
        pairs = dict(pair.split(b"=", 1) for pair in match[2].split(b"\x01") if pair)
        auth = pairs.get(b"auth")
        if auth is None:
            return Failed("a bearer message has no auth", login)
        token = _AUTH.fullmatch(auth)
        return NeedToken(login, token[1].decode("ascii") if token is not None else "")

    def name(self, raw: bytes) -> str | None:
        """The name that came along; empty: none; None: it is no name."""
        return saslname(raw)

    def refusal(self, scope: str) -> Challenge:
        """RFC 7628 §3.2.2: why not. The client answers with one octet or gives up, and then it has failed."""
        return Challenge(msgspec.json.encode({"status": "invalid_token", "scope": scope}))


class XOAuth2Exchange(BearerExchange):
    """The same as Google's and Microsoft's clients speak it; there is no RFC."""

    grammar = _XOAUTH2

    def name(self, raw: bytes) -> str | None:
        """Here it is not escaped."""
        try:
            return raw.decode("utf-8") if len(raw) <= limits.LOGIN_OCTETS else None
        except UnicodeDecodeError:
            return None

    def refusal(self, scope: str) -> Challenge:
        """The status is HTTP's."""
        return Challenge(msgspec.json.encode({"status": "401", "schemes": "bearer", "scope": scope}))
