"""Checks a script and makes it ready to run: `compile_script`.

Against the rows of `language.py`: every command, test, tag and argument is known, allowed by a `require`, of the right
kind and in its place. One fault in each command or test is told, of the whole script `SIEVE_FAULTS` at most. In a
script that requires `ihave`, what is unknown is a fault only if it is reached (RFC 5463 §4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from posthouse.limits import SIEVE_FAULTS
from posthouse.sieve.arguments import Arguments, wanted_extensions
from posthouse.sieve.checker import Checker, Refused
from posthouse.sieve.faults import Fault, ScriptFault, SieveError
from posthouse.sieve.language import LANGUAGE, Language
from posthouse.sieve.nearest import meant
from posthouse.sieve.parser import parse
from posthouse.sieve.tables import Call, Script, Spec, Tests
from posthouse.sieve.tree import Node, Strings

if TYPE_CHECKING:
    from posthouse.sieve.machine import Machine


def compile_script(text: bytes, language: Language = LANGUAGE) -> Script:
    """A script that can be run. SieveError says what is wrong, with lines."""
    return _Validator(language).script(parse(text), text)


class _Validator:
    def __init__(self, language: Language) -> None:
        self._language = language
        self._checker = Checker(language)
        self._faults: list[ScriptFault] = []

    def script(self, nodes: Sequence[Node], text: bytes) -> Script:
        """The whole script."""
        count = next((at for at, node in enumerate(nodes) if node.name != "require"), len(nodes))
        for node in nodes[:count]:
            self._require(node)
        for extension in self._language.extensions:
            wrong = extension.check(frozenset(self._checker.requires)) if extension.check is not None else ""
            if wrong:
                self._note(Refused(nodes[0].line, wrong))
        commands = self._commands(nodes[count:])
        if self._faults:
            self._faults.sort(key=lambda fault: fault.line)
            raise SieveError(*self._faults[:SIEVE_FAULTS])
        checker = self._checker
        requires = frozenset(checker.requires)
        return Script(commands=commands, requires=requires, reads_text=checker.reads_text, text=text)

    def _require(self, node: Node) -> None:
        """RFC 5228 §3.2."""
        if len(node.arguments) != 1 or not isinstance(node.arguments[0], Strings) or node.tests or node.block:
            self._note(Refused(node.line, '"require" takes a string or a list of strings, and a semicolon'))
            return
        for name in node.arguments[0].values:
            if name in self._language.capabilities:
                self._checker.requires.add(name)
            else:
                text = f'"{name[:60]}" is not an extension that is known here{meant(name, self._language.capabilities)}'
                self._note(Refused(node.line, text))

    def _commands(self, nodes: Sequence[Node]) -> tuple[Call, ...]:
        found: list[Call] = []
        before = ""
        for node in nodes:
            found.append(self._checked(node, before, is_test=False))
            before = node.name
        return tuple(found)

    def _checked(self, node: Node, before: str = "", *, is_test: bool) -> Call:
        """A command or test; if it is refused, and that is not noted as a fault, one that fails when it is reached."""
        try:
            return self._call(node, self._spec(node, before, is_test=is_test))
        except Refused as refused:
            if not (refused.unknown and "ihave" in self._checker.requires):
                self._note(refused)
            return Call(spec=_unusable(refused), line=node.line)

    def _note(self, refused: Refused) -> None:
        self._faults.append(ScriptFault(refused.line, refused.text))

    def _spec(self, node: Node, before: str, *, is_test: bool) -> Spec:
        """The row of a command or test that may stand here."""
        name, line = node.name, node.line
        if name == "require":
            raise Refused(line, '"require" must stand before all other commands')
        rows, others = self._language.commands, self._language.tests
        if is_test:
            rows, others = others, rows
        kind, other = ("test", "command") if is_test else ("command", "test")
        spec = rows.get(name)
        if spec is None:
            if name in others:
                raise Refused(line, f'"{name}" is a {other}; a {kind} must stand here')
            raise Refused(line, f'unknown {kind} "{name[:40]}"{meant(name, rows)}', unknown=True)
        if not self._checker.allows(spec.capability):
            raise Refused(line, f'"{name}" needs require {wanted_extensions(spec.capability)}', unknown=True)
        if spec.after and before not in spec.after:
            raise Refused(line, f'"{name}" has no "if" before it')
        return spec

    def _call(self, node: Node, spec: Spec) -> Call:
        try:
            arguments = Arguments(node, spec, self._language, self._checker)
            matching = arguments.matching
            self._shape(node, spec)
        except Refused:
            self._inside(node)
            raise
        self._checker.reads_text |= spec.reads_text
        call = Call(
            spec=spec,
            line=node.line,
            values=arguments.values,
            tags=tuple(arguments.tags),
            matching=matching,
            address_part=arguments.address_part,
            tests=tuple(self._checked(test, is_test=True) for test in node.tests),
        )
        for check in [spec.check, *(tag.check for tag in call.tags)]:
            if check is not None:
                check(call, self._checker)
        return call if node.block is None else self._with_block(call, node.block)

    def _with_block(self, call: Call, block: Sequence[Node]) -> Call:
        self._checker.enclosing.append(call)
        commands = self._commands(block)
        self._checker.enclosing.pop()
        return msgspec.structs.replace(call, block=commands)

    def _inside(self, node: Node) -> None:
        """What is wrong within a command that is refused itself is told too."""
        for test in node.tests:
            self._checked(test, is_test=True)
        self._commands(node.block or ())

    def _shape(self, node: Node, spec: Spec) -> None:
        """Whether tests and a block follow as they must."""
        good = {
            Tests.NONE: not node.tests,
            Tests.ONE: len(node.tests) == 1 and not node.test_list,
            Tests.SOME: node.test_list,
        }[spec.tests]
        if not good:
            hint = ""
            if spec.tests is Tests.NONE:
                hint = f'; is a semicolon missing after "{node.name}"?'
            raise Refused(node.line, f'"{node.name}" takes {spec.tests.value}{hint}')
        if spec.block and node.block is None:
            raise Refused(
                node.line, f'"{node.name}" must be followed by a block in braces, not by a semicolon'
            )
        if node.block is not None and not spec.block:
            raise Refused(node.line, f'"{node.name}" takes no block; it ends with a semicolon')


def _unusable(refused: Refused) -> Spec:
    def fail(call: Call, machine: Machine) -> bool:
        raise Fault(refused.line, refused.text)

    return Spec(name="", run=fail)
