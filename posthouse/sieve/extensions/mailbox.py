"""`mailboxexists` and `:create` (RFC 5490 §3.1, §3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from posthouse.sieve.actions import Action, FileInto
from posthouse.sieve.questions import MailboxExists
from posthouse.sieve.tables import Argument, Asking, Call, Extension, Kind, Spec, Tag

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def _mailboxexists(call: Call, machine: Machine) -> Asking:
    """True if all of them are there and mail may be filed into them."""
    for name in machine.texts(call, "mailboxes"):
        if not (yield MailboxExists(name)):
            return False
    return True


def _create(call: Call, machine: Machine, action: Action) -> Action:
    return msgspec.structs.replace(action, create=True) if isinstance(action, FileInto) else action


EXTENSION: Final = Extension(
    capabilities=("mailbox",),
    tests=(Spec(name="mailboxexists", run=_mailboxexists, arguments=(Argument("mailboxes", Kind.STRINGS),)),),
    tags=(Tag(name="create", on=frozenset({"fileinto"}), amend=_create),),
)
