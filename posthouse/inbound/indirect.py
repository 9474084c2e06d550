"""Whether a message that fails DMARC seems to have come by way of others, whose changes break what its author signed.

RFC 9989 §7.4: nobody refuses mail for p=reject alone; without other knowledge such mail is treated as by
p=quarantine. Here the other knowledge is that nothing of the message speaks of a mailing list or a forwarder: such
mail is refused as its domain asks. Whoever forges these signs wins the Junk folder, and nothing else.
"""

from __future__ import annotations

from typing import Final

from posthouse.message.headers import Headers
from posthouse.msgauth.aggregate import Reason
from posthouse.msgauth.results import Authentication, Dmarc, Result

_OF_LISTS: Final = ("list-id", "list-post", "mailing-list", "x-mailing-list", "x-beenthere")
"""What mailing lists write, the old ones too. Not List-Unsubscribe (RFC 2369 §3.2): any bulk mail has it."""
_RESENT: Final = ("resent-from", "resent-sender")


def came_by_others(headers: Headers, found: Authentication, asking: Dmarc) -> Reason | None:
    """Why the policy of `asking` is not carried out, as reports say it (RFC 9990 §3.1.6); None: no sign of others."""
    if any(name in headers for name in _OF_LISTS):
        return Reason(type="mailing_list", comment="it came by a mailing list")
    if found.arc.result is Result.PASS:
        return Reason(type="local_policy", comment="others handed it on and sealed it (ARC)")
    if any(name in headers for name in _RESENT):
        return Reason(type="local_policy", comment="somebody sent it again")
    if any(one.result is Result.FAIL and _is_of(one.domain, asking) for one in found.dkim):
        # The text or the header is another than was signed: what lists, scanners and gateways do to it.
        return Reason(type="local_policy", comment="its author's signature was broken, maybe on the way")
    return None


def _is_of(signer: str, asking: Dmarc) -> bool:
    organization = asking.organizational_domain
    return signer == organization or signer.endswith(f".{organization}")
