"""From tokens to a tree (RFC 5228 §8.2): one method for each rule of the grammar.

The first fault ends it: what follows a missing semicolon or brace would only be guesses. What commands and tests
mean, `validate.py` asks.
"""

from __future__ import annotations

from posthouse.limits import SIEVE_COMMANDS, SIEVE_NESTING, SIEVE_STRINGS
from posthouse.sieve.faults import ScriptFault, SieveError
from posthouse.sieve.lexer import Token, TokenKind, tokens
from posthouse.sieve.tree import Node, Number, Strings, TagWord


def parse(script: bytes) -> tuple[Node, ...]:
    """The commands of a script. SieveError when it is none."""
    parser = _Parser(tokens(script))
    return parser.commands(0, "")


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._position = 0
        self._count = 0

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _take(self) -> Token:
        token = self._tokens[self._position]
        if token.kind is not TokenKind.END:
            self._position += 1
        return token

    def _at(self, mark: str) -> bool:
        return self._next.kind is TokenKind.MARK and self._next.text == mark

    def commands(self, depth: int, closing: str, opened: int = 0) -> tuple[Node, ...]:
        """commands = *command, up to the closing brace or the end."""
        found: list[Node] = []
        while self._next.kind is TokenKind.IDENTIFIER:
            found.append(self._command(depth))
        if closing:
            if self._next.kind is TokenKind.END:
                raise self._fault(f"the block that begins in line {opened} has no closing brace (}})")
            if not self._at(closing):
                raise self._fault(f"a command is expected here, not {self._next}")
            self._take()
        elif self._at("}"):
            raise self._fault("this closing brace has no opening one")
        elif self._next.kind is not TokenKind.END:
            raise self._fault(f"a command is expected here, not {self._next}")
        return tuple(found)

    def _command(self, depth: int) -> Node:
        """command = identifier arguments (";" / block)"""
        node = self._with_arguments(depth=0, is_test=False)
        if self._at(";"):
            self._take()
            return node
        if not self._at("{"):
            raise self._fault(self._unfinished(node), self._tokens[self._position - 1].line)
        opened = self._take().line
        if depth >= SIEVE_NESTING:
            raise self._fault(f"blocks are nested more than {SIEVE_NESTING} deep")
        block = self.commands(depth + 1, "}", opened)
        return Node(node.name, node.line, node.arguments, node.tests, node.test_list, block)

    def _unfinished(self, node: Node) -> str:
        token = self._next
        if token.kind in {TokenKind.IDENTIFIER, TokenKind.END} or self._at("}"):
            return f'a semicolon is missing after "{node.name}"'
        return f'"{node.name}" cannot be followed by {token} here; is a semicolon missing?'

    def _with_arguments(self, depth: int, *, is_test: bool) -> Node:
        """arguments = *argument [ test / test-list ], behind the identifier"""
        self._count += 1
        if self._count > SIEVE_COMMANDS:
            raise self._fault(f"the script has more than {SIEVE_COMMANDS:,} commands and tests")
        name = self._take()
        arguments: list[TagWord | Number | Strings] = []
        while (argument := self._argument()) is not None:
            arguments.append(argument)
        tests: tuple[Node, ...] = ()
        listed = self._at("(")
        if listed:
            tests = self._test_list(depth + 1)
        elif self._next.kind is TokenKind.IDENTIFIER and (
            is_test or self._next.line == name.line or not arguments
        ):
            tests = (self._test(depth + 1),)
        return Node(name.text, name.line, tuple(arguments), tests, listed)

    def _argument(self) -> TagWord | Number | Strings | None:
        """argument = string-list / number / tag"""
        token = self._next
        if token.kind is TokenKind.TAG:
            self._take()
            return TagWord(token.text, token.line)
        if token.kind is TokenKind.NUMBER:
            self._take()
            return Number(token.number, token.line)
        if token.kind is TokenKind.STRING:
            self._take()
            return Strings((token.text,), listed=False, line=token.line)
        return self._string_list() if self._at("[") else None

    def _string_list(self) -> Strings:
        """string-list = "[" string *("," string) "]"; an empty one is no list by the grammar."""
        opened = self._take().line
        values: list[str] = []
        while True:
            if self._next.kind is not TokenKind.STRING:
                raise self._fault(f"a string is expected in this list, not {self._next}")
            values.append(self._take().text)
            if len(values) > SIEVE_STRINGS:
                raise self._fault(f"the list has more than {SIEVE_STRINGS:,} strings")
            if self._at(","):
                self._take()
            elif self._at("]"):
                self._take()
                return Strings(tuple(values), listed=True, line=opened)
            else:
                raise self._fault(f"a comma or ] is expected in this list, not {self._next}")

    def _test(self, depth: int) -> Node:
        """test = identifier arguments"""
        if self._next.kind is not TokenKind.IDENTIFIER:
            raise self._fault(f"a test is expected here, not {self._next}")
        if depth > SIEVE_NESTING:
            raise self._fault(f"tests are nested more than {SIEVE_NESTING} deep")
        return self._with_arguments(depth, is_test=True)

    def _test_list(self, depth: int) -> tuple[Node, ...]:
        """test-list = "(" test *("," test) ")" """
        self._take()
        found = [self._test(depth)]
        while self._at(","):
            self._take()
            found.append(self._test(depth))
        if not self._at(")"):
            raise self._fault(f"a comma or ) is expected in this list of tests, not {self._next}")
        self._take()
        return tuple(found)

    def _fault(self, text: str, line: int = 0) -> SieveError:
        return SieveError(ScriptFault(line or self._next.line, text))
