"""GETJMAPACCESS (RFC 9698): where the same mail is by JMAP, with the same ids (RFC 8474).

The capability stands only where the login's own credentials are good there too, so a client need not ask for others.
"""

from __future__ import annotations

from typing import Final

from posthouse.imap import encode
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, no_arguments
from posthouse.imap.session import Session


async def run_get_jmap_access(session: Session, args: None) -> None:
    """Tell the address of the JMAP Session object."""
    url = session.services.jmap_url
    if not url:
        raise Bad("No JMAP server is known")  # RFC 9698 §4
    session.send(b"* JMAPACCESS %b\r\n" % encode.string(url.encode("ascii")))


GETJMAPACCESS: Final = Command(
    name=b"GETJMAPACCESS",
    states=AUTHENTICATED,
    parse=no_arguments,
    run=run_get_jmap_access,
    rfc="RFC 9698 §4",
)
ROWS: Final = (GETJMAPACCESS,)
