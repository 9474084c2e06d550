"""`setflag`, `addflag`, `removeflag`, `hasflag` and `:flags` (RFC 5232).

Flags are kept in a variable of the script, as words parted by spaces, or in the internal one, which all messages get
that are filed without `:flags`. What cannot be a flag of a message is passed over without a word (§2).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.limits import KEYWORD_LENGTH, SIEVE_FLAGS
from posthouse.sieve.actions import Action, FileInto, Keep
from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.extensions.variables import check_name, store
from posthouse.sieve.tables import Argument, Call, Extension, Kind, Spec, Step, Tag

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine

_SYSTEM: Final = {
    flag.lower(): flag for flag in ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")
}
_KEYWORD: Final = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]++")
"""RFC 9051 §9, flag-keyword: an atom."""
_VARIABLE: Final = Argument("variable", optional=True)
_FLAGS: Final = Argument("flags", Kind.STRINGS)


class Internal:
    """The internal variable of one run (RFC 5232 §3)."""

    def __init__(self) -> None:
        self.flags: list[str] = []


def flags_in(texts: Iterable[str]) -> list[str]:
    """The flags that these texts name, each once, as it is written first."""
    found: dict[str, str] = {}
    for text in texts:
        for word in text.split():
            flag = _SYSTEM.get(word.lower())
            if flag is None and len(word) <= KEYWORD_LENGTH and _KEYWORD.fullmatch(word):
                flag = word
            if flag is not None and len(found) < SIEVE_FLAGS:
                found.setdefault(flag.lower(), flag)
    return list(found.values())


def _current(call: Call, machine: Machine) -> list[str]:
    if call.has("variable"):
        return flags_in([machine.variable(machine.text(call, "variable").lower())])
    return machine.of(Internal).flags


def _put(call: Call, machine: Machine, flags: list[str]) -> None:
    if call.has("variable"):
        store(call, machine, machine.text(call, "variable"), " ".join(flags))
    else:
        machine.of(Internal).flags = flags


def _setflag(call: Call, machine: Machine) -> None:
    _put(call, machine, flags_in(machine.texts(call, "flags")))


def _addflag(call: Call, machine: Machine) -> None:
    _put(call, machine, flags_in([*_current(call, machine), *machine.texts(call, "flags")]))


def _removeflag(call: Call, machine: Machine) -> None:
    gone = {flag.lower() for flag in flags_in(machine.texts(call, "flags"))}
    _put(call, machine, [flag for flag in _current(call, machine) if flag.lower() not in gone])


def _hasflag(call: Call, machine: Machine) -> Step:
    """RFC 5232 §4: any flag of any of the variables matches; keys too may be several words."""
    if call.has("variables"):
        names = [name.lower() for name in machine.texts(call, "variables")]
        flags = [flag for name in names for flag in flags_in([machine.variable(name)])]
    else:
        flags = machine.of(Internal).flags
    return machine.match(call, flags, [word for text in machine.texts(call, "keys") for word in text.split()])


def _check_variable(call: Call, checker: Checker) -> None:
    """RFC 5232 §1: variables are named only where "variables" is required."""
    if not call.has("variable"):
        return
    if "variables" not in checker.requires:
        checker.fault(call.line, f'"{call.spec.name}" with a variable needs require "variables"')
    check_name(call.values["variable"], call.line, checker)


def _check_hasflag(call: Call, checker: Checker) -> None:
    if call.has("variables") and "variables" not in checker.requires:
        checker.fault(call.line, '"hasflag" with variables needs require "variables"')


def _with_internal(machine: Machine, action: Action) -> Action:
    """RFC 5232 §3: without `:flags`, and with the implicit keep, those of the internal variable."""
    flags = machine.of(Internal).flags
    if flags and isinstance(action, Keep | FileInto):
        return msgspec.structs.replace(action, flags=frozenset(flags))
    return action


def _with_flags(call: Call, machine: Machine, action: Action) -> Action:
    if isinstance(action, Keep | FileInto):
        return msgspec.structs.replace(action, flags=frozenset(flags_in(machine.texts(call, "flags"))))
    return action


EXTENSION: Final = Extension(
    capabilities=("imap4flags",),
    commands=(
        Spec(name="setflag", run=_setflag, arguments=(_VARIABLE, _FLAGS), check=_check_variable),
        Spec(name="addflag", run=_addflag, arguments=(_VARIABLE, _FLAGS), check=_check_variable),
        Spec(name="removeflag", run=_removeflag, arguments=(_VARIABLE, _FLAGS), check=_check_variable),
    ),
    tests=(
        Spec(
            name="hasflag",
            run=_hasflag,
            arguments=(Argument("variables", Kind.STRINGS, optional=True), KEYS),
            matches=True,
            check=_check_hasflag,
        ),
    ),
    tags=(Tag(name="flags", on=frozenset({"keep", "fileinto"}), kind=Kind.STRINGS, amend=_with_flags),),
    amend=_with_internal,
)
