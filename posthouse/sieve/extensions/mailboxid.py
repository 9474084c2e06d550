"""`mailboxidexists` and `:mailboxid` (RFC 9042)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, FileInto
from posthouse.sieve.questions import MailboxIdExists
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def _mailboxidexists(call: Call, machine: Machine) -> Asking:
    """RFC 9042 §4: true if all of them are there."""
    for mailbox_id in machine.texts(call, "ids"):
        if not (yield MailboxIdExists(mailbox_id)):
            return False
    return True


def _mailbox_id(call: Call, machine: Machine, action: Action) -> Action:
    if not isinstance(action, FileInto):
        return action
    return msgspec.structs.replace(action, mailbox_id=machine.text(call, "mailboxid"))


EXTENSION: Final = Extension(
    capabilities=("mailboxid",),
    tests=(Spec(name="mailboxidexists", run=_mailboxidexists, arguments=(Argument("ids", Kind.STRINGS),)),),
    tags=(
        Tag(
            name="mailboxid",
            on=frozenset({"fileinto"}),
            kind=Kind.STRING,
            group="rather",  # RFC 9042 §3: not together with :specialuse
            amend=_mailbox_id,
        ),
    ),
)
