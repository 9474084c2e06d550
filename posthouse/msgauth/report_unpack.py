"""What reports come packed in: gzip, zip, or nothing; unpacked within bounds, whatever a bomb claims (RFC 9990)."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from typing import Final

from posthouse.limits import REPORT_UNPACKED

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_WANTED: Final = (".xml", ".json")
_BROKEN: Final = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, ValueError, RuntimeError, OSError, EOFError)
"""What the library raises for archives that are none: also "negative seek value", and names that are no UTF-8."""


class ReportError(ValueError):
    """It is no report that can be read; the text says why."""


def unpack(octets: bytes) -> bytes:
    """The report within. Raises ReportError."""
    if octets.startswith(_GZIP):
        return _gunzip(octets)
    if octets.startswith(_ZIP):
        return _unzip(octets)
    if len(octets) > REPORT_UNPACKED:
        raise ReportError("too large")
    return octets


def _gunzip(octets: bytes) -> bytes:
    pieces, left = [], REPORT_UNPACKED
    while octets.startswith(_GZIP):  # RFC 1952 §2.2: members may follow each other
        inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            piece = inflater.decompress(octets, left + 1)
        except zlib.error as fault:
            raise ReportError(f"broken gzip: {fault}") from None
        left -= len(piece)
        if left < 0:
            raise ReportError("larger than a report may be")
        pieces.append(piece)
        if not inflater.eof:
            break  # cut short: what is there may still be whole
        octets = inflater.unused_data
    return b"".join(pieces)


def _unzip(octets: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            members = [one for one in archive.infolist() if one.filename.lower().endswith(_WANTED)]
            if not members:
                raise ReportError("no report in the archive")
            with archive.open(members[0]) as member:
                found = member.read(REPORT_UNPACKED + 1)
    except ReportError:
        raise
    except _BROKEN as fault:
        raise ReportError(f"broken zip: {fault}") from None
    if len(found) > REPORT_UNPACKED:
        raise ReportError("larger than a report may be")
    return found
