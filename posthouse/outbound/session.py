"""One SMTP session with one mail server: drives `smtp.client_core` over a `net.connection`.

Opening it covers connecting, TLS as the policy says (and once more as its fallback says), greeting
and login. A session then carries transactions until it breaks or its owner ends it. All waiting is bounded by the
core's time limits. Nothing here decides about retries or other hosts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable

import msgspec

from posthouse import limits
from posthouse.errors import ProtocolError
from posthouse.msgauth.tlsa import mismatch
from posthouse.net.connection import Connection
from posthouse.net.faults import IdleTimeout, TlsFailed
from posthouse.outbound.tls_policy import TlsContexts, TlsPolicy
from posthouse.smtp.client_core import ClientCore
from posthouse.smtp.client_states import Credentials, Result, State, TlsUse, Want
from posthouse.smtp.client_values import Envelope
from posthouse.smtp.replies import Reply

Heard = Callable[[str, str], None]
"""Told of every line of the conversation: ("C" or "S" or "-", text). Message octets and passwords are left out."""
ContentReader = Callable[[], AsyncIterator[bytes]]
"""Gives the message's octets from the beginning, each time it is called."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to connect to, and how."""

    host: str
    """The name by which TLS asks and verifies."""
    address: str
    port: int
    policy: TlsPolicy
    source: str | None = None
    """Our own address to connect from."""
    login: Credentials | None = None

    def __str__(self) -> str:
        """`host[address]:port`, as postmasters write it."""
        if self.host.startswith("["):
            return f"{self.host}:{self.port}"
        return f"{self.host}[{self.address}]:{self.port}"


class SessionFailed(Exception):
    """No session could be opened. `reply` says why."""

    def __init__(self, reply: Reply, *, local: bool) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.local = local
        """Our own words: the server said nothing."""
        self.tls_problem = ""
        """Why a handshake failed before."""


class Session:
    """An open session, ready for a transaction."""

    def __init__(self, target: Target, connection: Connection, core: ClientCore, heard: Heard | None) -> None:
        self.target = target
        self.core = core
        self._connection = connection
        self._heard = heard
        self.tls_problem = ""
        """Why a handshake before this one failed: it is in clear, or with any certificate; empty: none did."""
        self._domains: set[str] = set()
        """Of all recipients that it was told of; as many as its transactions at most."""
        self._opened_at = asyncio.get_running_loop().time()

    @classmethod
    async def open(
        cls,
        target: Target,
        *,
        hostname: str,
        contexts: TlsContexts,
        session_id: str,
        heard: Heard | None = None,
    ) -> Session:
        """Connect and come to where mail can be sent. Raises SessionFailed."""
        policy: TlsPolicy | None = target.policy
        problem = ""
        while policy is not None:
            trying = msgspec.structs.replace(target, policy=policy)
            try:
                session = await cls._open(trying, hostname, contexts, session_id, heard)
            except TlsFailed as error:
                problem = problem or str(error)
                policy = policy.fallback
                if policy is not None and heard is not None:
                    how = "without TLS (RFC 7435)" if policy.use is TlsUse.NEVER else "with any certificate"
                    heard("-", f"{error}; once more {how}")
            except SessionFailed as failed:
                failed.tls_problem = problem
                raise
            else:
                session.tls_problem = problem
                session.target = target  # what was asked for, by which the pool finds it again
                return session
        failure = SessionFailed(Reply(454, "4.7.5", problem), local=True)
        failure.tls_problem = problem
        raise failure

    @classmethod
    async def _open(
        cls, target: Target, hostname: str, contexts: TlsContexts, session_id: str, heard: Heard | None
    ) -> Session:
        policy = target.policy
        try:
            connection = await Connection.connect(
                target.address,
                target.port,
                source=target.source,
                timeout=limits.OUTBOUND_CONNECT_TIMEOUT,
                session_id=session_id,
            )
        except OSError as error:
            raise SessionFailed(Reply(451, "4.4.1", _why(target, error)), local=True) from error
        core = ClientCore(
            hostname,
            tls=policy.use,
            encrypted=policy.immediate,
            login=target.login,
            password_in_clear=connection.is_loopback,
        )
        session = cls(target, connection, core, heard)
        try:
            if policy.immediate:
                await session._start_tls(contexts)
            await session._come_to_ready(contexts)
        except BaseException:
            connection.abort()
            raise
        return session

    async def _come_to_ready(self, contexts: TlsContexts) -> None:
        core = self.core
        while core.want in (Want.REPLY, Want.HANDSHAKE):
            if core.want is Want.HANDSHAKE:
                await self._start_tls(contexts)
                self._say(core.tls_started())
            await self._hear()
        if core.want is Want.CLOSED:
            assert core.problem is not None
            broken = core.problem_is_ours and core.problem.code == 421
            if self.tls and broken and self.target.policy.fallback is not None:
                # With TLS 1.3 a server may find fault with a handshake that for us is over.
                raise TlsFailed(f"TLS broke off: {core.problem.text}")
            raise SessionFailed(core.problem, local=core.problem_is_ours)

    async def _start_tls(self, contexts: TlsContexts) -> None:
        context = await contexts.context(verify=self.target.policy.verify)
        policy, host = self.target.policy, self.target.host
        # RFC 7672 §8.1: with TLSA records the name asked for is the one that they stand under.
        name = policy.server_name or (self.target.address if host.startswith("[") else host)
        await self._connection.start_tls_client(context, name)
        if policy.tlsa:
            problem = mismatch(policy.tlsa, self._connection.peer_chain(), policy.names, time.time())
            if problem:
                raise TlsFailed(f"DANE: {problem}")
        if self._heard is not None:
            proved = "verified" if policy.verify else "as its TLSA records say" if policy.tlsa else ""
            self._heard("-", f"TLS: {self.tls}" + (f", certificate {proved}" if proved else ""))

    # --- transactions ----------------------------------------------------------------------------------

    @property
    def tls(self) -> str:
        """Version and cipher; empty: no TLS."""
        info = self._connection.tls
        return f"{info.version} {info.cipher}" if info is not None else ""

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._opened_at

    def takes(self, destination: str) -> bool:
        """Whether mail for a domain may go by it (RFC 9422 §4.3: RCPTDOMAINMAX counts those of a whole session)."""
        most = self.core.offer.limit("RCPTDOMAINMAX", limits.OUTBOUND_TRANSACTIONS)
        return destination in self._domains or len(self._domains) < most

    @property
    def from_address(self) -> str:
        """Our own address on this connection."""
        return self._connection.local.host

    async def send(self, envelope: Envelope, content: ContentReader) -> list[Result]:
        """One transaction: a result for each recipient. Never raises for what the server or network does.

        What `content` raises is raised; the connection is dropped then, so that no half message is taken for a whole.
        """
        self._begin(envelope)
        try:
            while self.core.want is not Want.DONE:
                if self.core.want is Want.CONTENT:
                    await self._send_content(content)
                else:
                    await self._hear()
        except BaseException:
            self._connection.abort()
            raise
        return self.core.results

    async def probe(self, envelope: Envelope) -> list[Result]:
        """The server's word on each recipient, without sending anything."""
        self._begin(envelope, probe=True)
        while self.core.want is not Want.DONE:
            await self._hear()
        return self.core.results

    def _begin(self, envelope: Envelope, *, probe: bool = False) -> None:
        self._domains.update(domain_of(one.address) for one in envelope.recipients)
        self._say(self.core.begin(envelope, probe=probe))

    async def _send_content(self, content: ContentReader) -> None:
        self._connection.set_write_timeout(self.core.timeout)
        try:
            async for chunk in content():
                self._connection.write(self.core.content(chunk))
                await self._connection.drain()
        except ConnectionError as error:
            await self._hear_last_words(str(error))
            return
        self._connection.write(self.core.end_content())
        if self._heard is not None:
            self._heard("C", "(the message)")

    async def _hear_last_words(self, why: str) -> None:
        """The server closed in the middle of the message: it may have said why before."""
        try:
            while self._connection.buffered and self.core.want is Want.CONTENT:
                self.core.receive_line(await self._connection.read_line(limits.SMTP_REPLY_LINE_READ))
        except (OSError, ProtocolError):
            pass
        if self.core.want is Want.CONTENT:
            self.core.lost(why)

    async def _hear(self) -> None:
        """One line from the server, or what kept it from coming."""
        self._connection.set_idle_timeout(self.core.timeout)
        try:
            line = await self._connection.read_line(limits.SMTP_REPLY_LINE_READ)
        except IdleTimeout:
            self.core.lost(f"{self.target.host} did not reply in time")
            return
        except (OSError, ProtocolError) as error:
            self.core.lost(f"{error}")
            return
        if self._heard is not None:
            self._heard("S", line.decode("utf-8", "replace"))
        self._say(self.core.receive_line(line))

    def _say(self, data: bytes) -> None:
        if not data:
            return
        if self._heard is not None:
            for line in data.decode("utf-8", "replace").splitlines():
                self._heard("C", self._harmless(line))
        self._connection.write(data)

    def _harmless(self, line: str) -> str:
        """A line without the password in it."""
        if self.core.state is not State.AUTH:
            return line
        return " ".join([*line.split()[:2], "…"]) if line.startswith("AUTH ") else "…"

    # --- the end ------------------------------------------------------------------------------------------

    def wanted_tls(self, reply: Reply) -> bool:
        """Whether a reply demands TLS (RFC 3207 §4: 530) which the server offered, and which did not come about."""
        return bool(self.tls_problem) and reply.code == 530

    @property
    def final(self) -> bool:
        """Whether a message has gone out whole and its reply is awaited."""
        return self.core.state is State.FINAL

    @property
    def broken(self) -> bool:
        """Whether something came, or the connection ended, while nobody asked: not to be used again."""
        return self._connection.buffered > 0 or not self.core.reusable

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.abort()

    async def close(self) -> None:
        """Say goodbye where that makes sense, and close. Never raises; bounded by OUTBOUND_QUIT_TIMEOUT."""
        if self.core.reusable and not self._connection.buffered:
            self._say(self.core.quit())
            # Each line in time is not enough: a reply may have many.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(limits.OUTBOUND_QUIT_TIMEOUT):
                    while self.core.want is Want.REPLY:
                        await self._hear()
        self._connection.close()


def domain_of(address: str) -> str:
    """The domain that an address of an envelope counts for."""
    return address.rpartition("@")[2].lower()


def _why(target: Target, error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"{target}: no connection within {limits.OUTBOUND_CONNECT_TIMEOUT:.0f} seconds"
    return f"{target}: {error.strerror or error}"
