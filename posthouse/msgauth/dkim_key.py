"""Public keys of signers: the TXT record `selector._domainkey.domain` (RFC 6376 §3.6.1, RFC 8463)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from posthouse.limits import (
    DKIM_KEY_KEPT,
    DKIM_KEYS_KEPT,
    DKIM_RSA_LARGEST,
    DKIM_RSA_SMALLEST,
    DNS_NAME_RECORDS,
    DOMAIN,
)
from posthouse.msgauth.results import Result
from posthouse.msgauth.tags import TagError, decode_base64, parse_tags, unspaced
from posthouse.resolver import Resolver, Status

_PREHASHED: Final = utils.Prehashed(SHA256())
_EXPONENT_BITS: Final = 32


class KeyProblem(Exception):
    """No key to verify with."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key as published."""

    kind: str
    """"rsa" or "ed25519" (k=)."""
    key: rsa.RSAPublicKey | ed25519.Ed25519PublicKey
    bits: int
    testing: bool = False
    """t=y"""
    strict: bool = False
    """t=s: i= must be in d= itself, not below it."""

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Whether it signed this SHA-256 digest."""
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, digest, padding.PKCS1v15(), _PREHASHED)
            else:
                # RFC 8463 §3: PureEdDSA over the SHA-256 digest.
                self.key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True


async def find_key(selector: str, domain: str, resolver: Resolver) -> PublicKey:
    """Ask the DNS for a key. Raises KeyProblem."""
    name = f"{selector}._domainkey.{domain}"
    if len(name) > DOMAIN:
        raise KeyProblem(Result.PERMERROR, "selector and domain make no name")
    answer = await resolver.txt(name)
    if answer.status is Status.TEMPORARY:
        raise KeyProblem(Result.TEMPERROR, f"key {name}: {answer.reason}")
    if not answer.records:
        raise KeyProblem(Result.PERMERROR, f"no key at {name}")
    problem = KeyProblem(Result.PERMERROR, f"no usable key at {name}")
    # RFC 6376 §3.6.2.2: several records are undefined; the first that is a key counts.
    for text in answer.records[:DNS_NAME_RECORDS]:
        found = parse_key(text)
        if isinstance(found, PublicKey):
            return found
        problem = KeyProblem(found[0], f"key {name}: {found[1]}")
    raise problem


def parse_key(text: str) -> PublicKey | tuple[Result, str]:
    """The key of a record, or what is wrong with it."""
    return _parse_kept(text) if len(text) <= DKIM_KEY_KEPT else _parse(text)


@lru_cache(DKIM_KEYS_KEPT)
def _parse_kept(text: str) -> PublicKey | tuple[Result, str]:
    return _parse(text)


def _parse(text: str) -> PublicKey | tuple[Result, str]:
    try:
        tags = parse_tags(text)
        if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
            return Result.PERMERROR, "not a DKIM1 record"
        if "p" not in tags:
            return Result.PERMERROR, "no p="
        if not tags["p"]:
            return Result.PERMERROR, "revoked"
        hashes = _words(tags.get("h", "sha256"))
        services = _words(tags.get("s", "*"))
        if "sha256" not in hashes or not services & {"*", "email"}:
            return Result.PERMERROR, "not for mail signed with SHA-256"
        flags = _words(tags.get("t", ""))
        return _load(tags.get("k", "rsa").lower(), decode_base64(tags["p"]), flags)
    except TagError as fault:
        return Result.PERMERROR, str(fault)


def _words(value: str) -> frozenset[str]:
    return frozenset(unspaced(value).lower().split(":"))


def _load(kind: str, octets: bytes, flags: frozenset[str]) -> PublicKey | tuple[Result, str]:
    if kind not in ("rsa", "ed25519"):
        return Result.PERMERROR, f"unknown key type {kind[:20]}"
    try:
        if kind == "ed25519":
            edwards = ed25519.Ed25519PublicKey.from_public_bytes(octets)
            return PublicKey(kind=kind, key=edwards, bits=256, testing="y" in flags, strict="s" in flags)
        if len(octets) * 8 > DKIM_RSA_LARGEST * 2:
            return Result.POLICY, f"RSA key over {DKIM_RSA_LARGEST} bits"
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as fault:
        # The library itself refuses the shortest keys.
        short = len(octets) * 8 < DKIM_RSA_SMALLEST and kind == "rsa"
        return (Result.POLICY, "RSA key too short") if short else (Result.PERMERROR, f"no key: {fault}"[:100])
    if not isinstance(key, rsa.RSAPublicKey):
        return Result.PERMERROR, "not an RSA key"
    bits = key.key_size
    # RFC 8301 §3.2: fewer than 1024 bits prove nothing; above 4096 nobody need go.
    if not DKIM_RSA_SMALLEST <= bits <= DKIM_RSA_LARGEST:
        return Result.POLICY, f"RSA key of {bits} bits"
    if key.public_numbers().e.bit_length() > _EXPONENT_BITS:
        return Result.POLICY, "RSA key with a huge exponent"
    return PublicKey(kind=kind, key=key, bits=bits, testing="y" in flags, strict="s" in flags)
