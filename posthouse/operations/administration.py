"""Every administrator's command by its name, for the control socket and the command line alike.

One literal table: name → method. Arguments come as plain JSON values and are checked against the method's own
signature; results go as plain values. Commands that belong to another floor (`trace`, `sendmail`) come in as
`Extra`s, given by `app`.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, get_type_hints

import msgspec

from posthouse import limits
from posthouse.operations.backup import Backups
from posthouse.operations.domain_records import DomainRecords
from posthouse.operations.domains import Domains
from posthouse.operations.mail_transfer import MailTransfer
from posthouse.operations.people import People
from posthouse.operations.queueing import Queue
from posthouse.operations.status import HouseStatus
from posthouse.operations.suppressing import Suppressing
from posthouse.operations.timeline import Timeline

Method = Callable[..., Awaitable[Any]]
Stream = Callable[..., AsyncIterator[Any]]


class UnknownCommand(ValueError):
    """No such command, or arguments that it does not take."""


class Command:
    """One row: a method with the struct of its arguments. `takes_body`: octets come beside the arguments."""

    def __init__(self, name: str, run: Method | Stream) -> None:
        self.name = name
        self._run = run
        self.streams = inspect.isasyncgenfunction(run)
        hints = get_type_hints(run)
        fields: list[Any] = []
        for parameter in inspect.signature(run).parameters.values():
            kind = hints[parameter.name]
            if parameter.name == "body":
                continue
            required = parameter.default is inspect.Parameter.empty
            fields.append((parameter.name, kind) if required else (parameter.name, kind, parameter.default))
        self.takes_body = "body" in inspect.signature(run).parameters
        self._arguments = msgspec.defstruct(
            name.replace(".", "_"), fields, forbid_unknown_fields=True, frozen=True
        )

    def _checked(self, arguments: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        try:
            _check_plain(arguments)
            values = msgspec.structs.asdict(msgspec.convert(dict(arguments), self._arguments))
        except (msgspec.ValidationError, ValueError) as fault:
            raise UnknownCommand(f"{self.name}: {fault}") from fault
        return values | {"body": body} if self.takes_body else values

    async def call(self, arguments: Mapping[str, Any], body: bytes) -> Any:
        """Run it to its one result, as plain values."""
        result = await self._run(**self._checked(arguments, body))  # type: ignore[misc]  # not a stream
        return msgspec.to_builtins(result)

    async def stream(self, arguments: Mapping[str, Any], body: bytes) -> AsyncIterator[Any]:
        """Run it and give each of its results as it comes, as plain values."""
        async for item in self._run(**self._checked(arguments, body)):  # type: ignore[union-attr]  # a stream
            yield msgspec.to_builtins(item)


def _check_plain(value: Any) -> None:
    """Raise ValueError for what the store cannot hold: a number of more than 64 bits, text that is no UTF-8."""
    if isinstance(value, int) and not -limits.NUMBER - 1 <= value <= limits.NUMBER:
        raise ValueError("a number is too large")
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, Mapping):
        for each in value.values():
            _check_plain(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_plain(each)


class Administration:
    """All commands. Built once by `app`."""

    def __init__(
        self,
        *,
        domains: Domains,
        people: People,
        records: DomainRecords,
        queue: Queue,
        suppressing: Suppressing,
        backups: Backups,
        transfer: MailTransfer,
        timeline: Timeline,
        status: HouseStatus,
        extra: Mapping[str, Method | Stream],
    ) -> None:
        table: dict[str, Method | Stream] = {
            "domain.add": domains.domain_add,
            "domain.set": domains.domain_set,
            "domain.list": domains.domain_list,
            "domain.show": domains.domain_show,
            "domain.remove": domains.domain_remove,
            "domain.dns": records.domain_dns,
            "domain.check": records.domain_check,
            "domain.mute": records.domain_mute,
            "domain.unmute": records.domain_unmute,
            "account.add": people.account_add,
            "account.import": people.account_import,
            "account.list": people.account_list,
            "account.show": people.account_show,
            "account.passwd": people.account_passwd,
            "account.set": people.account_set,
            "account.remove": people.account_remove,
            "app-password.add": people.app_password_add,
            "app-password.revoke": people.app_password_revoke,
            "alias.add": people.alias_add,
            "alias.list": people.alias_list,
            "alias.remove": people.alias_remove,
            "queue.list": queue.queue_list,
            "queue.show": queue.queue_show,
            "queue.change": queue.queue_change,
            "queue.change-all": queue.queue_change_all,
            "queue.flush": queue.queue_flush,
            "suppress.list": suppressing.suppress_list,
            "suppress.add": suppressing.suppress_add,
            "suppress.remove": suppressing.suppress_remove,
            "transfer.folders": transfer.transfer_folders,
            "transfer.known": transfer.transfer_known,
            "transfer.note": transfer.transfer_note,
            "transfer.put": transfer.transfer_put,
            "transfer.get": transfer.transfer_get,
            "backup.make": backups.backup_make,
            "backup.list": backups.backup_list,
            "store.verify": backups.store_verify,
            "message.log": timeline.message_log,
            "message.latest": timeline.message_latest,
            "status": status.status,
            **extra,
        }
        self._commands = {name: Command(name, run) for name, run in table.items()}

    def command(self, name: str) -> Command:
        """The command of a name. UnknownCommand."""
        try:
            return self._commands[name]
        except KeyError:
            raise UnknownCommand(f"no command {name!r} in this version") from None

    async def run(self, name: str, arguments: Mapping[str, Any], body: bytes = b"") -> AsyncIterator[Any]:
        """Each result of a command: those of a stream, else its one."""
        command = self.command(name)
        if command.streams:
            async for item in command.stream(arguments, body):
                yield item
        else:
            yield await command.call(arguments, body)
