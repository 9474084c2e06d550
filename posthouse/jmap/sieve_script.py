"""SieveScript (RFC 9661): /get, /changes, /query and /validate over the scripts that `accounts.sieve_scripts` keeps.

A script's text is a blob of its own, `S4-0123456789ab` (the digest is the text's): it can be downloaded as it was put,
and another text is another blob. ManageSieve shows the same scripts. They are their owner's alone.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.accounts.sieve_shelf import KIND, ScriptTooLarge, check_size
from posthouse.jmap import blobs
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError, Rejected
from posthouse.jmap.item_type import ItemType
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import (
    Answer,
    QueryAnswer,
    QueryArguments,
    check_sort,
    leaves,
    query_answer,
    satisfies,
)
from posthouse.sieve.faults import SieveError

Object = dict[str, Any]
LETTER: Final = "S"
_SORTS: Final = ("name", "isActive")


class SieveScript(msgspec.Struct, kw_only=True, rename="camel"):
    """RFC 9661 §2.1."""

    name: str | None = None
    blob_id: str
    is_active: bool = False


def shown(kept: Object) -> Object:
    """A script as clients see it."""
    return {
        "id": kept["id"],
        "name": kept["name"],
        "blobId": blobs.of_script(kept["id"], kept["text"]),
        "isActive": kept.get("active", False),
    }


TYPE: Final = ItemType(KIND, LETTER, SieveScript, most=limits.SIEVE_SCRIPTS, show=shown)


# --- query ------------------------------------------------------------------------------------------------


class ScriptFilter(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """RFC 9661 §2.5."""

    name: str | None = None
    is_active: bool | None = None


def _condition(node: Object) -> ScriptFilter:
    """A condition. MethodError."""
    try:
        return msgspec.convert(node, ScriptFilter)
    except msgspec.ValidationError as fault:
        kind = "unsupportedFilter" if "unknown field" in str(fault) else "invalidArguments"
        raise MethodError(kind, str(fault)) from fault


def _fits(node: Object, each: Object) -> bool:
    wanted = _condition(node)
    return (wanted.name is None or wanted.name.casefold() in each["name"].casefold()) and (
        wanted.is_active in {None, each["isActive"]}
    )


async def query(context: Context, arguments: QueryArguments) -> QueryAnswer:
    """SieveScript/query. There are few, so asking again is as cheap as /queryChanges would be."""
    account_id = context.account_number(arguments.account_id)
    for node in leaves(arguments.filter):
        _condition(node)
    check_sort(arguments.sort, _SORTS)
    state = await TYPE.state(context, account_id)
    every = [shown(each) for each in await TYPE.objects(context, account_id)]
    found = [each for each in every if satisfies(arguments.filter, partial(_fits, each=each))]
    for order in reversed(arguments.sort or []):
        by_name = order.property == "name"
        found.sort(
            key=lambda each: each["name"].casefold() if by_name else each["isActive"],
            reverse=not order.is_ascending,
        )
    return query_answer(arguments, str(state), [each["id"] for each in found], can_calculate=False)


# --- validate ---------------------------------------------------------------------------------------------


class ValidateArguments(Arguments, kw_only=True):
    """RFC 9661 §2.6."""

    blob_id: str


class ValidateAnswer(Answer, kw_only=True):
    """RFC 9661 §2.6."""

    error: Object | None


async def validate(context: Context, arguments: ValidateArguments) -> ValidateAnswer:
    """SieveScript/validate: whether a blob would do as a script. MethodError blobNotFound."""
    account_id = context.account_number(arguments.account_id)
    try:
        await compiled(context, account_id, arguments.blob_id)
    except Rejected as fault:
        if fault.kind == "blobNotFound":
            raise MethodError("blobNotFound", "there is no such blob") from fault
        return ValidateAnswer(account_id=arguments.account_id, error=fault.error())
    return ValidateAnswer(account_id=arguments.account_id, error=None)


async def compiled(context: Context, account_id: int, blob_id: str) -> str:
    """The text of a blob that is a good script. Rejected blobNotFound, tooLarge, invalidSieve."""
    blob = await blobs.find(context, account_id, context.resolve_id(blob_id) or "")
    if blob is None:
        raise Rejected("blobNotFound", notFound=[blob_id])
    try:
        check_size(blob.size)
        octets = await blobs.octets_of(context, blob)
        text = octets.decode()  # RFC 5228 §2.1
        await context.services.sieve_scripts.check(octets)
    except ScriptTooLarge as fault:
        raise Rejected("tooLarge", fault.public, maxSize=limits.SIEVE_SCRIPT) from fault
    except UnicodeDecodeError as fault:
        line = octets.count(b"\n", 0, fault.start) + 1
        raise _invalid([(line, "this is not UTF-8 text")]) from fault
    except SieveError as fault:
        raise _invalid([(each.line, each.text) for each in fault.faults]) from fault
    return text


def _invalid(faults: list[tuple[int, str]]) -> Rejected:
    """RFC 9661 §2.6: the description tells the line; `faults` (our own) tells it to programs, and of all."""
    said = "; ".join(f"line {line}: {text}" for line, text in faults)
    told = [{"line": line, "description": text} for line, text in faults]
    return Rejected("invalidSieve", said, faults=told)
