"""Of whom it was proved that they wrote a message: what From says is only a claim."""

from __future__ import annotations

from posthouse.accounts.addresses import normalize_address
from posthouse.inbound.checks import Examination
from posthouse.inbound.mail import Via
from posthouse.inbound.policy import normal_domain


def proved_authors(examination: Examination, *, ours: bool) -> frozenset[str]:
    """The addresses of From as people are looked up; none, unless all of them are proved.

    `ours`: it came by login, or from a host of ours as its own. Else SPF or DKIM must be aligned with every author's
    domain (RFC 9989 §4.4); what came by LMTP says nothing about that.
    """
    claimed = examination.claimed
    if examination.mail.via is Via.LMTP:
        return frozenset()
    if not ours and not all(normal_domain(one.rpartition("@")[2]) in examination.aligned for one in claimed):
        return frozenset()
    try:
        return frozenset(normalize_address(one) for one in claimed)
    except ValueError:  # who can tell what a reader makes of it?
        return frozenset()
