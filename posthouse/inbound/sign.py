"""DKIM on what leaves in the name of our domains: mail of our people, and our own notices.

A message is signed once, when it is queued for other hosts, by all active keys of the author's domain, or of the
nearest parent domain of ours (a notice from mx.example.org is signed by example.org, which is aligned with it for
DMARC). Copies for mailboxes here are not signed. Hashing and RSA happen in a small pool, never on the event loop. Mail
that strangers brought and that an alias sends on is not ours to sign; where configured it is sealed (ARC).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from posthouse.inbound.authenticate import author_domains, hash_blocks
from posthouse.inbound.authors import claimed_addresses
from posthouse.inbound.mail import Mail, Via
from posthouse.limits import DKIM_KEYS_REREAD, DKIM_SIGNERS, MESSAGE_HEADER, STAGE_BLOCK
from posthouse.message.headers import Headers
from posthouse.msgauth.arc_seal import Sealing, seal
from posthouse.msgauth.authres import NAME as AUTHENTICATION_RESULTS
from posthouse.msgauth.authres import AuthResultsError, parse_authres
from posthouse.msgauth.authres_write import no_chain
from posthouse.msgauth.dkim_canon import raw_fields
from posthouse.msgauth.dkim_sign import FORM, SigningKey, load_private_key, sign
from posthouse.store.model import Content
from posthouse.store.trust import DkimKey, KeyState

log: Final = logging.getLogger(__name__)

Sign = Callable[[Mail, bytes], Awaitable["Signed"]]
ReadKeys = Callable[[], Awaitable[Iterable[DkimKey]]]


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """What signing came to."""

    fields: bytes = b""
    """DKIM-Signature fields, to stand before everything else; empty: not signed."""
    note: str = ""
    """For the timeline; empty: nothing to tell."""


UNSIGNED: Final = Signed()


class Signer:
    """Signs. One per process; `forget` when keys have changed."""

    def __init__(
        self,
        read_keys: ReadKeys,
        *,
        hostname: str = "",
        seal: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seal`: whether what strangers brought is sealed when it is handed on."""
        self._hostname = hostname
        self._may_seal = seal
        self._read_keys = read_keys
        self._clock = clock
        self._keys: dict[str, tuple[SigningKey, ...]] = {}
        self._read_at = -DKIM_KEYS_REREAD
        self._reading = asyncio.Lock()
        self._pool = ThreadPoolExecutor(DKIM_SIGNERS, thread_name_prefix="dkim")

    def forget(self) -> None:
        """Read the keys anew at the next message."""
        self._read_at = -DKIM_KEYS_REREAD

    def close(self) -> None:
        """End the pool."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def sign(self, mail: Mail, prefix: bytes) -> Signed:
        """The signatures of a message that begins with `prefix`."""
        if mail.via is Via.MX and self._may_seal():
            return await self._seal_chain(mail, prefix)
        if mail.via not in (Via.SUBMISSION, Via.LOCAL):
            return UNSIGNED
        head = prefix + mail.content.beginning()[:MESSAGE_HEADER]
        headers = Headers.scan(head)
        authors = author_domains(a for value in headers.all("from") for a in claimed_addresses(value))
        if len(authors) != 1:
            # RFC 9989 §5.3.1: a From of several domains is judged by none of them.
            return Signed(note="not signed: From has no one domain") if authors else UNSIGNED
        keys = await self._keys_for(authors[0])
        if not keys:
            return Signed(note=f"not signed: there is no DKIM key for {authors[0]}")
        work = _Work(headers, headers.end - len(prefix), mail.content, keys, int(mail.received_at))
        fields = await asyncio.get_running_loop().run_in_executor(self._pool, _sign, work)
        selectors = ", ".join(key.selector for key in keys)
        return Signed(fields=fields, note=f"as {keys[0].domain} ({selectors}), aligned with {authors[0]}")

    async def sign_copies(
        self, content: Content, domains: Sequence[str], prefixes: Sequence[bytes], now: int
    ) -> list[bytes]:
        """The signatures of one text behind each of several prefixes, by the keys of some domains of ours.

        The text is hashed once for all of them.
        """
        keys = tuple({id(key): key for name in domains for key in await self._keys_for(name)}.values())
        if not keys or not prefixes:
            return [b""] * len(prefixes)
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, _sign_copies, content, keys, tuple(prefixes), now
        )

    async def _seal_chain(self, mail: Mail, prefix: bytes) -> Signed:
        """RFC 8617 §5.1: what we found out goes along with mail that is handed on, under our seal."""
        found = Headers.scan(prefix).first(AUTHENTICATION_RESULTS)
        keys = await self._keys_for(self._hostname) or next(iter(self._keys.values()), ())
        key = next((one for one in keys if one.algorithm == "rsa-sha256"), None)
        results = _to_tell(found, mail.peer) if found is not None else ""
        if key is None or not results:
            return UNSIGNED
        headers = Headers.scan(prefix + mail.content.beginning()[:MESSAGE_HEADER])
        sealing = Sealing(results=results, key=key, now=int(mail.received_at))
        work = _Work(headers, headers.end - len(prefix), mail.content, keys, sealing.now)
        fields = await asyncio.get_running_loop().run_in_executor(self._pool, _seal, work, sealing)
        return Signed(fields=fields, note=f"sealed as {key.domain}" if fields else "")

    async def _keys_for(self, domain: str) -> tuple[SigningKey, ...]:
        """RFC 9989 §4.4.1: a parent's signature is aligned, as long as the parent is of the same organization."""
        if self._stale:
            async with self._reading:  # nobody signs nothing because somebody else is still reading
                await self._read()
        while domain:
            if domain in self._keys:
                return self._keys[domain]
            domain = domain.partition(".")[2]
        return ()

    @property
    def _stale(self) -> bool:
        return self._clock() - self._read_at >= DKIM_KEYS_REREAD

    async def _read(self) -> None:
        if not self._stale:
            return
        begun = self._clock()
        found = await self._read_keys()
        self._keys = await asyncio.get_running_loop().run_in_executor(self._pool, _loaded, tuple(found))
        self._read_at = begun


def _to_tell(found: bytes, peer: str) -> str:
    """Our unfolded results, for the next one to read in the seal's set; empty: nothing may be sealed.

    RFC 8617 §5.1: a seal says of the chain before it that it is good, so one that could not be checked gets none.
    """
    try:
        said = (one.result for one in parse_authres(found).results if one.method == "arc")
    except AuthResultsError:  # so many signatures that its end is not read
        return ""
    before = next(said, "")
    if before not in ("", "none", "pass"):
        return ""
    # Tabs are only where the lines were, and no line may have more than 998 octets (RFC 5322 §2.1.1).
    results = found.decode("ascii", "replace").replace("\t", "\r\n\t")
    return results if before else f"{results};\r\n\t{no_chain(peer)}"


class _Work(msgspec.Struct, frozen=True):
    headers: Headers
    body_at: int
    content: Content
    keys: tuple[SigningKey, ...]
    now: int


def _sign(work: _Work) -> bytes:
    """In the pool."""
    bodies = hash_blocks(work.content.blocks(STAGE_BLOCK), work.body_at, frozenset({FORM}))
    return b"".join(sign(raw_fields(work.headers), bodies[FORM], work.keys, work.now))


def _sign_copies(
    content: Content, keys: tuple[SigningKey, ...], prefixes: tuple[bytes, ...], now: int
) -> list[bytes]:
    """In the pool."""
    beginning = content.beginning()[:MESSAGE_HEADER]
    found = [Headers.scan(prefix + beginning) for prefix in prefixes]
    body_at = found[0].end - len(prefixes[0])
    bodies = hash_blocks(content.blocks(STAGE_BLOCK), body_at, frozenset({FORM}))
    return [b"".join(sign(raw_fields(headers), bodies[FORM], keys, now)) for headers in found]


def _seal(work: _Work, sealing: Sealing) -> bytes:
    """In the pool."""
    bodies = hash_blocks(work.content.blocks(STAGE_BLOCK), work.body_at, frozenset({FORM}))
    return seal(raw_fields(work.headers), bodies[FORM], sealing)


def _loaded(keys: Iterable[DkimKey]) -> dict[str, tuple[SigningKey, ...]]:
    """In the pool: the active keys by domain, RSA first."""
    found: dict[str, list[SigningKey]] = {}
    for key in sorted(keys, key=lambda key: key.algorithm, reverse=True):
        if key.state is not KeyState.ACTIVE:
            continue
        try:
            private = load_private_key(key.private_key)
        except ValueError:
            log.error("dkim key domain=%s selector=%s cannot be read", key.domain, key.selector)
            continue
        signing = SigningKey(domain=key.domain, selector=key.selector, algorithm=key.algorithm, key=private)
        found.setdefault(key.domain, []).append(signing)
    return {domain: tuple(signers) for domain, signers in found.items()}
