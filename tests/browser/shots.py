"""`make screenshots`: pictures of every page into a folder, to be looked at.

python -m tests.browser.shots [FOLDER]
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from tests.browser.runner import run_suite
from tests.browser.sending import send
from tests.browser.stage import opened


async def _main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["BROWSER_SHOTS"] = str(folder.resolve())
    async with opened(administered=True) as stage:
        await asyncio.to_thread(
            send,
            stage.north,
            "alice@north.test",
            ["carol@south.test", "bob@south.test"],
            "Lanterns for Saturday 周六的灯笼",
            "Shall I bring the two large lanterns?",
        )
        await run_suite("screenshots", stage)


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")))
