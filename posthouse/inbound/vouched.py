"""What another host of ours found about a message's origin, told on in our name.

Mail that comes through our own backup MX (`inbound.trusted`) was examined there: its Authentication-Results field
stands between that host's Received and ours, where a reader who believes only what is above the first Received does
not look. So it is repeated above ours, with the name of the host that found it. Anything below that host's own
Received is a stranger's word and stays where it is.
"""

from __future__ import annotations

import re
from typing import Final

from posthouse.inbound.checks import Examination
from posthouse.message.headers import unfold
from posthouse.msgauth.authres import NAME, AuthResultsError, parse_authres, write_vouched

_BY: Final = re.compile(rb"\sby\s+([A-Za-z0-9.-]+)", re.IGNORECASE)


def vouched_field(examination: Examination, hostname: str) -> bytes | None:
    """The field with its CRLF; None: the host did not say anything, or what it said can't be told from a stranger's."""
    headers = examination.headers
    found, received = headers.spans([NAME]), headers.spans(["received"])
    if not found or not received or found[0] > received[0]:
        return None
    by = _BY.search(unfold(headers.all("received")[0]))
    try:
        said = parse_authres(unfold(headers.all(NAME)[0]))
    except AuthResultsError:
        return None
    if by is None or by[1].decode().lower() != said.host or not said.results:
        return None
    return write_vouched(hostname, said)
