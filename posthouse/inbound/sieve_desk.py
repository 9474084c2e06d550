"""The administrator's commands on people's Sieve scripts: a method each, for socket and command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from posthouse.accounts.directory import Directory
from posthouse.accounts.named import named_account
from posthouse.accounts.sieve_scripts import SieveScripts
from posthouse.errors import NotFound
from posthouse.inbound.sieve_trial import Envelope, Trial, Trials
from posthouse.sieve.tables import Script
from posthouse.store.interface import Store


class ScriptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A script as it is listed."""

    name: str
    active: bool
    octets: int


class ScriptText(ScriptRow, frozen=True, kw_only=True):
    """One script."""

    text: str


class ScriptDesk:
    """One for the house."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        scripts: SieveScripts[Script],
        now: Callable[[], float],
    ) -> None:
        self._directory = directory
        self._scripts = scripts
        self._trials = Trials(store, scripts, now)

    def commands(self) -> Mapping[str, Callable[..., Any]]:
        """By name."""
        return {
            "sieve.list": self.sieve_list,
            "sieve.show": self.sieve_show,
            "sieve.put": self.sieve_put,
            "sieve.activate": self.sieve_activate,
            "sieve.deactivate": self.sieve_deactivate,
            "sieve.remove": self.sieve_remove,
            "sieve.test": self.sieve_test,
        }

    async def sieve_list(self, *, address: str) -> list[ScriptRow]:
        """All scripts of an account."""
        shelf = await self._scripts.shelf((await named_account(self._directory, address)).account_id)
        return [ScriptRow(name=e.name, active=e.active, octets=len(e.raw)) for e in shelf.scripts]

    async def sieve_show(self, *, address: str, name: str = "") -> ScriptText:
        """One script; without a name the active one. NotFound."""
        shelf = await self._scripts.shelf((await named_account(self._directory, address)).account_id)
        found = shelf.named(name) if name else shelf.active
        if found is None:
            raise NotFound("No script is active.")
        return ScriptText(name=found.name, active=found.active, octets=len(found.raw), text=found.text)

    async def sieve_put(
        self, *, address: str, name: str, activate: bool = False, body: bytes = b""
    ) -> ScriptText:
        """Keep a script that was checked, in place of one of that name. SieveError, NameUnfit, OverQuota."""
        account = await named_account(self._directory, address)
        await self._scripts.put(account.account_id, name, body)
        if activate:
            await self._scripts.activate(account.account_id, name)
        return await self.sieve_show(address=address, name=name)

    async def sieve_activate(self, *, address: str, name: str) -> None:
        """Let a script act on what comes. NotFound."""
        await self._scripts.activate((await named_account(self._directory, address)).account_id, name)

    async def sieve_deactivate(self, *, address: str) -> None:
        """Let none act."""
        await self._scripts.deactivate((await named_account(self._directory, address)).account_id)

    async def sieve_remove(self, *, address: str, name: str) -> None:
        """Remove a script that is not active. NotFound, ScriptActive."""
        await self._scripts.delete((await named_account(self._directory, address)).account_id, name)

    async def sieve_test(
        self,
        *,
        address: str,
        script: str = "",
        sender: str = "",
        recipient: str = "",
        spam: int = -1,
        body: bytes = b"",
    ) -> Trial:
        """What a script (without one: the active one) would do with the message in `body`. SieveError, NotFound."""
        account = await named_account(self._directory, address)
        if script:
            compiled = await self._scripts.check(script.encode())
        else:
            active = await self._scripts.active(account.account_id)
            if active is None:
                raise NotFound("No script is active.")
            compiled = active
        envelope = Envelope(sender=sender, recipient=recipient, spam_percent=spam)
        return await self._trials.tried(compiled, account, body, envelope)
