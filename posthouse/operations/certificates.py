"""The certificate our TLS listeners show: whose names, by whom, until when, and how it is renewed.

One of three pairs: that which the administrator gave, that of an authority (`operations.acme`), else one that we sign
ourselves. The key is read only by the TLS library.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from posthouse import limits
from posthouse.config import ConfigError
from posthouse.errors import NotFound
from posthouse.net.certificates import ensure_pair, names_of
from posthouse.net.tls import server_context
from posthouse.operations.acme.renewal import Plan, Renewal, Standing
from posthouse.operations.administration import Method, Stream

log: Final = logging.getLogger(__name__)


class CertificateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate."""

    path: str
    names: tuple[str, ...]
    """The host names it is for (RFC 9525 §6.3: subjectAltName alone)."""
    issuer: str
    own: bool
    """Whether it is the administrator's or an authority's; else it is self-signed, made by us."""
    not_before: int
    not_after: int
    days_left: int
    fingerprint: str
    """SHA-256 of the certificate, hexadecimal."""
    serial: str
    acme: Standing | None
    """How it stands with the authority that is to give one; None: the administrator renews it, or nobody."""


def load_pair(certificate: Path, key: Path) -> ssl.SSLContext:
    """The context of a certificate and its key, for listeners. ConfigError when they cannot be used."""
    try:
        return server_context(certificate, key)
    except (OSError, ssl.SSLError, ValueError) as fault:
        raise ConfigError(f"tls: {certificate} and {key} cannot be used: {fault}") from fault


def pair_to_show(certificate: Path, key: Path, names: tuple[str, ...]) -> ssl.SSLContext:
    """The same; a pair for these names is made first, signed by itself. No names: the administrator gave the pair.

    Blocks: it reads and makes files.
    """
    if names:
        certificate.parent.mkdir(mode=0o700, exist_ok=True)
        if ensure_pair(certificate, key, names[0], datetime.now(UTC), also=names[1:]):
            log.info("certificate made=%s host=%s", certificate, names[0])
    return load_pair(certificate, key)


class Progress(msgspec.Struct, frozen=True):
    """A sign that something long goes on."""

    done: bool


class Certificates:
    """Commands on certificates."""

    def __init__(self, path: Path, own: bool, renewal: Renewal, now: Callable[[], float] = time.time) -> None:
        """`own`: it is not signed by itself."""
        self._path = path
        self._own = own
        self._renewal = renewal
        self._now = now

    def commands(self) -> dict[str, Method | Stream]:
        """By their names."""
        return {
            "certificate.show": self.certificate_show,
            "certificate.plan": self.certificate_plan,
            "certificate.renew": self.certificate_renew,
        }

    async def certificate_show(self) -> CertificateRow:
        """The certificate that is served after the next SIGHUP, if it is not already. NotFound: there is none yet."""
        return await asyncio.to_thread(self._read)

    async def certificate_plan(self) -> Plan:
        """What would be ordered now. Conflict: no authority is configured."""
        return await self._renewal.plan()

    async def certificate_renew(self, *, new_key: bool = False) -> AsyncIterator[Progress]:
        """Order one now, and say from time to time that it goes on. Conflict: it cannot be done here; Temporary."""
        renewing = asyncio.ensure_future(self._renewal.renew(new_key=new_key))
        try:
            while not renewing.done():
                await asyncio.wait({renewing}, timeout=limits.CONTROL_IDLE / 4)
                yield Progress(done=renewing.done())
            await renewing
        finally:
            renewing.cancel()  # whoever asked is gone; an order under way is gone on with

    def _read(self) -> CertificateRow:
        try:
            leaf = x509.load_pem_x509_certificate(self._path.read_bytes())
        except (OSError, ValueError) as fault:
            raise NotFound(f"no certificate can be read at {self._path}") from fault
        after = int(leaf.not_valid_after_utc.timestamp())
        return CertificateRow(
            path=str(self._path),
            names=names_of(leaf),
            issuer=leaf.issuer.rfc4514_string(),
            own=self._own,
            not_before=int(leaf.not_valid_before_utc.timestamp()),
            not_after=after,
            days_left=int((after - self._now()) // 86400),
            fingerprint=hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest(),
            serial=f"{leaf.serial_number:x}",
            acme=self._renewal.standing(),
        )
