"""Questions to the domain name system, as typed answers.

An answer is always one of three: records found, certainly none (NODATA or NXDOMAIN), or a temporary failure
(SERVFAIL, timeout, broken packet). `secure` says that the answer was proved by DNSSEC (the AD bit of a
server whose word we trust: `dns.trust_ad`). Names are lower case A-labels without the final dot.
"""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec


class Status(enum.Enum):
    """How a question ended."""

    FOUND = "found"
    NO_DATA = "no data"
    """The name exists, but has no such record."""
    NO_NAME = "no such name"
    """NXDOMAIN."""
    TEMPORARY = "temporary failure"


class Mx(msgspec.Struct, frozen=True, order=True):
    """One MX record (RFC 1035 §3.3.9). The host of a null MX (RFC 7505) is the empty string."""

    preference: int
    host: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One typed answer. `records` is empty unless FOUND."""

    status: Status
    name: str
    """The name asked."""
    canonical: str = ""
    """The name at the end of the CNAME chain, when it differs."""
    secure: bool = False
    reason: str = ""
    """TEMPORARY: what went wrong, for logs and `trace`."""


class MxAnswer(Answer, frozen=True, kw_only=True):
    """MX records, in the order received."""

    records: tuple[Mx, ...] = ()


class AddressAnswer(Answer, frozen=True, kw_only=True):
    """IPv4 and IPv6 addresses as text."""

    records: tuple[str, ...] = ()


class TextAnswer(Answer, frozen=True, kw_only=True):
    """TXT records, the strings of each joined (RFC 7208 §3.3), undecodable octets kept as latin-1."""

    records: tuple[str, ...] = ()


class NameAnswer(Answer, frozen=True, kw_only=True):
    """PTR targets."""

    records: tuple[str, ...] = ()


class Resolver(Protocol):
    """Asks questions; `fakes.FakeResolver` answers from zone text."""

    async def mx(self, domain: str) -> MxAnswer:
        """MX records of a domain."""
        ...

    async def a(self, host: str) -> AddressAnswer:
        """IPv4 addresses of a host."""
        ...

    async def aaaa(self, host: str) -> AddressAnswer:
        """IPv6 addresses of a host."""
        ...

    async def txt(self, name: str) -> TextAnswer:
        """TXT records."""
        ...

    async def ptr(self, address: str) -> NameAnswer:
        """Names of an address (in-addr.arpa, ip6.arpa)."""
        ...


class ZoneResolver(Resolver, Protocol):
    """Asks besides for records that are only looked at."""

    async def shown(self, name: str, record_type: str) -> TextAnswer:
        """CNAME, SRV, TLSA, CAA records as zone text shows them."""
        ...
