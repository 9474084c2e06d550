"""An MTA-STS policy as a value (RFC 8461 §3.2), and which hosts it allows (§4.1). Pure."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from posthouse.limits import DOMAIN, MTA_STS_MX

PATH: Final = "/.well-known/mta-sts.txt"
"""RFC 8461 §3.2: where it is read, at `mta-sts.DOMAIN`."""
_AGE_DIGITS: Final = 10


class Mode(enum.StrEnum):
    """What senders shall do when TLS to a host is not good."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


class StsPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One policy."""

    mode: Mode
    max_age: int
    """Seconds that a sender keeps it."""
    mx: tuple[str, ...] = ()
    """Names of hosts, lower case; `*.` in front stands for exactly one label."""

    @property
    def lines(self) -> tuple[str, ...]:
        """As published, for TLS reports (RFC 8460 §4.4)."""
        hosts = (f"mx: {host}" for host in self.mx)
        return ("version: STSv1", f"mode: {self.mode}", *hosts, f"max_age: {self.max_age}")

    def allows(self, host: str) -> bool:
        """RFC 8461 §4.1."""
        host = host.lower().rstrip(".")
        parent = host.partition(".")[2]
        return host in self.mx or (bool(parent) and f"*.{parent}" in self.mx)


class StsPolicyError(ValueError):
    """It is no policy; the text says why."""


class PolicyUnread(Exception):
    """The policy cannot be read; the text says why."""


_ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")


def policy_id(texts: Iterable[str]) -> str:
    """The id in the texts of `_mta-sts.DOMAIN` (RFC 8461 §3.1); empty: there is no policy."""
    found = [text for text in texts if text.partition(";")[0].replace(" ", "") == "v=STSv1"]
    if len(found) != 1:  # several are none
        return ""
    for item in found[0].split(";")[1:]:
        name, _, value = item.partition("=")
        if name.strip() == "id":
            return value.strip() if _ID.fullmatch(value.strip()) else ""
    return ""


def parse_sts_policy(text: str) -> StsPolicy:
    """Read a policy. Unknown fields are passed over. Raises StsPolicyError."""
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), []).append(value.strip())
    # RFC 8461 §3.2: of a field that stands twice, the first counts, but for mx.
    if fields.get("version", [""])[0] != "STSv1":
        raise StsPolicyError("it does not say version: STSv1")
    mode = fields.get("mode", [""])[0]
    if mode not in set(Mode):
        raise StsPolicyError(f"its mode is {mode[:20] or 'missing'}")
    age = fields.get("max_age", [""])[0]
    if not (age.isascii() and age.isdigit() and len(age) <= _AGE_DIGITS):
        raise StsPolicyError("its max_age is no number of seconds")
    hosts = tuple(host.lower().rstrip(".") for host in fields.get("mx", [])[:MTA_STS_MX])
    if mode != Mode.NONE and not hosts:
        raise StsPolicyError("it names no mx")
    if any(not host or len(host) > DOMAIN for host in hosts):
        raise StsPolicyError("one of its mx is no name")
    return StsPolicy(mode=Mode(mode), max_age=int(age), mx=hosts)
