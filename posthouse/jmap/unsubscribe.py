"""`Unsubscription/send`: leave a list by one click, without a page and without a message (RFC 8058).

Only where the list's own domain signed both fields, so that nobody's forged mail makes us ask anything anywhere. What
port 25 found at arrival counts; where that is not noted, the signatures are checked now.
"""

from __future__ import annotations

import asyncio
import re
from typing import Final
from urllib.parse import urlsplit

from posthouse.jmap import blobs, ids
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer
from posthouse.message.headers import Headers
from posthouse.msgauth.authres import AuthResultsError, parse_authres
from posthouse.msgauth.dkim_canon import BodyDigest, BodyForm, BodyHashes, raw_fields
from posthouse.msgauth.dkim_signature import Signature
from posthouse.msgauth.dkim_verify import Signatures
from posthouse.store.model import Stored

_FIELD: Final = b"list-unsubscribe"
_POST: Final = b"list-unsubscribe-post"
_ONE_CLICK: Final = re.compile(rb"\s*List-Unsubscribe=One-Click\s*", re.IGNORECASE)
_ADDRESS: Final = re.compile(rb"<\s*([^<>]*?)\s*>")


class UnsubscribeArguments(Arguments, kw_only=True):
    """`Unsubscription/send`."""

    email_id: str


class UnsubscribeAnswer(Answer, kw_only=True):
    """`Unsubscription/send`."""

    email_id: str
    host: str
    status: int
    """What the list's host answered, a 2xx."""


async def send(context: Context, arguments: UnsubscribeArguments) -> UnsubscribeAnswer:
    """Tell the list. MethodError notFound, notOneClick, notProved, listRefused; Temporary when its host is away."""
    account_id = context.account_number(arguments.account_id)
    number = ids.decode(ids.EMAIL, arguments.email_id)
    found = await blobs.find(context, account_id, blobs.of_email(number)) if number is not None else None
    stored = found.stored if found is not None else None
    if stored is None:
        raise MethodError("notFound", "there is no such email")
    if stored.size > context.services.message_size:
        raise MethodError("notProved", "the message is too large to be looked at")
    raw = await context.store.read(stored)
    headers = Headers.scan(raw)
    address = one_click_address(headers)
    if address is None:
        raise MethodError("notOneClick", "the message does not offer it")
    if not await _is_covered(context, raw, headers, stored):
        raise MethodError("notProved", "no good signature covers what the message says of unsubscribing")
    host = urlsplit(address).hostname or ""
    status = await context.services.unsubscribe(address)
    # RFC 8058 §3.1: a redirect is no answer to it.
    if status is None or not 200 <= status < 300:
        told = f"{host} answers {status}" if status is not None else f"{host} is not on the internet"
        raise MethodError("listRefused", told)
    return UnsubscribeAnswer(
        account_id=arguments.account_id, email_id=arguments.email_id, host=host, status=status
    )


def one_click_address(headers: Headers) -> str | None:
    """The https address to tell (RFC 8058 §3.1); None when one click is not offered."""
    posts, fields = headers.all(_POST), headers.all(_FIELD)
    # A second field could be one that nobody signed.
    if len(posts) != 1 or len(fields) != 1 or not _ONE_CLICK.fullmatch(posts[0]):
        return None
    addresses = [each for each in _ADDRESS.findall(fields[0]) if each[:8].lower() == b"https://"]
    if len(addresses) != 1:
        return None
    address = b"".join(addresses[0].split())  # RFC 2369 §2: white space within is folding
    try:
        text = address.decode("ascii")
        return text if urlsplit(text).hostname else None
    except ValueError:
        return None


async def _is_covered(context: Context, raw: bytes, headers: Headers, stored: Stored) -> bool:
    """RFC 8058 §4: a valid DKIM signature must cover both fields."""
    signatures = Signatures.of(raw_fields(headers))
    covering = [
        one
        for one in signatures.found
        if isinstance(one, Signature) and _FIELD in one.names and _POST in one.names
    ]
    if not covering:
        return False
    noted = _passed_at_arrival(stored.prefix)
    if noted is not None:
        return any(one.mark and one.mark in noted for one in covering)
    bodies = await asyncio.to_thread(_hashed, signatures, raw, headers.end)
    results = await signatures.verify(bodies, context.services.resolver, int(context.services.now()))
    return any(
        result.passed and one in covering for one, result in zip(signatures.found, results, strict=True)
    )


def _hashed(signatures: Signatures, raw: bytes, end: int) -> dict[BodyForm, BodyDigest]:
    hashes = BodyHashes(signatures.forms)
    hashes.feed(raw[end:])
    return hashes.finish()


def _passed_at_arrival(prefix: bytes) -> frozenset[str] | None:
    """The marks of signatures that passed, in the field that we ourselves wrote; None: we wrote none.

    RFC 6008 §4: what is said to have passed and not to have passed is said of two, and counts for neither.
    """
    for value in Headers.scan(prefix).all("authentication-results"):
        try:
            found = parse_authres(value)
        except AuthResultsError:
            continue
        told = [
            (one.result, one.properties.get("header.b", "")) for one in found.results if one.method == "dkim"
        ]
        passed = {mark for result, mark in told if result == "pass"}
        return frozenset(passed.difference(mark for result, mark in told if result != "pass"))
    return None
