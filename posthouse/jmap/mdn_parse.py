"""MDN/parse (RFC 9007): "your message was displayed", read (RFC 8098)."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from posthouse import limits
from posthouse.jmap import blobs
from posthouse.jmap.context import Context
from posthouse.jmap.errors import MethodError
from posthouse.jmap.mdn import Disposition, Mdn, report_of
from posthouse.jmap.method import Arguments
from posthouse.jmap.standard import Answer
from posthouse.message.headers import Headers, decode_value
from posthouse.message.mime import Part, scan
from posthouse.message.parameters import without_comments
from posthouse.message.text import part_text

_DISPOSITION: Final = re.compile(r"\s*([a-z-]+)\s*/\s*([a-z-]+)\s*;\s*([a-z-]+)")


class MdnParseArguments(Arguments, kw_only=True):
    """RFC 9007 §2.2."""

    blob_ids: list[str]


class MdnParseAnswer(Answer, kw_only=True):
    """RFC 9007 §2.2."""

    parsed: dict[str, Mdn] | None
    not_parsable: list[str] | None
    not_found: list[str] | None


async def parse(context: Context, arguments: MdnParseArguments) -> MdnParseAnswer:
    """MDN/parse."""
    account_id = context.account_number(arguments.account_id)
    if len(arguments.blob_ids) > limits.JMAP_PARSE:
        raise MethodError("requestTooLarge", f"at most {limits.JMAP_PARSE} blobs")
    parsed: dict[str, Mdn] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    for name in dict.fromkeys(arguments.blob_ids):
        blob = await blobs.find(context, account_id, name)
        if blob is None:
            not_found.append(name)
            continue
        found = await asyncio.to_thread(read_mdn, await blobs.octets_of(context, blob))
        if found is None:
            not_parsable.append(name)
        else:
            parsed[name] = found
    return MdnParseAnswer(
        account_id=arguments.account_id,
        parsed=parsed or None,
        not_parsable=not_parsable or None,
        not_found=not_found or None,
    )


def read_mdn(raw: bytes) -> Mdn | None:
    """The notification in a message; None: there is none (RFC 8098 §3)."""
    headers = Headers.scan(raw)
    root = scan(raw, headers)
    report = report_of(root)
    if report is None:
        return None
    fields = Headers(raw + b"\r\n\r\n", report.body_start, report.body_end)
    disposition = _disposition(fields.text("disposition"))
    if disposition is None:
        return None
    text = _text(root)
    known = {"reporting-ua", "mdn-gateway", "original-recipient", "final-recipient"}
    known |= {"original-message-id", "disposition", "error"}
    others = {
        decode_value(name): decode_value(value)
        for name, value in fields.items()
        if name.lower().decode("ascii", "replace") not in known
    }
    return Mdn(
        subject=headers.text("subject"),
        text_body=part_text(raw, text) if text is not None else None,
        include_original_message=len(root.children) > 2,
        reporting_ua=fields.text("reporting-ua"),
        disposition=disposition,
        mdn_gateway=fields.text("mdn-gateway"),
        original_recipient=fields.text("original-recipient"),
        final_recipient=fields.text("final-recipient"),
        original_message_id=fields.text("original-message-id"),
        error=[decode_value(value) for value in fields.all("error")] or None,
        extension_fields=others or None,
    )


def _text(root: Part) -> Part | None:
    """The words for people: the first text."""
    waiting = [root]
    while waiting:
        part = waiting.pop(0)
        if (part.type, part.subtype) == ("text", "plain"):
            return part
        waiting += part.children
    return None


def _disposition(text: str | None) -> Disposition | None:
    # RFC 8098 §3.2.6: comments may stand between all of it.
    match = _DISPOSITION.match(without_comments(text or "").lower())
    if match is None:
        return None
    return Disposition(action_mode=match[1], sending_mode=match[2], type=match[3])
