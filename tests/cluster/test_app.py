"""A whole post office over PostgreSQL: mail comes in by SMTP and is read by IMAP and POP3."""

from __future__ import annotations

import asyncio
import imaplib
import poplib
import smtplib
import time
from pathlib import Path

import pytest

from posthouse.app import App
from posthouse.config import Store
from tests.house import PASSWORDS, TestHouse, configuration
from tests.kits.snoozing import comes_back_after_a_restart
from tests.machine import slowness

pytestmark = pytest.mark.slow


async def test_mail_comes_in_and_is_read(url: str, tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path, store=Store(url=url))
    try:
        addresses = {name: bound[0].rpartition(":") for name, bound in house.app.addresses.items()}

        def converse() -> None:
            host, _, port = addresses["smtp"]
            with smtplib.SMTP(host, int(port)) as smtp:
                smtp.sendmail(
                    "a@far.test", ["bob@example.test"], b"Subject: hello\r\n\r\nover PostgreSQL\r\n"
                )
                large = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 40 + (b"y" * 70 + b"\r\n") * 9000
                smtp.sendmail("a@far.test", ["bob@example.test"], large)
            host, _, port = addresses["imap"]
            with imaplib.IMAP4(host, int(port)) as imap:
                imap.login("bob@example.test", PASSWORDS["bob@example.test"])
                assert imap.select()[1] == [b"2"]
                assert b"over PostgreSQL" in imap.fetch("1", "(BODY[TEXT])")[1][0][1]
                assert imap.search(None, "TEXT", "postgresql")[1] == [b"1"]
                assert len(imap.fetch("2", "(BODY[])")[1][0][1]) > 600_000
                assert imap.store("1", "+FLAGS", "(\\Flagged)")[0] == "OK"
            host, _, port = addresses["pop3"]
            pop = poplib.POP3(host, int(port))
            pop.user("bob@example.test")
            pop.pass_(PASSWORDS["bob@example.test"])
            assert pop.stat()[0] == 2
            pop.quit()

        await asyncio.to_thread(converse)
    finally:
        await house.close()


async def test_snoozed_mail_comes_back_after_a_restart(url: str, tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path, store=Store(url=url))
    try:
        await comes_back_after_a_restart(house)
    finally:
        await house.close()


async def test_a_login_that_one_node_ends_is_over_at_the_other(url: str, tmp_path: Path) -> None:
    house = await TestHouse.open(tmp_path / "one", store=Store(url=url))
    other = TestHouse(App(configuration(tmp_path / "two", store=Store(url=url))))
    await other.app.start()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", other.port("imap"))
        await reader.readline()
        writer.write(b"a LOGIN bob@example.test %b\r\n" % PASSWORDS["bob@example.test"].encode())
        assert b"a OK" in await reader.readline()
        writer.write(b"b IDLE\r\n")
        assert await reader.readline() == b"+ idling\r\n"
        began = time.monotonic()
        disable = house.app.house.administration.command("account.set")
        await disable.call({"address": "bob@example.test", "disabled": True}, b"")
        assert (await reader.read()).startswith(b"* BYE")
        assert time.monotonic() - began < slowness()
        writer.close()
    finally:
        await other.close()
        await house.close()
