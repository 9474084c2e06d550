"""What an administrator may join to the junk filter: ClamAV's daemon and rspamd, the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from posthouse.config import Junk
from posthouse.errors import Permanent
from posthouse.junk.clamav import ClamAv
from posthouse.store.model import Content
from tests.interop.conftest import PEERS, absent
from tests.interop.filters import EICAR, STREAM_MOST, Clamd, Daemon, RspamdDaemon
from tests.junk.conftest import letter, open_house

pytestmark = [pytest.mark.interop, pytest.mark.slow]

EVE = "Eve <eve@elsewhere.test>"
PATTERN = "JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
"""Behind an X: what junk filters have agreed to refuse; behind a Y: what rspamd calls junk."""


def running(kind: type[Daemon], program: str, folder: Path) -> Iterator[Daemon]:
    if not (PEERS / program).exists():
        absent(Path(program).name)
    daemon = kind(PEERS, folder)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop()


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    yield from running(Clamd, "usr/sbin/clamd", tmp_path_factory.mktemp("clamd"))


@pytest.fixture(scope="module")
def rspamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    yield from running(RspamdDaemon, "usr/bin/rspamd", tmp_path_factory.mktemp("rspamd"))


async def test_clamd_finds_what_it_knows_and_takes_what_is_clean(clamd: Daemon, tmp_path: Path) -> None:
    house = await open_house(tmp_path, junk=Junk(clamav=f"127.0.0.1:{clamd.port}"))
    try:
        assert (await house.comes(letter(EVE, "hello", "nothing bad"))).startswith("250")
        assert (await house.verdict())["checks"][-1]["evidence"] == "found nothing"
        refused = await house.comes(letter(EVE, "invoice", EICAR.decode()))
        assert refused.startswith("554") and "Posthouse.Test" in refused
        larger = await house.comes(letter(EVE, "large", "a line of text\r\n" * (STREAM_MOST // 8)))
        assert larger.startswith("554") and "larger than the virus scanner" in larger
        assert await house.total() == 1
    finally:
        await house.house.close()


async def test_clamd_reads_a_staged_message(clamd: Daemon, tmp_path: Path) -> None:
    path = tmp_path / "staged"
    path.write_bytes(b"Subject: x\r\n\r\n" + b"a line of text\r\n" * 20_000 + EICAR + b"\r\n")
    scanned = await ClamAv(f"127.0.0.1:{clamd.port}").scan(
        Content(chunks=(), size=path.stat().st_size, path=path)
    )
    assert scanned.virus.startswith("Posthouse.Test")
    with pytest.raises(Permanent):
        path.write_bytes(b"a line of text\r\n" * (STREAM_MOST // 8))
        await ClamAv(f"127.0.0.1:{clamd.port}").scan(Content(chunks=(), size=path.stat().st_size, path=path))


async def test_while_clamd_is_gone_mail_waits(clamd: Daemon, tmp_path: Path) -> None:
    house = await open_house(tmp_path, junk=Junk(clamav=f"127.0.0.1:{clamd.port}"))
    clamd.stop()
    try:
        assert (await house.comes(letter(EVE, "hello"))).startswith("451")
        assert await house.total() == 0
        clamd.start()
        assert (await house.comes(letter(EVE, "hello"))).startswith("250")
    finally:
        await house.house.close()


async def test_rspamd_weighs_and_refuses(rspamd: Daemon, tmp_path: Path) -> None:
    junk = Junk(rspamd=f"http://127.0.0.1:{rspamd.port}", refuse_at=20.0)
    house = await open_house(tmp_path, junk=junk)
    try:
        assert (await house.comes(letter(EVE, "hello", "Shall we meet on Monday?"))).startswith("250")
        heard = {one["check"]: one for one in (await house.verdict())["checks"]}
        assert heard["rspamd"]["evidence"].startswith("no action ")
        assert heard["rspamd"]["weight"] < 3.0
        assert (await house.comes(letter(EVE, "offer", "Y" + PATTERN))).startswith("250")
        assert (await house.checks("Junk"))["rspamd"] == 5.0
        assert (await house.comes(letter(EVE, "offer", "X" + PATTERN))).startswith("550")
    finally:
        await house.house.close()


async def test_rspamd_that_goes_away_costs_nobody_mail(rspamd: Daemon, tmp_path: Path) -> None:
    house = await open_house(tmp_path, junk=Junk(rspamd=f"http://127.0.0.1:{rspamd.port}"))
    try:
        assert (await house.comes(letter(EVE, "one"))).startswith("250")
        rspamd.stop()
        assert (await house.comes(letter(EVE, "two"))).startswith("250")
        assert "cannot be asked" in (await house.verdict())["checks"][-1]["evidence"]
        rspamd.start()
        assert (await house.comes(letter(EVE, "three"))).startswith("250")
        assert "cannot be asked" not in (await house.verdict())["checks"][-1]["evidence"]
    finally:
        await house.house.close()
