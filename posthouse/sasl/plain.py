"""The two mechanisms that hand over the password itself: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login).

An authorisation identity is taken only when it is the login itself: nobody acts for somebody else here.
"""

from __future__ import annotations

import enum

from posthouse import limits
from posthouse.sasl.model import Challenge, Facts, Failed, NeedVerify, Outcome


def _text(raw: bytes) -> str | None:
    """UTF-8 text, or None when it is not that, too long, or holds NUL."""
    if len(raw) > limits.LOGIN_OCTETS or b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


class PlainExchange:
    """RFC 4616 §2: one message, `[authzid] NUL authcid NUL passwd`."""

    def __init__(self, facts: Facts) -> None:
        del facts  # PLAIN depends on nothing of the connection

    def begin(self, initial: bytes | None) -> Outcome:
        """Ask for the message with an empty challenge when it did not come along."""
        return Challenge(b"") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Outcome:
        """Take the message apart."""
        fields = response.split(b"\0")
        if len(fields) != 3:
            return Failed("PLAIN needs two NULs")
        authzid, login, password = map(_text, fields)
        # RFC 4616 §2: authcid and passwd are at least one character, in UTF-8.
        if not login or not password or authzid is None:
            return Failed("PLAIN: an empty, overlong or undecodable field")
        if authzid and authzid.casefold() != login.casefold():
            return Failed("PLAIN: authorisation as somebody else", login, malformed=False)
        return NeedVerify(login, password)


class _Asked(enum.Enum):
    LOGIN = enum.auto()
    PASSWORD = enum.auto()


class LoginExchange:
    """draft-murchison-sasl-login §2.2: two questions, two answers.

    The draft allows these very challenge texts because a widely deployed client insists on them.
    """

    def __init__(self, facts: Facts) -> None:
        del facts
        self._asked = _Asked.LOGIN
        self._login = ""

    def begin(self, initial: bytes | None) -> Outcome:
        """Ask for the name; several clients send it as initial response instead."""
        return Challenge(b"Username:") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Outcome:
        """The name, then the password."""
        text = _text(response)
        if not text:
            return Failed("LOGIN: an empty, overlong or undecodable answer", self._login)
        if self._asked is _Asked.PASSWORD:
            return NeedVerify(self._login, text)
        self._login = text
        self._asked = _Asked.PASSWORD
        return Challenge(b"Password:")
