"""TLSA records (RFC 6698) as SMTP uses them (RFC 7672): which are usable, and whether a server's chain matches. Pure.

DANE-EE(3) binds a key to a name by itself: neither names nor dates in the certificate matter. DANE-TA(2) names an
authority, which must be in the chain that the server sends, or whole in the record; names, dates and the authorities'
constraints are checked then. PKIX-TA(0) and PKIX-EE(1) are not usable between mail hosts (RFC 7672 §3.1.3).
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from posthouse.limits import DANE_CHAIN

TRUST_ANCHOR: Final = 2
END_ENTITY: Final = 3
_DIGESTS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_LENGTHS: Final = {1: 32, 2: 64}


class Tlsa(msgspec.Struct, frozen=True, order=True):
    """One record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    """0: the whole certificate, 1: its public key."""
    matching: int
    """0: all of it, 1: SHA-256, 2: SHA-512."""
    data: bytes

    @property
    def usable(self) -> bool:
        """RFC 7672 §3.1: one that we can match with."""
        if self.usage not in (TRUST_ANCHOR, END_ENTITY) or self.selector not in (0, 1):
            return False
        return bool(self.data) if self.matching == 0 else _LENGTHS.get(self.matching) == len(self.data)

    def matches(self, certificate: x509.Certificate) -> bool:
        """Whether it names this certificate, or its key."""
        if self.selector == 0:
            found = certificate.public_bytes(Encoding.DER)
        else:
            found = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.data == (_DIGESTS[self.matching](found) if self.matching else found)

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


def parse_tlsa(text: str) -> Tlsa | None:
    """A record from its zone text; None: it is none."""
    words = text.split()
    try:
        usage, selector, matching = map(int, words[:3])
        return Tlsa(usage, selector, matching, bytes.fromhex("".join(words[3:])))
    except ValueError:
        return None


def to_match(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """The usable records; of several digests for one usage and selector only the strongest (RFC 7671 §9)."""
    usable = [record for record in records if record.usable]
    strongest: dict[tuple[int, int], int] = {}
    for record in usable:
        key = (record.usage, record.selector)
        strongest[key] = max(record.matching, strongest.get(key, 0))
    return tuple(
        record for record in usable if record.matching in (0, strongest[record.usage, record.selector])
    )


def mismatch(records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now: float) -> str:
    """Why a chain (DER, the server's own certificate first) is not what the usable records ask for; empty: it is.

    `names`: what the server may be called, for DANE-TA(2) (RFC 7672 §3.2.2); `now`: POSIX seconds.
    """
    try:
        certificates = [x509.load_der_x509_certificate(each) for each in chain[:DANE_CHAIN]]
        if not certificates:
            return "the server shows no certificate"
        if any(record.matches(certificates[0]) for record in records if record.usage == END_ENTITY):
            return ""  # RFC 7672 §3.1.1: neither names nor dates are looked at
        anchors = [record for record in records if record.usage == TRUST_ANCHOR]
        if not anchors:
            return "the certificate is none of those in its TLSA records"
        return _by_anchor(anchors, certificates, names, datetime.fromtimestamp(now, UTC))
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as fault:
        return f"the certificate cannot be read: {fault}"


def _by_anchor(
    anchors: Sequence[Tlsa], certificates: list[x509.Certificate], names: Sequence[str], now: datetime
) -> str:
    """Follow the issuers from the server's certificate to one that the records name."""
    current, rest = certificates[0], [*certificates[1:], *_held_whole(anchors)]
    if not _in_time(current, now):
        return "certificate has expired or is not yet valid"
    below = 0
    while (issuer := next((one for one in rest if _issued(one, current)), None)) is not None:
        rest.remove(issuer)
        if problem := _no_authority(issuer, below, now):
            return problem
        if any(record.matches(issuer) for record in anchors):
            return (
                "" if _named(certificates[0], names) else "hostname mismatch: no name in the certificate fits"
            )
        current, below = issuer, below + (issuer.subject != issuer.issuer)
    return "no authority in the chain is one of those in its TLSA records"


def _held_whole(anchors: Sequence[Tlsa]) -> list[x509.Certificate]:
    """The authorities that need not be sent (RFC 6698 §2.1.1): the records hold their certificates, not digests."""
    found = []
    for record in anchors:
        if record.selector == 0 and record.matching == 0:
            with contextlib.suppress(ValueError):  # octets that are no certificate name nobody
                found.append(x509.load_der_x509_certificate(record.data))
    return found


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    try:
        subject.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _in_time(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


_UNDERSTOOD: Final = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
)


def _no_authority(certificate: x509.Certificate, below: int, now: datetime) -> str:
    """Why a certificate may not issue others, `below` of which are authorities already (RFC 5280 §6.1.4)."""
    if not _in_time(certificate, now):
        return "an authority's certificate has expired or is not yet valid"
    constraints = usage = None
    for extension in certificate.extensions:
        if isinstance(extension.value, x509.BasicConstraints):
            constraints = extension.value
        elif isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        # RFC 5280 §4.2: what is critical and not understood refuses; we understand no constraints on names.
        if extension.critical and not isinstance(extension.value, _UNDERSTOOD):
            return f"an authority's certificate has a critical extension that is not known here ({extension.oid})"
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        return "a certificate in the chain is no authority's"
    if constraints.path_length is not None and below > constraints.path_length:
        return "the chain is longer than its authority allows"
    return ""


def _named(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    """RFC 7672 §3.2.3: a DNS name of it, or its common name when it has none, is one of the names."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        shown = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        shown = []
    if not shown:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        shown = [str(each.value) for each in common]
    wanted = {name.lower().rstrip(".") for name in names if name}
    wildcards = {"*." + name.partition(".")[2] for name in wanted if name.count(".") > 1}
    return not {name.lower().rstrip(".") for name in shown}.isdisjoint(wanted | wildcards)
