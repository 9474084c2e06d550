"""Message bytes in an S3-compatible object store: put before the commit that points at them, read by ranges.

Objects are never changed: each has a key of its own by chance, and is created on condition that there is none of that
name. What is read is kept in a local folder of bounded size, so that a message read in pieces is fetched once; of packs
only the blocks that were asked for are fetched and kept. Every request has time limits and few retries: while the
store is away large mail is deferred, nothing hangs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from urllib.parse import parse_qsl, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from posthouse import limits
from posthouse.errors import NotFound, StoreUnavailable
from posthouse.store.model import Content

log = logging.getLogger("posthouse.store")

T = TypeVar("T")

OPTIONS: Final = {
    "endpoint": "endpoint",
    "region": "region",
    "encryption": "server_side_encryption",
    "kms_key": "sse_kms_key_id",
    "virtual_hosted": "virtual_hosted_style_request",
}
"""What may stand behind `?` in the URL, and obstore's names for it."""


class Objects:
    """One bucket. `put` on the event loop, `read` in any thread."""

    def __init__(self, url: str, cache: Path) -> None:
        """`url`: s3://[key:secret@]bucket[/prefix][?endpoint=…]; keys else come from AWS's usual places.

        `cache`: a folder that is ours alone; what is in it is forgotten.
        """
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.hostname:
            raise ValueError('an object store is "s3://bucket?endpoint=https://…"')
        given = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        if unknown := given.keys() - OPTIONS.keys():
            raise ValueError(f"unknown in an object store's address: {', '.join(sorted(unknown))}")
        config: dict[str, Any] = {OPTIONS[name]: value for name, value in given.items()}
        config.setdefault("region", "us-east-1")
        if parts.username:
            config["access_key_id"] = unquote(parts.username)
            config["secret_access_key"] = unquote(parts.password or "")
        self._store = S3Store(
            parts.hostname,
            prefix=parts.path.strip("/") or None,
            config=cast(Any, config),  # its names are OPTIONS, checked above
            client_options={
                "allow_http": config.get("endpoint", "").startswith("http:"),
                "timeout": timedelta(seconds=limits.OBJECT_TIMEOUT),
                "connect_timeout": timedelta(seconds=limits.OBJECT_CONNECT_TIMEOUT),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=limits.OBJECT_TIMEOUT)},
        )
        self._cache = _CacheFolder(cache)

    # --- writing ---------------------------------------------------------------------------------------

    async def put(self, content: Content, key: str = "") -> str:
        """Store a content durably; the key of the new object (`new_key`, when none is given). StoreUnavailable."""
        key = key or new_key()
        source: bytes | Path = content.beginning() if content.path is None else content.path
        large = content.size > limits.OBJECT_PART
        try:
            async with asyncio.timeout(limits.OBJECT_TIMEOUT * 2):
                # A conditional create is one request; the parts of a large object are joined without a condition,
                # under a name that nobody else can have.
                await obstore.put_async(
                    self._store,
                    key,
                    source,
                    mode=None if large else "create",
                    use_multipart=large,
                    chunk_size=limits.OBJECT_PART,
                )
        except (BaseError, OSError, TimeoutError) as fault:
            raise away(fault) from fault
        return key

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; one that is gone is no error. StoreUnavailable."""
        for key in keys:
            self._cache.forget(key)
        try:
            async with asyncio.timeout(limits.OBJECT_TIMEOUT * 2):
                await obstore.delete_async(self._store, list(keys))
        except FileNotFoundError:
            pass
        except (BaseError, OSError, TimeoutError) as fault:
            raise away(fault) from fault

    async def probe(self) -> str:
        """Put an object and remove it, as all of a node's work does; why that cannot be, empty: it can.

        One that stays behind because the node dies in between is swept like any that nothing points at.
        """
        key = new_key()
        try:
            async with asyncio.timeout(limits.OBJECT_TIMEOUT):
                await obstore.put_async(self._store, key, b"probe", mode="create")
                await obstore.delete_async(self._store, [key])
        except (BaseError, OSError, TimeoutError) as fault:
            return str(fault).partition("\n")[0] or type(fault).__name__
        return ""

    async def every_key(self, of_page: Callable[[list[tuple[str, float]]], Any]) -> None:
        """Hand all keys with their POSIX times to an async function, a page at a time."""
        try:
            async for page in obstore.list(self._store, chunk_size=1000):
                await of_page([(each["path"], each["last_modified"].timestamp()) for each in page])
        except (BaseError, OSError) as fault:
            raise away(fault) from fault

    # --- reading ---------------------------------------------------------------------------------------

    def read(self, key: str, start: int, end: int) -> bytes:
        """Octets from `start` to before `end` of an object. Blocks. NotFound, StoreUnavailable."""
        return self._cache.read(key, start, end, self._fetch)

    def forget(self, key: str) -> None:
        """Fetch an object anew when it is read again."""
        self._cache.forget(key)

    def read_within(self, key: str, start: int, end: int, size: int) -> bytes:
        """As `read`, of an object of `size` octets of which little is wanted: by blocks of PACK_BLOCK octets."""
        pieces = []
        for block in _blocks(start, end):
            first = block * limits.PACK_BLOCK
            last = min(first + limits.PACK_BLOCK, size)
            fetch = partial(self._fetch_range, key, first, last)
            pieces.append(
                self._cache.read(_block_name(key, block), max(start - first, 0), end - first, fetch)
            )
        return b"".join(pieces)

    def forget_within(self, key: str, start: int, end: int) -> None:
        """Fetch these octets anew when they are read again."""
        for block in _blocks(start, end):
            self._cache.forget(_block_name(key, block))

    def whole(self, key: str) -> bytes:
        """All of an object, past the cache (the caller bounds its size). Blocks. NotFound, StoreUnavailable."""
        with _fetching():
            return bytes(obstore.get(self._store, key).bytes())

    def _fetch_range(self, key: str, first: int, last: int, _name: str, file: Path) -> None:
        with _fetching():
            file.write_bytes(obstore.get_range(self._store, key, start=first, end=last))

    def _fetch(self, key: str, file: Path) -> None:
        with _fetching(), file.open("wb") as out:
            for piece in obstore.get(self._store, key).stream(min_chunk_size=limits.STAGE_BLOCK):
                out.write(piece)


@contextmanager
def _fetching() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as fault:
        raise NotFound("The message is gone.") from fault
    except (BaseError, OSError) as fault:
        raise away(fault) from fault


def new_key() -> str:
    """A key that no object has."""
    return f"{secrets.token_hex(1)}/{secrets.token_hex(16)}"


def _blocks(start: int, end: int) -> range:
    return range(start // limits.PACK_BLOCK, -(-end // limits.PACK_BLOCK))


def _block_name(key: str, block: int) -> str:
    return f"{key}.{block}"


def away(fault: BaseException) -> StoreUnavailable:
    """What callers see while the object store cannot be used."""
    log.warning("the object store failed: %s", str(fault).partition("\n")[0] or type(fault).__name__)
    error = StoreUnavailable("The object store is not available at the moment.")
    error.__cause__ = fault
    return error


class _CacheFolder:
    """Whole objects as files, the least recently used removed above OBJECT_CACHE octets. Any thread."""

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._octets = 0
        self._fetching: dict[str, threading.Lock] = {}

    def read(self, key: str, start: int, end: int, fetch: Callable[[str, Path], None]) -> bytes:
        """Octets of an object, fetched first when it is not here."""
        path = self._path(key)
        for _ in range(3):
            try:
                with path.open("rb") as file:
                    raw = os.pread(file.fileno(), end - start, start)
            except FileNotFoundError:  # not here, or removed just now by another thread
                self._bring(key, path, fetch)
                continue
            with self._lock:
                if key in self._sizes:
                    self._sizes.move_to_end(key)
            return raw
        raise StoreUnavailable("The object store's cache is too small for what is read.")

    def _bring(self, key: str, path: Path, fetch: Callable[[str, Path], None]) -> None:
        with self._lock:
            one_at_a_time = self._fetching.setdefault(key, threading.Lock())
        try:
            with one_at_a_time:
                if path.exists():
                    return
                unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
                try:
                    fetch(key, unfinished)
                    unfinished.rename(path)
                finally:
                    unfinished.unlink(missing_ok=True)
                self._keep(key, path.stat().st_size)
        finally:
            with self._lock:
                self._fetching.pop(key, None)

    def _keep(self, key: str, size: int) -> None:
        with self._lock:
            self._octets += size - self._sizes.pop(key, 0)
            self._sizes[key] = size
            while self._octets > limits.OBJECT_CACHE and len(self._sizes) > 1:
                old, octets = self._sizes.popitem(last=False)
                self._octets -= octets
                self._path(old).unlink(missing_ok=True)

    def forget(self, key: str) -> None:
        """The object is removed."""
        with self._lock:
            self._octets -= self._sizes.pop(key, 0)
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / key.replace("/", "-")
