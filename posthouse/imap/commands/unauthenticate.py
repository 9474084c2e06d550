"""UNAUTHENTICATE (RFC 8437): the connection stays, and is a stranger's again; only TLS is left as it is.

Offered where the configuration says so (§8): a proxy that looks at logins and then lets everything through would not
see the next login. What a login leaves in a session is all in `Session`, which begins anew.
"""

from __future__ import annotations

import logging
from typing import Final

from posthouse import limits
from posthouse.imap.capabilities import capabilities
from posthouse.imap.commands.row import AUTHENTICATED, Bad, Command, Completion, no_arguments
from posthouse.imap.session import Session

log: Final = logging.getLogger("posthouse.imap")


async def run_unauthenticate(session: Session, args: None) -> Completion:
    """Forget who is there. Never NO: what is pipelined behind it counts on it (RFC 8437 §3)."""
    if not session.services.unauthenticate:
        raise Bad("Unknown command")
    connection = session.connection
    log.info("unauthenticate session=%s account=%s", connection.session_id, session.account.address)
    # RFC 8437 §3: a mailbox ceases to be selected, and no expunge is told.
    session.forget_login()
    connection.set_idle_timeout(limits.IMAP_LOGIN_TIME)
    connection.set_total_timeout(limits.IMAP_LOGIN_TIME)
    return Completion(
        b"CAPABILITY %b" % capabilities(session),
        "Nobody is logged in",
        _end_compression if connection.deflated else None,
    )


async def _end_compression(session: Session) -> None:
    # RFC 8437 §4.1: our side ends behind the CRLF of the OK, the client's behind its command's.
    await session.connection.stop_deflate()


UNAUTHENTICATE: Final = Command(
    name=b"UNAUTHENTICATE",
    states=AUTHENTICATED,
    parse=no_arguments,
    run=run_unauthenticate,
    capabilities=(b"UNAUTHENTICATE",),
    rfc="RFC 8437 §3",
)
ROWS: Final = (UNAUTHENTICATE,)
