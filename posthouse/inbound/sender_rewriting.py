"""The Sender Rewriting Scheme: reverse-paths of ours for mail of others that we send on. Pure.

SPF (RFC 7208 §2.4) asks whether the host that brings a message may send for the domain of the reverse-path. Whoever
sends on for somebody else may not, so the reverse-path becomes an address of the domain that sends on, and tells
whom a notice goes back to:

    SRS0=HASH=DAY=domain=local@ours         the first to send it on
    SRS1=DAYHASH=first==…@ours              it bears an SRS0 (or SRS1) of somebody else: notices go to that first one
    SRS0=HASH=DAY=token@ours                what does not fit, or is no plain ASCII; the token stands for a kept sender

The hash is a keyed one over all the rest, so nobody can make an address through which we would send mail anywhere;
the day bounds its life (SRS_DAYS). Nothing depends on case, since hosts on the way may change it. Other
implementations send on and give back the first two forms as their own.
"""

from __future__ import annotations

import base64
import enum
import hmac
import re
from typing import Final

import msgspec

from posthouse.accounts.addresses import is_returning
from posthouse.limits import SRS_DAYS, SRS_LOCAL_PART
from posthouse.message.address import normalize_domain

_DAY: Final = 86400
_DAYS: Final = 1024
"""Days in two digits of base32, after which they begin again."""
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_HASH: Final = 5
"""Octets of a hash, eight digits: 40 bits, guessed at the rate at which port 25 answers about unknown recipients."""
_TOKEN: Final = 15
"""Octets of a token, 24 digits."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
# RFC 5321 §4.1.2: a Dot-string, which needs no quotes and may stand behind another one's beginning.
_DIGIT: Final = "[A-Z2-7]"
_ZERO: Final = re.compile(rf"SRS0[=+-]({_DIGIT}{{8}})=({_DIGIT}{{2}})=(.+)", re.IGNORECASE | re.ASCII)
_ONE: Final = re.compile(
    rf"SRS1[=+-]({_DIGIT}{{2}})({_DIGIT}{{8}})=([^=]+)=([=+-].+)", re.IGNORECASE | re.ASCII
)
_KEPT: Final = re.compile(rf"{_DIGIT}{{24}}", re.IGNORECASE | re.ASCII)
_OF_OTHERS: Final = re.compile(r"SRS1[=+-][^=]+=([^=]+)=([=+-].+)", re.IGNORECASE)


class Rewritten(msgspec.Struct, frozen=True):
    """What a reverse-path has become."""

    address: str
    token: str = ""
    """Under which the sender itself is to be kept for SRS_DAYS; empty: the address says it."""


class Origin(msgspec.Struct, frozen=True):
    """Whom an address of ours stands for: one of the two is empty."""

    sender: str = ""
    token: str = ""


class Flaw(enum.Enum):
    """Why an address stands for nobody."""

    FORGED = "forged"
    """We have not made it."""
    OLD = "old"


class SenderRewriting:
    """Makes and reads rewritten addresses with the key of the house."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def rewrite(self, sender: str, domain: str, now: float) -> Rewritten:
        """A sender's address in a domain of ours; `domain` in A-labels."""
        local, _, host = sender.rpartition("@")
        host = _name(host)
        stamp = _stamp(now)
        made = self._chained(local, host, stamp) or self._first(local, host, stamp)
        if host and _PLAIN.fullmatch(made) and len(made) <= SRS_LOCAL_PART:
            return Rewritten(f"{made}@{domain}")
        # RFC 5321 §4.5.3.1.1: 64 octets are all that a local part may have; newsletters' senders fill them alone.
        token = _base32(
            hmac.digest(self._key, b"token\0" + stamp.encode() + sender.encode(), "sha256")[:_TOKEN]
        )
        return Rewritten(f"SRS0={self._hash('kept', stamp, token)}={stamp}={token}@{domain}", token)

    def _first(self, local: str, host: str, stamp: str) -> str:
        return f"SRS0={self._hash('first', stamp, host, local)}={stamp}={host}={local}"

    def _chained(self, local: str, host: str, stamp: str) -> str:
        """Behind another that sent it on; empty: there was none."""
        if not is_returning(local):
            return ""
        behind = local[4:]  # the separator too: the first one's hash may be made over it
        if local[3] == "1":
            found = _OF_OTHERS.fullmatch(local)
            if found is None:
                return ""
            host, behind = _name(found[1]), found[2]
        if not host or len(behind) < 2:
            return ""
        return f"SRS1={stamp}{self._hash('chained', stamp, host, behind)}={host}={behind}"

    def read(self, local: str, now: float) -> Origin | Flaw:
        """Whom an address of ours with this local part stands for."""
        if not local.isascii():
            return Flaw.FORGED  # a letter beyond ASCII that has one of ASCII as its small form
        chained = _ONE.fullmatch(local)
        if chained is not None:
            stamp, mac, host, behind = chained.groups()
            mine, origin = self._hash("chained", stamp, host, behind), Origin(f"SRS0{behind}@{host}")
            return self._checked(mine, mac, stamp, origin, now)
        first = _ZERO.fullmatch(local)
        if first is None:
            return Flaw.FORGED
        mac, stamp, rest = first.groups()
        if _KEPT.fullmatch(rest):
            return self._checked(self._hash("kept", stamp, rest), mac, stamp, Origin(token=rest.upper()), now)
        host, _, name = rest.partition("=")
        return self._checked(
            self._hash("first", stamp, host, name), mac, stamp, Origin(f"{name}@{host}"), now
        )

    def _checked(self, mine: str, mac: str, stamp: str, origin: Origin, now: float) -> Origin | Flaw:
        if not hmac.compare_digest(mine, mac.upper()):
            return Flaw.FORGED
        # Another node's clock may be a little ahead.
        age = (int(now // _DAY) + 1 - _number(stamp)) % _DAYS - 1
        return origin if age <= SRS_DAYS else Flaw.OLD

    def _hash(self, *parts: str) -> str:
        text = "\0".join(parts).lower()
        return _base32(hmac.digest(self._key, text.encode(), "sha256")[:_HASH])


def _name(host: str) -> str:
    """A domain as it stands in an address; empty: it is none, or an address literal."""
    try:
        name = normalize_domain(host)
    except ValueError:
        return ""
    return "" if name.startswith("[") else name


def _stamp(now: float) -> str:
    day = int(now // _DAY) % _DAYS
    return _DIGITS[day >> 5] + _DIGITS[day & 31]


def _number(stamp: str) -> int:
    high, low = (_DIGITS.index(digit) for digit in stamp.upper())
    return high << 5 | low


def _base32(octets: bytes) -> str:
    return base64.b32encode(octets).decode("ascii")
