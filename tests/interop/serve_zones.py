"""Serve DNS zones from a JSON file on port 53 of 127.0.0.1 (inside a test's namespace)."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from posthouse.playground.name_server import NameServer
from posthouse.playground.zones import Zones


async def serve(zones: Zones) -> None:
    """Serve until ended."""
    server = NameServer(zones, 53)
    await server.start()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = Zones()
    for domain, records in json.loads(Path(sys.argv[1]).read_text()).items():
        given.put(domain, records)
    asyncio.run(serve(given))
