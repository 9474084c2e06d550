"""What the checks of commands and tests (`Spec.check`, `Tag.check`) may know while a script is compiled."""

from __future__ import annotations

from typing import NoReturn

from posthouse.sieve.language import Language
from posthouse.sieve.tables import Call, Extension


class Refused(Exception):
    """Something in a script that cannot be. `unknown`: rather, that we or its `require` do not know (RFC 5463 §4)."""

    def __init__(self, line: int, text: str, *, unknown: bool = False) -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.unknown = unknown


class Checker:
    """One script being compiled."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self.requires: set[str] = set()
        """The extensions required."""
        self.enclosing: list[Call] = []
        """The commands whose blocks we are in, the innermost last; their own blocks are still empty."""
        self.reads_text = False

    @property
    def namespaces(self) -> frozenset[str]:
        """The namespaces whose variables may be named (RFC 5229 §3)."""
        return frozenset(name for extension in self._required() for name in extension.namespaces)

    @property
    def settable(self) -> frozenset[str]:
        """Those whose variables may be set."""
        return frozenset(
            name
            for extension in self._required()
            for name, namespace in extension.namespaces.items()
            if namespace.variables is not None
        )

    @property
    def envelope_parts(self) -> frozenset[str]:
        """What `envelope` may ask for."""
        return frozenset(name for extension in self._required() for name in extension.envelope_parts)

    def _required(self) -> list[Extension]:
        return [e for e in self.language.extensions if not self.requires.isdisjoint(e.capabilities)]

    def fault(self, line: int, text: str) -> NoReturn:
        """This cannot be."""
        raise Refused(line, text)

    def allows(self, capability: str) -> bool:
        """Whether a row of that capability (one of several, parted by spaces) may be used."""
        return not capability or not self.requires.isdisjoint(capability.split())
