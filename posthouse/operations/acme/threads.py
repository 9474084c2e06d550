"""Work that blocks for minutes, in a thread of its own.

The pool's threads are few, and would keep the process from ending.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from posthouse import limits
from posthouse.operations.acme.faults import AcmeFault

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Let something that blocks for long run beside us, ACME_STEP seconds at most (AcmeFault).

    Its thread keeps nobody from ending.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, fault: BaseException | None) -> None:
        if done.cancelled():
            return
        if fault is not None:
            done.set_exception(fault)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # what `work` gave

    def run() -> None:
        result, fault = None, None
        try:
            result = work()
        except Exception as raised:
            fault = raised
        try:
            loop.call_soon_threadsafe(tell, result, fault)
        except RuntimeError:
            pass  # the loop has ended, and nobody waits

    threading.Thread(target=run, name="acme", daemon=True).start()
    try:
        async with asyncio.timeout(limits.ACME_STEP):
            return await done
    except TimeoutError:
        raise AcmeFault("the authority kept us waiting") from None
