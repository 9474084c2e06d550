"""A vCard's properties as a JSContact Card (RFC 9555 §2), so that a contact comes from any program with all it says.

What has no place in a Card is kept in `vCardProps` and goes out again as it came (RFC 9555 §3.2.1). Dates, kinds and
types that are none are left out rather than refused: a telephone's export is what it is.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from posthouse.jmap.jscontact import UNTOLD, VENDOR
from posthouse.limits import CONTACT_PHOTO, CONTACT_TEXT
from posthouse.message.vcard import Property, components, split, unescaped

Object = dict[str, Any]

_NAMESPACE: Final = uuid.UUID("6f2c1d7e-0b52-5f0e-9c58-6a8d3a1b7c44")
"""For the uids of cards that have none: the same text gives the same uid, so a file comes in once."""
_KINDS: Final = frozenset({"individual", "group", "org", "location", "device", "application"})
_CONTEXTS: Final = {"home": "private", "work": "work"}
_FEATURES: Final = {
    "voice": "voice",
    "fax": "fax",
    "cell": "mobile",
    "mobile": "mobile",
    "pager": "pager",
    "text": "text",
    "video": "video",
    "textphone": "textphone",
    "main-number": "main-number",
    "main": "main-number",
}
NAME_PARTS: Final = ("surname", "given", "given2", "title", "credential", "surname2", "generation")
"""RFC 6350 §6.2.2, RFC 9554 §2.2."""
ADDRESS_PARTS: Final = (
    *("postOfficeBox", "apartment", "name", "locality", "region", "postcode", "country"),
    *("room", "apartment", "floor", "number", "name", "building", "block", "subdistrict", "district"),
    *("landmark", "direction"),
)
"""RFC 6350 §6.3.1, RFC 9554 §2.1."""
_DATE: Final = re.compile(r"(?:(\d{4})|--)-?(?:(\d\d)(?:-?(\d\d))?)?(?:T.*)?")
_REV: Final = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)(?:\.\d+)?Z?)?")
_LABEL: Final = re.compile(r"_\$!<(.*)>!\$_")
"""How Apple writes labels that its programs translate."""


class _Reading:
    """One card on its way."""

    def __init__(self, properties: list[Property]) -> None:
        self.card: Object = {"@type": "Card", "version": "1.0"}
        self.properties = properties
        self.labels = {
            each.group: _LABEL.sub(r"\1", unescaped(each.value))
            for each in properties
            if each.group and each.name == "X-ABLABEL"
        }

    def add(self, where: str, found: Property, entry: Object, *, contexts: bool = True) -> None:
        """One more of a property that a Card lists by id, with its contexts, preference and label."""
        entry |= _preference(found)
        if contexts and (meant := _contexts(found)):
            entry["contexts"] = meant
        # LABEL of an address is no name for it, but the whole of it (RFC 6350 §6.3.1).
        named = self.labels.get(found.group, "") or (found.first("label") if where != "addresses" else "")
        if named:
            entry.setdefault("label", named[:CONTACT_TEXT])
        several = self.card.setdefault(where, {})
        several[f"{where[0]}{len(several) + 1}"] = entry

    def keep(self, found: Property) -> None:
        """RFC 9555 §3.2.1: what has no place, as jCard writes it (RFC 7095 §3.3)."""
        parameters: Object = {
            name: values[0] if len(values) == 1 else values
            for name, values in found.parameters.items()
            if name not in {"value", "encoding", "charset"}
        }
        if found.group:
            parameters["group"] = found.group
        kind = found.first("value").lower() or "unknown"
        self.card.setdefault("vCardProps", []).append([found.name.lower(), parameters, kind, found.value])

    def keep_labels(self) -> None:
        """The labels of what was kept: without them it would not be known what it is."""
        kept = {parameters.get("group") for _, parameters, _, _ in self.card.get("vCardProps", ())}
        for found in self.properties:
            if found.name == "X-ABLABEL" and found.group in kept:
                self.keep(found)


def card_of(properties: list[Property]) -> Object:
    """The Card, with a `uid` in any case."""
    reading = _Reading(properties)
    for found in properties:
        convert = _CONVERTED.get(found.name)
        if convert is not None:
            convert(reading, found)
        elif found.name not in _LEFT_OUT:
            reading.keep(found)
    reading.keep_labels()
    card = reading.card
    name = card.get("name", {})
    if name.get("components") == [{"kind": "surname", "value": name.get("full")}]:
        del name["components"]  # N was there because it must be (RFC 2426 §3.1.2), and says no more than FN
    if "uid" not in card:
        text = "\n".join(f"{each.name}:{each.value}" for each in properties)
        card["uid"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, text)}"
    return card


def _contexts(found: Property) -> dict[str, bool]:
    types = {value.lower() for value in found.parameters.get("type", ())}
    return {meaning: True for word, meaning in _CONTEXTS.items() if word in types}


def _preference(found: Property) -> Object:
    """RFC 6350 §5.3 PREF, and 3.0's TYPE=pref."""
    pref = found.first("pref")
    if pref.isascii() and pref.isdigit() and 1 <= int(pref[:4]) <= 100:
        return {"pref": int(pref)}
    return {"pref": 1} if "pref" in {v.lower() for v in found.parameters.get("type", ())} else {}


# --- the properties -----------------------------------------------------------------------------------------

Converter = Callable[[_Reading, Property], None]


def _full_name(reading: _Reading, found: Property) -> None:
    name = reading.card.setdefault("name", {})
    if text := unescaped(found.value).strip():
        name.setdefault("full", text)


def _name(reading: _Reading, found: Property) -> None:
    parts = [
        {"kind": kind, "value": text}
        for kind, texts in zip(NAME_PARTS, components(found.value), strict=False)
        for text in texts
    ]
    if parts:
        reading.card.setdefault("name", {})["components"] = parts


def _texts(where: str, key: str, separator: str = "") -> Converter:
    """A property whose values are entries with one text."""

    def convert(reading: _Reading, found: Property) -> None:
        for value in split(found.value, separator) if separator else [found.value]:
            if text := unescaped(value).strip():
                reading.add(where, found, {key: text})

    return convert


def _resource(where: str, kind: str = "") -> Converter:
    """RFC 9553 §1.4.4 Resource: a URI, perhaps of a kind."""

    def convert(reading: _Reading, found: Property) -> None:
        uri = _uri(found)
        if uri:
            media_type = found.first("mediatype")
            entry = {"uri": uri} | ({"kind": kind} if kind else {})
            reading.add(where, found, entry | ({"mediaType": media_type} if media_type else {}))

    return convert


def _uri(found: Property) -> str:
    """The value as a URI: what stands inline in base64 (vCard 3.0) becomes one."""
    if found.first("encoding").lower() in {"b", "base64"}:
        kind = found.first("type").lower() or "octet-stream"
        inline = "".join(found.value.split())
        if len(inline) > CONTACT_PHOTO * 4 // 3:
            return ""
        family = {"PHOTO": "image", "LOGO": "image", "SOUND": "audio"}.get(found.name, "application")
        return f"data:{kind if '/' in kind else f'{family}/{kind}'};base64,{inline}"
    value = found.value.strip()
    if value.startswith("data:"):
        return "".join(value.replace("\\,", ",").replace("\\;", ";").split())
    return unescaped(value)


def _phone(reading: _Reading, found: Property) -> None:
    number = unescaped(found.value).strip()
    if number.lower().startswith("tel:") and ";" not in number:
        number = number[4:]
    if not number:
        return
    types = [value.lower() for value in found.parameters.get("type", ())]
    features = {_FEATURES[value]: True for value in types if value in _FEATURES}
    reading.add("phones", found, {"number": number} | ({"features": features} if features else {}))


def _address(reading: _Reading, found: Property) -> None:
    texts = components(found.value)
    # RFC 9554 §2.1: they repeat what stands behind in parts; but not all that have some of these have them all.
    if any(texts[7:10]):
        texts[1] = []
    if any(texts[10:14]):
        texts[2] = []
    parts = [
        {"kind": kind, "value": text}
        for kind, several in zip(ADDRESS_PARTS, texts, strict=False)
        for text in several
    ]
    entry: Object = {"components": parts} if parts else {}
    for parameter, key in (
        ("label", "full"),
        ("cc", "countryCode"),
        ("geo", "coordinates"),
        ("tz", "timeZone"),
    ):
        if value := found.first(parameter):
            entry[key] = unescaped(value)
    if entry:
        reading.add("addresses", found, entry)


def _organization(reading: _Reading, found: Property) -> None:
    names = [unescaped(each).strip() for each in split(found.value, ";")]
    units = [{"name": each} for each in names[1:] if each]
    entry: Object = ({"name": names[0]} if names[0] else {}) | ({"units": units} if units else {})
    if entry:
        reading.add("organizations", found, entry)


def _title(kind: str) -> Converter:
    def convert(reading: _Reading, found: Property) -> None:
        if text := unescaped(found.value).strip():
            reading.add("titles", found, {"name": text, "kind": kind}, contexts=False)

    return convert


def _service(reading: _Reading, found: Property) -> None:
    value = unescaped(found.value).strip()
    service = found.first("service-type") or found.first("x-service-type")
    if not service and found.name == "X-SOCIALPROFILE":
        service = found.first("type")
    entry: Object = {"service": service} if service else {}
    if value:
        key = "uri" if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value) else "user"
        reading.add("onlineServices", found, entry | {key: value})


def _day(kind: str) -> Converter:
    """RFC 6350 §6.2.5: a date of which parts may be missing."""

    def convert(reading: _Reading, found: Property) -> None:
        match = _DATE.fullmatch(found.value.strip())
        date = {
            key: int(part)
            for key, part in zip(("year", "month", "day"), match.groups() if match else (), strict=False)
            if part
        }
        if date.get("year") == 1604 and found.name == "BDAY":
            del date["year"]  # what Apple writes for a birthday without a year
        if not date or not (1 <= date.get("month", 1) <= 12 and 1 <= date.get("day", 1) <= 31):
            return reading.keep(found)
        entry = {"kind": kind, "date": {"@type": "PartialDate"} | date}
        return reading.add("anniversaries", found, entry, contexts=False)

    return convert


def _once(key: str) -> Converter:
    """A property that is one text."""

    def convert(reading: _Reading, found: Property) -> None:
        if text := unescaped(found.value).strip():
            reading.card.setdefault(key, text)

    return convert


def _kind(reading: _Reading, found: Property) -> None:
    value = found.value.strip().lower()
    if value in _KINDS:
        reading.card["kind"] = value


def _marks(where: str, separator: str = "") -> Converter:
    """A property whose values are members of a set."""

    def convert(reading: _Reading, found: Property) -> None:
        for value in split(found.value, separator) if separator else [found.value]:
            if text := unescaped(value).strip():
                reading.card.setdefault(where, {})[text] = True

    return convert


def _related(reading: _Reading, found: Property) -> None:
    types = {value.lower(): True for value in found.parameters.get("type", ())} or None
    entry = {"relation": types} if types else {}
    if value := unescaped(found.value).strip():
        reading.card.setdefault("relatedTo", {})[value] = entry


def _personal(kind: str) -> Converter:
    def convert(reading: _Reading, found: Property) -> None:
        level = {"beginner": "low", "average": "medium", "expert": "high"}.get(
            found.first("level").lower(), found.first("level").lower()
        )
        entry = {"kind": kind, "value": unescaped(found.value).strip()}
        extra = {"level": level} if level in {"low", "medium", "high"} else {}
        if entry["value"]:
            reading.add("personalInfo", found, entry | extra, contexts=False)

    return convert


def _moment(key: str) -> Converter:
    """RFC 6350 §6.7.4, as UTCDateTime."""

    def convert(reading: _Reading, found: Property) -> None:
        match = _REV.fullmatch(found.value.strip())
        if match:
            year, month, day, *clock = match.groups(default="00")
            text = f"{year}-{month}-{day}T{':'.join(clock)}Z"
            with contextlib.suppress(ValueError):  # a moment that is none
                datetime.fromisoformat(text)
                reading.card[key] = text

    return convert


def _untold(reading: _Reading, found: Property) -> None:
    """RFC 9555 §3.2.1 JSPROP: what stands in a Card and has no vCard property; whole properties of it."""
    name = found.first("jsptr")
    try:
        value = json.loads(unescaped(found.value))
    except (ValueError, RecursionError):
        return reading.keep(found)
    told = isinstance(value, dict) and (name != "localizations" or all(map(_is_object, value.values())))
    if VENDOR.fullmatch(name) or (name in UNTOLD and told):
        reading.card[name] = value
        return None
    return reading.keep(found)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_CONVERTED: Final[Mapping[str, Converter]] = {
    "FN": _full_name,
    "N": _name,
    "NICKNAME": _texts("nicknames", "name", ","),
    "EMAIL": _texts("emails", "address"),
    "TEL": _phone,
    "ADR": _address,
    "ORG": _organization,
    "TITLE": _title("title"),
    "ROLE": _title("role"),
    "NOTE": _texts("notes", "note"),
    "CATEGORIES": _marks("keywords", ","),
    "IMPP": _service,
    "SOCIALPROFILE": _service,
    "X-SOCIALPROFILE": _service,
    "LANG": _texts("preferredLanguages", "language"),
    "LANGUAGE": _once("language"),
    "BDAY": _day("birth"),
    "ANNIVERSARY": _day("wedding"),
    "X-ANNIVERSARY": _day("wedding"),
    "DEATHDATE": _day("death"),
    "PHOTO": _resource("media", "photo"),
    "LOGO": _resource("media", "logo"),
    "SOUND": _resource("media", "sound"),
    "URL": _resource("links"),
    "CONTACT-URI": _resource("links", "contact"),
    "KEY": _resource("cryptoKeys"),
    "FBURL": _resource("calendars", "freeBusy"),
    "CALURI": _resource("calendars", "calendar"),
    "CALADRURI": _resource("schedulingAddresses"),
    "SOURCE": _resource("directories", "entry"),
    "ORG-DIRECTORY": _resource("directories", "directory"),
    "EXPERTISE": _personal("expertise"),
    "HOBBY": _personal("hobby"),
    "INTEREST": _personal("interest"),
    "MEMBER": _marks("members"),
    "X-ADDRESSBOOKSERVER-MEMBER": _marks("members"),
    "KIND": _kind,
    "X-ADDRESSBOOKSERVER-KIND": _kind,
    "RELATED": _related,
    "UID": _once("uid"),
    "PRODID": _once("prodId"),
    "REV": _moment("updated"),
    "CREATED": _moment("created"),
    "JSPROP": _untold,
}
_LEFT_OUT: Final = frozenset({"VERSION", "X-ABLABEL", "X-ABADR"})
"""What says nothing beside the rest."""
