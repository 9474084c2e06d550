"""Certificates that we make ourselves, for a first start without any: P-256 keys, the cheapest handshake.

Either a self-signed pair, or a leaf under an authority whose key is thrown away at once: a program that
insists on an authority (Thunderbird) can be given that one to trust, and nobody can sign anything else with
it. Files are written whole or not at all, with mode 0600.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from posthouse.durable import write_private
from posthouse.limits import CERTIFICATE_DAYS, CERTIFICATE_RENEW_DAYS


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate with its key, all PEM."""

    certificate: bytes
    """The leaf, then its authority when it has one."""
    key: bytes
    authority: bytes
    """The certificate to trust: the authority's, or the self-signed leaf itself."""


def make_pair(hostname: str, now: datetime, *, also: Sequence[str] = (), authority: bool = False) -> Pair:
    """Make a new pair for a host, good for `CERTIFICATE_DAYS` from `now` (aware). `also`: its other names.

    Under an authority if asked.
    """
    names = (hostname, *also)
    key = ec.generate_private_key(ec.SECP256R1())
    if not authority:
        name = _name(hostname)
        leaf = _leaf(names, key, name, now).sign(key, hashes.SHA256())
        return Pair(certificate=_pem(leaf), key=_key_pem(key), authority=_pem(leaf))
    above = ec.generate_private_key(ec.SECP256R1())
    issuer = _name(f"Posthouse authority of {hostname}")
    root = _root(above, issuer, now).sign(above, hashes.SHA256())
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
    leaf = (
        _leaf(names, key, issuer, now).add_extension(signed_by, critical=False).sign(above, hashes.SHA256())
    )
    return Pair(certificate=_pem(leaf) + _pem(root), key=_key_pem(key), authority=_pem(root))


def ensure_pair(
    certificate: Path, key: Path, hostname: str, now: datetime, *, also: Sequence[str] = ()
) -> bool:
    """Make a self-signed pair at these places unless a good one is there. Says whether it made one. OSError.

    Not good: a file is missing, the hostname or another of its names (`also`) is not in it, or it ends within
    `CERTIFICATE_RENEW_DAYS`.
    """
    if key.exists() and _still_good(certificate, (hostname, *also), now):
        return False
    pair = make_pair(hostname, now, also=also)
    write_private(key, pair.key)
    write_private(certificate, pair.certificate)
    return True


def names_of(leaf: x509.Certificate) -> tuple[str, ...]:
    """The host names a certificate is for."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def _still_good(path: Path, hostnames: Sequence[str], now: datetime) -> bool:
    try:
        leaf = x509.load_pem_x509_certificate(path.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (FileNotFoundError, ValueError, x509.ExtensionNotFound):
        return False
    if leaf.not_valid_after_utc < now + timedelta(days=CERTIFICATE_RENEW_DAYS):
        return False
    return all(_general_name(hostname) in names for hostname in hostnames)


def _leaf(
    hostnames: Sequence[str], key: ec.EllipticCurvePrivateKey, issuer: x509.Name, now: datetime
) -> x509.CertificateBuilder:
    names = [
        *map(_general_name, hostnames),
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ]
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(key, now, days=CERTIFICATE_DAYS)
        .subject_name(_name(hostnames[0]))
        .issuer_name(issuer)
        .add_extension(x509.SubjectAlternativeName(dict.fromkeys(names)), critical=False)
        # not an authority even when it signs itself: browsers refuse an authority as a server's certificate
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(_usage(sign_certificates=False), critical=True)
    )


def _root(key: ec.EllipticCurvePrivateKey, name: x509.Name, now: datetime) -> x509.CertificateBuilder:
    return (
        _builder(key, now, days=CERTIFICATE_DAYS)
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
    )


def _builder(key: ec.EllipticCurvePrivateKey, now: datetime, *, days: int) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # for clocks that are behind
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    # X.520 allows 64 characters; the name that counts is among the alternative names
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _general_name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
