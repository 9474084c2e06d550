"""How the caller of a request has proved who they are: some things are for the person alone, not for a program."""

from __future__ import annotations

from typing import Final

import msgspec

from posthouse.accounts.passkeys import Site

_PERSONAL: Final = frozenset({"SESSION", "BASIC"})


class Via(msgspec.Struct, frozen=True, kw_only=True):
    """The login of one request."""

    mechanism: str = ""
    credential_id: int = 0
    """The session or token."""
    app_password: bool = False
    peer: str = ""
    site: Site = Site(origin="", host="")
    """Our address as the caller sees it."""

    @property
    def personal(self) -> bool:
        """Logged in as a person: by the browser's session or the account's own password."""
        return self.mechanism in _PERSONAL and not self.app_password
