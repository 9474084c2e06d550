"""What we offer: capability URNs with their values, for the Session object (RFC 8620 §2)."""

from __future__ import annotations

from typing import Any, Final

from posthouse import limits

CORE: Final = "urn:ietf:params:jmap:core"
MAIL: Final = "urn:ietf:params:jmap:mail"

COLLATIONS: Final = ["i;ascii-casemap", "i;ascii-numeric", "i;unicode-casemap"]


def core(message_size: int) -> dict[str, Any]:
    """RFC 8620 §2: the limits, as they are enforced."""
    return {
        "maxSizeUpload": message_size,
        "maxConcurrentUpload": limits.JMAP_UPLOADS,
        "maxSizeRequest": limits.JMAP_REQUEST_SIZE,
        "maxConcurrentRequests": limits.JMAP_REQUESTS,
        "maxCallsInRequest": limits.JMAP_CALLS,
        "maxObjectsInGet": limits.JMAP_GET,
        "maxObjectsInSet": limits.JMAP_SET,
        "collationAlgorithms": COLLATIONS,
    }
