"""Names proved by records in the DNS (dns-01, RFC 8555 §8.4), for a host that the authority need not reach."""

from __future__ import annotations

import logging
from typing import Final, Protocol

from posthouse.config_tls import AcmeDns
from posthouse.operations.acme.faults import AcmeFault

log: Final = logging.getLogger(__name__)


class RecordRefused(Exception):
    """A record cannot be put where it should be; its text says why, for the administrator."""


class Records(Protocol):
    """Who changes the DNS. Blocks. AcmeFault: it cannot be asked now."""

    def add(self, owner: str, text: str) -> None:
        """Have a TXT record there, beside others. RecordRefused."""

    def remove(self, owner: str, text: str) -> None:
        """Have that record there no more. RecordRefused."""


class DnsChallenges:
    """The records that are there now. Used in the thread that speaks with the authority."""

    kind: Final = "dns-01"

    def __init__(self, records: Records, wait: float) -> None:
        """`wait`: seconds until every name server shows a change."""
        self.wait = wait
        self._records = records
        self._there: dict[str, tuple[str, str]] = {}

    def offer(self, name: str, token: str, answer: str) -> None:
        """Put the answer where the authority looks for it. AcmeFault."""
        owner = f"_acme-challenge.{name}"
        self._there[token] = owner, answer
        try:
            self._records.add(owner, answer)
        except RecordRefused as fault:
            raise AcmeFault(f"{name}: {fault}", names={name: str(fault)}, gone=True) from fault

    def withdraw(self, token: str) -> None:
        """Remove the record. One that stays is logged; it does no harm."""
        owner, answer = self._there.pop(token)
        try:
            self._records.remove(owner, answer)
        except (RecordRefused, AcmeFault) as fault:
            log.warning("acme record stays at %s: %s", owner, fault)


def dns_challenges(settings: AcmeDns) -> DnsChallenges:
    """By updates or by a program, as it is configured."""
    records: Records
    if settings.command:
        from posthouse.operations.acme.dns_command import DnsCommand

        records = DnsCommand(settings.command)
    else:
        from posthouse.operations.acme.dns_updates import DnsUpdates

        records = DnsUpdates(settings)
    return DnsChallenges(records, settings.wait)
