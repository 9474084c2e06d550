"""Sends pushes to devices (RFC 8620 §7.2): watches the accounts that have subscriptions, tells their push services.

A push service is a stranger: its host must have a public address and the connection goes to that very address; nothing
it answers is read beyond the status. What cannot be delivered is told again with the next change; a service that says
that the subscription is gone (404, 410) has it removed, one that asks for rest (429, 5xx) gets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Collection
from typing import Any, Final

import httpx2
import msgspec

from posthouse import limits
from posthouse.errors import NotFound, PosthouseError, Temporary
from posthouse.ip_addresses import is_public
from posthouse.jmap import ids
from posthouse.jmap.context import Services
from posthouse.jmap.push import Watched, state_change
from posthouse.jmap.push_subscription import KIND, LETTER, Subscription, credentials, decode, octets_of
from posthouse.resolver import Resolver
from posthouse.store.account_model import Item
from posthouse.store.credentials import live
from posthouse.store.interface import RemoveItem
from posthouse.web.web_push import VapidKey, encrypt

log: Final = logging.getLogger(__name__)


class Pusher:
    """`start`, then `stop`; `look` when an account's subscriptions may have changed."""

    def __init__(
        self,
        services: Services,
        resolver: Callable[[], Resolver],
        key: VapidKey,
        types: Collection[str],
        *,
        allowed: Callable[[str], bool] = is_public,
        verify: bool = True,
    ) -> None:
        """`allowed` judges addresses; `verify`: certificates must be good (only tests say otherwise)."""
        self._services = services
        self._resolver = resolver
        self._key = key
        self._types = types
        self._allowed = allowed
        self._verify = verify
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._changed: dict[int, asyncio.Event] = {}
        """Set when something is to be looked at, by account; a subscription itself is no change that others see."""
        self._client: httpx2.AsyncClient | None = None

    async def start(self) -> None:
        """Take up every account that has subscriptions."""
        far = self._services.now() + 2 * limits.PUSH_EXPIRY
        for item in await self._services.store.items_due(KIND, far, limits.PUSH_ACCOUNTS):
            self.look(item.account_id)

    async def stop(self) -> None:
        """End; what is under way is cut off."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._client is not None:
            await self._client.aclose()

    def look(self, account_id: int) -> None:
        """The account may have a subscription that is new."""
        if account_id in self._tasks:
            self._changed[account_id].set()
        elif len(self._tasks) < limits.PUSH_ACCOUNTS:
            changed = self._changed[account_id] = asyncio.Event()
            changed.set()
            task = asyncio.create_task(self._watch(account_id, changed), name=f"push {account_id}")
            self._tasks[account_id] = task
            task.add_done_callback(lambda _: self._forget(account_id))

    def _forget(self, account_id: int) -> None:
        running, changed = self._tasks.pop(account_id, None), self._changed.pop(account_id)
        if running is not None and changed.is_set():
            self.look(account_id)  # it was asked for in the moment in which the task ended

    async def _watch(self, account_id: int, changed: asyncio.Event) -> None:
        store = self._services.store
        end = store.watch_account(account_id, changed.set)
        watched: dict[int, Watched] = {}
        asked: set[int] = set()
        try:
            while True:
                await changed.wait()
                changed.clear()
                try:
                    items = await store.items(account_id, KIND)
                    if not items and not changed.is_set():
                        return
                    for gone in watched.keys() - {item.item_id for item in items}:
                        watched.pop(gone).end()
                    for item in items:
                        await self._one(item, watched, asked, changed.set)
                except Temporary as fault:
                    log.warning("push account=%d waits: %s", account_id, fault.public)
                    changed.set()
                    await asyncio.sleep(limits.PUSH_REST)
                else:
                    await asyncio.sleep(limits.PUSH_PAUSE)  # changes that come together are told together
        except NotFound:
            pass  # the account is gone
        except PosthouseError as fault:
            log.warning("push account=%d ended: %s", account_id, fault.public)
        finally:
            end()
            for each in watched.values():
                each.end()

    async def _one(
        self, item: Item, watched: dict[int, Watched], asked: set[int], heard: Callable[[], None]
    ) -> None:
        kept = decode(item)
        # RFC 8620 §7.2: it goes with its time, and with the credentials that made it.
        if kept.expires <= self._services.now() or kept.credentials not in await self._valid(item.account_id):
            await self._remove(item)
        elif not kept.verified:
            if item.item_id not in asked:
                asked.add(item.item_id)
                name = ids.encode(LETTER, item.item_id)
                verification = {
                    "@type": "PushVerification",
                    "pushSubscriptionId": name,
                    "verificationCode": kept.code,
                }
                await self._send(item, kept, verification)
        elif item.item_id not in watched:
            wanted = None if kept.types is None else frozenset(kept.types)
            watched[item.item_id] = Watched(self._services.store, item.account_id, self._types, wanted)
            watched[item.item_id].watch(heard)
            await watched[item.item_id].begin(None)
        elif news := await watched[item.item_id].news():
            await self._send(item, kept, state_change(news))

    async def _valid(self, account_id: int) -> set[str]:
        """The credentials that an account has now; none when it may not log in."""
        account = await self._services.store.account_by_id(account_id)
        if account is None or account.disabled:
            return set()
        found = {credentials(account)}
        for one in await self._services.store.app_passwords(account_id):
            found.add(credentials(account, one.app_password_id))
        for each in await self._services.store.credentials(account_id):
            if live(each, self._services.now()):
                found.add(credentials(account, credential_id=each.credential_id))
        return found

    async def _remove(self, item: Item) -> None:
        with contextlib.suppress(NotFound):
            await self._services.store.apply(
                RemoveItem(account_id=item.account_id, kind=KIND, item_id=item.item_id)
            )

    async def _send(self, item: Item, kept: Subscription, value: dict[str, Any]) -> None:
        body = msgspec.json.encode(value)
        headers = {"content-type": "application/json", "ttl": str(limits.PUSH_TTL)}
        contact = f"mailto:postmaster@{self._services.hostname}"
        headers["authorization"] = self._key.authorization(kept.url, contact, self._services.now())
        try:
            if kept.keys is not None:
                body = encrypt(body, octets_of(kept.keys.p256dh), octets_of(kept.keys.auth))
                headers |= {"content-type": "application/octet-stream", "content-encoding": "aes128gcm"}
            async with asyncio.timeout(limits.PUSH_TIME):  # the client's own time is for each step
                status = await self._post(kept.url, body, headers)
        except (httpx2.HTTPError, OSError, ValueError, PosthouseError) as fault:
            log.info(
                "push account=%d item=%d not sent: %s", item.account_id, item.item_id, type(fault).__name__
            )
            return
        if status in {404, 410}:
            await self._remove(item)
        elif status == 429 or status >= 500:
            await asyncio.sleep(limits.PUSH_REST)

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        if self._client is None:
            self._client = httpx2.AsyncClient(verify=self._verify, trust_env=False, timeout=limits.PUSH_TIME)
        address = httpx2.URL(url)
        target = await self._address_of(address.host)
        shown = f"[{target}]" if ":" in target else target
        fields = headers | {"host": address.netloc.decode("ascii")}
        request = self._client.build_request(
            "POST", address.copy_with(host=shown), content=body, headers=fields
        )
        request.extensions["sni_hostname"] = address.host
        response = await self._client.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return int(response.status_code)

    async def _address_of(self, host: str) -> str:
        try:
            found = [str(ipaddress.ip_address(host.strip("[]")))]
        except ValueError:
            resolver = self._resolver()
            answers = [await resolver.a(host), await resolver.aaaa(host)]
            found = [record for answer in answers for record in answer.records]
        if not found or not all(map(self._allowed, found)):
            raise ValueError("the push service has no public address")
        return found[0]
