"""POP3's grammar and states (RFC 1939, 2449): command lines in, commands or refusals out, replies to octets.

Pure. The table below holds every command with the states it is legal in and the form of its arguments; CAPA
is computed from it, so nothing can be offered that is not there. APOP is not offered: it needs clear-text
passwords on the server.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from posthouse.limits import POP3_LOGIN_DELAY
from posthouse.pop3.languages import NAMES, TEXTS, Say


class State(enum.Enum):
    """RFC 1939 §3."""

    AUTHORIZATION = "authorization"
    TRANSACTION = "transaction"
    UPDATE = "update"


class Form(enum.Enum):
    """What a command's arguments look like."""

    NOTHING = "nothing"
    NUMBER = "number"
    MAYBE_NUMBER = "maybe number"
    NUMBER_AND_COUNT = "number and count"
    TEXT = "text"
    """All that stands behind the first space, spaces included."""
    WORDS = "words"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One command."""

    name: str
    states: frozenset[State]
    form: Form = Form.NOTHING
    capability: str = ""
    """The line it adds to CAPA; empty: none. AUTH, STLS and USER depend on the connection."""


class Command(msgspec.Struct, frozen=True):
    """A command line that fits its rule."""

    rule: Rule
    numbers: tuple[int, ...] = ()
    text: str = ""


class Refusal(Exception):
    """A command gets -ERR. `bad`: the client broke the protocol, which it may not do for ever."""

    def __init__(self, say: Say, *arguments: object, code: str = "", bad: bool = False) -> None:
        super().__init__(say.value)
        self.say = say
        self.arguments = arguments
        self.code = code
        self.bad = bad


_BEFORE: Final = frozenset({State.AUTHORIZATION})
_INSIDE: Final = frozenset({State.TRANSACTION})
_BOTH: Final = _BEFORE | _INSIDE

RULES: Final[tuple[Rule, ...]] = (
    Rule(name="USER", states=_BEFORE, form=Form.TEXT, capability="USER"),
    Rule(name="PASS", states=_BEFORE, form=Form.TEXT),
    Rule(name="AUTH", states=_BEFORE, form=Form.WORDS, capability="SASL"),
    Rule(name="STLS", states=_BEFORE, capability="STLS"),
    # RFC 6856 §2.1: the command is for the AUTHORIZATION state only; names and passwords may be UTF-8 (USER)
    Rule(name="UTF8", states=_BEFORE, capability="UTF8 USER"),
    Rule(name="STAT", states=_INSIDE),
    Rule(name="LIST", states=_INSIDE, form=Form.MAYBE_NUMBER),
    Rule(name="UIDL", states=_INSIDE, form=Form.MAYBE_NUMBER, capability="UIDL"),
    Rule(name="RETR", states=_INSIDE, form=Form.NUMBER),
    Rule(name="TOP", states=_INSIDE, form=Form.NUMBER_AND_COUNT, capability="TOP"),
    Rule(name="DELE", states=_INSIDE, form=Form.NUMBER),
    Rule(name="RSET", states=_INSIDE),
    Rule(name="NOOP", states=_INSIDE),
    Rule(name="CAPA", states=_BOTH),
    Rule(name="LANG", states=_BOTH, form=Form.WORDS, capability="LANG"),
    Rule(name="QUIT", states=_BOTH),
)
TABLE: Final[Mapping[bytes, Rule]] = {rule.name.encode(): rule for rule in RULES}
FIXED_CAPABILITIES: Final = (
    "RESP-CODES",  # RFC 2449 §6.4
    "AUTH-RESP-CODE",  # RFC 3206 §6
    "PIPELINING",  # RFC 2449 §6.6
    "EXPIRE NEVER",  # RFC 2449 §6.7: we never delete mail of ourselves
    f"LOGIN-DELAY {POP3_LOGIN_DELAY}",  # RFC 2449 §6.5
    "IMPLEMENTATION Posthouse",  # RFC 2449 §6.9
)
_NUMBER_DIGITS: Final = 10
_COUNT_OF_NUMBERS: Final = {Form.NUMBER: (1, 1), Form.MAYBE_NUMBER: (0, 1), Form.NUMBER_AND_COUNT: (2, 2)}
END: Final = b".\r\n"
"""RFC 1939 §3: the end of a multi-line reply."""


def parse(line: bytes, state: State) -> Command:
    """Read a command line (without line end).

    Raises Refusal for what is unknown, out of place or malformed.
    """
    keyword, _, rest = line.partition(b" ")
    rule = TABLE.get(keyword.upper())
    if rule is None:
        raise Refusal(Say.UNKNOWN_COMMAND, bad=True)
    if state not in rule.states:
        raise Refusal(Say.OUT_OF_PLACE, rule.name, bad=True)
    if rule.form in _COUNT_OF_NUMBERS:
        return Command(rule, _numbers(rule, rest))
    if rule.form is Form.NOTHING:
        if rest.strip(b" "):
            raise Refusal(Say.ARGUMENTS_WRONG, rule.name, bad=True)
        return Command(rule)
    try:
        text = rest.decode()
    except UnicodeDecodeError:
        # RFC 6856 §2.2: names and passwords that are not UTF-8 are refused.
        raise Refusal(Say.NOT_UTF8, bad=True) from None
    if rule.form is Form.TEXT and not text:
        raise Refusal(Say.ARGUMENTS_WRONG, rule.name, bad=True)
    return Command(rule, text=text)


def _numbers(rule: Rule, rest: bytes) -> tuple[int, ...]:
    words = rest.split()
    least, most = _COUNT_OF_NUMBERS[rule.form]
    if not least <= len(words) <= most or not all(map(_is_number, words)):
        raise Refusal(Say.ARGUMENTS_WRONG, rule.name, bad=True)
    return tuple(map(int, words))


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= _NUMBER_DIGITS


def capabilities(*, stls: bool, user: bool, mechanisms: tuple[str, ...]) -> bytes:
    """The lines of CAPA (RFC 2449 §5), the same in both states (§5.

    What is there before login stays listed).
    """
    conditional = {
        "STLS": "STLS" if stls else "",
        "USER": "USER" if user else "",
        "AUTH": f"SASL {' '.join(mechanisms)}" if mechanisms else "",
    }
    lines = [conditional.get(rule.name, rule.capability) for rule in RULES]
    return listing(line for line in (*lines, *FIXED_CAPABILITIES) if line)


def chosen(language: str) -> bytes:
    """The reply to LANG with a language (RFC 6856 §3.2: the tag comes first)."""
    return f"+OK {language} {TEXTS[language][Say.LANGUAGE_CHOSEN]}\r\n".encode()


def languages() -> bytes:
    """The lines of LANG without argument (RFC 6856 §3.2): tag, space, name in the language itself."""
    return listing(f"{tag} {name}" for tag, name in NAMES.items())


def listing(lines: Iterable[str]) -> bytes:
    """The lines of a multi-line reply behind its first, with their end; none may begin with a dot."""
    return "".join([f"{line}\r\n" for line in lines]).encode() + END


def ok(language: str, say: Say, *arguments: object) -> bytes:
    """A positive reply line."""
    return f"+OK {TEXTS[language][say].format(*arguments)}\r\n".encode()


def error(language: str, refusal: Refusal) -> bytes:
    """A negative reply line, with its response code if it has one (RFC 2449 §8, 3206)."""
    code = f"[{refusal.code}] " if refusal.code else ""
    return f"-ERR {code}{TEXTS[language][refusal.say].format(*refusal.arguments)}\r\n".encode()
