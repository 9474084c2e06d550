"""`environment` (RFC 5183): what is known of the server and of the connection. Unknown items match nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from posthouse.sieve.base_tests import KEYS
from posthouse.sieve.tables import Argument, Call, Extension, Spec, Step

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine

_ALWAYS: Final = {"name": "Posthouse", "location": "MDA", "phase": "during"}
"""RFC 5183 §4.1, where `Facts.environment` says nothing else."""


def _environment(call: Call, machine: Machine) -> Step:
    name = machine.text(call, "name").lower()
    value = machine.facts.environment.get(name, _ALWAYS.get(name))
    return machine.match(call, [] if value is None else [value])


EXTENSION: Final = Extension(
    capabilities=("environment",),
    tests=(Spec(name="environment", run=_environment, arguments=(Argument("name"), KEYS), matches=True),),
)
