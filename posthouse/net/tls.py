"""TLS contexts: TLS 1.2 and newer (RFC 8996), ciphers as OpenSSL orders them, session tickets on.

Only the event loop's own TLS is used (uvloop's costs a tenth of the stock loop's memory). The server's
context knows its channel binding `tls-server-end-point` (RFC 5929 §4). `tls-exporter` (RFC 9266) is not
offered: no release of Python's ssl module gives out keying material.
"""

from __future__ import annotations

import ssl
from _ssl import ENCODING_DER
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes


class TlsInfo(msgspec.Struct, frozen=True):
    """What a finished handshake agreed on."""

    version: str
    """"TLSv1.3" or "TLSv1.2"."""
    cipher: str
    server_name: str
    """The name the client asked for (RFC 6066 §3); empty: none."""


class ServerContext(ssl.SSLContext):
    """A server's context with what SCRAM-…-PLUS binds to."""

    server_end_point: bytes | None
    """The hash of our certificate (RFC 5929 §4); None when its signature names no hash."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context from a PEM chain (leaf first) and its key. Raises OSError, ssl.SSLError, ValueError."""
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # RFC 8446 §4.6.1: any number; the default of two doubles what tickets add to a handshake (a fifth of it).
    context.num_tickets = 1
    context.load_cert_chain(certificate, key, _no_passphrase)
    context.sni_callback = _note_server_name
    context.server_end_point = server_end_point(certificate.read_bytes())
    return context


def client_context(verify: bool, authorities: Path | None = None) -> ssl.SSLContext:
    """A context to connect with. Without `verify` any certificate will do (RFC 7435: better than clear text).

    `authorities` (PEM) are trusted in place of the system's.
    """
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_end_point(pem: bytes) -> bytes | None:
    """RFC 5929 §4.1: the leaf's hash by its signature's own hash, SHA-256 standing in for MD5 and SHA-1."""
    leaf = x509.load_pem_x509_certificate(pem)
    algorithm = leaf.signature_hash_algorithm
    if algorithm is None:
        return None
    if isinstance(algorithm, hashes.MD5 | hashes.SHA1):
        algorithm = hashes.SHA256()
    return leaf.fingerprint(algorithm)


def _no_passphrase() -> str:
    # Else OpenSSL would ask for it on the terminal, if there is one: at a service's start there is none.
    raise ValueError("the key is under a passphrase: keep it here without one")


def _note_server_name(ssl_object: Any, server_name: str | None, _context: ssl.SSLContext) -> None:
    ssl_object.asked_name = server_name or ""


def peer_chain(ssl_object: ssl.SSLObject) -> list[bytes]:
    """The certificates that the peer sent (DER), its own first; nobody has verified them."""
    if hasattr(ssl_object, "get_unverified_chain"):  # Python 3.13
        return list(ssl_object.get_unverified_chain())
    inner: Any = ssl_object._sslobj  # type: ignore[attr-defined]  # 3.11 and 3.12 have it one step deeper
    return [certificate.public_bytes(ENCODING_DER) for certificate in inner.get_unverified_chain() or ()]


def tls_info(ssl_object: ssl.SSLObject, server_name: str = "") -> TlsInfo:
    """What was agreed on; a server's side learns the server name from the handshake."""
    cipher = ssl_object.cipher()
    return TlsInfo(
        version=ssl_object.version() or "",
        cipher=cipher[0] if cipher else "",
        server_name=server_name or getattr(ssl_object, "asked_name", ""),
    )
