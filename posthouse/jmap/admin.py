"""Administration over JMAP (docs/jmap-extensions.md): the same commands as `posthouse account …` and its kin.

One literal table, method → command of `operations.administration`; nothing is done twice. Only accounts that are
administrators may call them, and not with an app password or token made for a program. Arguments and results are the
commands' own, with names in camelCase as JMAP has them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Final

from posthouse.errors import Conflict, NotFound
from posthouse.jmap.capabilities import ADMIN
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.method import Method
from posthouse.operations.administration import UnknownCommand

log: Final = logging.getLogger(__name__)

COMMANDS: Final[Mapping[str, str]] = {
    "AdminStatus/get": "status",
    "AdminDomain/list": "domain.list",
    "AdminDomain/add": "domain.add",
    "AdminDomain/set": "domain.set",
    "AdminDomain/remove": "domain.remove",
    "AdminDomain/records": "domain.dns",
    "AdminDomain/check": "domain.check",
    "AdminAccount/list": "account.list",
    "AdminAccount/show": "account.show",
    "AdminAccount/add": "account.add",
    "AdminAccount/set": "account.set",
    "AdminAccount/setPassword": "account.passwd",
    "AdminAccount/remove": "account.remove",
    "AdminAlias/list": "alias.list",
    "AdminAlias/add": "alias.add",
    "AdminAlias/remove": "alias.remove",
    "AdminList/list": "list.list",
    "AdminList/show": "list.show",
    "AdminList/add": "list.add",
    "AdminList/set": "list.set",
    "AdminList/remove": "list.remove",
    "AdminList/members": "list.members",
    "AdminList/join": "list.join",
    "AdminList/drop": "list.drop",
    "AdminQueue/list": "queue.list",
    "AdminQueue/show": "queue.show",
    "AdminQueue/change": "queue.change",
    "AdminQueue/flush": "queue.flush",
    "AdminSuppression/list": "suppress.list",
    "AdminSuppression/add": "suppress.add",
    "AdminSuppression/remove": "suppress.remove",
    "AdminReport/list": "reports.list",
    "AdminReport/show": "reports.show",
    "AdminReject/list": "rejects.list",
    "AdminReject/rescue": "rejects.rescue",
    "AdminHeld/list": "account.held",
    "AdminHeld/release": "account.release",
    "AdminCertificate/get": "certificate.show",
    "AdminBackup/list": "backup.list",
    "AdminTimeline/latest": "message.latest",
    "AdminTimeline/get": "message.log",
}
_WORD: Final = re.compile(r"_([a-z])")
_CAPITAL: Final = re.compile(r"([A-Z])")


def _method(name: str, command: str) -> Method:
    async def run(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        given = dict(arguments)
        account_id = given.pop("accountId", None)
        if not isinstance(account_id, str):
            raise MethodError("invalidArguments", "accountId is missing")
        context.account_number(account_id)
        if not context.account.admin or not context.via.personal:
            raise MethodError("forbidden", "only administrators may do this")
        log.info("admin account=%s method=%s", context.account.address, name)
        wanted = {_CAPITAL.sub(lambda m: "_" + m[1].lower(), key): value for key, value in given.items()}
        administration = context.services.administration()
        try:
            results = [item async for item in administration.run(command, wanted)]
        except UnknownCommand as fault:
            raise MethodError("invalidArguments", str(fault)) from fault
        except NotFound as fault:
            raise MethodError("notFound", fault.public) from fault
        except Conflict as fault:
            raise MethodError("conflict", fault.public) from fault
        except ValueError as fault:
            raise MethodError("invalidArguments", str(fault)) from fault
        return {"accountId": account_id, "result": _camel(results[0] if results else None)}

    return Method(ADMIN, None, run)


def _camel(value: Any) -> Any:
    """Names of structs as JMAP writes them; results are trees of known depth."""
    if isinstance(value, dict):
        return {_WORD.sub(lambda m: m[1].upper(), key): _camel(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_camel(each) for each in value]
    return value


METHODS: Final[Mapping[str, Method]] = {name: _method(name, command) for name, command in COMMANDS.items()}
