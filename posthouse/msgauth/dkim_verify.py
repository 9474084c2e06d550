"""DKIM verification: who signed this message, and is it still what they signed? (RFC 6376 §6, RFC 8463)

In three steps, so that a large body may be hashed elsewhere: `Signatures.of` reads the header, the caller feeds the
body to `BodyHashes(signatures.forms)`, `verify` asks for the keys. Our own rules on top: short keys, SHA-1, and
signatures that leave a part of the body open (`l=`), or a field beside the one that they sign, prove nothing. Nor do
those of domains that are only testing (`t=y`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hmac import compare_digest

import msgspec

from posthouse.limits import DKIM_CLOCK_SKEW, DKIM_SIGNATURES, DKIM_SIGNATURES_SHOWN
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, RawField
from posthouse.msgauth.dkim_key import KeyProblem, find_key
from posthouse.msgauth.dkim_signature import (
    ALGORITHMS,
    Signature,
    SignatureProblem,
    added_field,
    header_digest,
    identity_domain,
    marks,
    read_signature,
)
from posthouse.msgauth.results import Dkim, Result
from posthouse.resolver import Resolver

FIELD = b"dkim-signature"


class Signatures(msgspec.Struct, frozen=True, kw_only=True):
    """The signatures of a message, those that can be read and what is wrong with the others."""

    fields: Sequence[RawField]
    found: tuple[Signature | Dkim, ...]
    """In the order of the header; a Dkim is final."""

    @classmethod
    def of(cls, fields: Sequence[RawField]) -> Signatures:
        """Read them. Beyond DKIM_SIGNATURES none is looked at."""
        found: list[Signature | Dkim] = []
        for field in fields:
            if field.name != FIELD:
                continue
            if len(found) >= DKIM_SIGNATURES_SHOWN:
                break
            if len(found) >= DKIM_SIGNATURES:
                found.append(Dkim(result=Result.POLICY, reason="too many signatures: not checked"))
                continue
            try:
                found.append(read_signature(field))
            except SignatureProblem as problem:
                found.append(Dkim(result=problem.result, reason=problem.reason))
        told = iter(marks([one.field for one in found if isinstance(one, Signature)]))
        named = (
            msgspec.structs.replace(one, mark=next(told)) if isinstance(one, Signature) else one
            for one in found
        )
        return cls(fields=fields, found=tuple(named))

    @property
    def forms(self) -> frozenset[BodyForm]:
        """The forms of the body whose hashes are needed."""
        return frozenset(one.body for one in self.found if isinstance(one, Signature))

    async def verify(
        self, bodies: Mapping[BodyForm, BodyDigest], resolver: Resolver, now: int
    ) -> tuple[Dkim, ...]:
        """Check each, one after the other: they mostly share a domain."""
        return tuple(
            [
                one if isinstance(one, Dkim) else await _verify(one, self.fields, bodies, resolver, now)
                for one in self.found
            ]
        )


async def _verify(
    signature: Signature,
    fields: Sequence[RawField],
    bodies: Mapping[BodyForm, BodyDigest],
    resolver: Resolver,
    now: int,
) -> Dkim:
    try:
        return await _checked(signature, fields, bodies, resolver, now)
    except (KeyProblem, SignatureProblem) as problem:
        return _result(signature, problem.result, problem.reason)


async def _checked(
    signature: Signature,
    fields: Sequence[RawField],
    bodies: Mapping[BodyForm, BodyDigest],
    resolver: Resolver,
    now: int,
) -> Dkim:
    if signature.expires is not None and signature.expires + DKIM_CLOCK_SKEW < now:
        return _result(signature, Result.PERMERROR, "expired")
    body = bodies[signature.body]
    if not compare_digest(body.digest, signature.body_hash):
        # Before any look-up: a changed body needs no key.
        return _result(signature, Result.FAIL, "the body was changed")
    key = await find_key(signature.selector, signature.domain, resolver)
    if key.kind != ALGORITHMS[signature.algorithm]:
        return _result(signature, Result.PERMERROR, f"the key is not for {signature.algorithm}")
    if key.strict and identity_domain(signature.identity) != signature.domain:
        return _result(signature, Result.PERMERROR, "the key is not for domains below d=")
    digest = header_digest(fields, signature.names, signature.field, relaxed=signature.header_relaxed)
    found = _result(signature, Result.PASS, "")
    found = msgspec.structs.replace(found, key_bits=key.bits)
    if not key.verifies(signature.value, digest):
        return msgspec.structs.replace(found, result=Result.FAIL, reason="the header was changed")
    length = signature.body.length
    if length is not None and length < body.size:
        # RFC 6376 §8.2: anything may have been appended.
        open_part = f"only the first {length} of {body.size} octets are signed"
        return msgspec.structs.replace(found, result=Result.POLICY, reason=open_part)
    if added := added_field(fields, signature.names):
        return msgspec.structs.replace(
            found, result=Result.POLICY, reason=f"not every {added} field is signed"
        )
    if key.testing:
        # RFC 6376 §3.6.1: not treated differently from unsigned mail, whether it verifies or not; the reader of our
        # Authentication-Results must not take it for proof either (RFC 8601 §2.7.1: "policy").
        return msgspec.structs.replace(found, result=Result.POLICY, reason="the domain is only testing: t=y")
    return found


def _result(signature: Signature, result: Result, reason: str) -> Dkim:
    return Dkim(
        result=result,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=signature.algorithm,
        reason=reason,
        mark=signature.mark,
    )
