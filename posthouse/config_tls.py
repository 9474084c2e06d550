"""The part of the configuration that is about our certificate: what stands in `[tls]` and below."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from posthouse.config_reader import Seconds


class AcmeDns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For a host whose port 80 the authority cannot reach: the names are proved by TXT records (dns-01, RFC 8555 §8.4)
    that we put into the DNS for a minute, by updates to its name server or by a program. Both empty: at port 80."""

    server: str = ""
    """"address" or "address:port": the name server that takes changes of our zones (RFC 2136)."""
    key: str = ""
    """The name of the key with which they are signed (TSIG, RFC 8945); empty: they are not."""
    secret: str = ""
    """The key itself, in base64."""
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """How it signs."""
    command: tuple[str, ...] = ()
    """A program and its first words, instead: with "add" or "remove", a name and a text behind them it changes the TXT
    record, and ends with 0 when that is done."""
    wait: Seconds = 10
    """Seconds from a change until all name servers of the zone show it."""

    @property
    def given(self) -> bool:
        """Whether names are proved in the DNS."""
        return bool(self.server or self.command)


class Acme(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authority that gives and renews our certificate by itself (ACME, RFC 8555). To name its directory is to agree
    to its terms of service. It looks whether names are ours at port 80 of each, so `listen.http` must be reached there;
    or in the DNS (`tls.acme.dns`).
    """

    directory: str = ""
    """"https://…": where the authority's ACME server describes itself. Empty: no ACME."""
    contact: str = ""
    """A mail address at which the authority may tell of trouble; empty: none is given."""
    names: tuple[str, ...] = ()
    """More names for the certificate, beside `hostname`, `public_name` and those of our domains that lead here."""
    ca: Path | None = None
    """PEM file: who is believed to be the authority's server, in place of the system's trust; for one of your own."""
    eab_kid: str = ""
    """The key identifier of external account binding (RFC 8555 §7.3.4), from authorities that have customers."""
    eab_hmac: str = ""
    """Its key, in base64url as the authority shows it."""
    dns: AcmeDns = msgspec.field(default_factory=AcmeDns)


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our certificate chain and key (PEM). Both empty: a self-signed P-256 pair is made at first start, and shown until
    there is one of the authority named in `acme`."""

    certificate: Path | None = None
    """PEM file: our certificate, then its issuers. Relative to this file; reread at SIGHUP."""
    key: Path | None = None
    """PEM file: the certificate's private key."""
    acme: Acme = msgspec.field(default_factory=Acme)
