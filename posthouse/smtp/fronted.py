"""The session of a host that hands on the mail of others: who is talking is what it tells by XCLIENT (`smtp.xclient`).

The listener says which hosts are believed (`Connection.regard`); of any other nothing is. What is told replaces the
connection's peer, so that every check, limit and trace goes by the real client. A login that is named counts only
where it would be let in by a password alone, and as long; it needs no password here, so that it is never a way in for
a host that is not in `xclient`.
"""

from __future__ import annotations

import logging
from typing import Final

from posthouse.accounts.addresses import normalize_address
from posthouse.accounts.directory import Directory
from posthouse.accounts.model import Login
from posthouse.net.connection import Connection
from posthouse.net.endpoint import Endpoint
from posthouse.smtp.replies import Reply
from posthouse.smtp.xclient import UNKNOWN, Told

log: Final = logging.getLogger(__name__)

NOT_KNOWN: Final = "0.0.0.0"
"""The address of a client whose address is not told: in no network that is trusted, and sender of nothing by SPF."""
TOO_MANY: Final = Reply(421, "4.7.0", "Too many connections from that client, try later")
NO_LOGIN: Final = Reply(550, "5.7.1", "That login is not let in here")


class Fronted:
    """What was told in one session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._front = connection.peer
        self._local = connection.local
        self.told = Told()

    @property
    def believed(self) -> bool:
        """Whether the host that connected may tell."""
        return self._connection.regard is not None

    def hear(self, told: Told) -> bool:
        """Be told (what was told before included); False: the client has too many connections already."""
        peer = self._front if told.address is None else self._endpoint(told)
        if not self._move(peer):
            return False
        self.told = told
        self._connection.local = Endpoint(
            told.local_address or self._local.host, int(told.local_port or self._local.port)
        )
        log.info(
            "xclient id=%s front=%s peer=%s name=%s helo=%s login=%s",
            *(self._connection.session_id, self._front, peer, told.name, told.helo, told.login),
        )
        return True

    def forget(self) -> None:
        """RFC 3207 §4.2: what was told before TLS does not count."""
        if self.told != Told():
            self._move(self._front)
            self._connection.local, self.told = self._local, Told()

    def _endpoint(self, told: Told) -> Endpoint:
        port = int(told.port or 0)
        if told.address in (None, UNKNOWN):
            return Endpoint(NOT_KNOWN, port)
        peer = Endpoint(told.address or "", port)
        # The loopback address of another machine says nothing here, and must not be taken for ours.
        return Endpoint(NOT_KNOWN, port) if peer.is_loopback and not self._front.is_loopback else peer

    def _move(self, peer: Endpoint) -> bool:
        regard = self._connection.regard
        if regard is None or not regard(peer):
            return False
        self._connection.peer = peer
        return True


async def login_of(told: Told, directory: Directory) -> Login | None:
    """Who has logged in at the host before us; None: nobody, or nobody who is let in here."""
    try:
        account = await directory.account(normalize_address(told.login)) if told.login else None
    except ValueError:
        return None
    if account is None:
        return None
    login = Login(account=account, mechanism="XCLIENT")
    return login if await directory.open_logins.stands(login, "smtp") else None
