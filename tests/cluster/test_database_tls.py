"""The way to the database is encrypted when its URL asks for it, and nothing else is taken then (docs/cluster.md)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from posthouse.errors import StoreUnavailable
from tests.cluster.absent import absent
from tests.cluster.database import Database, programs, unprivileged
from tests.cluster.nodes import nodes

pytestmark = [pytest.mark.slow, pytest.mark.interop]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def database(authority: trustme.CA) -> Iterator[Database]:
    """One that speaks to nobody without TLS."""
    if programs() is None:
        absent("PostgreSQL (scripts/install-peers.sh)")
    server = Database()
    server.initialise()
    leaf = authority.issue_cert("127.0.0.1")
    key, chain = server.folder / "server.key", server.folder / "server.pem"
    leaf.private_key_pem.write_to_path(str(key))
    leaf.cert_chain_pems[0].write_to_path(str(chain))
    key.chmod(0o600)
    if who := unprivileged():
        for path in (key, chain):
            os.chown(path, who["user"], who["group"])
    server.settings = {"ssl": "on", "ssl_cert_file": str(chain), "ssl_key_file": str(key)}
    server.start()
    server.make("house")
    (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 trust\n")
    server.sql("SELECT pg_reload_conf()")
    yield server
    server.stop()


def trusted(authority: trustme.CA, folder: Path) -> Path:
    path = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


async def test_the_server_is_who_it_says(database: Database, authority: trustme.CA, tmp_path: Path) -> None:
    asked = f"?sslmode=verify-full&sslrootcert={trusted(authority, tmp_path)}"
    async with nodes(database.url("house") + asked, tmp_path, 1) as (store,):
        assert await store.accounts() == ()  # by TLS: there is no other way in


async def test_another_authority_is_not_believed(database: Database, tmp_path: Path) -> None:
    asked = f"?sslmode=verify-full&sslrootcert={trusted(trustme.CA(), tmp_path)}"
    with pytest.raises(StoreUnavailable):
        async with nodes(database.url("house") + asked, tmp_path, 1):
            pass


async def test_no_word_goes_out_in_clear(database: Database, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        async with nodes(database.url("house") + "?sslmode=disable", tmp_path, 1):
            pass
