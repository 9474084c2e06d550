"""`fileinto` (RFC 5228 §4.1)."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from posthouse.sieve.actions import FileInto
from posthouse.sieve.faults import Fault
from posthouse.sieve.tables import Argument, Call, Extension, Spec

if TYPE_CHECKING:
    from posthouse.sieve.checker import Checker
    from posthouse.sieve.machine import Machine


def _fileinto(call: Call, machine: Machine) -> None:
    name = machine.text(call, "mailbox")
    wrong = wrong_mailbox(name)
    if wrong:
        raise Fault(call.line, wrong)
    machine.add(call, FileInto(line=call.line, mailbox=unicodedata.normalize("NFC", name)))


def _check_fileinto(call: Call, checker: Checker) -> None:
    name = call.constant("mailbox")
    wrong = "" if name is None else wrong_mailbox(name)
    if wrong:
        checker.fault(call.line, wrong)


def wrong_mailbox(name: str) -> str:
    """What is wrong with the name of a mailbox, for people; empty: nothing."""
    if not name.strip():
        return "the name of a mailbox is missing"
    if not name.isprintable():
        return "the name of a mailbox has a character in it that cannot be seen"
    return ""


EXTENSION: Final = Extension(
    capabilities=("fileinto",),
    commands=(Spec(name="fileinto", run=_fileinto, arguments=(Argument("mailbox"),), check=_check_fileinto),),
)
