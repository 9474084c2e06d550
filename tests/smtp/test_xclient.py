"""XCLIENT over real sockets: who may tell, what is believed, and what goes by it."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import msgspec
import pytest

from posthouse.net.listener import ConnectionGate
from posthouse.smtp import xclient
from posthouse.smtp.extensions import Role
from posthouse.smtp.replies import CommandError
from posthouse.smtp.xclient import WITH_LOGIN, WITHOUT_LOGIN, Told
from posthouse.store.interface import PutAccount
from tests.fakes.resolver import FakeResolver
from tests.inbound.small_house import HELLO, Client, SmallHouse
from tests.smtp.test_server import ready

HERE = ["127.0.0.0/8"]
ZONE = """
elsewhere.test. TXT "v=spf1 ip4:192.0.2.0/24 -all"
elsewhere.test. A 192.0.2.9
"""
FROM_EVE = "MAIL FROM:<eve@elsewhere.test>"


async def deliver(client: Client, sender: str = FROM_EVE) -> str:
    assert (await client.say(sender, "RCPT TO:<alice@example.test>")).startswith("250"), sender
    await client.say("DATA")
    return await client.send(HELLO + b".\r\n")


@pytest.mark.parametrize("role", [Role.MX, Role.SUBMISSION])
async def test_a_stranger_may_not_tell(house: SmallHouse, role: Role) -> None:
    """Neither offered nor obeyed, and a login named so is none; the session goes on."""
    client = await ready(await house.listen(role, fronts=["192.0.2.0/24"]))
    assert "XCLIENT" not in await client.say("EHLO me")
    assert (await client.say("XCLIENT ADDR=192.0.2.1 LOGIN=alice@example.test")).startswith("550 5.7.1")
    wanted = "530 5.7.0" if role is Role.SUBMISSION else "250"
    assert (await client.say("MAIL FROM:<alice@faraway.test>")).startswith(wanted)


async def test_the_session_begins_anew(house: SmallHouse) -> None:
    client = await ready(await house.listen(fronts=HERE), "EHLO filter.test")
    said = await client.say("XCLIENT NAME=mail.elsewhere.test ADDR=192.0.2.1 PORT=4711")
    assert said == "220 mx.example.test ESMTP Posthouse"
    assert (await client.say(FROM_EVE)).startswith("503")
    offered = (await client.say("EHLO again")).splitlines()
    assert "250-XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT" in offered
    assert (await deliver(client)).startswith("250")
    [message] = await house.inbox("alice")
    assert b"from again ([192.0.2.1])" in message
    assert (await client.say(FROM_EVE, "XCLIENT ADDR=192.0.2.2")).startswith("503")
    assert (await client.say("RCPT TO:<alice@example.test>")).startswith("250")


async def test_what_is_told_adds_up(house: SmallHouse) -> None:
    client = await ready(await house.listen(fronts=HERE))
    for told in (
        "ADDR=IPV6:2001:db8::1",
        "helo=mail+2Eelsewhere.test PROTO=smtp",
        "DESTADDR=192.0.2.80 DESTPORT=25",
    ):
        assert (await client.say(f"XCLIENT {told}")).startswith("220")
    await client.say("EHLO filter.test")
    assert (await deliver(client)).startswith("250")
    [message] = await house.inbox("alice")
    assert b"from mail.elsewhere.test ([IPv6:2001:db8::1])" in message
    assert b"with SMTP id" in message


@pytest.mark.parametrize("argument", [
    "", "ADDR", "ADDR=192.0.2.1 ADDR=192.0.2.2", "FOO=bar", "ADDR=[192.0.2.1]", "ADDR=mail.test", "ADDR=fe80::1%eth0",
    "ADDR=IPV6:192.0.2.1", "PORT=70000", "PORT=x", "PROTO=LMTP", "NAME=a+20b", "NAME=a+0D+0Ab", "HELO=" + "x" * 256,
    "HELO=a+0Ab", "LOGIN=x", "DESTPORT=+FF", "DESTADDR=1.2.3", "ADDR=+", "NAME=caf\xe9",
])  # fmt: skip
async def test_what_is_not_as_it_should_be_changes_nothing(house: SmallHouse, argument: str) -> None:
    client = await ready(await house.listen(fronts=HERE), "EHLO filter.test")
    said = await client.say(
        f"XCLIENT ADDR=192.0.2.9 {argument}" if argument[:4] != "ADDR" else f"XCLIENT {argument}"
    )
    if argument:
        assert said.startswith("501 5.5.4"), said
        assert (await deliver(client)).startswith("250")
        [message] = await house.inbox("alice")
        assert b"from filter.test ([127.0.0.1])" in message
    else:
        assert (await client.say("XCLIENT")).startswith("501 5.5.4")


@pytest.mark.parametrize("value", ["", "[UNAVAILABLE]", "[tempunavail]"])
async def test_a_client_that_nobody_knows_is_not_the_host_before_us(tmp_path, value: str) -> None:
    house = await SmallHouse.open(tmp_path, trusted=("127.0.0.0/8",), resolver=FakeResolver(ZONE))
    client = await ready(
        await house.listen(fronts=HERE), f"XCLIENT ADDR={value} HELO={value} NAME={value}", "EHLO me"
    )
    await deliver(client)
    [message] = await house.inbox("alice")
    assert b"([0.0.0.0])" in message
    assert b"spf=fail" in message
    await house.close()


@pytest.mark.parametrize(("address", "result"), [("192.0.2.1", b"spf=pass"), ("198.51.100.7", b"spf=fail")])
async def test_spf_goes_by_the_client(tmp_path, address: str, result: bytes) -> None:
    house = await SmallHouse.open(tmp_path, resolver=FakeResolver(ZONE))
    client = await ready(await house.listen(fronts=HERE), f"XCLIENT ADDR={address}", "EHLO me")
    await deliver(client)
    [message] = await house.inbox("alice")
    assert result in message
    await house.close()


class Notebook:
    """A guard that writes down whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def admits(self, address: str) -> bool:
        self.asked.append(address)
        return address != "192.0.2.66"

    async def springs(self, address: str, recipient: str) -> bool:
        self.asked.append(address)
        return False

    async def refused(self, address: str) -> None:
        self.asked.append(address)


async def test_the_guard_counts_the_client(house: SmallHouse) -> None:
    guard = house.policy._guard = Notebook()  # type: ignore[assignment]
    client = await ready(await house.listen(fronts=HERE), "XCLIENT ADDR=192.0.2.66", "EHLO me")
    assert (await client.say(FROM_EVE)).startswith("450")
    await client.say("XCLIENT ADDR=192.0.2.1", "EHLO me", FROM_EVE, "RCPT TO:<nobody@example.test>")
    assert guard.asked == ["192.0.2.66", "192.0.2.1", "192.0.2.1", "192.0.2.1"]


async def test_connections_are_counted_as_the_client(house: SmallHouse) -> None:
    """The host before us counts in the total alone, and each client as it would if it came itself."""
    gate = ConnectionGate(1000, 2)
    port = await house.listen(fronts=HERE, gate=gate)
    clients = [await ready(port) for _ in range(4)]
    for client in clients[:2]:
        assert (await client.say("XCLIENT ADDR=192.0.2.1")).startswith("220")
    assert (await clients[2].say("XCLIENT ADDR=192.0.2.1")).startswith("421 4.7.0")
    assert await clients[2].rest() == b""
    assert (await clients[0].say("XCLIENT ADDR=192.0.2.2")).startswith("220")
    assert (await clients[3].say("XCLIENT ADDR=192.0.2.1")).startswith("220")
    for client in clients:
        client.close()
    for _ in range(100):
        if not gate.open:
            break
        await asyncio.sleep(0.02)
    assert (gate.open, gate._by_address) == (0, {})


async def test_a_login_is_believed_where_people_log_in(house: SmallHouse) -> None:
    client = await ready(await house.listen(Role.SUBMISSION, fronts=HERE), "EHLO me")
    said = await client.say("XCLIENT ADDR=192.0.2.1 LOGIN=Alice+40example.test")
    assert said.startswith("220")
    assert "AUTH" not in await client.say("EHLO me")
    assert (await client.say("MAIL FROM:<bob@example.test>")).startswith("553 5.7.1")
    assert (await client.say("MAIL FROM:<alice@example.test>")).startswith("250")
    await client.say("RSET")
    # What follows keeps it until another is named, or nobody.
    assert (await client.say("XCLIENT PORT=1", "EHLO me", "MAIL FROM:<alice@example.test>")).startswith("250")
    await client.say("RSET")
    assert (await client.say("XCLIENT LOGIN=[UNAVAILABLE]", "EHLO me", "MAIL FROM:<>")).startswith("530")


@pytest.mark.parametrize("name", ["off@example.test", "nobody@example.test", "alice", "x@faraway.test"])
async def test_who_is_not_let_in_is_not_let_in_so_either(house: SmallHouse, name: str) -> None:
    client = await ready(await house.listen(Role.SUBMISSION, fronts=HERE), "EHLO me")
    assert (await client.say(f"XCLIENT ADDR=192.0.2.1 LOGIN={name}")).startswith("550 5.7.1")
    assert (await client.say("MAIL FROM:<alice@example.test>")).startswith("530")


async def test_a_login_named_before_us_ends_with_the_account(house: SmallHouse) -> None:
    client = await ready(
        await house.listen(Role.SUBMISSION, fronts=HERE), "XCLIENT LOGIN=alice@example.test", "EHLO me"
    )
    await house.real_store.apply(
        PutAccount(account=msgspec.structs.replace(house.accounts["alice"], disabled=True))
    )
    assert (await client.reply()).startswith("421 4.7.0")


async def test_tls_forgets_what_was_told_in_clear(house: SmallHouse) -> None:
    """RFC 3207 §4.2; swaks speaks both, in either order."""
    if shutil.which("swaks") is None:
        pytest.skip("swaks is not here")
    port = await house.listen(starttls=True, fronts=HERE)

    async def swaks(*words: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            ["swaks", "--server", "127.0.0.1", "--port", str(port), "--tls", "--helo", "swaks.test", *words,
             "--from", "eve@elsewhere.test", "--to", "alice@example.test", "--timeout", "20",
             "--h-From", "eve@elsewhere.test"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stdout

    told = ("--xclient-addr", "192.0.2.1", "--xclient-name", "mail.elsewhere.test", "--xclient-port", "4711",
            "--xclient-proto", "ESMTP", "--xclient-helo", "mail.elsewhere.test", "--xclient-destaddr", "192.0.2.80",
            "--xclient-destport", "25")  # fmt: skip
    said = await swaks(*told)
    assert "XCLIENT " in said
    assert "220 mx.example.test" in said
    await swaks("--xclient-before-starttls", *told)
    first, second = await house.inbox("alice")
    assert b"from mail.elsewhere.test ([192.0.2.1])" in first
    assert b"with ESMTPS id" in first
    assert b"from swaks.test ([127.0.0.1])" in second


def test_values_are_octets_in_utf8() -> None:
    assert xclient.parse(b"LOGIN=caf+C3+A9@example.test", WITH_LOGIN).login == "caf\u00e9@example.test"
    assert xclient.parse(b"ADDR=::ffff:192.0.2.1", WITHOUT_LOGIN).address == "192.0.2.1"
    assert Told(port="1").after(Told(address="192.0.2.1", port="2")) == Told(address="192.0.2.1", port="1")
    with pytest.raises(CommandError):
        xclient.parse(b"LOGIN=" + b"x" * 321, WITH_LOGIN)
