"""A DKIM-Signature field as a value (RFC 6376 §3.5), and the octets that it signs (§3.7).

`read_signature` refuses what RFC 6376 §6.1.1 says is no signature. ARC's fields (RFC 8617 §4.1) are read by the
same rules with other required tags.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

import msgspec

from posthouse.limits import DKIM_SIGNED_NAMES, DOMAIN
from posthouse.message.address import AddressError, normalize_domain
from posthouse.msgauth.dkim_canon import CRLF, BodyForm, RawField, relaxed_field, simple_field
from posthouse.msgauth.results import Result
from posthouse.msgauth.tags import TagError, decode_base64, parse_tags, unspaced

_B: Final = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_LENGTH: Final = re.compile(r"[0-9]{1,76}")
_FIELD_NAMES: Final = re.compile(r"[!-9;-~]++(?::[!-9;-~]++)*+")
_SELECTOR: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")
_MARK: Final = 8
_FORMS: Final = {"relaxed": True, "simple": False}
ALGORITHMS: Final = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
"""a= → k= of the key. RFC 8301 §3.1: rsa-sha1 must not be used any more."""


class SignatureProblem(Exception):
    """It cannot be taken as a signature."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A signature as read."""

    field: RawField
    algorithm: str
    value: bytes
    body_hash: bytes
    domain: str
    selector: str
    identity: str
    names: tuple[bytes, ...]
    """h=, in order, lower case."""
    header_relaxed: bool
    body: BodyForm
    expires: int | None = None
    mark: str = ""
    """By which it is told from the others of the message (`marks`)."""

    @property
    def key_name(self) -> str:
        """Where its key is published (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


def marks(fields: Sequence[RawField]) -> list[str]:
    """RFC 6008 §4: of each signature the first characters of b=, eight, or as many as tell it from the others."""
    values = [_value_text(field) for field in fields]
    return [value[: max(_MARK, *(_alike(value, other) + 1 for other in values))] for value in values]


def _alike(value: str, other: str) -> int:
    """How many characters two values begin with alike; what is the same cannot be told apart."""
    if value == other:
        return 0
    return next((at for at, (a, b) in enumerate(zip(value, other, strict=False)) if a != b), len(other))


def _value_text(field: RawField) -> str:
    found = _B.search(field.value)
    value = found[0].partition(b"=")[2] if found is not None else b""
    return b"".join(value.split()).decode("ascii", "replace")


def tags_of(field: RawField) -> dict[str, str]:
    """The tags of a field. Raises SignatureProblem."""
    try:
        return parse_tags(field.value.decode("utf-8", "replace"))
    except TagError as fault:
        raise SignatureProblem(Result.NEUTRAL, f"cannot be read: {fault}") from None


def read_signature(field: RawField) -> Signature:
    """Read a DKIM-Signature. Raises SignatureProblem."""
    tags = tags_of(field)
    if tags.get("v") != "1":
        raise SignatureProblem(Result.NEUTRAL, "v= is not 1")
    return signature_from(field, tags)


def signature_from(field: RawField, tags: dict[str, str], *, of_arc: bool = False) -> Signature:
    """What DKIM-Signature and (`of_arc`) ARC-Message-Signature share. Raises SignatureProblem."""
    for name in ("a", "b", "bh", "d", "h", "s"):
        if not tags.get(name) and not (of_arc and name == "h" and name in tags):
            raise SignatureProblem(Result.NEUTRAL, f"{name}= is missing")
    algorithm, domain, selector = key_of(tags)
    # RFC 8617 §4.1.2: in ARC i= is the instance, and a v= says nothing.
    identity = f"@{domain}" if of_arc else tags.get("i", f"@{domain}")
    if not _is_within(identity, domain):
        raise SignatureProblem(Result.NEUTRAL, "i= is not in d=")
    names = _arc_names(tags["h"]) if of_arc else _signed_names(tags["h"])
    if "dns/txt" not in unspaced(tags.get("q", "dns/txt")).lower().split(":"):
        raise SignatureProblem(Result.NEUTRAL, "q= names no way to the key")
    header_relaxed, body_relaxed = _forms(tags.get("c", "relaxed/relaxed" if of_arc else "simple/simple"))
    begun, expires = _number(tags, "t"), _number(tags, "x")
    if begun is not None and expires is not None and expires < begun:
        raise SignatureProblem(Result.NEUTRAL, "x= is before t=")
    try:
        value, body_hash = decode_base64(tags["b"]), decode_base64(tags["bh"])
    except TagError as fault:
        raise SignatureProblem(Result.NEUTRAL, f"b= or bh= is {fault}") from None
    return Signature(
        field=field,
        algorithm=algorithm,
        value=value,
        body_hash=body_hash,
        domain=domain,
        selector=selector,
        identity=identity,
        names=names,
        header_relaxed=header_relaxed,
        body=BodyForm(body_relaxed, _length(tags)),
        expires=expires,
    )


def key_of(tags: dict[str, str]) -> tuple[str, str, str]:
    """(algorithm, domain, selector) of a= d= s=. Raises SignatureProblem."""
    algorithm = unspaced(tags["a"]).lower()
    if algorithm == "rsa-sha1":
        raise SignatureProblem(Result.POLICY, "signed with SHA-1")
    if algorithm not in ALGORITHMS:
        raise SignatureProblem(Result.NEUTRAL, f"unknown algorithm {algorithm[:30]}")
    try:
        # RFC 8616 §5: an internationalized domain may stand here as U-labels.
        domain = normalize_domain(unspaced(tags["d"]))
    except AddressError:
        raise SignatureProblem(Result.NEUTRAL, "d= is no domain") from None
    selector = unspaced(tags["s"]).lower()
    fits = len(selector) <= DOMAIN and selector.isascii()  # a longer one would only fill reports and logs
    if "." not in domain or not fits or _SELECTOR.fullmatch(selector) is None:
        raise SignatureProblem(Result.NEUTRAL, "d= or s= is no name")
    return algorithm, domain, selector


def identity_domain(identity: str) -> str:
    """The domain of an i= in A-labels, as d= is kept (RFC 6376 §3.5, RFC 8616 §5). AddressError."""
    return normalize_domain(unspaced(identity).rpartition("@")[2])


def _is_within(identity: str, domain: str) -> bool:
    try:
        own = identity_domain(identity)
    except AddressError:
        return False
    return own == domain or own.endswith(f".{domain}")


def _signed_names(value: str) -> tuple[bytes, ...]:
    text = unspaced(value).lower()
    if text.count(":") >= DKIM_SIGNED_NAMES:
        raise SignatureProblem(Result.POLICY, "h= names too many fields")
    if _FIELD_NAMES.fullmatch(text) is None:
        raise SignatureProblem(Result.NEUTRAL, "h= is not well formed")
    names = tuple(text.encode().split(b":"))
    if b"from" not in names:
        # RFC 6376 §5.4
        raise SignatureProblem(Result.NEUTRAL, "From is not signed")
    return names


def _arc_names(value: str) -> tuple[bytes, ...]:
    """RFC 8617 §4.1.2: From need not be signed; empty names sign nothing."""
    names = [name.strip(" \t\r\n").lower() for name in value.split(":")]
    if len(names) > DKIM_SIGNED_NAMES:
        raise SignatureProblem(Result.POLICY, "h= names too many fields")
    return tuple(name.encode("ascii", "replace") for name in names if name)


def _forms(value: str) -> tuple[bool, bool]:
    header, _, body = unspaced(value).lower().partition("/")
    try:
        return _FORMS[header], _FORMS[body or "simple"]
    except KeyError:
        raise SignatureProblem(Result.NEUTRAL, "unknown canonicalisation") from None


def _number(tags: dict[str, str], name: str) -> int | None:
    value = tags.get(name)
    if value is None:
        return None
    if _NUMBER.fullmatch(value) is None:
        raise SignatureProblem(Result.NEUTRAL, f"{name}= is no time")
    return int(value)


def _length(tags: dict[str, str]) -> int | None:
    value = tags.get("l")
    if value is None:
        return None
    if _LENGTH.fullmatch(value) is None:
        raise SignatureProblem(Result.NEUTRAL, "l= is no number")
    return int(value)


# --- what is signed -----------------------------------------------------------------------------------------


def header_digest(
    fields: Sequence[RawField], names: Sequence[bytes], own: RawField, *, relaxed: bool
) -> bytes:
    """RFC 6376 §3.7: SHA-256 over the named fields, from the bottom up, then the signature without its b=."""
    form = relaxed_field if relaxed else simple_field
    left: dict[bytes, list[bytes]] = {name: [] for name in names}
    for field in fields:
        # RFC 6376 §5.4: "dkim-signature" in h= means other signatures; its own is always signed, below.
        if field.name in left and field is not own:
            left[field.name].append(field.raw)
    # RFC 6376 §5.4.2: a name that has no field (any more) stands for nothing; so more cannot be added unnoticed.
    pieces = [form(left[name].pop()) for name in names if left[name]]
    pieces.append(form(without_value(own)))
    return hashlib.sha256(CRLF.join(pieces)).digest()


_ONCE: Final = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date"}
    | {b"content-type", b"content-transfer-encoding"}
)
"""Fields that stand once in a message (RFC 5322 §3.6, RFC 2045) and decide what its reader sees."""


def added_field(fields: Sequence[RawField], names: Sequence[bytes]) -> str:
    """The name of a field of which the message has more than the signature covers; "": there is none.

    RFC 6376 §8.15: who has a genuine message can add a second Subject above the signed one, and the signature
    still fits. Programs differ in which of the two they show.
    """
    for name in _ONCE.intersection(names):
        if sum(field.name == name for field in fields) > names.count(name):
            return name.decode().title()
    return ""


def without_value(field: RawField) -> bytes:
    """A signature field with an empty b=."""
    head = len(field.raw) - len(field.value)
    return field.raw[:head] + _B.sub(rb"\1", field.value, count=1)
