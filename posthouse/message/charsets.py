"""Octets to text, whatever the sender claims (RFC 2045 §5.1, RFC 2046 §4.1.2, WHATWG Encoding).

Only charsets of the table are ever used, so a message cannot reach Python's other codecs (`punycode`, `idna`,
`unicode_escape`). Labels that mail uses wrongly are widened to what is really sent: `gb2312` is read as
GB18030, `iso-8859-1` as Windows-1252. Broken octets become U+FFFD; no function here raises, and no text has half a
surrogate pair, which could be written nowhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from posthouse.limits import CHARSET_SAMPLE
from posthouse.message.guessing import guess

# Other names for them: IANA's registry of character sets, the WHATWG's labels, and what programs made up.
_ALIASES: Final = {
    "utf-8": "unicode20utf8 xunicode20utf8 cp65001 windows65001",
    "gb18030": "chinese csiso58gb231280 isoir58 gb2312charset gb180302005 gb180302022",
    "cp932": "csshiftjis ms932",
    "euc_jp": "cseucpkdfmtjapanese",
    "cp949": "cseuckr csksc56011987 isoir149 xwindows949",
    "iso2022_kr": "csiso2022kr",
    "cp1252": "csisolatin1 ibm819 isoir100 iso885911987 isolatin1 88591 win1252",
    "iso8859-2": "csisolatin2 isoir101 iso885921987 l2",
    "iso8859-3": "csisolatin3 isoir109 iso885931988 latin3 l3",
    "iso8859-4": "csisolatin4 isoir110 iso885941988 latin4 l4",
    "iso8859-5": "csisolatincyrillic isoir144 iso885951988 cyrillic",
    "iso8859-6": "csisolatinarabic isoir127 iso885961987 arabic asmo708 ecma114 iso88596e iso88596i",
    "iso8859-7": "csisolatingreek isoir126 iso885971987 greek greek8 elot928 ecma118 suneugreek",
    "iso8859-8": "csisolatinhebrew isoir138 iso885981988 hebrew visual logical csiso88598e csiso88598i",
    "cp1254": "csisolatin5 isoir148 iso885991989 l5",
    "iso8859-10": "csisolatin6 isoir157 latin6 l6",
    "iso8859-15": "csisolatin9 l9",
    "cp874": "dos874",
    "cp1251": "win1251",
    "cp866": "csibm866 866",
    "koi8-r": "koi",
    "koi8-u": "koi8ru",
    "mac_roman": "csmacintosh mac",
    "mac_cyrillic": "xmacukrainian",
}

CODECS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{alias: codec for codec, aliases in _ALIASES.items() for alias in aliases.split()},
        "usascii": "ascii",
        "ascii": "ascii",
        "ansix341968": "ascii",
        "iso646us": "ascii",
        "utf8": "utf-8",
        "utf8mb4": "utf-8",
        "unicode11utf8": "utf-8",
        "utf7": "utf-7",
        "unicode11utf7": "utf-7",
        "utf16": "utf-16",
        "utf16le": "utf-16-le",
        "utf16be": "utf-16-be",
        "utf32": "utf-32",
        "utf32le": "utf-32-le",
        "utf32be": "utf-32-be",
        # GB18030 holds GBK, which holds GB2312; Chinese mail says any of them for all.
        "gb2312": "gb18030",
        "gb231280": "gb18030",
        "csgb2312": "gb18030",
        "euccn": "gb18030",
        "gbk": "gb18030",
        "xgbk": "gb18030",
        "cp936": "gb18030",
        "ms936": "gb18030",
        "windows936": "gb18030",
        "gb18030": "gb18030",
        "gb180302000": "gb18030",
        "hzgb2312": "hz",
        "big5": "cp950",
        "csbig5": "cp950",
        "cnbig5": "cp950",
        "xxbig5": "cp950",
        "cp950": "cp950",
        "big5hkscs": "big5hkscs",
        "shiftjis": "cp932",
        "sjis": "cp932",
        "xsjis": "cp932",
        "mskanji": "cp932",
        "windows31j": "cp932",
        "cp932": "cp932",
        "cswindows31j": "cp932",
        "eucjp": "euc_jp",
        "xeucjp": "euc_jp",
        "iso2022jp": "iso2022_jp_ext",
        "iso2022jp1": "iso2022_jp_ext",
        "iso2022jp2": "iso2022_jp_2",
        "iso2022jp3": "iso2022_jp_3",
        "csiso2022jp": "iso2022_jp_ext",
        "cp50220": "iso2022_jp_ext",
        "cp50221": "iso2022_jp_ext",
        "euckr": "cp949",
        "ksc5601": "cp949",
        "ksc56011987": "cp949",
        "ksc56011989": "cp949",
        "korean": "cp949",
        "cp949": "cp949",
        "ms949": "cp949",
        "windows949": "cp949",
        "uhc": "cp949",
        "johab": "johab",
        "iso2022kr": "iso2022_kr",
        "iso88591": "cp1252",
        "latin1": "cp1252",
        "l1": "cp1252",
        "cp819": "cp1252",
        "iso88592": "iso8859-2",
        "latin2": "iso8859-2",
        "iso88593": "iso8859-3",
        "iso88594": "iso8859-4",
        "iso88595": "iso8859-5",
        "iso88596": "iso8859-6",
        "iso88597": "iso8859-7",
        "iso88598": "iso8859-8",
        "iso88598i": "iso8859-8",
        "iso88598e": "iso8859-8",
        "iso88599": "cp1254",
        "latin5": "cp1254",
        "iso885910": "iso8859-10",
        "iso885911": "cp874",
        "iso885913": "iso8859-13",
        "iso885914": "iso8859-14",
        "iso885915": "iso8859-15",
        "latin9": "iso8859-15",
        "iso885916": "iso8859-16",
        "tis620": "cp874",
        "windows874": "cp874",
        "cp874": "cp874",
        **{f"windows{page}": f"cp{page}" for page in range(1250, 1259)},
        **{f"cp{page}": f"cp{page}" for page in range(1250, 1259)},
        **{f"xcp{page}": f"cp{page}" for page in range(1250, 1259)},
        **{f"ibm{page}": f"cp{page}" for page in (437, 850, 852, 855, 857, 860, 861, 862, 863, 865, 866)},
        **{f"cp{page}": f"cp{page}" for page in (437, 850, 852, 855, 857, 860, 861, 862, 863, 865, 866)},
        "koi8r": "koi8-r",
        "cskoi8r": "koi8-r",
        "koi8": "koi8-r",
        "koi8u": "koi8-u",
        "koi8t": "koi8-t",
        "macintosh": "mac_roman",
        "macroman": "mac_roman",
        "xmacroman": "mac_roman",
        "macce": "mac_latin2",
        "xmacce": "mac_latin2",
        "maccyrillic": "mac_cyrillic",
        "xmaccyrillic": "mac_cyrillic",
        "viscii": "cp1258",
        "ptcp154": "ptcp154",
    }
)
"""From a label in lower case without punctuation to Python's codec."""

JIS: Final = b"\x1b$"
"""What among ASCII octets only ISO-2022-JP has: Japanese mail sends it without a word about its charset too."""
_ESCAPE: Final = re.compile(rb"\x1b(\$\([A-Z]|\$[@-B]|\([A-Z]|\.[AF])")
_EUC: Final = re.compile(
    rb"((?:[\xa1-\xfe]{2})++)|((?:[\x00-\x7f]|\x8e[\xa1-\xdf]|\x8f[\xa1-\xfe]{2})++|[\x80-\xff])"
)
_WITH_HIGH_BIT: Final = bytes(octet | 0x80 if 0x21 <= octet <= 0x7E else octet for octet in range(256))
_IN_SEVEN_BITS: Final = frozenset({"iso2022_jp_ext", "iso2022_jp_2", "iso2022_jp_3", "iso2022_kr", "hz"})
"""Codecs of octets that are ASCII to the eye: that they can be read as UTF-8 says nothing."""


def codec_for(label: str) -> str | None:
    """Python's codec for a charset label as mail spells it, or None when we know no such charset."""
    lower = label.lower()
    known = CODECS.get(lower.replace("-", ""))  # nearly all are spelt so
    return known if known is not None else CODECS.get("".join(filter(str.isalnum, lower)))


def decode(octets: bytes, label: str | None) -> str:
    """Text of octets in a charset; with no label, an unknown or a false one the charset is guessed."""
    codec = codec_for(label) if label else None
    if codec is None or codec == "ascii":
        return decode_unlabelled(octets)
    if codec == "utf-7":
        return _decode_utf7(octets)
    try:
        return octets.decode(codec)
    except (UnicodeError, ValueError):
        pass
    if codec == "cp1252":  # five octets of Windows-1252 mean nothing; ISO 8859-1 has a control there
        return octets.decode("latin-1")
    if codec != "utf-8" and not (codec in _IN_SEVEN_BITS and octets.isascii()):
        try:
            return octets.decode("utf-8")  # the label lies: by far the commonest lie
        except UnicodeDecodeError:
            pass
    if codec.startswith("iso2022_jp"):
        return _decode_iso2022_jp(octets)
    if codec == "euc_jp":
        return _decode_euc_jp(octets)
    if codec == "cp950":
        try:
            return octets.decode("big5hkscs")  # Hong Kong calls it Big5 too, as do browsers
        except UnicodeDecodeError:
            pass
    try:
        return octets.decode(codec, "replace")
    except (UnicodeError, ValueError):  # some multibyte codecs refuse even so
        return octets.decode("utf-8", "replace")


def _decode_iso2022_jp(octets: bytes) -> str:
    """ISO-2022-JP as mail has it: with the rows of NEC and IBM (Windows calls that CP50221), or cut in a character."""
    text, *rest = _ESCAPE.split(octets)
    out = [text.decode("utf-8", "replace")]
    for escape, text in zip(rest[::2], rest[1::2], strict=True):
        if escape in {b"$@", b"$B"}:
            out.append(_decode_jis(text))
        elif escape in {b"(B", b"(J"}:
            out.append(text.decode("utf-8", "replace"))
        else:
            codec = "iso2022_jp_ext" if escape == b"(I" else "iso2022_jp_2"
            out.append((b"\x1b" + escape + text).decode(codec, "replace"))
    return "".join(out)


def _decode_jis(octets: bytes) -> str:
    """JIS X 0208 in seven bits. Line ends within are left alone."""
    return _decode_euc_jp(octets.translate(_WITH_HIGH_BIT))


def _decode_euc_jp(octets: bytes) -> str:
    """EUC-JP. What Windows added to JIS X 0208 stands in the rows that are free there, in mail as in Shift_JIS."""
    out = []
    for pairs, others in _EUC.findall(octets):
        out.append(
            _shifted(pairs).decode("cp932", "replace") if pairs else others.decode("euc_jp", "replace")
        )
    return "".join(out)


def _shifted(pairs: bytes) -> bytes:
    """Pairs of EUC-JP in Shift_JIS."""
    out = bytearray()
    for first, second in zip(pairs[::2], pairs[1::2], strict=True):
        row = first - 0xA1
        out.append((row >> 1) + (0x81 if row < 62 else 0xC1))
        out.append(second - (0x02 if row % 2 else 0x61 if second < 0xE0 else 0x60))
    return bytes(out)


def _decode_utf7(octets: bytes) -> str:
    """UTF-7, whose codec alone lets halves of surrogate pairs through."""
    text = octets.decode("utf-7", "replace")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def decode_unlabelled(octets: bytes) -> str:
    """Text of octets whose charset nobody told: ASCII, UTF-8, or a guess by the look of the first of them."""
    if JIS in octets and octets.isascii():
        return _decode_iso2022_jp(octets)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        first = error.start
        if error.reason == "unexpected end of data" and not octets[:first].isascii():
            return octets.decode("utf-8", "replace")  # cut off in a character
    text = octets.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if broken * 3 <= len(text) - len(text.encode("ascii", "ignore")):
        return text  # UTF-8 nevertheless: cut in its midst, or with something strange behind it
    # A sample round the first octet that is not UTF-8: the text before it may be long and plain.
    start = max(0, first - CHARSET_SAMPLE // 2)
    codec = guess(octets[start : start + CHARSET_SAMPLE])
    return octets.decode(codec, "replace")
