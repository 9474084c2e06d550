"""A JSContact Card as a vCard 4.0 (RFC 9555 §2, read backwards), or 3.0 for programs that know no other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from posthouse.jmap.card_from_vcard import ADDRESS_PARTS, NAME_PARTS
from posthouse.jmap.jscontact import UNTOLD, VENDOR, entries, full_name, marks, name_parts, objects
from posthouse.message.vcard import Parameters, Property, escaped, structured, write_property

Object = dict[str, Any]

_CONTEXTS: Final = {"private": "home", "work": "work"}
_FEATURES: Final = {"mobile": "cell"}
_DATA: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,(.*)", re.DOTALL)


def vcard_of(card: Object, version: str) -> bytes:
    """The whole vCard, BEGIN to END; `version`: "4.0" or "3.0"."""
    lines = [Property(name="BEGIN", value="VCARD"), Property(name="VERSION", value=version)]
    lines += _name(card)
    for key, write in _LISTED.items():
        for number, entry in enumerate(entries(card, key), 1):
            lines += _labelled(write(entry), entry, f"{key[:2]}{number}")
    lines += _singles(card)
    lines += _untold(card)
    lines += _kept(card)
    lines.append(Property(name="END", value="VCARD"))
    return b"".join(write_property(_for_version(line, version)) for line in lines)


def _labelled(lines: Iterator[Property], entry: Object, group: str) -> Iterator[Property]:
    """Contexts and preference as parameters; a label as Apple writes it, which most programs read."""
    label = entry.get("label")
    for line in lines:
        types = [_CONTEXTS[each] for each in marks(entry.get("contexts")) if each in _CONTEXTS]
        parameters: Parameters = dict(line.parameters)
        if types:
            parameters["type"] = [*types, *parameters.get("type", ())]
        if isinstance(entry.get("pref"), int):
            parameters["pref"] = [str(entry["pref"])]
        tied = group if isinstance(label, str) and label else line.group
        yield Property(name=line.name, value=line.value, parameters=parameters, group=tied)
    if isinstance(label, str) and label:
        yield Property(name="X-ABLabel", value=escaped(label), group=group)


def _text(value: object) -> str:
    return escaped(value) if isinstance(value, str) else ""


# --- the properties -----------------------------------------------------------------------------------------


def _name(card: Object) -> Iterator[Property]:
    """FN, which every vCard has (RFC 6350 §6.2.1), and N."""
    texts = [list(name_parts(card, kind)) for kind in NAME_PARTS]
    full = full_name(card) or next(filter(None, _names_instead(card)), "?")
    yield Property(name="FN", value=escaped(full))
    if any(texts):
        yield Property(name="N", value=structured(texts if any(texts[5:]) else texts[:5]))
    else:
        yield Property(name="N", value=structured([[full], [], [], [], []]))


def _names_instead(card: Object) -> Iterator[str]:
    """What a card without a name is called by."""
    for key, inner in (
        ("organizations", "name"),
        ("nicknames", "name"),
        ("emails", "address"),
        ("phones", "number"),
    ):
        yield from (str(entry.get(inner) or "") for entry in entries(card, key))


def _plain(name: str, key: str) -> Callable[[Object], Iterator[Property]]:
    def write(entry: Object) -> Iterator[Property]:
        if value := _text(entry.get(key)):
            yield Property(name=name, value=value)

    return write


def _phone(entry: Object) -> Iterator[Property]:
    types = [_FEATURES.get(each, each) for each in marks(entry.get("features"))]
    if value := _text(entry.get("number")):
        yield Property(name="TEL", value=value, parameters={"type": types} if types else {})


def _address(entry: Object) -> Iterator[Property]:
    parts = objects(entry.get("components"))
    first = {kind: ADDRESS_PARTS.index(kind) for kind in ADDRESS_PARTS}
    last = {kind: at for at, kind in enumerate(ADDRESS_PARTS)}
    newer = any(first.get(str(part.get("kind")), 0) >= 7 for part in parts)
    texts: list[list[str]] = [[] for _ in ADDRESS_PARTS]
    for part in parts:
        kind = str(part.get("kind"))
        # RFC 9554 §2.1: street and apartment stand in their old place too, for older readers.
        for at in {first[kind], last[kind] if newer else first[kind]} if kind in first else ():
            texts[at].append(str(part.get("value", "")))
    names = (("full", "label"), ("countryCode", "cc"), ("coordinates", "geo"), ("timeZone", "tz"))
    parameters = {parameter: [entry[key]] for key, parameter in names if isinstance(entry.get(key), str)}
    if "label" in parameters:
        # RFC 6350 §6.3.1 writes line ends in it as \n, so a backslash of its own must not be read as the start of one.
        parameters["label"] = [parameters["label"][0].replace("\\", "\\\\")]
    if any(texts) or parameters:
        used = texts if any(texts[7:]) else texts[:7]
        yield Property(name="ADR", value=structured(used), parameters=parameters)


def _organization(entry: Object) -> Iterator[Property]:
    names = [entry.get("name"), *(unit.get("name") for unit in objects(entry.get("units")))]
    yield Property(name="ORG", value=";".join(_text(each) for each in names))


def _title(entry: Object) -> Iterator[Property]:
    name = "ROLE" if entry.get("kind") == "role" else "TITLE"
    yield Property(name=name, value=_text(entry.get("name")))


def _service(entry: Object) -> Iterator[Property]:
    value = entry.get("uri") or entry.get("user")
    service = entry.get("service")
    parameters = {"service-type": [service]} if isinstance(service, str) and service else {}
    if isinstance(value, str) and value:
        name = "IMPP" if str(entry.get("uri", "")).startswith(("xmpp:", "sip:", "im:")) else "SOCIALPROFILE"
        kind = {} if entry.get("uri") else {"value": ["text"]}
        yield Property(name=name, value=escaped(value), parameters=parameters | kind)


def _anniversary(entry: Object) -> Iterator[Property]:
    name = {"birth": "BDAY", "wedding": "ANNIVERSARY", "death": "DEATHDATE"}.get(str(entry.get("kind")))
    date = entry.get("date")
    if name is None or not isinstance(date, dict):
        return
    if isinstance(date.get("utc"), str):
        yield Property(name=name, value=date["utc"][:10].replace("-", ""))
        return
    year, month, day = (date.get(key) for key in ("year", "month", "day"))
    text = f"{year:04d}" if isinstance(year, int) else "--"
    if isinstance(month, int):
        text += ("-" if not isinstance(day, int) and text != "--" else "") + f"{month:02d}"
        text += f"{day:02d}" if isinstance(day, int) else ""
    if text != "--":
        yield Property(name=name, value=text)


def _resource(names: Mapping[str, str], otherwise: str) -> Callable[[Object], Iterator[Property]]:
    """A URI, by its kind."""

    def write(entry: Object) -> Iterator[Property]:
        uri = entry.get("uri")
        if isinstance(uri, str) and uri:
            media_type = entry.get("mediaType")
            parameters = {"mediatype": [media_type]} if isinstance(media_type, str) else {}
            if uri.startswith("data:"):
                parameters = {}
            yield Property(
                name=names.get(str(entry.get("kind")), otherwise), value=uri, parameters=parameters
            )

    return write


def _personal(entry: Object) -> Iterator[Property]:
    kind, level = str(entry.get("kind")), entry.get("level")
    if kind not in {"expertise", "hobby", "interest"}:
        return
    word = {"low": "beginner", "medium": "average", "high": "expert"} if kind == "expertise" else {}
    parameters = {"level": [word.get(level, level)]} if isinstance(level, str) else {}
    yield Property(name=kind.upper(), value=_text(entry.get("value")), parameters=parameters)


_LISTED: Final[Mapping[str, Callable[[Object], Iterator[Property]]]] = {
    "nicknames": _plain("NICKNAME", "name"),
    "emails": _plain("EMAIL", "address"),
    "phones": _phone,
    "addresses": _address,
    "organizations": _organization,
    "titles": _title,
    "notes": _plain("NOTE", "note"),
    "onlineServices": _service,
    "preferredLanguages": _plain("LANG", "language"),
    "anniversaries": _anniversary,
    "media": _resource({"photo": "PHOTO", "logo": "LOGO", "sound": "SOUND"}, "PHOTO"),
    "links": _resource({"contact": "CONTACT-URI"}, "URL"),
    "cryptoKeys": _resource({}, "KEY"),
    "calendars": _resource({"freeBusy": "FBURL"}, "CALURI"),
    "schedulingAddresses": _resource({}, "CALADRURI"),
    "directories": _resource({"directory": "ORG-DIRECTORY"}, "SOURCE"),
    "personalInfo": _personal,
}


def _singles(card: Object) -> Iterator[Property]:
    for key, name in (("uid", "UID"), ("kind", "KIND"), ("language", "LANGUAGE"), ("prodId", "PRODID")):
        if value := _text(card.get(key)):
            yield Property(name=name, value=value)
    if keywords := marks(card.get("keywords")):
        yield Property(name="CATEGORIES", value=",".join(map(escaped, keywords)))
    for member in marks(card.get("members")):
        yield Property(name="MEMBER", value=member)
    for uri, relation in (card.get("relatedTo") or {}).items():
        types = marks(relation.get("relation"))
        yield Property(name="RELATED", value=uri, parameters={"type": types} if types else {})
    for key, name in (("updated", "REV"), ("created", "CREATED")):
        if isinstance(card.get(key), str):
            yield Property(name=name, value=re.sub(r"[-:]", "", card[key]))


def _untold(card: Object) -> Iterator[Property]:
    """RFC 9555 §3.2.1 JSPROP: what has no vCard property goes out as it stands in the Card."""
    for name, value in card.items():
        if value is not None and (name in UNTOLD or VENDOR.fullmatch(name)):
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            yield Property(name="JSPROP", value=escaped(text), parameters={"jsptr": [name]})


def _kept(card: Object) -> Iterator[Property]:
    """RFC 9555 §3.2.1: what came without a place in a Card goes out as it came."""
    held = card.get("vCardProps")
    for each in held if isinstance(held, list) else ():
        match each:
            case [str(name), dict(parameters), str(kind), str(value), *_] if re.fullmatch(
                r"[A-Za-z0-9-]+", name
            ):
                group = parameters.get("group")
                rest = {
                    key: [str(each) for each in found] if isinstance(found, list) else [str(found)]
                    for key, found in parameters.items()
                    if key != "group" and re.fullmatch(r"[A-Za-z0-9-]+", key)
                }
                if kind != "unknown" and re.fullmatch(r"[A-Za-z0-9-]+", kind):
                    rest["value"] = [kind]
                tie = group if isinstance(group, str) and re.fullmatch(r"[A-Za-z0-9-]+", group) else ""
                yield Property(name=name.upper(), value=value, parameters=rest, group=tie)


def _for_version(line: Property, version: str) -> Property:
    """The same line for a reader of vCard 3.0 (RFC 2426)."""
    if version == "4.0":
        return line
    parameters: Parameters = {k: v for k, v in line.parameters.items() if k != "pref"}
    if "pref" in line.parameters:
        parameters["type"] = [*parameters.get("type", ()), "pref"]
    name, value = line.name, line.value
    binary = name in {"PHOTO", "LOGO", "SOUND", "KEY"}
    match = _DATA.fullmatch(value) if binary else None
    if match:
        parameters |= {"encoding": ["b"], "type": [(match[1] or "").rpartition("/")[2].upper()]}
        value = match[2]
    elif binary:
        parameters["value"] = ["uri"]  # RFC 2426 §3.1.4: else it would be octets
    if name in {"KIND", "MEMBER"}:
        name = f"X-ADDRESSBOOKSERVER-{name}"
    return Property(name=name, value=value, parameters=parameters, group=line.group)
