"""What stays of ACME in the data folder: the pair in use, and for each authority the account and how far we are.

`pair.pem` holds certificate, chain and key together, so that both are replaced in one step. Everything is written whole
or not at all, mode 0600. One folder for each directory: an account is no use at another authority.
"""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from posthouse.durable import sync, write_private
from posthouse.net.tls import server_context
from posthouse.operations.acme.names import LeftOut

log: Final = logging.getLogger(__name__)


class Resting(msgspec.Struct, frozen=True, kw_only=True):
    """A name that could not be proved."""

    until: float
    why: str
    failures: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How far we are with one authority."""

    account: str = ""
    """The account's URL (RFC 8555 §7.1.2)."""
    issued: str = ""
    """SHA-256 of the certificate in use, when it is this authority's."""
    order: str = ""
    """The URL of the order under way."""
    order_names: tuple[str, ...] = ()
    orders: tuple[float, ...] = ()
    """When orders were made for the sake of new names, of the last week."""
    failures: int = 0
    """Orders in a row that failed."""
    fault: str = ""
    """Why the last one failed; empty: it did not."""
    fault_at: float = 0
    try_at: float = 0
    """Not to be tried again before."""
    suggested: float = 0
    """When the authority suggests to renew (RFC 9773 §4.2); 0: it does not."""
    ask_at: float = 0
    """When to ask it again."""
    resting: dict[str, Resting] = {}
    left_out: tuple[LeftOut, ...] = ()
    """Names that were wanted and not ordered when we last looked."""


class AcmeFiles:
    """All of it. Blocks; OSError."""

    def __init__(self, folder: Path) -> None:
        """`folder`: `tls/acme` in the data folder."""
        self._folder = folder
        self.pair = folder / "pair.pem"
        """Certificate, chain and key."""

    # --- the pair ------------------------------------------------------------------------------------

    def leaf(self) -> x509.Certificate | None:
        """The certificate in use; None: there is none, or none that can be read."""
        try:
            return x509.load_pem_x509_certificate(self.pair.read_bytes())
        except (OSError, ValueError):
            return None

    def usable(self) -> bool:
        """Whether there is a pair that TLS can use."""
        if not self.pair.exists():
            return False
        try:
            server_context(self.pair, self.pair)
        except (OSError, ValueError) as fault:
            log.error("acme pair=%s cannot be used: %s", self.pair, fault)
            return False
        return True

    def key(self, before: Path) -> bytes:
        """The key to go on with (PEM): of the pair in use, else that of `before`, else a new one.

        The same key as long as nobody wants another one: TLSA records (RFC 7672 §3.1) stay true.
        """
        for path in (self.pair, before):
            try:
                key = serialization.load_pem_private_key(_key_block(path.read_bytes()), None)
            except (OSError, ValueError, TypeError):
                continue
            return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.new_key()

    def new_key(self) -> bytes:
        """A new P-256 key (PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def install(self, chain: bytes, key: bytes) -> None:
        """Put a new pair in place of the old one, once TLS can use it. ValueError, ssl.SSLError, OSError."""
        beside = self.pair.with_name("pair.new")
        write_private(beside, chain.rstrip() + b"\n" + key)
        server_context(beside, beside)
        os.replace(beside, self.pair)
        sync(self._folder)

    # --- one authority -------------------------------------------------------------------------------

    def of(self, directory: str) -> Path:
        """The folder of an authority."""
        digest = hashlib.sha256(directory.encode()).hexdigest()[:8]
        return self._folder / f"{urlsplit(directory).hostname}-{digest}"

    def account_key(self, directory: str) -> bytes:
        """The account's key (PEM); made when there is none."""
        path = self.of(directory) / "account.pem"
        if not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, self.new_key())
        return path.read_bytes()

    def state(self, directory: str) -> State:
        """How far we are; what cannot be read counts as nothing."""
        path = self.of(directory) / "state.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (OSError, msgspec.DecodeError) as fault:
            log.warning("acme state=%s cannot be read, begun anew: %s", path, fault)
            return State()

    def keep(self, directory: str, state: State) -> None:
        """Remember how far we are."""
        path = self.of(directory) / "state.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, msgspec.json.encode(state))

    def next_key(self, directory: str) -> Path:
        """Where the key of the order under way is kept."""
        return self.of(directory) / "order.pem"


def fingerprint(leaf: x509.Certificate) -> str:
    """SHA-256 of a certificate, hexadecimal."""
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def _key_block(pem: bytes) -> bytes:
    """The private key of a PEM file that holds certificates too."""
    begin = pem.find(b"-----BEGIN PRIVATE KEY-----")
    return pem[begin:] if begin >= 0 else pem
