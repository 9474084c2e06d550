"""TLS from the first octet and by upgrade, in both roles."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from posthouse.net import wire
from posthouse.net.certificates import Pair
from posthouse.net.connection import Connection, ConnectionClosed, TlsFailed
from posthouse.net.tls import client_context, server_context
from tests.net.conftest import House

Files = tuple[Path, Path, Pair]


def contexts(files: Files) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    certificate, key, _ = files
    return server_context(certificate, key), client_context(True, certificate.parent / "authority.pem")


async def upgrade_then_echo(connection: Connection, context: ssl.SSLContext) -> None:
    while True:
        line = await connection.read_line(1000)
        if line == b"STARTTLS":
            connection.write(b"go\r\n")
            await connection.start_tls(context)
        else:
            connection.write(b"> " + line + b"\r\n")


async def test_tls_from_the_first_octet(house: House, pair_files: Files):
    server, client = contexts(pair_files)

    async def serve(connection: Connection) -> None:
        assert connection.tls is not None
        connection.write(f"{connection.tls.version} {connection.tls.server_name}\r\n".encode())

    listener = await house.listen(serve, tls=server)
    host, _, port = listener.bound[0].rpartition(":")

    def converse() -> bytes:
        plain = socket.create_connection((host, int(port)), timeout=5)
        with client.wrap_socket(plain, server_hostname="mx.test") as sock:
            return sock.recv(100)

    assert await asyncio.to_thread(converse) == b"TLSv1.3 mx.test\r\n"


async def test_upgrade_in_both_roles(house: House, pair_files: Files):
    server, client = contexts(pair_files)
    connection = await house.pair(lambda c: upgrade_then_echo(c, server))
    assert connection.tls is None
    connection.write(b"STARTTLS\r\n")
    assert await connection.read_line(100) == b"go"
    await connection.start_tls_client(client, "mx.test")
    connection.write(b"secret\r\n")
    assert await connection.read_line(100) == b"> secret"
    assert connection.tls is not None
    assert connection.tls.version == "TLSv1.3"
    assert connection.tls.server_name == "mx.test"
    assert house.sessions[0].tls.server_name == "mx.test"


async def test_the_server_never_interprets_what_was_pipelined_behind_starttls(
    house: House, pair_files: Files
):
    server, client = contexts(pair_files)
    connection = await house.pair(lambda c: upgrade_then_echo(c, server))
    connection.write(b"STARTTLS\r\ninjected\r\n")
    assert await connection.read_line(100) == b"go"
    await connection.start_tls_client(client, "mx.test")
    connection.write(b"mine\r\n")
    assert await connection.read_line(100) == b"> mine"


async def test_the_client_never_interprets_what_came_behind_the_go_ahead(house: House, pair_files: Files):
    server, client = contexts(pair_files)

    async def serve(connection: Connection) -> None:
        await connection.read_line(100)
        connection.write(b"go\r\ninjected\r\n")
        await connection.start_tls(server)
        connection.write(await connection.read_line(100) + b"\r\n")

    connection = await house.pair(serve)
    connection.write(b"STARTTLS\r\n")
    assert await connection.read_line(100) == b"go"
    await connection.start_tls_client(client, "mx.test")
    connection.write(b"mine\r\n")
    assert await connection.read_line(100) == b"mine"


async def test_the_first_octets_under_tls_are_kept(house: House, pair_files: Files):
    """They may arrive in one segment with the end of the handshake (TLS 1.3)."""
    server, client = contexts(pair_files)
    listener = await house.listen(lambda c: upgrade_then_echo(c, server))
    host, _, port = listener.bound[0].rpartition(":")

    def converse() -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client.wrap_bio(incoming, outgoing, server_hostname="mx.test")
        with socket.create_connection((host, int(port)), timeout=5) as sock:
            sock.sendall(b"STARTTLS\r\n")
            assert sock.recv(100) == b"go\r\n"
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(65536))
            tls.write(b"one\r\n" + b"x" * 900 + b"\r\ntwo\r\n")
            sock.sendall(outgoing.read())  # Finished and the first lines in one segment
            text = b""
            while text.count(b"\n") < 3:
                try:
                    text += tls.read(65536)
                except ssl.SSLWantReadError:
                    incoming.write(sock.recv(65536))
        return text

    assert await asyncio.to_thread(converse) == b"> one\r\n> " + b"x" * 900 + b"\r\n> two\r\n"


async def test_a_certificate_for_another_name_is_refused(house: House, pair_files: Files):
    server, client = contexts(pair_files)
    connection = await house.pair(lambda c: upgrade_then_echo(c, server))
    connection.write(b"STARTTLS\r\n")
    await connection.read_line(100)
    with pytest.raises(TlsFailed) as failed:
        await connection.start_tls_client(client, "other.test")
    assert isinstance(failed.value.__cause__, ssl.SSLCertVerificationError)
    with pytest.raises(ConnectionClosed):
        await connection.read_line(100)
    await house.until_ended()


async def test_without_verifying_any_certificate_will_do(house: House, pair_files: Files):
    server, _ = contexts(pair_files)
    connection = await house.pair(lambda c: upgrade_then_echo(c, server))
    connection.write(b"STARTTLS\r\n")
    await connection.read_line(100)
    await connection.start_tls_client(client_context(False), "other.test")
    connection.write(b"x\r\n")
    assert await connection.read_line(100) == b"> x"


@pytest.mark.parametrize("upgrade", [True, False])
async def test_what_is_no_handshake_ends_the_connection(house: House, pair_files: Files, upgrade: bool):
    server, _ = contexts(pair_files)
    if upgrade:
        listener = await house.listen(lambda c: upgrade_then_echo(c, server))
    else:
        listener = await house.listen(lambda c: upgrade_then_echo(c, server), tls=server)
    connection = await house.connect(listener)
    if upgrade:
        connection.write(b"STARTTLS\r\n")
        await connection.read_line(100)
    connection.write(b"this is no ClientHello\r\n")
    with pytest.raises(ConnectionClosed):
        while True:
            await connection.read_some(100)
    if upgrade:
        await house.until_ended()
        assert [type(fault) for fault in house.faults] == [TlsFailed]


async def test_large_text_goes_through_tls_with_backpressure(house: House, pair_files: Files):
    server, client = contexts(pair_files)

    async def serve(connection: Connection) -> None:
        total = 0
        async for piece in connection.dotted():
            total += len(piece)
        connection.write(b"%d\r\n" % total)

    listener = await house.listen(serve, tls=server)
    host, _, port = listener.bound[0].rpartition(":")

    def converse() -> bytes:
        plain = socket.create_connection((host, int(port)), timeout=5)
        with client.wrap_socket(plain, server_hostname="mx.test") as sock:
            sock.sendall((b"y" * 98 + b"\r\n") * 30_000 + b".\r\n")
            return sock.recv(100)

    assert await asyncio.to_thread(converse) == b"3000000\r\n"


async def test_channel_binding_is_the_hash_of_our_certificate(house: House, pair_files: Files):
    server, client = contexts(pair_files)
    connection = await house.pair(lambda c: upgrade_then_echo(c, server))
    connection.write(b"STARTTLS\r\n")
    await connection.read_line(100)
    await connection.start_tls_client(client, "mx.test")
    connection.write(b"x\r\n")
    await connection.read_line(100)
    leaf = x509.load_pem_x509_certificate(pair_files[2].certificate)
    # RFC 5929 §4.1; our certificates are signed with ECDSA and SHA-256
    assert house.sessions[0].server_end_point == hashlib.sha256(leaf.public_bytes(Encoding.DER)).digest()


def test_old_tls_is_refused(pair_files: Files):
    server, client = contexts(pair_files)
    assert server.minimum_version == ssl.TLSVersion.TLSv1_2
    assert client.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("upgrade", [True, False])
async def test_a_handshake_that_does_not_come_is_given_up(
    house: House, pair_files: Files, upgrade: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wire, "HANDSHAKE_TIMEOUT", 0.1)
    server, _ = contexts(pair_files)
    options = {} if upgrade else {"tls": server}
    connection = await house.pair(lambda c: upgrade_then_echo(c, server), **options)
    if upgrade:
        connection.write(b"STARTTLS\r\n")
        await connection.read_line(100)
    with pytest.raises(ConnectionClosed):
        await connection.read_line(100)
