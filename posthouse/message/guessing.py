"""The charset of text that nobody labelled, by the look of its octets (a sample of them, which is no UTF-8).

Rules for what mail is really written in: octets that come in pairs, words with at most one capital in front, letters
that a language cannot do without. What none of them knows is left to a library, which takes its time and short texts
for anything. Pure; time is linear in the sample.
"""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from posthouse.limits import CHARSET_SAMPLE

_PAIR: Final = re.compile(rb"[\x80-\xff]{2}")
_RUN: Final = re.compile(rb"[\x80-\xff]++")
_ENOUGH: Final = 8
"""8-bit octets below which only the library says something."""
_NEARLY_ALL: Final = 0.9

_AMONG_LETTERS: Final = re.compile(
    rb"(?:[\x00-\x7f]++|(?<![\x80-\xff])"
    rb"(?:(?<=[A-Za-z])[\x80-\xff]{1,3}+(?![\x80-\xff])|[\x80-\xff]{1,3}+(?=[A-Za-z])|[\x80-\xff](?![\x80-\xff])))*+"
)
"""Text in Latin letters, a few of them with accents; other signs stand alone."""
_CENTRAL: Final = re.compile(
    rb"[\x8a\x8d-\x8f\x9a\x9d-\x9f]|[\xb3\xb9\xbe](?=[a-z\x80-\xff])|(?<=[a-z])[\xba\xbf](?=[a-z])"
)
"""Letters of Central Europe where Windows-1252 has signs that stand in no word, or letters that few need."""
_TURKISH: Final = re.compile(rb"[\xdd\xde\xf0\xfd\xfe]")
"""Letters of Turkish in Windows-1254; in Windows-1252 of Icelandic, in Windows-1250 of Romanian."""

_KANA: Final = frozenset({0xA4})
_HANGUL: Final = range(0xB0, 0xC9)
_HANZI: Final = range(0xB0, 0xF8)
_COMMON_HANZI: Final = range(0xB0, 0xD8)
"""First octets: hiragana in EUC-JP, syllables in EUC-KR, GB 2312's characters and its first, common, level."""

_HEBREW: Final = range(0xE0, 0xFB)
_ARABIC: Final = frozenset(b"\xc7\xe1\xed\xe3\xe6\xe4\xd1\xca\xc8\xc9")
"""ا ل ي م و ن ر ت ب ة in Windows-1256: more than half of any text."""
_ALEF_OR_LAM: Final = frozenset(b"\xc7\xe1")
_THAI: Final = re.compile(  # vowels before, above, below and behind the consonant; marks of tone above
    rb"(?:[\xe0-\xe4]?[\xa1-\xce][\xd1\xd4-\xda]?[\xe7-\xee]?[\xd0\xd2\xd3\xe5]?|[\xcf\xd2\xdf\xe6\xef-\xfb])*+"
)
_THAI_VOWELS: Final = frozenset({*range(0xD0, 0xDB), *range(0xE0, 0xE5)})
_WINDOWS_WORD: Final = re.compile(rb"[\xc0-\xdf\xa8]?[\xe0-\xff\xb8]+|[\xc0-\xdf\xa8]+")
_KOI_WORD: Final = re.compile(rb"[\xe0-\xff\xb3]?[\xc0-\xdf\xa3]+|[\xe0-\xff\xb3]+")
_WINDOWS_COMMON: Final = frozenset(b"\xce\xc5\xc0\xc8\xcd\xd2")
_KOI_COMMON: Final = frozenset(b"\xcf\xc5\xc1\xc9\xce\xd4")
"""О Е А И Н Т in Windows-1251, and о е а и н т in KOI8-R: the case in which the two look alike."""

_LIBRARY: Final = [
    *("gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1252"),
    *("cp1250", "cp1253", "cp1255", "cp1256"),
]


def guess(sample: bytes) -> str:
    """Python's codec for octets of which some are not ASCII."""
    if not _PAIR.search(sample):
        return _latin(sample, frozenset(sample))
    runs = _RUN.findall(sample)
    if len(sample) == CHARSET_SAMPLE and len(runs[-1]) % 2:
        runs[-1] = runs[-1][:-1]  # perhaps half of a pair
    high = b"".join(runs)
    if _AMONG_LETTERS.fullmatch(sample) and len(high) * 2 <= sum(
        map(len, re.findall(rb"[A-Za-z\x80-\xff]+", sample))
    ):
        return _latin(sample, frozenset(high))
    if len(high) >= _ENOUGH:
        for rule in (_thai, _in_pairs, _semitic, _cyrillic):
            codec = rule(runs, high)
            if codec is not None:
                return codec
    from charset_normalizer import from_bytes  # slow to load and seldom needed

    best = from_bytes(
        sample, steps=2, chunk_size=512, cp_isolation=_LIBRARY, preemptive_behaviour=False
    ).best()
    return best.encoding if best is not None else "cp1252"


def _latin(sample: bytes, high: frozenset[int]) -> str:
    """Which of the Windows pages for Latin letters."""
    if _CENTRAL.search(sample):
        return "cp1250"
    hungarian = high & {0xD5, 0xDB, 0xF5, 0xFB} and high & {0xE1, 0xE9, 0xED, 0xF3}
    if hungarian and not high & {0xE0, 0xE3, 0xE4, 0xE7, 0xE8, 0xEA, 0xEE, 0xF4}:
        return "cp1250"
    if _TURKISH.search(sample):
        if 0xE3 in high and 0xFE in high:  # Romanian: ă and ţ
            return "cp1250"
        return "cp1252" if high & {0xE1, 0xE6, 0xE9, 0xED, 0xF3, 0xFA} else "cp1254"
    return "cp1252"


def _in_pairs(runs: list[bytes], high: bytes) -> str | None:
    """Japanese, Korean or Chinese, all of whose characters are two octets with the eighth bit."""
    if sum(len(run) % 2 == 0 for run in runs) < len(runs) * _NEARLY_ALL:
        return None
    first = [octet for run in runs for octet in run[: len(run) & ~1 : 2]]
    if _share(first, _KANA) >= 0.2:
        return "euc_jp"
    words = [octet for octet in first if octet > 0xA9]  # without punctuation
    if len(words) * 2 < _ENOUGH:
        return None
    if len(runs) > 1 and _share(words, _HANGUL) == 1:
        return "cp949"
    if _share(words, _HANZI) >= _NEARLY_ALL and _share(words, _COMMON_HANZI) >= 0.7:
        return "gb18030"
    return None


def _semitic(runs: list[bytes], high: bytes) -> str | None:
    if _share(high, _HEBREW) >= _NEARLY_ALL and not any(
        0xC0 <= octet < 0xE0 or octet > 0xFA for octet in high
    ):
        return "cp1255"
    if _share(high, _ARABIC) >= 0.5 and _share(high, _ALEF_OR_LAM) >= 0.15:
        return "cp1256"
    return None


def _thai(runs: list[bytes], high: bytes) -> str | None:
    is_spelt = all(map(_THAI.fullmatch, runs))
    return "cp874" if is_spelt and _share(high, _THAI_VOWELS) >= 0.2 else None


def _cyrillic(runs: list[bytes], high: bytes) -> str | None:
    words = [run for run in runs if len(run) > 1]
    windows = sum(map(len, filter(_WINDOWS_WORD.fullmatch, words)))
    koi = sum(map(len, filter(_KOI_WORD.fullmatch, words)))
    if max(windows, koi) < sum(map(len, words)) * _NEARLY_ALL:
        return None
    if windows == koi:
        return "cp1251" if _share(high, _WINDOWS_COMMON) >= _share(high, _KOI_COMMON) else "koi8_r"
    return "cp1251" if windows > koi else "koi8_r"


def _share(octets: bytes | list[int], of: Container[int]) -> float:
    return sum(octet in of for octet in octets) / len(octets) if octets else 0.0
