"""`envelope` (RFC 5228 §5.4): who sent the message and to whom, in the words of SMTP.

Further parts of the envelope are rows `Extension.envelope_parts` of other extensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.base_tests import ENVELOPE
from posthouse.sieve.tables import Extension

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def _from(machine: Machine) -> list[str]:
    return [machine.facts.sender]


def _to(machine: Machine) -> list[str]:
    return [machine.facts.recipient]


EXTENSION: Final = Extension(
    capabilities=("envelope",),
    tests=(ENVELOPE,),
    envelope_parts={"from": _from, "to": _to},
)
