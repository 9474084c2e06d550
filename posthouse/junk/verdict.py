"""One record per message and account: every check with its evidence and weight, the decision, what would change it.

Kept beside the email (`Store.verdict`, JSON), in short as the header field X-Posthouse-Verdict, in words in the
timeline, and as the output of `posthouse spam explain`. Nothing decides but the sum of the weights against two named
thresholds, so whoever can add can follow it.
"""

from __future__ import annotations

import enum
from typing import Final

import msgspec

FIELD: Final = "X-Posthouse-Verdict"
NOT_ALIGNED: Final = "not-aligned"
"""The fact that nothing proved the author's domain."""
FAULT: Final = "fault"
"""The check that says that not all could be asked."""


class Decision(enum.StrEnum):
    """What becomes of a message."""

    ACCEPT = "accept"
    JUNK = "junk"
    """To the Junk mailbox."""
    REJECT = "reject"
    """Refused; kept in Rejects where the configuration says so."""
    DEFER = "defer"
    """Try again later: greylisted, or a check that must not be left out cannot be done now."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One check and what it found."""

    check: str
    weight: float = 0.0
    """Above 0 speaks for junk."""
    evidence: str = ""
    """In words."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that a reader should know, whatever the decision."""

    fact: str
    """"first-contact", "look-alike", "address-in-name", "reply-to-elsewhere", "not-aligned", "misleading-link"."""
    value: str = ""
    of: str = ""
    """LOOK-ALIKE: the domain that it may be taken for."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The record."""

    decision: Decision
    score: float
    junk_at: float
    refuse_at: float
    """0: nothing is refused for its score."""
    checks: tuple[Evidence, ...] = ()
    facts: tuple[Fact, ...] = ()
    would_change: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """For the store."""
        try:
            return msgspec.json.encode(self)
        except UnicodeEncodeError:  # a stranger's name of octets that are no text
            facts = tuple(Fact(fact=one.fact) for one in self.facts)
            return msgspec.json.encode(msgspec.structs.replace(self, checks=(), facts=facts, would_change=()))

    def to_field(self) -> bytes:
        """The header field, CRLF-ended; of our own words only, so it needs no encoding."""
        parts = [f"{self.decision}; score={self.score:.1f} of {self.junk_at:.1f}"]
        parts += [f"{one.check}={one.weight:+.1f}" for one in self.checks if one.weight]
        parts += [one.fact for one in self.facts]
        return (f"{FIELD}: " + ";\r\n\t".join(parts) + "\r\n").encode("ascii", "replace")

    def in_words(self) -> str:
        """One line for the timeline."""
        why = ", ".join(f"{one.check} {one.weight:+.1f}" for one in self.checks if one.weight)
        facts = ", ".join(one.fact for one in self.facts)
        return f"{self.decision} {self.score:.1f} of {self.junk_at:.1f}" + "".join(
            f" ({text})" for text in (why, facts) if text
        )


class _Record(msgspec.Struct, frozen=True):
    """What is asked of a verdict that was kept."""

    checks: tuple[Evidence, ...] = ()
    facts: tuple[Fact, ...] = ()


def author_was_proved(record: bytes | None) -> bool:
    """Whether a message was its author's by the verdict that came with it, or nobody asks for proof.

    One without a verdict came by another way, and nothing is known of it.
    """
    if record is None:
        return False
    try:
        found = msgspec.json.decode(record, type=_Record)
    except msgspec.MsgspecError:
        return False
    return not any(one.fact == NOT_ALIGNED for one in found.facts) and not any(
        one.check == FAULT for one in found.checks
    )


class Forced(msgspec.Struct, frozen=True):
    """A decision that the sum did not make."""

    decision: Decision
    by: str
    """The check that made it."""


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """From which sums on something is done."""

    junk_at: float
    refuse_at: float


def decide(
    checks: tuple[Evidence, ...],
    facts: tuple[Fact, ...],
    thresholds: Thresholds,
    *,
    forced: Forced | None = None,
) -> Verdict:
    """Add up. `forced`: by a check that decides by itself (a virus, a greylist, somebody else's suspicion)."""
    score = round(sum(one.weight for one in checks), 2)
    if forced is not None:
        decision = forced.decision
    else:
        decision = Decision.JUNK if score >= thresholds.junk_at else Decision.ACCEPT
        if thresholds.refuse_at and score >= thresholds.refuse_at:
            decision = Decision.REJECT
    return Verdict(
        decision=decision,
        score=score,
        junk_at=thresholds.junk_at,
        refuse_at=thresholds.refuse_at,
        checks=checks,
        facts=facts,
        would_change=tuple(_changes(checks, score, decision, thresholds, forced)),
    )


def _changes(
    checks: tuple[Evidence, ...],
    score: float,
    decision: Decision,
    thresholds: Thresholds,
    forced: Forced | None,
) -> list[str]:
    """What would have led to another decision, in words."""
    if forced is not None:
        return [f"without {forced.by}"]
    if decision is Decision.ACCEPT:
        said = [f"{thresholds.junk_at - score:.1f} more would have made it junk"]
        said += [
            f"without {one.check} ({one.weight:+.1f}) it would be junk"
            for one in checks
            if one.weight < 0 and score - one.weight >= thresholds.junk_at
        ]
        return said
    alone = [one for one in checks if one.weight > 0 and score - one.weight < thresholds.junk_at]
    said = [f"without {one.check} ({one.weight:+.1f}) it would be accepted" for one in alone]
    if not alone:
        left, together = score, []
        for one in sorted(checks, key=lambda each: -each.weight):
            if left < thresholds.junk_at:
                break
            left -= one.weight
            together.append(one.check)
        said.append(f"without {' and '.join(together)} it would be accepted")
    said.append("a message to this sender, or moving this one out of Junk, speaks for the next")
    return said
