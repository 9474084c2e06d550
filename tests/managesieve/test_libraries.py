"""The ManageSieve libraries that Python programs use, against a real socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from posthouse.config import Auth
from tests.managesieve.conftest import ALICE, PASSWORD, Desk

managesieve = pytest.importorskip("managesieve")
sievelib = pytest.importorskip("sievelib.managesieve")

SCRIPT = 'require ["fileinto"];\r\nif header :contains "subject" "报告" {\r\n  fileinto "Work";\r\n}\r\n'
WRONG = 'keep;\r\nfileinto "Work";\r\n'


async def in_thread(work: Callable[[], None]) -> None:
    await asyncio.wait_for(asyncio.to_thread(work), 20)


async def test_managesieve(desk: Desk, tls: ssl.SSLContext) -> None:
    port = await desk.open(tls=tls, auth=Auth(plaintext="never"))

    def work() -> None:
        client = managesieve.MANAGESIEVE("127.0.0.1", port, use_tls=True, tls_verify=False, timeout=10)
        assert not client.supports_tls, "not once TLS is active"
        assert client.login("", ALICE, PASSWORD) == "OK"
        assert client.havespace("rules", 100) == "OK"
        assert client.putscript("rules", SCRIPT) == "OK"
        assert client.putscript("bad", WRONG) == "NO"
        assert client.response_text.startswith("line 2: ")
        assert client.putscript("规则", "keep;") == "OK"
        assert client.setactive("rules") == "OK"
        assert client.listscripts() == ("OK", [("rules", True), ("规则", False)])
        assert client.getscript("rules") == ("OK", SCRIPT)
        assert client.deletescript("rules") == "NO"
        assert client.response_code == "ACTIVE"
        assert client.setactive("") == "OK"
        assert client.deletescript("rules") == "OK"
        assert client.logout() == "OK"

    await in_thread(work)


@pytest.mark.filterwarnings("ignore:Credentials are sent over an unencrypted connection")
@pytest.mark.parametrize("mechanism", [None, "PLAIN", "LOGIN"])
async def test_sievelib(desk: Desk, mechanism: str | None) -> None:
    port = await desk.open()

    def work() -> None:
        client: Any = sievelib.Client("127.0.0.1", port)
        assert client.connect(ALICE, PASSWORD, authmech=mechanism)
        assert client.get_implementation() == "Posthouse"
        assert "fileinto" in client.get_sieve_capabilities()
        assert client.checkscript(SCRIPT)
        assert not client.checkscript(WRONG)
        assert client.errmsg.startswith(b"line 2: ")
        assert client.putscript("rules", SCRIPT)
        assert client.renamescript("rules", "规则")
        assert client.setactive("规则")
        assert client.listscripts() == ("规则", [])
        assert client.getscript("规则").splitlines() == SCRIPT.splitlines()
        assert not client.deletescript("规则")
        assert client.setactive("")
        assert client.deletescript("规则")
        client.logout()

    await in_thread(work)


async def test_sievelib_does_not_come_in_with_a_wrong_password(desk: Desk) -> None:
    port = await desk.open()

    def work() -> None:
        client: Any = sievelib.Client("127.0.0.1", port)
        with pytest.warns(UserWarning, match="unencrypted"):
            assert not client.connect(ALICE, "rabbit")

    await in_thread(work)
