"""PatchObjects (RFC 8620 §5.3): paths into an object with the values to put there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from posthouse import limits
from posthouse.jmap.errors import Rejected


def apply_patch(current: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """The object after the patch; `current` stays as it is. A null removes. Rejected invalidPatch."""
    paths = {path: _steps(path) for path in patch}
    _refuse_overlaps(sorted(paths.values()))
    result = dict(current)
    for path, value in patch.items():
        _put(result, paths[path], value)
    return result


def _steps(path: str) -> tuple[str, ...]:
    steps = path.split("/")
    if len(steps) > limits.JMAP_POINTER:
        raise Rejected("invalidPatch", "a path is too long")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def _refuse_overlaps(paths: list[tuple[str, ...]]) -> None:
    for first, second in pairwise(paths):
        if second[: len(first)] == first:  # sorted, so a prefix stands directly before
            raise Rejected("invalidPatch", "one path is the beginning of another")


def _put(result: dict[str, Any], steps: tuple[str, ...], value: Any) -> None:
    target: Any = result
    for step in steps[:-1]:
        inner = target.get(step)
        if not isinstance(inner, dict):
            # RFC 8620 §5.3: all parts before the last must exist, and no path leads into an array.
            raise Rejected("invalidPatch", f"there is no object at {step}")
        target[step] = dict(inner)
        target = target[step]
    if value is None:
        # RFC 8620 §5.3: null is the default value where there is one, else it removes; both are absence here.
        target.pop(steps[-1], None)
    else:
        target[steps[-1]] = value
