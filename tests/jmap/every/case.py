"""One row of the tables, and what RFC 8620 demands of each kind of method.

A case is a method, what must come of it (`success`, or the type of its error or SetError), and arguments. `<name>` in
them stands for an id of the scene (`scene.py`), or for what an earlier case has kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

SUCCESS: Final = "success"
MANY: Final = [f"X{n}" for n in range(1001)]
"""More than JMAP_GET and JMAP_SET."""


class Case(msgspec.Struct, frozen=True):
    """One call."""

    method: str
    outcome: str
    arguments: dict[str, Any] = {}
    says: dict[str, Any] = {}
    """JSON Pointer into the response (for a SetError: into it) → what must stand there."""
    keep: dict[str, str] = {}
    """Name → JSON Pointer of what later cases need."""
    limits: dict[str, int] = {}
    """Limits that are lower for this case (`Type.most`: of an ItemType; `module.NAME`: where a module has its own name of it)."""
    quota: int = 0
    """Octets that the account may hold during this case."""
    sent_too_much: bool = False
    """One recipient elsewhere in a day is the limit during this case, and that one was."""
    app_password: bool = False
    """Asked with an app password."""


COMMON: Final = {SUCCESS, "accountNotFound", "invalidArguments"}
"""RFC 8620 §3.6.2."""
SET_ERRORS: Final = {
    "forbidden", "overQuota", "tooLarge", "rateLimit", "notFound", "invalidPatch", "willDestroy",
    "invalidProperties", "singleton",
}  # fmt: skip
"""RFC 8620 §5.3."""
DEMANDED: Final[Mapping[str, set[str]]] = {
    "get": COMMON | {"requestTooLarge"},
    "changes": COMMON | {"cannotCalculateChanges"},
    "set": COMMON | {"requestTooLarge", "stateMismatch"} | SET_ERRORS,
    "copy": COMMON
    | {"fromAccountNotFound", "fromAccountNotSupportedByMethod", "stateMismatch", "alreadyExists", "notFound"},
    "query": COMMON | {"anchorNotFound", "unsupportedSort", "unsupportedFilter"},
    "queryChanges": COMMON | {"tooManyChanges", "cannotCalculateChanges", "unsupportedSort", "unsupportedFilter"},
}  # fmt: skip
"""By the method's name behind the slash: RFC 8620 §5.1-5.6."""
SORTED: Final = {
    "Mailbox/query": "name", "Email/query": "subject", "EmailSubmission/query": "emailId", "ContactCard/query": "name",
    "Quota/query": "name", "Principal/query": "name", "SieveScript/query": "name", "ShareNotification/query": "created",
}  # fmt: skip
"""What results can be sorted by."""
OTHERWISE: Final[Mapping[str, str]] = {
    "accountReadOnly": "what may be changed is said of each object: forbidden",
}
"""Method errors of RFC 8620 §3.6.2 that nothing here gives, and why."""


def usual(method: str, base: dict[str, Any], fields: frozenset[str]) -> list[Case]:
    """The errors that follow from a method's kind; `base`: arguments that succeed; `fields`: names it takes."""
    cases = [Case(method, "invalidArguments", base | {"nonsense": 1})]
    cases.append(Case(method, "invalidArguments", base | {"accountId": 1}))
    cases.append(Case(method, "accountNotFound", base | {"accountId": "A999"}))
    kind = method.partition("/")[2]
    if kind == "get" and "ids" in fields:
        cases.append(Case(method, "requestTooLarge", base | {"ids": MANY}))
    if kind == "set" and "destroy" in fields:
        cases.append(Case(method, "requestTooLarge", {"destroy": MANY}))
        cases.append(Case(method, "invalidArguments", {"create": {"no id!": {}}}))
    if kind == "set" and "ifInState" in fields:
        cases.append(Case(method, "stateMismatch", base | {"ifInState": "4-4-4"}))
    for name in ("sinceState", "sinceQueryState"):
        if name in fields:
            cases += [Case(method, "cannotCalculateChanges", base | {name: s}) for s in ("never", "99999999")]
            cases.append(Case(method, "invalidArguments", base | {"maxChanges": 0}))
    if "sort" in fields:
        cases.append(Case(method, "unsupportedSort", base | {"sort": [{"property": "nonsense"}]}))
        cases.append(Case(method, "unsupportedFilter", base | {"filter": {"nonsense": "x"}}))
        for operator in ("XOR", {}):
            filtered = {"filter": {"operator": operator, "conditions": []}}
            cases.append(Case(method, "invalidArguments", base | filtered))
    if method in SORTED:
        wrong = [{"property": SORTED[method], "collation": "i;nonsense"}]
        cases.append(Case(method, "unsupportedSort", base | {"sort": wrong}))
    if "anchor" in fields:
        cases.append(Case(method, "anchorNotFound", base | {"anchor": "nonsense"}))
        cases.append(Case(method, "invalidArguments", base | {"limit": -1}))
    return cases
