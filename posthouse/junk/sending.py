"""What our accounts send to others: limits, and the brake for accounts that somebody else seems to use.

Limits refuse with 451; the brake refuses nothing: from the message on that made it act everything waits in the queue,
owner and postmaster are told once, and one command lets it all go and makes that much usual. What is usual is learnt
from the account itself: its busiest hours, the networks it sends from, whom it writes to, how much comes back.

Every process counts what all of them send: each tells the others at once (`spread`), so the brake acts within
moments wherever the account sends by; what is lost on the way is at most what one sent in SENDING_SAVED seconds.
"""

from __future__ import annotations

import copy
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from posthouse.config import Sending as Settings
from posthouse.ip_addresses import read_ip
from posthouse.junk.history import History
from posthouse.limits import SENDING_CACHED, SENDING_NETWORKS, SENDING_SAVED
from posthouse.message.address import found_as
from posthouse.smtp.replies import Reply
from posthouse.store.interface import Op, Store
from posthouse.store.judgement import HOUSE, Memo, PutMemo, RemoveMemo
from posthouse.store.model import Account, QueuedMessage

log: Final = logging.getLogger(__name__)

KIND: Final = "sending"
HELD: Final = "held-account"
_HOUR: Final = 3600.0
_DAY: Final = 24
_KEPT: Final = 400 * 86400.0
_FACTOR: Final = 5
"""So many times its busiest hour is unusual for an account."""
_STRANGERS: Final = 0.8
"""Share of unknown recipients that makes half of the unusual number unusual."""
_BOUNCES: Final = 20
_BOUNCED: Final = 0.25
"""Failures in a day, in number and as a share of what was sent, that are unusual."""


class Hour(msgspec.Struct, array_like=True):
    """What an account sent in an hour."""

    number: int
    recipients: int = 0
    strangers: int = 0
    bounced: int = 0


class State(msgspec.Struct, array_like=True):
    """What is known of one account's sending."""

    hours: list[Hour] = []
    """The last 24 that had any."""
    busiest: float = 0.0
    """Recipients of its busiest hour; fades by a tenth with each hour of use."""
    networks: list[str] = []
    held: str = ""
    """Why it is held; empty: it is not."""


class Leave(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a message that one of our accounts sends."""

    reply: Reply | None = None
    held: str = ""
    """Why it must wait in the queue; empty: it may go."""
    ops: tuple[Op[Any], ...] = ()


Tell = Callable[[Account, str], Awaitable[Sequence[Op[Any]]]]
"""What tells the owner and the postmaster that an account is held, for the same commit."""


class Sending:
    """One per house; `settings` are replaced at a reload."""

    def __init__(
        self,
        store: Store,
        history: History,
        settings: Settings,
        tell: Tell,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._history = history
        self.settings = settings
        self._tell = tell
        self._now = now
        self._states: OrderedDict[int, State] = OrderedDict()
        self._looked: dict[int, float] = {}
        self._saved: dict[int, float] = {}
        self._domains: OrderedDict[str, list[Hour]] = OrderedDict()
        self.spread: Callable[[tuple[str, ...]], None] = _nobody
        """Tells the other processes of this house, which then call `heard`."""

    async def leave(
        self, account: Account, peer: str, everybody: Sequence[str], elsewhere: Sequence[str]
    ) -> Leave:
        """May this go? `everybody`: all recipients; `elsewhere`: those in other domains."""
        written = await self._history.written(account.account_id, [each.lower() for each in everybody])
        if not elsewhere:
            return Leave(ops=tuple(written))
        new = {op.memo.key for op in written if isinstance(op, PutMemo)}
        strangers = 0
        for address in elsewhere:
            if found_as(address) in new:
                before = await self._history.of(account.account_id, address.lower())
                strangers += before.written <= 1 and not before.received
        state = await self._state(account)
        refused = self._over_limit(account, state, len(elsewhere))
        if refused is not None:
            return Leave(reply=refused)
        self._count(state, _domain(account), len(elsewhere), strangers)
        self._spread("sent", account, _domain(account), str(len(elsewhere)), str(strangers))
        ops: list[Op[Any]] = [*written]
        network = _network(peer)
        why = state.held or (self._why(state, network) if self.settings.brake else "")
        if not why and network and network not in state.networks:
            state.networks = [*state.networks, network][-SENDING_NETWORKS:]
            self._saved.pop(account.account_id, None)
            self._spread("network", account, network)
        if why and not state.held:
            await self._hold(account, state, why)
        elif self._now() - self._saved.get(account.account_id, 0.0) >= SENDING_SAVED:
            ops.append(self._save(account.account_id, state))
        return Leave(held=why, ops=tuple(ops))

    async def _hold(self, account: Account, state: State, why: str) -> None:
        """From now on; whoever must know is told in the same commit."""
        state.held = why
        try:
            told = await self._tell(account, why)
            held = Memo(account_id=HOUSE, kind=HELD, key=account.address, data=why.encode())
            await self._store.commit(*told, PutMemo(memo=held), self._save(account.account_id, state))
        except BaseException:
            state.held = ""
            raise
        self._spread("held", account, why)
        log.warning("held account=%s: %s", account.address, why)

    def failed(self, message: QueuedMessage, recipients: int) -> None:
        """So many recipients of a message failed for good; counted while its account's sending is in memory."""
        state = self._states.get(message.account_id) if message.account_id is not None else None
        if state is not None:
            self._hour(state).bounced += recipients
        if message.account_id is not None:
            self.spread(("bounced", str(message.account_id), str(recipients)))

    # --- what other processes tell ----------------------------------------------------------------------

    def _spread(self, what: str, account: Account, *words: str) -> None:
        self.spread((what, str(account.account_id), *words))

    def heard(self, words: tuple[str, ...]) -> None:
        """Another process tells what an account did there; counted while its sending is in memory here."""
        what, number, *more = words
        state = self._states.get(int(number))
        if what == "sent":
            self._count(state, more[0], int(more[1]), int(more[2]))
        elif state is None:
            return
        elif what == "network" and more[0] not in state.networks:
            state.networks = [*state.networks, more[0]][-SENDING_NETWORKS:]
        elif what == "bounced":
            self._hour(state).bounced += int(more[0])
        elif what == "held":
            state.held = more[0]
        elif what == "released":
            self._released(state)

    def _count(self, state: State | None, domain: str, recipients: int, strangers: int) -> None:
        self._domain_hour(domain).recipients += recipients
        if state is not None:
            hour = self._hour(state)
            hour.recipients += recipients
            hour.strangers += strangers

    # --- held and released ------------------------------------------------------------------------------

    async def held(self) -> dict[str, str]:
        """Accounts that are held → why."""
        return {
            memo.key: memo.data.decode("utf-8", "replace") for memo in await self._store.memos(HOUSE, HELD)
        }

    async def release(self, account: Account) -> bool:
        """Let an account send again; what it sent today is usual from now on. Whether it was held."""
        state = await self._state(account)
        was = bool(state.held)
        freed = copy.deepcopy(state)
        self._released(freed)
        forget = RemoveMemo(account_id=HOUSE, kind=HELD, key=account.address)
        await self._store.commit(self._save(account.account_id, freed), forget)
        self._released(state)  # only now: what the store does not know must not hold here
        self._spread("released", account)
        return was

    def _released(self, state: State) -> None:
        state.held = ""
        state.busiest = max(state.busiest, *(float(hour.recipients) for hour in state.hours), 0.0)
        state.networks = []  # the next one is taken as its own
        for hour in state.hours:
            hour.bounced = hour.strangers = 0

    # --- what is unusual --------------------------------------------------------------------------------

    def _why(self, state: State, network: str) -> str:
        usual = max(float(self.settings.usual), state.busiest * _FACTOR)
        number = int(self._now() / _HOUR)
        lately = [hour for hour in state.hours if hour.number >= number - 1]
        part = 1 - self._now() / _HOUR % 1
        sent = sum(hour.recipients * (1 if hour.number == number else part) for hour in lately)
        strange = sum(hour.strangers * (1 if hour.number == number else part) for hour in lately)
        if sent > usual:
            return f"{sent:.0f} recipients in an hour, up to {usual:.0f} are usual"
        if strange > usual / 2 and strange >= sent * _STRANGERS:
            return f"{strange:.0f} recipients in an hour whom it never wrote to before"
        if network and state.networks and network not in state.networks and sent > usual / 4:
            return f"{sent:.0f} recipients in an hour from {network}, from where it never sent before"
        today = [hour for hour in state.hours if hour.number > number - _DAY]
        back, all_sent = sum(h.bounced for h in today), sum(h.recipients for h in today)
        if back >= _BOUNCES and back >= all_sent * _BOUNCED:
            return f"{back} of {all_sent} recipients in a day failed"
        return ""

    def _over_limit(self, account: Account, state: State, count: int) -> Reply | None:
        limit = self.settings.per_account
        if limit and count > limit:
            return Reply(550, "5.7.28", f"This account may send to {limit} recipients elsewhere in a day")
        if limit and self._in_a_day(state.hours) + count > limit:
            return Reply(451, "4.7.28", f"This account has sent to {limit} recipients elsewhere within a day")
        limit = self.settings.per_domain
        if limit:
            self._domain_hour(_domain(account))
            if self._in_a_day(self._domains[_domain(account)]) + count > limit:
                return Reply(
                    451, "4.7.28", f"This domain has sent to {limit} recipients elsewhere within a day"
                )
        return None

    def _in_a_day(self, hours: list[Hour]) -> int:
        number = int(self._now() / _HOUR)
        return sum(hour.recipients for hour in hours if hour.number > number - _DAY)

    # --- states -----------------------------------------------------------------------------------------

    def _hour(self, state: State) -> Hour:
        if state.hours and state.hours[-1].number == int(self._now() / _HOUR):
            return state.hours[-1]
        if state.hours:
            state.busiest = max(state.busiest * 0.9, float(state.hours[-1].recipients))
        state.hours = [*state.hours[-_DAY + 1 :], Hour(int(self._now() / _HOUR))]
        return state.hours[-1]

    def _domain_hour(self, domain: str) -> Hour:
        hours = self._domains.setdefault(domain, [])
        number = int(self._now() / _HOUR)
        if not hours or hours[-1].number != number:
            hours.append(Hour(number))
            del hours[:-_DAY]
        while len(self._domains) > SENDING_CACHED:
            self._domains.popitem(last=False)
        return hours[-1]

    async def _state(self, account: Account) -> State:
        account_id = account.account_id
        state = self._states.get(account_id)
        if state is None:
            memos = await self._store.memos(account_id, KIND, [""])
            state = self._states.setdefault(account_id, _read(memos[0].data) if memos else State())
        elif self._now() - self._looked.get(account_id, 0.0) > SENDING_SAVED:
            # Another process may have held or released it, and its word was lost.
            held = await self._store.memos(HOUSE, HELD, [account.address])
            if state.held and not held:
                self._released(state)
            state.held = held[0].data.decode("utf-8", "replace") if held else ""
        else:
            return state
        self._looked[account_id] = self._now()
        self._states.move_to_end(account_id)
        while len(self._states) > SENDING_CACHED:
            old, _ = self._states.popitem(last=False)
            self._saved.pop(old, None)
            self._looked.pop(old, None)
        return state

    def _save(self, account_id: int, state: State) -> PutMemo:
        self._saved[account_id] = self._now()
        data, until = msgspec.json.encode(state), self._now() + _KEPT
        return PutMemo(memo=Memo(account_id=account_id, kind=KIND, key="", data=data, until=until))


def _nobody(_: tuple[str, ...]) -> None:
    """There is no other process."""


def _read(data: bytes) -> State:
    try:
        return msgspec.json.decode(data, type=State)
    except msgspec.MsgspecError:
        return State()


def _domain(account: Account) -> str:
    return account.address.rpartition("@")[2]


def _network(peer: str) -> str:
    """What counts as one place to send from: /16 of IPv4, /32 of IPv6: about a provider's region."""
    try:
        ip = read_ip(peer)
    except ValueError:
        return ""
    return str(ip_network(f"{ip}/{16 if ip.version == 4 else 32}", strict=False))
