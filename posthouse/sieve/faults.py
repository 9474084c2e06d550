"""What can be wrong with a script: before it runs (`SieveError`) and while it runs (`Fault`).

Words are for the people who write scripts: they name the line, what is wrong and, where we can tell, what was meant.
"""

from __future__ import annotations

import msgspec

from posthouse.errors import PosthouseError


class ScriptFault(msgspec.Struct, frozen=True):
    """One thing that is wrong, and where."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


class SieveError(PosthouseError):
    """A script that cannot be used (RFC 5228 §2.10.6, faults of syntax): all its faults, in the order of lines."""

    def __init__(self, *faults: ScriptFault) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = faults

    @property
    def line(self) -> int:
        """Of the first fault."""
        return self.faults[0].line


class Fault(Exception):
    """Something went wrong while a script ran (RFC 5228 §2.10.6): the message is kept, the owner is told."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.text = text
        self.script = ""
        """The included script that it happened in; empty: the one that was begun with."""

    def __str__(self) -> str:
        place = f"line {self.line}" if self.line else "the script"
        return f'{place} of "{self.script}": {self.text}' if self.script else f"{place}: {self.text}"
