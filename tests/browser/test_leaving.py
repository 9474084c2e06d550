"""A list is left by one click in the browser (RFC 8058): the house tells its host, and the message says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.runner import needs_browser, run_suite
from tests.house import PASSWORDS, TestHouse
from tests.msgauth.messages import crafted
from tests.web.list_host import COVERED, KEY, ListHost, believed, letter, put

ADDRESS = "alice@example.test"


@pytest.mark.slow
@pytest.mark.interop
async def test_leaving(tmp_path: Path) -> None:
    needs_browser()
    house = await TestHouse.open(tmp_path)
    host = ListHost()
    await host.start(tmp_path)

    def refuse() -> None:
        host.answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

    try:
        async with believed(house):
            for subject in ("Harbour news", "Harbour news again"):
                raw = letter(host).replace(b"Subject: x", b"Subject: " + subject.encode())
                await put(house, crafted(raw, KEY, h=COVERED))
            stage = {
                "web": f"http://127.0.0.1:{house.port('http')}",
                "address": ADDRESS,
                "password": PASSWORDS[ADDRESS],
            }
            await run_suite("leaving", stage, {"refuse": refuse, "heard": lambda: len(host.heard)})
    finally:
        host.server.close()
        await house.close()
    assert all(each.startswith(b"POST /leave?who=4711 ") for each in host.heard)
