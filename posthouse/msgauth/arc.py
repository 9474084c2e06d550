"""ARC: the chain of custody that forwarders and mailing lists leave in a message (RFC 8617).

A good chain tells who claims to have seen the message authentic before; it proves no author, and nobody's word is
taken for more than that here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Final

import msgspec

from posthouse.limits import ARC_SETS
from posthouse.msgauth.dkim_canon import CRLF, BodyDigest, BodyForm, RawField, relaxed_field
from posthouse.msgauth.dkim_key import KeyProblem, find_key
from posthouse.msgauth.dkim_signature import (
    ALGORITHMS,
    Signature,
    SignatureProblem,
    added_field,
    header_digest,
    key_of,
    signature_from,
    tags_of,
    without_value,
)
from posthouse.msgauth.results import Arc, Result
from posthouse.msgauth.tags import TagError, decode_base64
from posthouse.resolver import Resolver

AAR: Final = b"arc-authentication-results"
AMS: Final = b"arc-message-signature"
AS: Final = b"arc-seal"

_INSTANCE: Final = re.compile(r"[1-9][0-9]?")
_AAR_INSTANCE: Final = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([1-9][0-9]?)[ \t\r\n]*;")
_TIME: Final = re.compile(r"[0-9]{1,12}")


class ArcSet(msgspec.Struct, frozen=True, kw_only=True):
    """The three fields of one forwarder (RFC 8617 §4)."""

    results: RawField
    signature: RawField
    signature_tags: dict[str, str]
    seal: RawField
    seal_tags: dict[str, str]


class Broken(Exception):
    """The chain fails; the text says where."""


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """The chain of one message as read; `validate` checks it."""

    fields: Sequence[RawField]
    sets: tuple[ArcSet, ...] = ()
    """In the order of i=."""
    signature: Signature | None = None
    """The newest forwarder's, over the message as it was there."""
    broken: str = ""

    @classmethod
    def of(cls, fields: Sequence[RawField]) -> Chain:
        """Read the ARC fields of a header, in the steps 1-3 of RFC 8617 §5.2."""
        try:
            sets = _read_sets(fields)
            if not sets:
                return cls(fields=fields)
            newest = signature_from(sets[-1].signature, sets[-1].signature_tags, of_arc=True)
            if AS in newest.names:
                # RFC 8617 §4.1.2
                raise Broken("the message signature covers seals")
            return cls(fields=fields, sets=sets, signature=newest)
        except Broken as fault:
            return cls(fields=fields, broken=str(fault))
        except SignatureProblem as problem:
            return cls(fields=fields, broken=problem.reason)

    @property
    def forms(self) -> frozenset[BodyForm]:
        """The form of the body whose hash is needed."""
        return frozenset() if self.signature is None else frozenset({self.signature.body})

    async def validate(self, bodies: Mapping[BodyForm, BodyDigest], resolver: Resolver) -> Arc:
        """RFC 8617 §5.2: the newest message signature, then every seal from the newest to the oldest."""
        if self.broken:
            return Arc(result=Result.FAIL, reason=self.broken)
        if self.signature is None:
            return Arc(result=Result.NONE)
        sealers = tuple(one.seal_tags.get("d", "").lower() for one in self.sets)
        try:
            await self._check_signature(self.signature, bodies, resolver)
            digests = seal_digests(self.sets)
            for number in range(len(self.sets), 0, -1):
                await self._check_seal(number, digests[number - 1], resolver)
        except Broken as fault:
            return Arc(result=Result.FAIL, sealers=sealers, reason=str(fault))
        except (KeyProblem, SignatureProblem) as problem:
            # RFC 8617 §5.2.1: every error is a failure, also where a key cannot be asked for now.
            return Arc(result=Result.FAIL, sealers=sealers, reason=problem.reason)
        return Arc(result=Result.PASS, sealers=sealers)

    async def _check_signature(
        self, signature: Signature, bodies: Mapping[BodyForm, BodyDigest], resolver: Resolver
    ) -> None:
        body = bodies[signature.body]
        if not compare_digest(body.digest, signature.body_hash):
            raise Broken("the body was changed")
        if signature.body.length is not None and signature.body.length < body.size:
            raise Broken("only a part of the body is signed")
        if added := added_field(self.fields, signature.names):
            raise Broken(f"not every {added} field is signed")
        digest = header_digest(
            self.fields, signature.names, signature.field, relaxed=signature.header_relaxed
        )
        await _check(
            signature.algorithm, signature.domain, signature.selector, signature.value, digest, resolver
        )

    async def _check_seal(self, number: int, digest: bytes, resolver: Resolver) -> None:
        tags = self.sets[number - 1].seal_tags
        algorithm, domain, selector = key_of(tags)
        try:
            value = decode_base64(tags["b"])
        except TagError as fault:
            raise Broken(f"seal {number}: b= is {fault}") from None
        await _check(algorithm, domain, selector, value, digest, resolver)


async def _check(
    algorithm: str, domain: str, selector: str, value: bytes, digest: bytes, resolver: Resolver
) -> None:
    key = await find_key(selector, domain, resolver)
    if key.kind != ALGORITHMS[algorithm] or not key.verifies(value, digest):
        raise Broken(f"a signature of {domain} does not fit")


def seal_digests(sets: Sequence[ArcSet]) -> list[bytes]:
    """RFC 8617 §5.1.1: for each seal, all sets up to its own, each in the order results, signature, seal.

    Its own seal stands there without its b=. What comes before is hashed once for all.
    """
    digests = []
    before = hashlib.sha256()
    for number, one in enumerate(sets):
        pieces = [relaxed_field(one.results.raw), relaxed_field(one.signature.raw)]
        before.update((CRLF if number else b"") + CRLF.join(pieces) + CRLF)
        here = before.copy()
        here.update(relaxed_field(without_value(one.seal)))
        digests.append(here.digest())
        before.update(relaxed_field(one.seal.raw))
    return digests


def _read_sets(fields: Sequence[RawField]) -> tuple[ArcSet, ...]:
    found: dict[bytes, dict[int, tuple[RawField, dict[str, str]]]] = {AAR: {}, AMS: {}, AS: {}}
    for field in fields:
        if field.name not in found:
            continue
        number, tags = _instance(field)
        if number in found[field.name]:
            raise Broken(f"two {field.name.decode()} of i={number}")
        found[field.name][number] = (field, tags)
    count = max(map(len, found.values()))
    if count > ARC_SETS:
        raise Broken("too many sets")
    # RFC 8617 §5.2 step 3B: 1 to N without gaps, one field of each kind.
    if any(set(numbers) != set(range(1, count + 1)) for numbers in found.values()):
        raise Broken("the sets are not complete")
    sets = []
    for number in range(1, count + 1):
        seal, seal_tags = found[AS][number]
        _check_seal_tags(number, seal_tags)
        signature, signature_tags = found[AMS][number]
        sets.append(
            ArcSet(
                results=found[AAR][number][0],
                signature=signature,
                signature_tags=signature_tags,
                seal=seal,
                seal_tags=seal_tags,
            )
        )
    return tuple(sets)


def _instance(field: RawField) -> tuple[int, dict[str, str]]:
    if field.name == AAR:
        match = _AAR_INSTANCE.match(field.value)
        if match is None:
            raise Broken("results without i=")
        return int(match[1]), {}
    tags = tags_of(field)
    if _INSTANCE.fullmatch(tags.get("i", "")) is None:
        raise Broken(f"{field.name.decode()} without i=")
    return int(tags["i"]), tags


def _check_seal_tags(number: int, tags: Mapping[str, str]) -> None:
    """RFC 8617 §4.1.3, and §5.2 step 3C: what each seal says of the chain before it."""
    for name in ("a", "b", "d", "s", "cv"):
        if not tags.get(name):
            raise Broken(f"seal {number}: {name}= is missing")
    if "h" in tags:
        raise Broken(f"seal {number} has h=")
    if "t" in tags and _TIME.fullmatch(tags["t"]) is None:
        raise Broken(f"seal {number}: t= is no time")
    wanted = "none" if number == 1 else "pass"
    if tags["cv"].lower() != wanted:
        raise Broken(f"seal {number} says cv={tags['cv'][:10]}")
