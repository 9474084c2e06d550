"""The Sieve scripts of an account at one moment, and what a change of them writes (RFC 5804 §1.4, §1.6, RFC 9661 §2).

Pure. Names are unique and one script at most is active, which no single item can promise: so every change also writes
the guard, an item of its own kind, on the condition that nobody else did meanwhile. Of two writers one gets Conflict
and looks again, whichever node they are on.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import msgspec

from posthouse.errors import Conflict, NotFound, OverQuota, Permanent
from posthouse.limits import SIEVE_NAME, SIEVE_SCRIPT, SIEVE_SCRIPTS
from posthouse.store.account_model import Item
from posthouse.store.interface import Op, PutItem, RemoveItem

KIND: Final = "SieveScript"
"""The kind of these items; their mod-sequences are those of the scripts alone."""
GUARD: Final = "SieveShelf"
"""The kind of the guard."""
_ONLY: Final = 1
"""The guard's number in each account."""

# RFC 5804 §1.6: no control characters, no separators of lines and paragraphs.
_FORBIDDEN: Final = re.compile("[\u0000-\u001f\u007f-\u009f\u2028\u2029]")


class NameTaken(Conflict):
    """Another script has that name."""

    def __init__(self, script_id: int) -> None:
        super().__init__("There is a script of that name already.")
        self.script_id = script_id


class ScriptActive(Conflict):
    """It may not be done to the active script."""


class TooManyScripts(OverQuota):
    """The account has as many as it may have."""


class ScriptTooLarge(OverQuota):
    """No script may be so large."""


class NameUnfit(Permanent):
    """No script can be called so."""


class Kept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The data of an item."""

    name: str
    text: str
    active: bool = False


_decode: Final = msgspec.json.Decoder(Kept).decode


class SieveScript(msgspec.Struct, frozen=True, kw_only=True):
    """One script."""

    script_id: int
    name: str
    text: str
    active: bool
    modseq: int

    @property
    def raw(self) -> bytes:
        """The script as it was put."""
        return self.text.encode()


def fit_name(name: str) -> str:
    """A name as it is kept (RFC 5198 §3: normalization form C). NameUnfit."""
    fit = unicodedata.normalize("NFC", name)
    if not fit:
        raise NameUnfit("A script must have a name.")
    if _FORBIDDEN.search(fit):
        raise NameUnfit("The name of a script may not have control characters or line ends in it.")
    if len(fit.encode("utf-8", "surrogatepass")) > SIEVE_NAME:
        raise NameUnfit(f"The name of a script may have {SIEVE_NAME} octets at most.")
    if any("\ud800" <= each <= "\udfff" for each in fit):
        raise NameUnfit("The name of a script must be Unicode text.")
    return fit


def check_size(octets: int) -> None:
    """Whether a script may be so large. ScriptTooLarge."""
    if octets > SIEVE_SCRIPT:
        raise ScriptTooLarge(f"A script may have {SIEVE_SCRIPT} octets at most.")


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """All scripts of an account; the methods give the operations that change them."""

    account_id: int
    scripts: tuple[SieveScript, ...]
    """By number: the oldest first."""
    guard: int
    """The guard's mod-sequence; 0: there is none yet."""

    def named(self, name: str) -> SieveScript:
        """The script of that name. NotFound."""
        fit = unicodedata.normalize("NFC", name)
        for each in self.scripts:
            if each.name == fit:
                return each
        raise NotFound("There is no script of that name.")

    def numbered(self, script_id: int) -> SieveScript:
        """The script of that number. NotFound."""
        for each in self.scripts:
            if each.script_id == script_id:
                return each
        raise NotFound("There is no such script.")

    @property
    def active(self) -> SieveScript | None:
        """The one that runs on incoming mail."""
        return next((each for each in self.scripts if each.active), None)

    def check_room(self, name: str, octets: int) -> str:
        """Whether a script could be put (RFC 5804 §2.5); its name as it would be kept. NameUnfit, OverQuota."""
        fit = fit_name(name)
        check_size(octets)
        if all(each.name != fit for each in self.scripts) and len(self.scripts) >= SIEVE_SCRIPTS:
            raise TooManyScripts(f"An account may have {SIEVE_SCRIPTS} scripts at most.")
        return fit

    def add(self, name: str, text: str) -> list[Op[Any]]:
        """Add a script. NameUnfit, NameTaken, OverQuota."""
        fit = self.check_room(name, len(text.encode()))
        self._check_free(fit)
        return [self._write(None, Kept(name=fit, text=text))]

    def put(self, name: str, text: str) -> list[Op[Any]]:
        """Add a script, or give the one of that name another text; it stays active if it was. NameUnfit, OverQuota."""
        fit = self.check_room(name, len(text.encode()))
        present = next((each for each in self.scripts if each.name == fit), None)
        if present is None:
            return [self._write(None, Kept(name=fit, text=text))]
        return self.alter(present, text=text)

    def alter(
        self, script: SieveScript, *, name: str | None = None, text: str | None = None
    ) -> list[Op[Any]]:
        """Give a script another name or text; it stays active if it was. NameUnfit, NameTaken, OverQuota."""
        fit = script.name if name is None else fit_name(name)
        if fit != script.name:
            self._check_free(fit)
        if text is not None:
            check_size(len(text.encode()))
        kept = Kept(name=fit, text=script.text if text is None else text, active=script.active)
        return [self._write(script, kept)]

    def remove(self, script: SieveScript) -> list[Op[Any]]:
        """Remove a script. ScriptActive."""
        if script.active:  # RFC 5804 §2.10, RFC 9661 §2.2
            raise ScriptActive("The active script cannot be removed; make another one active first.")
        return [RemoveItem(account_id=self.account_id, kind=KIND, item_id=script.script_id)]

    def activate(self, script: SieveScript | None) -> list[Op[Any]]:
        """Make this the only active script; None: there is none. Nothing to write where it is so already."""
        return [
            self._write(each, Kept(name=each.name, text=each.text, active=each is script))
            for each in self.scripts
            if each.active is not (each is script)
        ]

    def lock(self) -> PutItem:
        """What makes a commit fail (Conflict) when somebody else has changed anything since."""
        return PutItem(
            account_id=self.account_id,
            kind=GUARD,
            item_id=_ONLY,
            new=True,
            data=b"{}",
            unchanged_since=self.guard,
        )

    def _check_free(self, fit: str) -> None:
        for each in self.scripts:
            if each.name == fit:
                raise NameTaken(each.script_id)

    def _write(self, script: SieveScript | None, kept: Kept) -> PutItem:
        return PutItem(
            account_id=self.account_id,
            kind=KIND,
            item_id=None if script is None else script.script_id,
            data=msgspec.json.encode(kept),
            unchanged_since=None if script is None else script.modseq,
        )


def script_of(item: Item) -> SieveScript:
    """The script that an item keeps."""
    kept = _decode(item.data)
    return SieveScript(
        script_id=item.item_id, name=kept.name, text=kept.text, active=kept.active, modseq=item.modseq
    )


def shelf_of(account_id: int, guards: list[Item], items: list[Item]) -> Shelf:
    """The shelf that items make; the guard was read before the others."""
    return Shelf(
        account_id=account_id,
        scripts=tuple(script_of(item) for item in items),
        guard=guards[0].modseq if guards else 0,
    )
