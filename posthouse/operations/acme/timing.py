"""Whether a certificate is to be ordered, and when the next try may be made. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

import msgspec

from posthouse import limits

NAMES_MISSING = "not in it"
"""The reason to order when names are added."""
WEEK = 7 * 86_400.0


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The certificate that we have of the authority."""

    names: tuple[str, ...]
    not_before: float
    not_after: float


def renewal_at(held: Held, suggested: float) -> float:
    """When to renew it. `suggested`: by the authority (RFC 9773 §4.2); 0: it suggests nothing."""
    life = held.not_after - held.not_before
    if suggested:
        return min(suggested, held.not_before + limits.ACME_LATEST * life)
    return held.not_before + limits.ACME_LIFE * life


def why_due(
    held: Held | None, names: Collection[str], *, suggested: float, orders: Sequence[float], now: float
) -> str:
    """Why to order one now; empty: nothing is to be done. `orders`: when others were made for the sake of names."""
    if held is None:
        return "there is none of this authority"
    if now >= renewal_at(held, suggested):
        return "its time has come"
    missing = sorted(set(names) - set(held.names))
    # Names that come and go must not use up what the authority gives in a week.
    if missing and sum(now - WEEK < at for at in orders) < limits.ACME_ORDERS:
        return f"{NAMES_MISSING}: {', '.join(missing)}"
    return ""


def pause(failures: int, *, told: float = 0.0, chance: float | None = None) -> float:
    """Seconds to the next order after so many failed ones; `told`: the authority's own wish (Retry-After)."""
    grown = min(limits.ACME_RETRY * 2.0 ** min(failures - 1, 20), limits.ACME_RETRY_MOST)
    jitter = random.uniform(0.9, 1.1) if chance is None else chance
    return max(grown * jitter, min(told, limits.ACME_TOLD_MOST))


def rest(failures: int) -> float:
    """Seconds that a name which failed so often is left out."""
    return min(limits.ACME_NAME_RETRY * 2.0 ** min(failures - 1, 20), limits.ACME_NAME_RETRY_MOST)


def ask_again(told: float | None) -> float:
    """Seconds to the next question for a suggested time (RFC 9773 §4.3.2, §4.3.3)."""
    if told is None:
        return limits.ACME_ASK
    return min(max(told, limits.ACME_ASK_LEAST), limits.ACME_ASK_MOST)
