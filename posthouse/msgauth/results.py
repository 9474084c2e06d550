"""What the checks of a message's origin found: frozen values, shared by pipeline, verdict, reports and readers.

The words of `Result` are those of RFC 8601 §2.7. A result never says whether a message is wanted, only whether
the names it bears were proved. Domains are lower case A-labels.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec


class Result(enum.StrEnum):
    """How a check ended (RFC 8601 §2.7). Not every check knows every word."""

    PASS = "pass"
    FAIL = "fail"
    SOFTFAIL = "softfail"
    """SPF: probably not authorised."""
    NEUTRAL = "neutral"
    """Nothing is said about it; DKIM: the signature cannot be read."""
    NONE = "none"
    """Nothing published, nothing signed."""
    TEMPERROR = "temperror"
    """The DNS could not be asked now."""
    PERMERROR = "permerror"
    """What is published cannot be used."""
    POLICY = "policy"
    """Good by its own rules, but not by ours (short key, part of the text unsigned)."""


class Spf(msgspec.Struct, frozen=True, kw_only=True):
    """SPF (RFC 7208) of one identity."""

    result: Result
    domain: str = ""
    """Who lets the peer send, or not: that of the identity, wherever its record redirects to (RFC 7208 §6.1)."""
    identity: str = ""
    """The address, or the HELO name, that was checked."""
    of_local_part: bool = False
    """Whether the records ask for the local part, so that the result is said of the whole address (RFC 8601 §2.7.2)."""
    scope: str = "mailfrom"
    """"mailfrom" or "helo" (RFC 7208 §2.3, §2.4)."""
    reason: str = ""
    """In words: the term that matched, or what is wrong."""
    explanation: str = ""
    """What the domain says to those it refuses (`exp=`); a stranger's text, printable ASCII."""


class Dkim(msgspec.Struct, frozen=True, kw_only=True):
    """One DKIM signature (RFC 6376)."""

    result: Result
    domain: str = ""
    """d=: who signed."""
    selector: str = ""
    identity: str = ""
    """i=, or @d."""
    algorithm: str = ""
    key_bits: int = 0
    reason: str = ""
    mark: str = ""
    """The first characters of b=, by which RFC 6008 §4 tells signatures apart."""

    @property
    def passed(self) -> bool:
        """Whether it proves its domain."""
        return self.result is Result.PASS


class Arc(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of ARC seals (RFC 8617)."""

    result: Result
    """PASS, FAIL or NONE (RFC 8617 §4.4)."""
    sealers: tuple[str, ...] = ()
    """The domains that sealed, in order."""
    reason: str = ""


class Disposition(enum.StrEnum):
    """What a domain asks for messages that fail DMARC (RFC 9989)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Dmarc(msgspec.Struct, frozen=True, kw_only=True):
    """DMARC (RFC 9989) of one author domain."""

    result: Result
    """PASS, FAIL, NONE, TEMPERROR or PERMERROR."""
    domain: str = ""
    """The domain of From."""
    policy_domain: str = ""
    """Where the record was found; empty: nowhere."""
    organizational_domain: str = ""
    record: str = ""
    """The record's text."""
    policy: Disposition = Disposition.NONE
    """What it asks for a failure of this domain."""
    disposition: Disposition = Disposition.NONE
    """What it asks for this very message: NONE unless it fails; less than `policy` while testing."""
    spf_aligned: bool = False
    dkim_aligned: bool = False
    testing: bool = False
    reason: str = ""


class Iprev(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the peer's address leads to a name and back (RFC 8601 §3)."""

    result: Result
    address: str = ""
    """The peer's."""
    name: str = ""
    """The name that was confirmed, or the first one found."""


class Authentication(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found out about one message."""

    spf: Spf
    """Of the reverse-path, or of HELO where that is empty."""
    helo: Spf | None = None
    """Of HELO beside the reverse-path, where a record is published for it. It is told; nothing is decided by it."""
    dkim: tuple[Dkim, ...] = ()
    arc: Arc = Arc(result=Result.NONE)
    dmarc: tuple[Dmarc, ...] = ()
    """One for each domain of From: mostly one; empty when From has none."""
    iprev: Iprev = Iprev(result=Result.NONE)
    aligned: frozenset[str] = frozenset()
    """Author domains (of From) that were proved by SPF or DKIM."""

    @property
    def temporary(self) -> bool:
        """Whether a name server's silence kept us from knowing more."""
        results = [self.spf.result, *(one.result for one in self.dkim), *(one.result for one in self.dmarc)]
        return Result.TEMPERROR in results

    @property
    def disposition(self) -> Disposition:
        """The strictest that any author domain asks for."""
        return max(
            (found.disposition for found in self.dmarc), key=_STRICTNESS.index, default=Disposition.NONE
        )

    @property
    def authentic(self) -> bool:
        """Whether every author domain was proved: what a reader may be shown as "really from"."""
        return bool(self.dmarc) and all(found.domain in self.aligned for found in self.dmarc)

    def in_words(self) -> str:
        """One line for the timeline."""
        parts = [f"spf={self.spf.result} {self.spf.domain}".strip()]
        parts += [f"helo={self.helo.result} {self.helo.domain}"] if self.helo is not None else []
        parts += [f"dkim={one.result} {one.domain}".strip() for one in self.dkim] or ["dkim=none"]
        if self.arc.result is not Result.NONE:
            parts.append(f"arc={self.arc.result}")
        parts += [f"dmarc={one.result} {one.domain}".strip() for one in self.dmarc]
        if self.disposition is not Disposition.NONE:
            parts.append(f"asked: {self.disposition}")
        return ", ".join(parts)


def proved_domains(dmarc: Iterable[Dmarc]) -> frozenset[str]:
    """The author domains that passed, and (where there is no policy) those that SPF or DKIM proved themselves."""
    return frozenset(
        one.domain
        for one in dmarc
        if one.result is Result.PASS or (one.result in _UNDECIDED and (one.spf_aligned or one.dkim_aligned))
    )


_UNDECIDED: Final = (Result.NONE, Result.PERMERROR)
_STRICTNESS: Final = (Disposition.NONE, Disposition.QUARANTINE, Disposition.REJECT)
