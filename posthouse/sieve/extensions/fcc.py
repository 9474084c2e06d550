"""`:fcc` (RFC 8580): a copy of what `vacation` and `notify` send is filed, in the ways that `fileinto` has."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, Fcc, Notify, Vacation
from posthouse.sieve.extensions.fileinto import wrong_mailbox
from posthouse.sieve.extensions.imap4flags import flags_in
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Call, Extension, Kind, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_ON: Final = frozenset({"vacation", "notify"})


def _fcc(call: Call, machine: Machine, action: Action) -> Action:
    if not isinstance(action, Vacation | Notify):
        return action
    name = machine.text(call, "fcc")
    wrong = wrong_mailbox(name)
    if wrong:
        raise Fault(call.line, wrong)
    copy = Fcc(
        mailbox=unicodedata.normalize("NFC", name),
        flags=frozenset(flags_in(machine.texts(call, "flags"))),
        create=call.has("create"),
        special_use=machine.text(call, "specialuse"),
        mailbox_id=machine.text(call, "mailboxid"),
    )
    return msgspec.structs.replace(action, fcc=copy)


def _check_fcc(call: Call, checker: Checker) -> None:
    name = call.constant("fcc")
    wrong = "" if name is None else wrong_mailbox(name)
    if wrong:
        checker.fault(call.line, wrong)


def _beside(name: str, capability: str, kind: Kind | None = None, group: str = "") -> Tag:
    """RFC 8580 §3.1: what says how the copy is filed, and without `:fcc` nothing."""

    def check(call: Call, checker: Checker) -> None:
        if not call.has("fcc"):
            checker.fault(call.line, f':{name} of "{call.spec.name}" needs :fcc')

    return Tag(name=name, on=_ON, kind=kind, capability=capability, group=group, check=check)


EXTENSION: Final = Extension(
    capabilities=("fcc",),
    tags=(
        Tag(name="fcc", on=_ON, kind=Kind.STRING, amend=_fcc, check=_check_fcc),
        _beside("flags", "imap4flags", Kind.STRINGS),
        _beside("create", "mailbox"),
        _beside("specialuse", "special-use", Kind.STRING, group="rather"),
        _beside("mailboxid", "mailboxid", Kind.STRING, group="rather"),
    ),
)
