"""A request as it comes in: its parts, its limits, its references to earlier answers (RFC 8620 §3.3, §3.7)."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from posthouse import limits
from posthouse.jmap.errors import MethodError, RequestError
from posthouse.jmap.ids import CreationId, Id

Invocation = tuple[str, dict[str, Any], str]
"""Method name, arguments, method call id."""


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8620 §3.3."""

    using: list[str]
    method_calls: list[Invocation]
    created_ids: dict[CreationId, Id] | None = None


class ResultReference(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """RFC 8620 §3.7."""

    result_of: str
    name: str
    path: str


async def read_json(raw: bytes) -> Any:
    """The value of I-JSON octets; many are read in a thread. RequestError notJSON."""
    return _decoded(raw) if len(raw) <= limits.JMAP_ON_LOOP_OCTETS else await asyncio.to_thread(_decoded, raw)


def _decoded(raw: bytes) -> Any:
    if _too_many_values(raw):
        raise RequestError("limit", "the request has too many values", limit="maxSizeRequest")
    try:
        tree = msgspec.json.decode(raw)
        # RFC 7493 §2.3: no object has two members of one name. Of such the decoder keeps the last, so the value
        # written anew has fewer colons; only a colon that is escaped needs a slower look.
        if b"\\u003" in raw:
            json.loads(raw, object_pairs_hook=_members)
        elif raw.count(b":") != msgspec.json.encode(tree).count(b":"):
            raise ValueError("a name stands twice in an object")
    except (ValueError, RecursionError) as fault:
        raise RequestError("notJSON", f"the request is no I-JSON: {fault}") from fault
    return tree


def _too_many_values(raw: bytes) -> bool:
    """Whether JSON octets hold more than JMAP_VALUES strings, commas and opening brackets.

    The decoder lets nobody else run, not even from a thread, and its time goes by values: millions of `[]` fit in a
    request. Each step here is a short one.
    """
    if _marks(raw) + raw.count(b'"') // 2 <= limits.JMAP_VALUES:
        return False
    # What stands inside strings is no value: a letter may have as many commas as it likes.
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = bare.count(b'"') // 2
    if strings > limits.JMAP_VALUES:
        return True
    return strings + _marks(b"".join(bare.split(b'"')[::2])) > limits.JMAP_VALUES


def _marks(octets: bytes) -> int:
    return sum(map(octets.count, (b",", b"[", b"{")))


def _members(pairs: list[tuple[str, Any]]) -> None:
    """ValueError when a name stands twice."""
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice in an object")


def as_request(tree: Any) -> Request:
    """The request in a JSON value. RequestError: notRequest, limit."""
    try:
        request = msgspec.convert(tree, Request)
    except (msgspec.ValidationError, RecursionError) as fault:
        raise RequestError("notRequest", f"this is no Request object: {fault}") from fault
    if len(request.method_calls) > limits.JMAP_CALLS:
        raise RequestError("limit", "too many method calls", limit="maxCallsInRequest")
    return request


class References:
    """The result references of one request (RFC 8620 §3.7); what they lead to is bounded, all of them together.

    Without that a small request could answer itself with its whole answer ten times over, and that again with the next.
    """

    def __init__(self) -> None:
        self._followed = 0
        self._octets = 0
        self._answers: dict[int, Any] = {}
        """Answers that were pointed into, as plain values, by place."""

    def resolve(self, arguments: dict[str, Any], responses: Sequence[tuple[str, Any, str]]) -> dict[str, Any]:
        """The arguments with each `#name` replaced by what it points to. MethodError."""
        if not any(name.startswith("#") for name in arguments):
            return arguments
        resolved = {name: value for name, value in arguments.items() if not name.startswith("#")}
        for name, value in arguments.items():
            if not name.startswith("#"):
                continue
            plain = name[1:]
            if plain in resolved:
                # RFC 8620 §3.7: the same argument in both forms is invalidArguments.
                raise MethodError("invalidArguments", f"{plain} is given twice")
            resolved[plain] = self._follow(value, responses)
        return resolved

    def _follow(self, value: Any, responses: Sequence[tuple[str, Any, str]]) -> Any:
        self._followed += 1
        if self._followed > limits.JMAP_REFERENCES:
            raise MethodError("invalidResultReference", "the request has too many references")
        try:
            reference = msgspec.convert(value, ResultReference)
        except msgspec.ValidationError as fault:
            raise MethodError("invalidResultReference", str(fault)) from fault
        for place, (name, answer, call_id) in enumerate(responses):
            if call_id == reference.result_of:
                if name != reference.name:
                    break
                if place not in self._answers:
                    self._answers[place] = msgspec.to_builtins(answer)
                return self._counted(_evaluate(self._answers[place], reference.path))
        raise MethodError("invalidResultReference", "there is no such earlier response")

    def _counted(self, found: Any) -> Any:
        self._octets += len(msgspec.json.encode(found))
        if self._octets > limits.JMAP_REFERENCED_OCTETS:
            raise MethodError("invalidResultReference", "the references lead to too much")
        return found


def _evaluate(value: Any, path: str) -> Any:
    """A JSON Pointer (RFC 6901) with `*` for every item of an array."""
    if path and not path.startswith("/"):
        raise MethodError("invalidResultReference", "the path does not begin with /")
    steps = path.split("/")[1:]
    if len(steps) > limits.JMAP_POINTER:
        raise MethodError("invalidResultReference", "the path is too long")
    return _walk(value, [step.replace("~1", "/").replace("~0", "~") for step in steps])


_INDEX: Final = re.compile("0|[1-9][0-9]{0,9}")
"""RFC 6901 §4: an array's index, no zeros in front; no array here has more digits of them."""


def _walk(value: Any, steps: Sequence[str]) -> Any:
    for i, step in enumerate(steps):
        if isinstance(value, Mapping):
            if step not in value:
                raise MethodError("invalidResultReference", f"nothing at {step}")
            value = value[step]
        elif isinstance(value, list) and step == "*":
            found: list[Any] = []
            for item in value:
                inner = _walk(item, steps[i + 1 :])
                # RFC 8620 §3.7: arrays that * leads to are joined to one.
                found.extend(inner) if isinstance(inner, list) else found.append(inner)
                if len(found) > limits.JMAP_REFERENCED:
                    raise MethodError("invalidResultReference", "it leads to too many values")
            return found
        elif isinstance(value, list) and _INDEX.fullmatch(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            raise MethodError("invalidResultReference", f"nothing at {step}")
    return value
