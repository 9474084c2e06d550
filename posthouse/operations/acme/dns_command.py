"""Records changed by a program of the administrator's, for name servers that have a protocol of their own."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from posthouse import limits
from posthouse.operations.acme.dns_challenges import RecordRefused
from posthouse.operations.acme.faults import AcmeFault


class DnsCommand:
    """`program … add NAME TEXT`, `program … remove NAME TEXT`; it ends with 0 when that is done."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def add(self, owner: str, text: str) -> None:
        """Have it add a record. RecordRefused: it ended otherwise; AcmeFault: it cannot be run, or takes too long."""
        self._run("add", owner, text)

    def remove(self, owner: str, text: str) -> None:
        """Have it remove that record. RecordRefused, AcmeFault."""
        self._run("remove", owner, text)

    def _run(self, *words: str) -> None:
        program = self._command[0]
        with tempfile.TemporaryFile() as said:  # whatever it says, we hold its end alone
            try:
                done = subprocess.run(
                    [*self._command, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=said,
                    timeout=limits.ACME_DNS_COMMAND,
                    check=False,
                )
            except subprocess.TimeoutExpired as fault:
                raise AcmeFault(f"{program} did not end in time") from fault
            except OSError as fault:
                raise AcmeFault(f"{program} cannot be run: {fault.strerror}") from fault
            if done.returncode != 0:
                raise RecordRefused(f"{program} ended with {done.returncode}: {_last_line(said)}")


def _last_line(said: IO[bytes]) -> str:
    said.seek(max(0, said.seek(0, 2) - limits.ACME_FAULT))
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it does not say why"
