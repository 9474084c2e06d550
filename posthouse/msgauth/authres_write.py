"""Authentication-Results written for those who read the message after us (RFC 8601)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from posthouse.msgauth.authres import PEER_NAME, PLAIN, POLICY, AuthResults
from posthouse.msgauth.results import Authentication, Disposition, Dkim, Dmarc, Iprev, Result, Spf

_UNPRINTABLE: Final = re.compile(r"[^\x20-\x7e]+")
_MAILBOX: Final = re.compile(
    r"(?:(?P<plain>[\w!#$%&'*+\-^`{|}~]+(?:\.[\w!#$%&'*+\-^`{|}~]+)*)|(?P<other>.+))?"
    r"@(?P<domain>[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+)",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
"""A value that is written as a mailbox (RFC 8601 §2.2): its domain, and a local part that needs no quotes or does."""
_LINE: Final = 76
_VALUE: Final = 320
"""Characters of a value: what an address may have (RFC 5321 §4.5.3.1)."""


def write_authres(host: str, found: Authentication) -> bytes:
    """The field with its CRLF."""
    items = [*_dkim_items(found.dkim), _spf_item(found.spf)]
    if found.helo is not None:
        items.append(_spf_item(found.helo))
    if found.arc.result is not Result.NONE:
        # RFC 8617 §6
        items.append(
            _item("arc", found.arc.result, found.arc.reason, **{"smtp.remote-ip": found.iprev.address})
        )
    items += map(_dmarc_item, found.dmarc)
    items.append(_iprev_item(found.iprev))
    return _folded(f"Authentication-Results: {host}", items)


def no_chain(address: str) -> str:
    """What the first sealer says of the chain before it, and of the peer that brought the message (RFC 8617 §6)."""
    return _item("arc", Result.NONE, "", **{"smtp.remote-ip": address})


def write_vouched(host: str, said: AuthResults) -> bytes:
    """The findings of another host of ours in our name: the same results, and who found them, with their CRLF."""
    items = []
    for one in said.results:
        properties = {name: value for name, value in one.properties.items() if PLAIN.fullmatch(name)}
        if PLAIN.fullmatch(one.method) and PLAIN.fullmatch(one.result):
            items.append(_item(one.method, one.result, "", **properties))
    return _folded(f"Authentication-Results: {host} (found by {_comment(said.host)})", items)


def _dkim_items(signatures: Iterable[Dkim]) -> list[str]:
    items = []
    for one in signatures:
        properties = {"header.d": one.domain, "header.s": one.selector, "header.a": one.algorithm}
        items.append(_item("dkim", one.result, one.reason, **properties, **{"header.b": one.mark}))
    return items or ["dkim=none"]


def _spf_item(found: Spf) -> str:
    if found.scope != "mailfrom":
        return _item("spf", found.result, found.reason, **{"smtp.helo": found.identity})
    # RFC 8601 §2.7.2: the local part is told only where the records speak of it; else nobody vouches for it.
    whole = found.of_local_part and found.identity.isascii()
    return _item(
        "spf", found.result, found.reason, **{"smtp.mailfrom": found.identity if whole else found.domain}
    )


def _dmarc_item(found: Dmarc) -> str:
    words = found.reason
    if found.policy_domain:
        words = f"p={found.policy}" + (f", {words}" if words else "")
    asked = found.disposition if found.disposition is not Disposition.NONE else ""
    return _item("dmarc", found.result, words, **{"header.from": found.domain, POLICY: asked})


def _iprev_item(found: Iprev) -> str:
    return _item("iprev", found.result, "", **{"policy.iprev": found.address, PEER_NAME: found.name})


def _item(method: str, result: str, reason: str, **properties: str) -> str:
    words = [f"{method}={result}"]
    if reason:
        words.append(f"({_comment(reason)})")
    words += [f"{name}={_value(value)}" for name, value in properties.items() if value]
    return " ".join(words)


def _comment(text: str) -> str:
    """Safe within parentheses: what strangers published may stand in it."""
    text = _UNPRINTABLE.sub("?", text)[:200]
    return text.replace("(", "[").replace(")", "]").replace("\\", "/")


def _value(text: str) -> str:
    """RFC 8601 §2.2 pvalue."""
    text = text[:_VALUE]
    if PLAIN.fullmatch(text):
        return text
    mailbox = _MAILBOX.fullmatch(text)
    if mailbox is None:
        return _quoted(text)
    return f"{_quoted(mailbox['other'])}@{mailbox['domain']}" if mailbox["other"] else text


def _quoted(text: str) -> str:
    text = _UNPRINTABLE.sub("?", text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _folded(start: str, items: list[str]) -> bytes:
    lines = [start + ";"]
    for number, item in enumerate(items):
        text = item + ("" if number == len(items) - 1 else ";")
        lead = "\t"
        while len(text) + len(lead) > _LINE:
            at = text.rfind(" ", 1, _LINE)  # no word begins behind the end of a line
            at = at if at > 0 else text.find(" ", _LINE)
            if at < 0:
                break
            lines.append(lead + text[:at])
            # RFC 5322 §2.2.3: unfolding leaves the blank, which may be one of a quoted string, as it was.
            lead, text = " ", text[at + 1 :]
        lines.append(lead + text)
    return "\r\n".join(lines).encode("ascii", "replace") + b"\r\n"
