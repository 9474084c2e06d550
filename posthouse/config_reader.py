"""From a table of TOML to a struct of values: types, units, secrets; errors name file, line and nearest key."""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from posthouse.errors import PosthouseError
from posthouse.units import duration, size

Seconds = Annotated[float, msgspec.Meta(ge=0, title="duration")]
"""A duration: seconds, or text such as "90s", "1h30m", "5d"."""
Octets = Annotated[int, msgspec.Meta(ge=0, title="size")]
"""A size: octets, or text such as "64KB", "50MB", "2GB" (powers of 1,024)."""


class ConfigError(PosthouseError):
    """The configuration cannot be used; the text names file, line and key."""


class ConfigReader:
    """Makes values of one file; knows where each key stands, for its errors."""

    def __init__(
        self, whole: type[msgspec.Struct], text: str, path: Path, environment: Mapping[str, str]
    ) -> None:
        """`whole`: the struct of the file, which also tells the keys to name when one is misspelt."""
        self._whole = whole
        self._lines = text.splitlines()
        self._path = path
        self._environment = environment

    def fail(self, key: str, problem: str) -> None:
        """Raise ConfigError with file and line."""
        line = self._line_of(key)
        place = f"{self._path}:{line}" if line else f"{self._path}"
        raise ConfigError(f"{place}: {problem}")

    def read(self, table: dict[str, Any]) -> msgspec.Struct:
        """The whole file. Raises ConfigError."""
        return self.struct(self._whole, table, "")

    def struct(self, kind: type[msgspec.Struct], table: dict[str, Any], path: str) -> msgspec.Struct:
        """A struct from a table; missing keys take their defaults."""
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        for key in table.keys() - fields.keys():
            self._unknown(f"{path}{key}", fields)
        values: dict[str, Any] = {}
        for key, field in fields.items():
            if key in table:
                values[key] = self._value(field.type, table[key], f"{path}{key}")
            elif field.required:
                self.fail("", f"{path}{key} is missing")
        made = kind(**values)
        paths = {key: value for key in fields if isinstance(value := getattr(made, key), Path)}
        return msgspec.structs.replace(
            made, **{key: self._path.parent / value for key, value in paths.items()}
        )

    def _unknown(self, key: str, fields: Mapping[str, object]) -> None:
        here = key.rpartition(".")[0]
        choices = [f"{here}.{name}" if here else name for name in fields]
        near = (
            difflib.get_close_matches(key, choices, 1)
            or _same_ending(self._whole, key)
            or difflib.get_close_matches(key, _keys(self._whole), 1)
        )
        self.fail(key, f"unknown key {key}" + (f"; did you mean {near[0]}?" if near else ""))

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            if not isinstance(value, dict):
                self.fail(key, f"[{key}] is a table")
            return self.struct(kind, value, f"{key}.")
        if get_origin(kind) is tuple:
            items = value if isinstance(value, list) else [value]
            return tuple(self._value(get_args(kind)[0], item, key) for item in items)
        if isinstance(value, dict):
            value = self._secret(value, key)
        if kind is Path or (isinstance(kind, types.UnionType) and Path in get_args(kind)):
            return self._path_of(self._leaf(str, value, key), key)
        return self._leaf(kind, value, key)

    def _path_of(self, text: str, key: str) -> Path:
        try:
            return Path(text).expanduser()
        except RuntimeError:
            self.fail(key, f"{key}: no user {text.partition('/')[0]} on this machine")
            raise

    def _leaf(self, kind: Any, value: Any, key: str) -> Any:
        try:
            if isinstance(value, str) and kind == Seconds:
                value = duration(value)
            elif isinstance(value, str) and kind == Octets:
                value = size(value)
            if isinstance(value, float) and not math.isfinite(value):  # TOML knows inf and nan
                raise ValueError(f"{value} is no number to reckon with")
            return msgspec.convert(value, kind, strict=True)
        except (msgspec.ValidationError, ValueError) as fault:
            self.fail(key, f"{key}: {fault}")

    def _secret(self, table: dict[str, Any], key: str) -> str:
        """`{file = "…"}` or `{env = "…"}` stands for text that is not to be in this file."""
        match table:
            case {"file": str(name), **rest} if not rest:
                try:
                    return (self._path.parent / name).read_text("utf-8").strip()
                except (OSError, UnicodeDecodeError) as fault:
                    self.fail(key, f"{key}: {fault}")
            case {"env": str(name), **rest} if not rest:
                if name not in self._environment:
                    self.fail(key, f"{key}: the environment has no {name}")
                return self._environment[name]
        self.fail(key, f'{key}: a table here is {{file = "…"}} or {{env = "…"}}')
        raise AssertionError

    def _line_of(self, key: str) -> int | None:
        """The line that sets a key, as well as one can tell without a parser that keeps places."""
        section, _, name = key.rpartition(".")
        present = ""
        for number, line in enumerate(self._lines, 1):
            if header := re.match(r"\s*\[+\s*([\w.-]+)", line):
                present = header[1]
                if present == key:
                    return number
            elif name and present == section and re.match(rf'\s*"?{re.escape(name)}"?\s*[=.]', line):
                return number
        return None


def _keys(kind: type[msgspec.Struct], path: str = "") -> Iterator[str]:
    """Every key of the file, dotted."""
    for field in msgspec.structs.fields(kind):
        yield path + field.encode_name
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _keys(field.type, f"{path}{field.encode_name}.")


def _same_ending(whole: type[msgspec.Struct], key: str) -> list[str]:
    """A key in the wrong table: its right place."""
    last = key.rpartition(".")[2]
    return [known for known in _keys(whole) if known.rpartition(".")[2] == last]
