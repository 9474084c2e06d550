"""The queue survives being stopped at any step (tests.md §2e): nobody is lost, nobody hears twice.

Two ways to die. In one process the store stops answering before or after the Nth commit, everything is dropped, and
the queue is opened again: hypothesis chooses the step and what the servers say. And a process of its own is killed by
signal 9 at random instants, over and over.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthouse.store.interface import Op, RecordOutcomes
from tests.fakes.mail_server import FakeMailServer
from tests.outbound.office import Office

ZONE = """
    far.test.      MX 10 mx1.far.test.
    mx1.far.test.  A  127.0.0.1
    other.test.    MX 10 mx1.far.test.
    null.test.     MX 0 .
"""
ROOT = Path(__file__).resolve().parents[2]
RECIPIENTS = ("yes@far.test", "no@far.test", "later@far.test", "yes@other.test", "nobody@null.test")
"""Of each message: one delivered, one refused, one deferred at first, one elsewhere, one without a route."""
NUMBERED = re.compile(rb"Final-Recipient: rfc822; (\S+)")


class Dying:
    """A store that stops before or after one of its writes, and answers nothing from then on."""

    def __init__(self, store: Any, step: int, *, after: bool) -> None:
        self._store = store
        self._left = step
        self._after = after
        self.dead = asyncio.Event()
        self.last: tuple[Op[Any], ...] = ()
        """What was being written."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, op: Op[Any]) -> Any:
        return (await self.commit(op))[0]

    async def commit(self, *ops: Op[Any]) -> list[Any]:
        if self.dead.is_set():
            await asyncio.Event().wait()
        self._left -= 1
        if self._left < 0:
            self.dead.set()
            self.last = ops
            if self._after:
                await self._store.commit(*ops)
            await asyncio.Event().wait()
        return list(await self._store.commit(*ops))


def prepare(far: FakeMailServer) -> None:
    far.say("RCPT TO:<no", "550 5.1.1 nobody here")
    far.say("RCPT TO:<later", "451 4.7.1 greylisted", times=2)


async def run_to_the_end(office: Office) -> None:
    for _ in range(20):
        await office.settled()
        waiting = await office.waiting()
        if not waiting:
            return
        office.clock.advance(max(1.0, min(waiting.values())))
    raise AssertionError("the queue does not empty")


def delivered(far: FakeMailServer) -> Counter[str]:
    return Counter(
        f"{recipient} {got.content.split()[-1].decode()}"
        for got in far.messages
        for recipient in got.recipients
    )


async def bounced(office: Office) -> Counter[str]:
    return Counter(found.decode() for notice in await office.inbox() for found in NUMBERED.findall(notice))


async def die_and_recover(step: int, *, after: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with FakeMailServer() as far:
            prepare(far)
            office = await Office.open(Path(folder), ZONE, far.port, concurrency=1)
            for number in range(2):
                await office.enqueue(*RECIPIENTS, content=b"Subject: hello\r\n\r\n%d\r\n" % number)
            dying = Dying(office.store, step, after=after)
            office.runner._store = dying  # type: ignore[assignment]
            run = asyncio.ensure_future(run_to_the_end(office))
            dead = asyncio.ensure_future(dying.dead.wait())
            await asyncio.wait({run, dead}, return_when=asyncio.FIRST_COMPLETED)
            if dying.dead.is_set():
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
            for task in [*office.runner._running, *office.runner._attempts]:
                task.cancel()
            dead.cancel()
            await office.courier.close()
            office.directory.close()
            await office.store.close()
            again = await Office.open(Path(folder), ZONE, far.port, clock=office.clock, concurrency=1)
            await run_to_the_end(again)
            interrupted = [op for op in dying.last if isinstance(op, RecordOutcomes)] if not after else []
            check(delivered(far), await bounced(again), twice_allowed=bool(interrupted))
            await again.close()


def check(sent: Counter[str], told: Counter[str], *, twice_allowed: bool) -> None:
    for number in range(2):
        for recipient in ("yes@far.test", "later@far.test", "yes@other.test"):
            assert sent[f"{recipient} {number}"] >= 1, "nobody is lost"
    assert told == {"no@far.test": 2, "nobody@null.test": 2}, "every failure is told, and once"
    doubles = [key for key, count in sent.items() if count > 1]
    # Only the lease whose outcome was not yet recorded can be sent again: one message at one destination.
    assert len({key.partition("@")[2] for key in doubles}) <= (1 if twice_allowed else 0)
    assert max(sent.values()) <= 2


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(step=st.integers(0, 24), after=st.booleans())
@pytest.mark.slow
def test_nothing_is_lost_whatever_step_it_stops_at(step: int, after: bool) -> None:
    asyncio.run(die_and_recover(step, after=after))


PROCESS = """
import asyncio, sys
from pathlib import Path
from tests.outbound.office import Office
from tests.outbound.test_crash import ZONE
import time

async def main():
    office = await Office.open(
        Path(sys.argv[1]), ZONE, int(sys.argv[2]), clock=time.time, retry=(0.05,), concurrency=4
    )
    await office.runner.start()
    print("ready", flush=True)
    while await office.store.queue(limit=1):
        await asyncio.sleep(0.02)
    await office.close()

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.long
async def test_killed_by_signal_9_at_random_instants(tmp_path: Path) -> None:
    count = 120
    chance = random.Random(9)
    async with FakeMailServer() as far:
        far.say("RCPT TO:<no", "550 5.1.1 nobody here")
        office = await Office.open(tmp_path, ZONE, far.port)
        office.clock.now = 0.0
        for number in range(count):
            content = b"Subject: hello\r\n\r\n%d\r\n" % number
            address = f"no{number}@far.test" if number % 4 == 0 else f"yes{number}@far.test"
            await office.enqueue(address, content=content, created_at=2e9)
        await office.close()
        killed, done = 0, False
        while not done:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PROCESS, str(tmp_path), str(far.port)),
                stdout=asyncio.subprocess.PIPE,
                cwd=ROOT,
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
            patience = chance.uniform(0.0, 0.15) if killed < 8 else 60
            try:
                async with asyncio.timeout(patience):
                    done = await process.wait() == 0
            except TimeoutError:
                process.send_signal(signal.SIGKILL)
                await process.wait()
                killed += 1
        after = await Office.open(tmp_path, ZONE, far.port)
        sent = Counter(recipient for got in far.messages for recipient in got.recipients)
        told = await bounced(after)
        await after.close()
    assert killed >= 3
    assert set(sent) == {f"yes{number}@far.test" for number in range(count) if number % 4}
    assert set(told.values()) == {1}
    assert len(told) == count / 4
    # At most what was under way at a kill is sent twice.
    assert sum(sent.values()) - len(sent) <= killed * 4
