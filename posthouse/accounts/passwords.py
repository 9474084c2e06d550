"""Hashing and verifying of passwords. Slow by design: call it from a thread, never on the event loop.

Kept forms, in PHC style: `$argon2id$…` (RFC 9106) for passwords that people choose, `$scram-sha-256$keys` where the
configuration wants PBKDF2 alone, `$sha256$salt$hash` for app passwords only: those carry 120 bits of chance, so a
slow hash would add nothing. Passwords are prepared by SASLprep (RFC 4013) before either, as SCRAM demands.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from typing import Final

from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret, verify_secret

from posthouse import limits
from posthouse.sasl.model import ScramKeys
from posthouse.sasl.saslprep import saslprep
from posthouse.sasl.scram import derive_keys, format_keys, parse_keys

SALT: Final = 16
SCRAM: Final = "$scram-sha-256$"
"""How SCRAM keys begin as a kept form."""
_ARGON2: Final = "$argon2"
_APP: Final = "$sha256$"
_APP_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 signs, none easily taken for another."""
_APP_GROUPS: Final = 6
_APP_GROUP: Final = 4


def check_password(password: str) -> None:
    """Raise ValueError, saying why, when this cannot be anybody's password."""
    if not password:
        raise ValueError("the password is empty")
    if len(password.encode("utf-8", "surrogatepass")) > limits.LOGIN_OCTETS:
        raise ValueError(f"the password is longer than {limits.LOGIN_OCTETS} octets")
    saslprep(password)


def hash_password(password: str, scheme: str = "argon2id") -> str:
    """The kept form of a new password. `scheme` is `auth.password_hash`. Raises ValueError."""
    check_password(password)
    if scheme == "scram-sha-256":
        return SCRAM + make_scram(password)
    if scheme != "argon2id":
        raise ValueError(f"unknown password hash {scheme!r}")
    return hash_secret(
        saslprep(password).encode(),
        secrets.token_bytes(SALT),
        time_cost=limits.ARGON2_PASSES,
        memory_cost=limits.ARGON2_MEMORY,
        parallelism=1,
        hash_len=32,
        type=Type.ID,
    ).decode("ascii")


def make_scram(password: str) -> str:
    """SCRAM-SHA-256 keys for a new password, as `Account.scram` keeps them. Raises ValueError."""
    check_password(password)
    return format_keys(derive_keys(password, secrets.token_bytes(SALT), limits.SCRAM_ITERATIONS))


def verify_password(kept: str, password: str) -> bool:
    """Whether this is the password. An unknown or broken kept form is nobody's password."""
    try:
        prepared = saslprep(password)
    except ValueError:
        prepared = "\0"  # costs as much as any other wrong password; NUL is in none
    try:
        if kept.startswith(_ARGON2):
            return verify_secret(kept.encode(), prepared.encode("utf-8", "surrogatepass"), _variant(kept))
        if kept.startswith(SCRAM):
            return _verify_scram(parse_keys(kept.removeprefix(SCRAM)), prepared)
        if kept.startswith(_APP):
            return verify_app_password(kept, prepared)
    except (VerificationError, InvalidHashError, ValueError):
        return False
    return False


def is_kept_form(text: str) -> bool:
    """Whether a hash from elsewhere (an import) is one that `verify_password` understands."""
    if text.startswith(SCRAM):
        try:
            return parse_keys(text.removeprefix(SCRAM)).iterations >= limits.SCRAM_ITERATIONS_LEAST
        except ValueError:
            return False
    return text.startswith(_ARGON2) and text.count("$") == 5


def _variant(kept: str) -> Type:
    return {"argon2i": Type.I, "argon2d": Type.D}.get(kept.split("$")[1], Type.ID)


def _verify_scram(keys: ScramKeys, prepared: str) -> bool:
    if prepared == "\0":
        prepared = "-"
        derive_keys(prepared, keys.salt, keys.iterations)
        return False
    derived = derive_keys(prepared, keys.salt, keys.iterations)
    return hmac.compare_digest(derived.stored_key, keys.stored_key)


def generate_app_password() -> str:
    """A new app password: six groups of four, 120 bits of chance."""
    letters = [secrets.choice(_APP_ALPHABET) for _ in range(_APP_GROUPS * _APP_GROUP)]
    groups = [letters[i : i + _APP_GROUP] for i in range(0, len(letters), _APP_GROUP)]
    return "-".join("".join(group) for group in groups)


def looks_like_app_password(password: str) -> bool:
    """Whether it has the shape that `generate_app_password` makes (with or without its hyphens)."""
    plain = password.replace("-", "").replace(" ", "")
    return len(plain) == _APP_GROUPS * _APP_GROUP and all(c in _APP_ALPHABET for c in plain)


def hash_app_password(password: str) -> str:
    """The kept form of an app password. Fast."""
    salt = secrets.token_bytes(SALT)
    return f"{_APP}{b64encode(salt).decode()}${b64encode(_app_digest(salt, password)).decode()}"


def verify_app_password(kept: str, password: str) -> bool:
    """Whether this is the app password; its hyphens may be left out. Fast."""
    try:
        salt, digest = (b64decode(part) for part in kept.removeprefix(_APP).split("$"))
    except ValueError:
        return False
    return hmac.compare_digest(digest, _app_digest(salt, password))


def _app_digest(salt: bytes, password: str) -> bytes:
    plain = password.replace("-", "").replace(" ", "")
    return hashlib.sha256(salt + plain.encode("utf-8", "surrogatepass")).digest()
