"""Threads that read, each with a connection of its own (of either engine).

A job is a function of the `Reader` with its arguments; the result comes back to the event loop, many with one
waking when they are ready together.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from posthouse.errors import PosthouseError, StoreUnavailable

T = TypeVar("T")


class Closing(Protocol):
    """What every reader can."""

    def close(self) -> None:
        """Let go of everything."""
        ...


R = TypeVar("R", bound=Closing)


class _Job(msgspec.Struct, eq=False):
    work: Callable[..., Any]
    arguments: tuple[Any, ...]
    done: asyncio.Future[Any]
    result: Any = None
    fault: BaseException | None = None


class Readers(Generic[R]):
    """The pool. `run` on the event loop's thread only."""

    def __init__(
        self,
        open_reader: Callable[[], R],
        threads: int,
        refused: Callable[[BaseException], StoreUnavailable | None],
    ) -> None:
        """`refused`: the StoreUnavailable for a fault of the disk or the database; None for any other fault."""
        self._loop = asyncio.get_running_loop()
        self._open = open_reader
        self._refused = refused
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._ready: list[_Job] = []
        self._ready_lock = threading.Lock()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._run, name=f"store-reader-{i}", daemon=True) for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(self, work: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Have a job done. Its PosthouseErrors pass; faults of the disk become StoreUnavailable."""
        if self._closed:
            raise StoreUnavailable("The mail store is closed.")
        job = _Job(work, arguments, self._loop.create_future())
        self._jobs.put(job)
        return job.done

    def close(self) -> None:
        """Finish what was handed in and end the threads. Blocks."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        reader: R | None = None
        while (job := self._jobs.get()) is not None:
            try:
                if reader is None:
                    reader = self._open()
                job.result = job.work(reader, *job.arguments)
            except PosthouseError as fault:
                job.fault = fault
            except BaseException as fault:
                job.fault = self._refused(fault) or fault
            self._hand_over(job)
            del job  # while waiting for the next one, its result must not be kept alive
        if reader is not None:
            reader.close()

    def _hand_over(self, job: _Job) -> None:
        with self._ready_lock:
            self._ready.append(job)
            if len(self._ready) > 1:
                return  # the loop is being woken already
        try:
            self._loop.call_soon_threadsafe(self._answer)
        except RuntimeError:
            pass  # the loop is closed, nobody waits any more

    def _answer(self) -> None:
        with self._ready_lock:
            ready, self._ready = self._ready, []
        for job in ready:
            if job.done.done():
                continue  # the caller was cancelled
            if job.fault is not None:
                job.done.set_exception(job.fault)
            else:
                job.done.set_result(job.result)
