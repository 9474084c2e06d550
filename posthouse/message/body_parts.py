"""Which parts of a message are its text, its HTML and its attachments (RFC 8621 §4.1.4), over the part tree.

Leaves are multiparts' children that are no multiparts; an embedded message is a leaf. Numbers are IMAP's part
numbers, so `1.2` names the same part in both protocols.
"""

from __future__ import annotations

import msgspec

from posthouse.limits import MIME_DEPTH
from posthouse.message.mime import Part

_MEDIA = frozenset({"image", "audio", "video"})


class Leaf(msgspec.Struct, frozen=True):
    """A part that is not made of others, with its number."""

    number: str
    part: Part


class BodyParts(msgspec.Struct, frozen=True, kw_only=True):
    """The three lists of RFC 8621 §4.1.4; a part may be in more than one."""

    text: list[Leaf]
    html: list[Leaf]
    attachments: list[Leaf]

    @property
    def has_attachment(self) -> bool:
        """RFC 8621 §4.1.4: something to be downloaded that is not shown within the text."""
        return any(leaf.part.disposition != "inline" for leaf in self.attachments)


def numbered(part: Part, number: str = "") -> list[Leaf]:
    """The children of a multipart with their numbers; a single part is its own number 1."""
    if not part.children:
        return [Leaf(number or "1", part)]
    prefix = f"{number}." if number else ""
    return [Leaf(f"{prefix}{i}", child) for i, child in enumerate(part.children, 1)]


def body_parts(root: Part) -> BodyParts:
    """Sort a message's leaves."""
    text: list[Leaf] = []
    html: list[Leaf] = []
    attachments: list[Leaf] = []
    subtype = root.subtype if root.children else "mixed"
    _sort(numbered(root), subtype, subtype == "alternative", (html, text), attachments)
    return BodyParts(text=text, html=html, attachments=attachments)


def _is_inline(leaf: Leaf, position: int, subtype: str) -> bool:
    part = leaf.part
    if part.disposition == "attachment":
        return False
    is_text = part.type == "text" and part.subtype in {"plain", "html"}
    if not is_text and part.type not in _MEDIA:
        return False
    # What stands first is text of the message; later it is so only without a name (RFC 8621 §4.1.4).
    return position == 0 or (subtype != "related" and (part.type in _MEDIA or not part.file_name))


def _sort(
    leaves: list[Leaf],
    subtype: str,
    in_alternative: bool,
    bodies: tuple[list[Leaf] | None, list[Leaf] | None],
    attachments: list[Leaf],
    depth: int = 0,
) -> None:
    """RFC 8621 §4.1.4 parseStructure; `bodies`: HTML and text, None where a kind is already chosen."""
    html, text = bodies
    text_before = len(text) if text is not None else -1
    html_before = len(html) if html is not None else -1
    for position, leaf in enumerate(leaves):
        part = leaf.part
        inline = _is_inline(leaf, position, subtype)
        if part.children and depth < MIME_DEPTH:
            alternative = in_alternative or part.subtype == "alternative"
            _sort(
                numbered(part, leaf.number), part.subtype, alternative, (html, text), attachments, depth + 1
            )
        elif not inline:
            attachments.append(leaf)
        elif subtype == "alternative":
            if part.type == "text" and part.subtype == "plain":
                _add(text, leaf)
            elif part.type == "text" and part.subtype == "html":
                _add(html, leaf)
            else:
                attachments.append(leaf)
        else:
            if in_alternative:
                if part.type == "text" and part.subtype == "plain":
                    html = None
                if part.type == "text" and part.subtype == "html":
                    text = None
            _add(text, leaf)
            _add(html, leaf)
            if (text is None or html is None) and part.type in _MEDIA:
                attachments.append(leaf)
    if subtype == "alternative" and text is not None and html is not None:
        # Only one of the two was there: it serves as both.
        if text_before == len(text) and html_before != len(html):
            text.extend(html[html_before:])
        if html_before == len(html) and text_before != len(text):
            html.extend(text[text_before:])


def _add(body: list[Leaf] | None, leaf: Leaf) -> None:
    if body is not None:
        body.append(leaf)
