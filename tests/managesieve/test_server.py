"""The ManageSieve server over real sockets and a real store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from typing import Any

import msgspec
import pytest
from scramp import ScramClient

from posthouse import limits
from posthouse.accounts.passwords import generate_app_password, hash_app_password
from posthouse.config import Auth
from posthouse.errors import StoreUnavailable
from posthouse.managesieve import server
from posthouse.net.connection import Connection, ConnectionClosed
from posthouse.net.tls import client_context
from posthouse.store.interface import AddAppPassword, PutAccount, RemoveAppPassword
from tests.managesieve.conftest import ALICE, CHEAP, PASSWORD, Desk, ask, plain, until


async def closed(client: Connection) -> bytes:
    """All that still comes until the server closes."""
    heard = b""
    try:
        while True:
            heard += await asyncio.wait_for(client.read_some(10_000), 5)
    except ConnectionClosed:
        return heard


# --- logging in --------------------------------------------------------------------------------------------


def data(line: bytes) -> str:
    """What a string, or the SASL code of a reply, has in base64."""
    found = re.fullmatch(rb'(?:OK \(SASL )?"([^"]*)".*', line)
    assert found, line
    return base64.b64decode(found[1]).decode()


async def scram(client: Connection, name: str, binding: tuple[str, bytes] | None = None) -> bytes:
    exchange = ScramClient([name], ALICE, PASSWORD, channel_binding=binding)
    first = base64.b64encode(exchange.get_client_first().encode())
    exchange.set_server_first(data(await ask(client, b'AUTHENTICATE "%b" "%b"' % (name.encode(), first))))
    reply = await ask(client, b'"%b"' % base64.b64encode(exchange.get_client_final().encode()))
    exchange.set_server_final(data(reply))
    return reply


async def test_scram_ends_with_the_servers_proof_in_the_reply(desk: Desk):
    client = await desk.connect(await desk.open(auth=Auth(plaintext="never")))
    reply = await scram(client, "SCRAM-SHA-256")
    assert reply.endswith(b'") "Logged in"')
    assert await ask(client, b"LISTSCRIPTS") == b"OK"


async def test_scram_bound_to_the_channel(desk: Desk, tls: ssl.SSLContext):
    client = await desk.connect(await desk.open(tls=tls))
    assert (await ask(client, b"STARTTLS")).startswith(b"OK")
    await client.start_tls_client(client_context(False), "localhost")
    lines = await until(client, b"OK")
    assert any(b"SCRAM-SHA-256-PLUS" in line for line in lines)
    assert b'"STARTTLS"' not in lines
    binding = ("tls-server-end-point", hashlib.sha256(client.peer_chain()[0]).digest())
    await scram(client, "SCRAM-SHA-256-PLUS", binding)
    assert await ask(client, b"LISTSCRIPTS") == b"OK"


async def test_a_wrong_proof_is_refused(desk: Desk):
    client = await desk.connect(await desk.open())
    exchange = ScramClient(["SCRAM-SHA-256"], ALICE, "rabbit")
    first = base64.b64encode(exchange.get_client_first().encode())
    exchange.set_server_first(data(await ask(client, b'AUTHENTICATE "SCRAM-SHA-256" "%b"' % first)))
    reply = await ask(client, b'"%b"' % base64.b64encode(exchange.get_client_final().encode()))
    assert reply == b'NO "wrong name or password"'
    assert await ask(client, b"LISTSCRIPTS") == b'NO "Log in first"'


@pytest.mark.parametrize("policy", ["never", "loopback", "always"])
async def test_passwords_in_clear_text_only_as_the_policy_says(desk: Desk, policy: Any, tls: ssl.SSLContext):
    client = await desk.connect(await desk.open(auth=Auth(plaintext=policy), tls=tls))
    allowed = policy != "never"  # we are on loopback
    client.write(b"CAPABILITY\r\n")
    lines = await until(client, b"OK")
    (mechanisms,) = (line for line in lines if line.startswith(b'"SASL"'))
    assert (b"PLAIN" in mechanisms) is allowed
    assert b'"STARTTLS"' in lines
    answer = await ask(client, b'AUTHENTICATE "PLAIN" "' + plain() + b'"')
    assert answer.startswith(b"OK") is allowed
    assert answer.startswith(b"NO (ENCRYPT-NEEDED)") is not allowed


async def test_what_is_not_there_is_not_offered(desk: Desk):
    client = await desk.connect(await desk.open(extensions=("fileinto",)))
    client.write(b"CAPABILITY\r\n")
    names = {line.split(b" ")[0] for line in await until(client, b"OK")}
    assert not names & {b'"STARTTLS"', b'"UNAUTHENTICATE"', b'"NOTIFY"', b'"OWNER"'}
    assert await ask(client, b"STARTTLS") == b'NO "TLS is not available"'
    assert await ask(client, b'AUTHENTICATE "GSSAPI"') == b'NO "This mechanism is not offered"'
    await ask(client, b'AUTHENTICATE "PLAIN" "' + plain() + b'"')
    assert await ask(client, b"UNAUTHENTICATE") == b'NO "There is no such command"'
    assert await ask(client, b"LISTSCRIPTS") == b"OK"


async def test_app_passwords_open_what_they_are_for(desk: Desk):
    port = await desk.open()
    made = {}
    for scope in ((), ("sieve",), ("imap", "smtp")):
        password = generate_app_password()
        kept = hash_app_password(password)
        made[scope] = password
        await desk.store.apply(
            AddAppPassword(
                account_id=desk.account.account_id, name="x", password=kept, scope=scope, created_at=0
            )
        )
    for scope, password in made.items():
        client = await desk.connect(port)
        answer = await ask(client, b'AUTHENTICATE "PLAIN" "' + plain(password) + b'"')
        assert answer.startswith(b"OK") is ("sieve" in scope or not scope), scope


@pytest.mark.parametrize("change", [{"password": CHEAP.hash("another")}, {"disabled": True}])
async def test_a_session_ends_with_what_it_was_opened_by(desk: Desk, change: dict[str, Any]):
    client = await desk.connect(await desk.open())
    await ask(client, b'AUTHENTICATE "PLAIN" "' + plain() + b'"')
    assert await ask(client, b"LISTSCRIPTS") == b"OK"
    await desk.store.apply(PutAccount(account=msgspec.structs.replace(desk.account, **change)))
    assert await closed(client) == b'BYE "The login is not good any more"\r\n'


async def test_a_session_ends_with_its_app_password(desk: Desk):
    password = generate_app_password()
    made = await desk.store.apply(
        AddAppPassword(
            account_id=desk.account.account_id,
            name="x",
            password=hash_app_password(password),
            scope=("sieve",),
            created_at=0,
        )
    )
    client = await desk.connect(await desk.open())
    await ask(client, b'AUTHENTICATE "PLAIN" "' + plain(password) + b'"')
    assert await ask(client, b"LISTSCRIPTS") == b"OK"
    await desk.store.apply(
        RemoveAppPassword(account_id=desk.account.account_id, app_password_id=made.app_password_id)
    )
    assert await closed(client) == b'BYE "The login is not good any more"\r\n'


async def test_failed_logins_end_the_connection_and_are_slowed_down(desk: Desk):
    client = await desk.connect(await desk.open())
    for _ in range(limits.SIEVE_LOGINS):
        assert (await ask(client, b'AUTHENTICATE "PLAIN" "%b"' % plain("wrong"))).startswith(b"NO")
    assert await closed(client) == b'BYE "Too many failed logins"\r\n'


async def test_too_many_guesses_are_not_even_tried(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("posthouse.limits.LOGIN_DELAY", 0.0)
    port = await desk.open()
    answer = b""
    for number in range(limits.LOGIN_FAILURES_PER_ACCOUNT + limits.LOGIN_FAILURES_PER_ADDRESS):
        client = await desk.connect(port)
        answer = await ask(client, b'AUTHENTICATE "PLAIN" "%b"' % plain(f"guess {number}"))
        if answer.startswith(b"NO (TRYLATER)"):
            break
    assert answer.startswith(b"NO (TRYLATER)")


async def test_a_login_response_that_is_too_long(desk: Desk):
    client = await desk.connect(await desk.open())
    long = base64.b64encode(b"x" * (limits.SASL_RESPONSE + 1))
    assert (await ask(client, b'AUTHENTICATE "PLAIN" "%b"' % long)).startswith(b"NO")
    assert await ask(client, b'AUTHENTICATE "PLAIN"') == b'""'
    assert (await ask(client, b'"%b"' % long)).startswith(b"NO")
    assert await ask(client, b"NOOP") == b'OK "Done"'


# --- the scripts -----------------------------------------------------------------------------------------


async def test_a_script_of_full_size_goes_in_and_comes_out(desk: Desk):
    client = await desk.login(await desk.open())
    text = (b"# " + b"x" * 70 + b"\r\n") * 3000
    text = text[: limits.SIEVE_SCRIPT - 2] + b"\r\n"
    client.write(b'PUTSCRIPT "long" {%d+}\r\n' % len(text))
    assert await ask(client, text) == b'OK "The script is kept"'
    assert await ask(client, b'GETSCRIPT "long"') == b"{%d}" % len(text)
    assert await client.read_exactly(len(text)) == text
    assert await until(client, b"OK") == [b"", b"OK"]


async def test_a_script_that_is_too_large_is_read_past(desk: Desk):
    client = await desk.login(await desk.open())
    for size in (limits.SIEVE_SCRIPT + 1, 1_000_000):
        for command in (b'PUTSCRIPT "long"', b"CHECKSCRIPT"):
            client.write(b"%b {%d+}\r\n" % (command, size))
            assert (await ask(client, b"#" * size)).startswith(b"NO (QUOTA/MAXSIZE)")
    assert await ask(client, b"LISTSCRIPTS") == b"OK"


async def test_what_is_much_too_large_ends_the_connection(desk: Desk):
    client = await desk.login(await desk.open())
    client.write(b'PUTSCRIPT "long" {%d+}\r\n' % (limits.SIEVE_SKIP + 1))
    assert await closed(client) == b'BYE "The command is too long"\r\n'


async def test_an_account_has_so_many_scripts(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("posthouse.accounts.sieve_shelf.SIEVE_SCRIPTS", 2)
    client = await desk.login(await desk.open())
    for name in (b"a", b"b"):
        assert await ask(client, b'HAVESPACE "%b" 5' % name) == b'OK "There is room"'
        assert (await ask(client, b'PUTSCRIPT "%b" "keep;"' % name)).startswith(b"OK")
    assert (await ask(client, b'HAVESPACE "c" 5')).startswith(b"NO (QUOTA/MAXSCRIPTS)")
    assert (await ask(client, b'PUTSCRIPT "c" "keep;"')).startswith(b"NO (QUOTA/MAXSCRIPTS)")
    assert await ask(client, b'HAVESPACE "b" 5') == b'OK "There is room"'
    assert (await ask(client, b'PUTSCRIPT "b" "stop;"')).startswith(b"OK")
    assert (await ask(client, b'CHECKSCRIPT "keep;"')).startswith(b"OK"), "no quota is looked at"


async def test_all_that_is_wrong_is_told_with_its_lines(desk: Desk):
    client = await desk.login(await desk.open())
    text = b"nonsense;\r\nkeep;\r\nnonsense;\r\n"
    client.write(b'PUTSCRIPT "bad" {%d+}\r\n' % len(text))
    answer = await ask(client, text)
    assert re.match(rb'NO ("line 1: |\{\d+\}$)', answer), answer
    if answer.endswith(b"}"):
        said = await client.read_exactly(int(answer[4:-1]))
        assert [line.partition(b":")[0] for line in said.split(b"\r\n")] == [b"line 1", b"line 3"]
        await client.read_line(100)
    assert await ask(client, b"LISTSCRIPTS") == b"OK"


@pytest.mark.parametrize("fault", [StoreUnavailable("The disk is full."), RuntimeError("broken on purpose")])
async def test_when_the_store_fails_the_client_may_try_later(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
):
    client = await desk.login(await desk.open())
    await ask(client, b'PUTSCRIPT "a" "keep;"')
    commit = desk.store.commit

    async def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr(desk.store, "commit", broken)
    answer = await ask(client, b'PUTSCRIPT "a" "discard;"')
    assert answer.startswith(b"NO (TRYLATER) ")
    if isinstance(fault, RuntimeError):
        assert b"broken" not in answer
        assert answer.split()[-1].decode().strip('"') in caplog.text
    monkeypatch.setattr(desk.store, "commit", commit)
    assert (await ask(client, b'SETACTIVE "a"')).startswith(b"OK")
    assert (await desk.scripts.get(desk.account.account_id, "a")).raw == b"keep;"


# --- rude clients ------------------------------------------------------------------------------------------


async def test_a_stranger_has_little_room(desk: Desk):
    port = await desk.open()
    client = await desk.connect(port)
    client.write(b'AUTHENTICATE "PLAIN" {%d+}\r\n' % (limits.SIEVE_LITERAL_STRANGER + 1))
    assert await closed(client) == b'BYE "The literal is too long"\r\n'
    client = await desk.connect(port)
    client.write(b'NOOP "' + b"x" * limits.SIEVE_LINE)
    assert await closed(client) == b'BYE "The line is too long"\r\n'


async def test_nonsense_in_a_row_ends_the_connection(desk: Desk):
    client = await desk.connect(await desk.open())
    for _ in range(limits.SIEVE_BAD - 1):
        assert (await ask(client, b"NONSENSE")).startswith(b"NO")
    assert await ask(client, b"NOOP") == b'OK "Done"'
    client.write(b"NONSENSE\r\n" * 1000)
    heard = await closed(client)
    assert heard.count(b"NO ") == limits.SIEVE_BAD
    assert heard.endswith(b'BYE "Too many errors"\r\n')


async def test_a_silent_session_is_told_goodbye(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SIEVE_AUTOLOGOUT", 0.05)
    client = await desk.login(await desk.open())
    assert await closed(client) == b'BYE "Logged out for inactivity"\r\n'
    assert limits.__dict__["SIEVE_AUTOLOGOUT"] == 0.05


def test_a_session_may_be_silent_for_half_an_hour():
    assert limits.SIEVE_AUTOLOGOUT >= 30 * 60  # RFC 5804 §1.2


async def test_who_does_not_log_in_is_sent_away(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SIEVE_LOGIN_TIME", 0.3)
    client = await desk.connect(await desk.open(auth=Auth(unauthenticate=True)))
    for _ in range(3):
        await ask(client, b"NOOP")
    assert await closed(client) == b'BYE "Logged out for inactivity"\r\n'
    client = await desk.login(await desk.open(auth=Auth(unauthenticate=True)))
    await asyncio.sleep(0.35)
    assert await ask(client, b"UNAUTHENTICATE") == b'OK "Logged out"'
    assert await closed(client) == b'BYE "Logged out for inactivity"\r\n'


async def test_a_literal_that_never_ends_ends_with_the_session(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "SIEVE_AUTOLOGOUT", 0.1)
    client = await desk.login(await desk.open())
    client.write(b'PUTSCRIPT "a" {5+}\r\nkee')
    assert await closed(client) == b'BYE "Logged out for inactivity"\r\n'
    assert (await desk.scripts.shelf(desk.account.account_id)).scripts == ()


async def test_half_a_script_is_no_script(desk: Desk):
    client = await desk.login(await desk.open())
    client.write(b'PUTSCRIPT "a" {50+}\r\nkeep;')
    await asyncio.sleep(0.05)
    client.abort()
    await asyncio.sleep(0.05)
    assert (await desk.scripts.shelf(desk.account.account_id)).scripts == ()


async def test_a_stopping_server_says_so(desk: Desk):
    client = await desk.login(await desk.open())
    await desk.listeners[0].stop(1)
    assert await closed(client) == b'BYE (TRYLATER) "The server is shutting down"\r\n'


async def test_a_flood_of_pipelined_commands_lets_others_have_their_turn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "SIEVE_TURN", 8)
    client = await desk.login(await desk.open())
    answered, in_a_row = 0, []
    noop = server.HANDLERS["NOOP"]

    async def counted(session, command):
        nonlocal answered
        answered += 1
        await noop(session, command)

    monkeypatch.setattr(server, "HANDLERS", {**server.HANDLERS, "NOOP": counted})
    client.write(b"NOOP\r\n" * 500)
    async with asyncio.timeout(5):
        while answered < 500:  # the loop's turns, in which others are served
            before = answered
            await asyncio.sleep(0)
            in_a_row.append(answered - before)
    assert 1 < max(in_a_row) <= 8 + 1
    for _ in range(500):
        assert await client.read_line(100) == b'OK "Done"'


async def test_a_client_that_does_not_read_holds_little_memory(desk: Desk):
    client = await desk.login(await desk.open())
    await desk.scripts.put(desk.account.account_id, "a", b"#" * 60_000 + b"\r\n")
    client.write(b'GETSCRIPT "a"\r\n' * 500)
    for _ in range(300):
        await asyncio.sleep(0)
    (connection,) = desk.listeners[0]._connections
    assert connection._transport.get_write_buffer_size() < limits.WRITE_HIGH_WATER + 2 * limits.SIEVE_SCRIPT
    client.abort()


def test_the_busy_line_is_a_reply():
    assert server.BUSY == b'BYE (TRYLATER) "Too many connections"\r\n'
