"""The arguments of one command or test (RFC 5228 §2.6): tags first, then what stands in its place."""

from __future__ import annotations

from typing import Final, NoReturn

from posthouse.sieve.checker import Checker, Refused
from posthouse.sieve.language import Language
from posthouse.sieve.nearest import meant
from posthouse.sieve.strings import StringFault, decode_characters, with_variables
from posthouse.sieve.tables import (
    AddressPart,
    Argument,
    Comparator,
    Kind,
    Matching,
    MatchType,
    Spec,
    Tag,
    Text,
    Value,
)
from posthouse.sieve.tree import Node, Number, Strings, TagWord

RELATIONS: Final = frozenset({"gt", "ge", "lt", "le", "eq", "ne"})
"""RFC 5231 §4."""


class Arguments:
    """What was found out."""

    def __init__(self, node: Node, spec: Spec, language: Language, checker: Checker) -> None:
        self._node = node
        self._spec = spec
        self._language = language
        self._checker = checker
        self._rest = list(node.arguments)
        self._match_type: MatchType | None = None
        self._comparator: Comparator | None = None
        self._relation = ""
        self.address_part: AddressPart | None = None
        self.values: dict[str, Value] = {}
        self.tags: list[Tag] = []
        self._read_tags()
        self._read_positional()
        self.tags.sort(key=lambda tag: tag.order)

    @property
    def matching(self) -> Matching | None:
        """How it compares; None: it does not."""
        if not self._spec.matches:
            return None
        types, comparators = self._language.match_types, self._language.comparators
        match_type = self._match_type or types["is"]
        comparator = self._comparator or comparators["i;ascii-casemap"]
        fits = not match_type.comparators or comparator.name in match_type.comparators
        if not fits or (match_type.substring and not comparator.substring):  # RFC 5228 §2.7.3
            self._fault(f'comparator "{comparator.name}" cannot be used with :{match_type.name}')
        if match_type.check_key is not None:
            keys = self.values.get("keys", ())
            for text in keys if isinstance(keys, tuple) else (keys,):
                wrong = match_type.check_key(text) if isinstance(text, str) else ""
                if wrong:
                    self._fault(wrong)
        return Matching(match_type, comparator, self._relation)

    # --- tags ---------------------------------------------------------------------------------------------------

    def _read_tags(self) -> None:
        while self._rest and isinstance(self._rest[0], TagWord):
            word = self._rest.pop(0)
            assert isinstance(word, TagWord)
            tag = self._language.tags.get(self._spec.name, {}).get(word.name)
            if tag is not None:
                self._tag(word, tag)
            elif self._spec.matches and word.name == "comparator":
                self._read_comparator(word)
            elif self._spec.matches and word.name in self._language.match_types:
                self._read_match_type(word)
            elif self._spec.address_part and word.name in self._language.address_parts:
                part = self._language.address_parts[word.name]
                self._allowed(part.capability, f":{part.name}", word.line)
                if self.address_part is not None:
                    self._fault(f":{self.address_part.name} and :{part.name} cannot both be", word.line)
                self.address_part = part
            else:
                self._unknown_tag(word)

    def _tag(self, word: TagWord, tag: Tag) -> None:
        self._allowed(tag.capability, f":{tag.name}", word.line)
        for other in self.tags:
            if other.name == tag.name:
                self._fault(f":{tag.name} is there twice", word.line)
            if tag.group and other.group == tag.group:
                self._fault(f":{other.name} and :{tag.name} cannot both be", word.line)
        self.tags.append(tag)
        self._checker.reads_text |= tag.reads_text
        self.values[tag.name] = 1 if tag.kind is None else self._value(tag.kind, f":{tag.name}", word.line)

    def _read_comparator(self, word: TagWord) -> None:
        """RFC 5228 §2.7.3: all but two must be required, as `comparator-NAME`."""
        if self._comparator is not None:
            self._fault(":comparator is there twice", word.line)
        name = self._value(Kind.STRING, ":comparator", word.line)
        if not isinstance(name, str):
            self._fault("the name of a comparator must be constant", word.line)
        found = self._language.comparators.get(name.lower())
        if found is None:
            text = f'unknown comparator "{name[:40]}"{meant(name, self._language.comparators)}'
            raise Refused(word.line, text, unknown=True)
        self._allowed(found.capability, f'comparator "{name}"', word.line)
        self._comparator = found

    def _read_match_type(self, word: TagWord) -> None:
        found = self._language.match_types[word.name]
        self._allowed(found.capability, f":{found.name}", word.line)
        if self._match_type is not None:
            self._fault(f":{self._match_type.name} and :{found.name} cannot both be", word.line)
        self._match_type = found
        if found.relation:
            relation = self._value(Kind.STRING, f":{found.name}", word.line)
            if not isinstance(relation, str) or relation.lower() not in RELATIONS:
                self._fault(
                    f':{found.name} must be followed by "gt", "ge", "lt", "le", "eq" or "ne"', word.line
                )
            self._relation = relation.lower()

    def _unknown_tag(self, word: TagWord) -> NoReturn:
        known = list(self._language.tags.get(self._spec.name, ()))
        if self._spec.matches:
            known += ["comparator", *self._language.match_types]
        if self._spec.address_part:
            known += self._language.address_parts
        text = f'"{self._spec.name}" knows no :{word.name}{meant(word.name, known, ":")}'
        raise Refused(word.line, text, unknown=True)

    # --- positions ----------------------------------------------------------------------------------------------

    def _read_positional(self) -> None:
        given, wanted = len(self._rest), list(self._spec.arguments)
        for word in self._rest:
            if isinstance(word, TagWord):
                self._fault(f":{word.name} must stand before the other arguments", word.line)
        for argument in self._spec.arguments:
            if argument.optional and len(wanted) > given:
                wanted.remove(argument)
        if len(wanted) != given:
            self._fault(f'"{self._spec.name}" takes {_counted(self._spec.arguments)}, not {given}')
        for argument in wanted:
            self.values[argument.name] = self._value(argument.kind, f'"{self._spec.name}"', self._node.line)

    def _value(self, kind: Kind, what: str, line: int) -> Value:
        """The next argument, which must be of that kind."""
        if not self._rest:
            self._fault(f"{what} must be followed by {kind.value}", line)
        argument = self._rest.pop(0)
        if isinstance(argument, TagWord):
            self._fault(f"{what} must be followed by {kind.value}, not by :{argument.name}", argument.line)
        if isinstance(argument, Number):
            if kind is not Kind.NUMBER:
                self._fault(f"{what} wants {kind.value} here, not a number", argument.line)
            return argument.value
        if kind is Kind.NUMBER or (kind is Kind.STRING and argument.listed):
            found = "a list" if argument.listed else "a string"
            self._fault(f"{what} wants {kind.value} here, not {found}", argument.line)
        texts = self._texts(argument)
        return texts[0] if kind is Kind.STRING else texts

    def _texts(self, strings: Strings) -> tuple[Text, ...]:
        requires = self._checker.requires
        values: tuple[Text, ...] = strings.values
        try:
            if "encoded-character" in requires:
                values = tuple(decode_characters(text) for text in strings.values)
            if "variables" in requires:
                names = self._checker.namespaces
                values = tuple(
                    with_variables(text, names) if isinstance(text, str) else text for text in values
                )
        except StringFault as error:
            self._fault(str(error), strings.line)
        return values

    def _allowed(self, capability: str, what: str, line: int) -> None:
        if not self._checker.allows(capability):
            raise Refused(line, f"{what} needs require {wanted_extensions(capability)}", unknown=True)

    def _fault(self, text: str, line: int = 0) -> NoReturn:
        raise Refused(line or self._node.line, text)


def wanted_extensions(capability: str) -> str:
    """`"a"`, or `"a" or "b"`."""
    return " or ".join(f'"{name}"' for name in capability.split())


def _counted(arguments: tuple[Argument, ...]) -> str:
    most = len(arguments)
    least = most - sum(argument.optional for argument in arguments)
    number = f"{least}" if least == most else f"{least} to {most}"
    if not most:
        return "no arguments"
    return f"{number} argument{'' if most == 1 else 's'} ({', '.join(a.name.replace('-', ' ') for a in arguments)})"
