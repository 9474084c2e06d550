"""A real pgbouncer between nodes and database, in transaction mode: every transaction may be on another connection."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse import limits
from posthouse.store.interface import AddAppPassword
from tests.cluster.absent import absent
from tests.cluster.conftest import PostgresEngine
from tests.cluster.database import Database, free_ports, unprivileged
from tests.kits.engine import NOW, furnish

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@pytest.fixture
def pooled(server: Database, url: str) -> Iterator[str]:
    """The address of a database behind the pooler."""
    if PGBOUNCER is None:
        absent("pgbouncer (scripts/install-peers.sh)")
    (port,) = free_ports(1)
    folder = server.folder / f"pooler{port}"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    name = url.rpartition("/")[2]
    (folder / "ini").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={server.port} dbname={name} user=posthouse\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 4\nmax_client_conn = 100\nserver_round_robin = 1\n"
        "server_check_delay = 0\n"
    )
    process = subprocess.Popen(
        [str(PGBOUNCER), "-q", str(folder / "ini")], stderr=subprocess.DEVNULL, **unprivileged()
    )
    try:
        deadline = time.monotonic() + 20
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield f"postgresql://posthouse@127.0.0.1:{port}/{name}"
    finally:
        process.terminate()
        process.wait(10)


async def test_nodes_work_behind_a_pooler(
    pooled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named statements and LISTEN do not survive there: both cost time only."""
    monkeypatch.setattr(limits, "NOTICE_CHECK_MAIL", 0.2)
    engines = [PostgresEngine(pooled, tmp_path / name) for name in ("one", "two")]
    one, two = [await engine.open() for engine in engines]
    try:
        desk = await furnish(engines[0])
        inbox = await desk.box()
        seen = await two.index(desk.id, inbox.mailbox_id)
        added = await asyncio.gather(*(desk.add(inbox, f"number {n}") for n in range(60)))
        assert sorted(each[0].uid for each in added) == list(range(1, 61))
        await desk.flag(inbox, "1:30", "\\Seen", "$Word")
        await desk.store.apply(AddAppPassword(account_id=desk.id, name="p", password="h", created_at=NOW))
        async with asyncio.timeout(30):
            while sum(flags & 1 for flags in seen.flags) != 30:
                await asyncio.sleep(0.05)
        assert not one._engine.server.named_statements
        assert len(await two.app_passwords(desk.id)) == 1
        raws = await two.messages(desk.id, list(seen.email_ids))
        assert {raw.splitlines()[0] for raw in raws if raw} == {b"Subject: number %d" % n for n in range(60)}
    finally:
        for engine in engines:
            await engine.store.close()
