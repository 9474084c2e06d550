"""CSS of HTML mail, read by a real parser and written anew: only properties that lay out and colour text.

What could load anything, lie over our own pages or run is not on the list: no `url()` in any spelling, no position,
no generated content, no animation. The output is made from parsed tokens alone, so nothing of the source's own
spelling gets through, and none of it can end the element that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import tinycss2
from tinycss2.color4 import parse_color

from posthouse.limits import MAIL_CSS, MAIL_CSS_NESTING, MAIL_CSS_RULES

_PROPERTY_NAMES: Final = """
background-color border border-bottom border-bottom-color border-bottom-left-radius border-bottom-right-radius
border-bottom-style border-bottom-width border-collapse border-color border-left border-left-color
border-left-style border-left-width border-radius border-right border-right-color border-right-style
border-right-width border-spacing border-style border-top border-top-color border-top-left-radius
border-top-right-radius border-top-style border-top-width border-width box-shadow box-sizing caption-side
clear color direction display empty-cells float font font-family font-size font-stretch font-style
font-variant font-weight height letter-spacing line-break line-height list-style-position list-style-type
margin margin-bottom margin-left margin-right margin-top max-height max-width min-height min-width opacity
outline overflow overflow-wrap overflow-x overflow-y padding padding-bottom padding-left padding-right
padding-top table-layout text-align text-decoration text-decoration-color text-decoration-line
text-decoration-style text-indent text-overflow text-transform unicode-bidi vertical-align visibility
white-space width word-break word-spacing word-wrap writing-mode align-content align-items align-self flex
flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap gap column-gap row-gap justify-content
order
"""
_PROPERTIES: Final = frozenset(_PROPERTY_NAMES.split())
_FUNCTIONS: Final = frozenset({"rgb", "rgba", "hsl", "hsla", "calc", "min", "max", "clamp"})
_MEDIA: Final = re.compile(r"[\w\s():,.<>=/-]{1,200}")
_SELECTOR_TOKENS: Final = frozenset(
    {"ident", "hash", "whitespace", "literal", "comment", "number", "percentage", "dimension"}
)


def safe_declarations(source: str) -> str:
    """The declarations of a `style` attribute that may stay, as `property:value;…`; empty: none."""
    if len(source) > MAIL_CSS:
        return ""
    return _declarations(tinycss2.parse_blocks_contents(source, skip_comments=True, skip_whitespace=True))


def safe_sheet(source: str) -> str:
    """What may stay of a style sheet: rules and `@media` around rules. At most MAIL_CSS_RULES of them."""
    rules = tinycss2.parse_stylesheet(source[:MAIL_CSS], skip_comments=True, skip_whitespace=True)
    kept: list[str] = []
    for text in _rules(rules, MAIL_CSS_NESTING):
        kept.append(text)
        if len(kept) == MAIL_CSS_RULES:
            break
    return "\n".join(kept)


def _rules(rules: Iterable[Any], depth: int) -> Iterator[str]:
    for rule in rules:
        if rule.type == "qualified-rule":
            selector = _selector(rule.prelude)
            content = tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True)
            body = _declarations(content)
            if selector and body:
                yield f"{selector}{{{body}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content and depth:
            query = tinycss2.serialize(rule.prelude).strip()
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            body = "".join(_rules(inner, depth - 1))
            # Range syntax has `<` in it; with none of it nothing can look like an end tag.
            if body and "<" not in query and _MEDIA.fullmatch(query):
                yield f"@media {query}{{{body}}}"


def _selector(tokens: list[Any]) -> str:
    """Names, classes and combinators; attribute selectors and functions are what style sheets spy with."""
    if any(token.type not in _SELECTOR_TOKENS for token in tokens):
        return ""
    text = str(tinycss2.serialize([token for token in tokens if token.type != "comment"])).strip()
    return "" if "<" in text else text


def _declarations(items: Iterable[Any]) -> str:
    kept = []
    for item in items:
        if item.type != "declaration":
            continue
        name, tokens = item.lower_name, item.value
        if name == "background":
            name, tokens = "background-color", _colour(tokens)
        value = tinycss2.serialize(tokens).strip()
        if name not in _PROPERTIES or not _harmless(tokens) or "<" in value or not value:
            continue
        kept.append(f"{name}:{value}{' !important' if item.important else ''}")
    return ";".join(kept)


def _colour(tokens: Iterable[Any]) -> list[Any]:
    """All that is left of the `background` shorthand: its colour."""
    return [token for token in tokens if parse_color(token) is not None][:1]


def _harmless(tokens: Iterable[Any]) -> bool:
    """Whether a value has no address, and no function but those that give colours and lengths."""
    for token in tokens:
        if token.type in {"url", "bad-url", "error", "{} block", "[] block"}:
            return False
        if token.type == "function":
            if token.lower_name not in _FUNCTIONS or not _harmless(token.arguments):
                return False
        elif token.type == "() block" and not _harmless(token.content):
            return False
    return True
