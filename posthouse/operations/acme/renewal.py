"""When and how our certificate is ordered and renewed: one round looks whether something is due, and does it.

An order that fails never touches the certificate in use; the next try waits longer each time, over restarts too. An
order is remembered from its first step, so that what a crash cut off is fetched and not ordered again. Names that
cannot be proved are left out for a while rather than let all others wait for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from posthouse import limits
from posthouse.config_tls import Acme
from posthouse.errors import Conflict, PosthouseError
from posthouse.net.certificates import names_of
from posthouse.operations.acme.challenges import Challenges
from posthouse.operations.acme.files import AcmeFiles, State, fingerprint
from posthouse.operations.acme.names import Chosen, LeftOut, Wanted, choose_names
from posthouse.operations.acme.run import Around, Run
from posthouse.operations.acme.timing import Held, renewal_at, why_due
from posthouse.resolver import Resolver

log: Final = logging.getLogger(__name__)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with the authority."""

    directory: str
    renew_at: int
    """When the certificate will be renewed; 0: there is none yet."""
    try_at: int
    """When the next try is made after one that failed; 0: none failed."""
    fault: str
    """Why the last try failed; empty: it did not."""
    fault_at: int
    left_out: tuple[LeftOut, ...]
    """Names that are wanted and not in the certificate."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be ordered now."""

    directory: str
    names: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    due: str
    """Why the next round orders; empty: nothing is due."""
    why_not: str
    """Why nothing can be ordered; empty: all is well."""
    renew_at: int
    try_at: int


class Renewal:
    """Cares for the certificate. `round` from time to time, `renew` when told; one of them at a time."""

    def __init__(
        self,
        files: AcmeFiles,
        *,
        self_made_key: Path,
        resolver: Callable[[], Resolver],
        wanted: Callable[[], Awaitable[Wanted]],
        now: Callable[[], float],
    ) -> None:
        """`self_made_key`: of the self-signed pair, with which the first order goes on; `wanted`: the names."""
        self.settings = Acme()
        """Of the configuration in force."""
        self.challenges = Challenges()
        self.installed: Callable[[], Awaitable[None]] | None = None
        """Called after a new pair is in place; None: nothing is served here."""
        self._files = files
        self._self_made_key = self_made_key
        self._resolver = resolver
        self._wanted = wanted
        self._now = now
        self._lock = asyncio.Lock()

    # --- what is asked for -----------------------------------------------------------------------------

    async def round(self) -> None:
        """Order what is due. Faults are logged and kept; none is raised."""
        if not self.settings.directory:
            return
        async with self._lock:
            try:
                await self._look(by_hand=False, new_key=False)
            except PosthouseError:
                pass  # it is kept and logged

    async def renew(self, *, new_key: bool = False) -> None:
        """Order now, whatever is due: names that rested too. Conflict: it cannot be done here; AcmeFault."""
        if not self.settings.directory:
            raise Conflict("no authority is configured: set tls.acme")
        if self.installed is None:
            raise Conflict("the server does not run: the authority must find its answers there")
        async with self._lock:
            await self._look(by_hand=True, new_key=new_key)

    async def plan(self) -> Plan:
        """What would be ordered now, as the DNS stands. Conflict: no authority is configured."""
        directory = self.settings.directory
        if not directory:
            raise Conflict("no authority is configured: set tls.acme")
        state, held, _ = await asyncio.to_thread(self._kept, directory)
        chosen = await self._choose(state, held, by_hand=False)
        now = self._now()
        return Plan(
            directory=directory,
            names=chosen.names,
            left_out=chosen.left_out,
            due=why_due(held, chosen.names, suggested=state.suggested, orders=state.orders, now=now),
            why_not=chosen.why_not,
            renew_at=int(renewal_at(held, state.suggested)) if held is not None else 0,
            try_at=int(state.try_at) if state.try_at > now else 0,
        )

    def standing(self) -> Standing | None:
        """How it stands; None: no authority is configured. Blocks."""
        directory = self.settings.directory
        if not directory:
            return None
        state, held, _ = self._kept(directory)
        return Standing(
            directory=directory,
            renew_at=int(renewal_at(held, state.suggested)) if held is not None else 0,
            try_at=int(state.try_at),
            fault=state.fault,
            fault_at=int(state.fault_at),
            left_out=state.left_out,
        )

    # --- a round ---------------------------------------------------------------------------------------

    def _kept(self, directory: str) -> tuple[State, Held | None, x509.Certificate | None]:
        """What the files say: the state, and the certificate if it is this authority's."""
        state, leaf = self._files.state(directory), self._files.leaf()
        if leaf is None or fingerprint(leaf) != state.issued:
            return state, None, None
        held = Held(
            names=names_of(leaf),
            not_before=leaf.not_valid_before_utc.timestamp(),
            not_after=leaf.not_valid_after_utc.timestamp(),
        )
        return state, held, leaf

    async def _choose(self, state: State, held: Held | None, *, by_hand: bool) -> Chosen:
        now = self._now()
        resting = {} if by_hand else {n: one.why for n, one in state.resting.items() if one.until > now}
        had = held.names if held is not None else ()
        return await choose_names(await self._wanted(), self._resolver(), had=had, resting=resting)

    async def _look(self, *, by_hand: bool, new_key: bool) -> None:
        directory = self.settings.directory
        state, held, leaf = await asyncio.to_thread(self._kept, directory)
        # A time further off than any pause comes from a clock that was wrong.
        if not by_hand and 0 < state.try_at - self._now() <= limits.ACME_TOLD_MOST:
            return
        chosen = await self._choose(state, held, by_hand=by_hand)
        run = Run(self._around(), state, leaf)
        try:
            await run.note_left_out(chosen.left_out)
            if chosen.why_not:
                raise Conflict(chosen.why_not)
            if held is not None and leaf is not None and not by_hand:
                await run.ask_when(leaf)
            due = "by hand" if by_hand else self._why_due(run.state, held, chosen)
            if not due and not run.state.order:
                await run.fine()
                return
            await run.order(chosen, due, new_key=new_key)
        except PosthouseError as fault:
            await run.failed(fault)
            raise
        except Exception as fault:  # a fault of ours must not make us ask the authority again and again
            log.exception("acme directory=%s", directory)
            await run.failed(PosthouseError(f"{type(fault).__name__}: {fault}"))
            raise
        finally:
            run.end()

    def _around(self) -> Around:
        return Around(
            settings=self.settings,
            files=self._files,
            challenges=self.challenges,
            self_made_key=self._self_made_key,
            installed=self.installed or _nothing,
            now=self._now,
        )

    def _why_due(self, state: State, held: Held | None, chosen: Chosen) -> str:
        return why_due(held, chosen.names, suggested=state.suggested, orders=state.orders, now=self._now())


async def _nothing() -> None:
    return None
