"""The numbers of this house for whoever watches it: `GET /metrics` at `listen.health`, as Prometheus reads them.

What was counted (`counts.py`) is added up over this process and its workers, also those that have ended. What must be
looked up (the findings of `status`, the queue) is looked up in the background, every METRICS_AGE seconds: nobody who
asks waits for the DNS.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from posthouse import __version__, limits
from posthouse.counts import COUNTS, Snapshot, add_up, snapshot
from posthouse.operations.findings import Finding, Level
from posthouse.operations.status import HouseStatus
from posthouse.store.interface import Store

_PREFIX: Final = "posthouse_"
_LEVELS: Final = {Level.FINE: 0, Level.LOOK: 1, Level.WRONG: 2}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker tells from time to time."""

    number: int
    """Which worker."""
    pid: int
    counts: Snapshot
    open: dict[str, int]
    """Connections now, by listener."""


class Watched(Protocol):
    """What is watched: a house, of which a reload makes parts anew."""

    @property
    def store(self) -> Store:
        """Where the queue is."""
        ...

    @property
    def status(self) -> HouseStatus:
        """The checks of the configuration in force."""
        ...


class _Looked(msgspec.Struct, frozen=True):
    """What was looked up."""

    findings: list[Finding]
    recipients: Counter[str]
    """In the queue, by state."""
    oldest: float
    """Seconds that the oldest message has been in the queue; 0: it is empty."""


class Metrics:
    """Tells the numbers. `hear` takes what workers tell; `text` is the answer to a scrape."""

    def __init__(
        self,
        house: Watched,
        connections: Callable[[], Mapping[str, int]],
        data: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`connections`: open ones in this process, by listener."""
        self._house = house
        self._connections = connections
        self._data = data
        self._now = now
        self._workers: dict[int, Told] = {}
        self._ended: Snapshot = {}
        """Of workers that are no more: what was counted is not taken back."""
        self._looked: _Looked | None = None

    def hear(self, told: Told) -> None:
        """A worker's numbers so far."""
        before = self._workers.get(told.number)
        if before is not None and before.pid != told.pid:
            self._ended = add_up(self._ended, before.counts)
        self._workers[told.number] = told

    async def look(self) -> None:
        """Look up what is not counted."""
        now = self._now()
        messages = await self._house.store.queue(limit=limits.QUEUE_LOOK)
        states = Counter(one.state.value for message in messages for one in message.recipients)
        oldest = max((now - message.created_at for message in messages), default=0.0)
        self._looked = _Looked(await self._house.status.status(), states, oldest)

    async def text(self) -> str:
        """All of it."""
        disk = await asyncio.to_thread(shutil.disk_usage, self._data)
        families = [*self._counted(), *self._present(disk)]
        if self._looked is not None:
            families += _of_house(self._looked)
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(_Collector(families))
        return generate_latest(registry).decode()

    def _counted(self) -> Iterable[Metric]:
        total = add_up(snapshot(), self._ended, *(told.counts for told in self._workers.values()))
        for count in COUNTS:
            family = CounterMetricFamily(_PREFIX + count.name, count.help, labels=count.labels)
            numbers = total[count.name] or ({} if count.labels else {(): 0.0})
            for values, number in sorted(numbers.items()):
                family.add_metric(values, number)
            yield family

    def _present(self, disk: Any) -> Iterable[Metric]:
        total: Counter[str] = Counter(self._connections())
        for told in self._workers.values():
            total.update(told.open)
        yield _gauge("connections_open", "Connections now.", "door", total)
        yield _gauge("disk_free_octets", "Free where the data folder is.", "", {"": disk.free})
        yield _gauge("disk_octets", "The whole disk.", "", {"": disk.total})
        yield _gauge("build", "The version that runs.", "version", {__version__: 1})


class _Collector(Collector):
    """Families that are made already, as the library wants them."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families


def _of_house(looked: _Looked) -> Iterable[Metric]:
    worst: dict[str, int] = {}
    for finding in looked.findings:
        worst[finding.subject] = max(worst.get(finding.subject, 0), _LEVELS[finding.level])
    yield _gauge("status", "`posthouse status`: 0 fine, 1 look, 2 wrong.", "subject", worst)
    more = f"Recipients in the queue, of its first {limits.QUEUE_LOOK} messages."
    yield _gauge("queue_recipients", more, "state", looked.recipients)
    yield _gauge("queue_oldest_seconds", "Age of the oldest message in the queue.", "", {"": looked.oldest})


def _gauge(name: str, help: str, label: str, numbers: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, help, labels=[label] if label else [])
    for value, number in sorted(numbers.items()):
        family.add_metric([value] if label else [], number)
    return family


def told_by(number: int, connections: Mapping[str, int]) -> Told:
    """What this process, a worker, has to tell now."""
    return Told(number=number, pid=os.getpid(), counts=snapshot(), open=dict(connections))
