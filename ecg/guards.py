"""Bounds for bytes from strangers: how large, how deep, how far an archive or an XML tree may go."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ecg.errors import Malformed, TooLarge, Unsafe

MAX_FILE_BYTES: Final = 32 * 2**20
MAX_XML_BYTES: Final = 16 * 2**20
MAX_XML_ELEMENTS: Final = 200_000
MAX_UNZIPPED_BYTES: Final = 64 * 2**20
MAX_ZIP_RATIO: Final = 200
MAX_ZIP_MEMBERS: Final = 4_096
MAX_SAMPLES: Final = 12 * 1_000_000
MIN_RATE_HZ: Final = 50.0
MAX_RATE_HZ: Final = 20_000.0


def require_size(data: bytes, ceiling: int = MAX_FILE_BYTES) -> None:
    if len(data) > ceiling:
        raise TooLarge(f"{len(data)} bytes; at most {ceiling} are read", limit_bytes=ceiling)


def require_samples(n_leads: int, n_samples: int, where: str) -> None:
    """Call before allocating for a declared size: a header may promise anything."""
    if n_leads <= 0 or n_samples <= 0:
        raise Malformed(f"{n_leads} leads of {n_samples} samples declared", where=where)
    if n_leads * n_samples > MAX_SAMPLES:
        raise TooLarge(f"{n_leads} leads of {n_samples} samples declared; at most {MAX_SAMPLES} values are read")


def parse_xml(data: bytes) -> Element:
    """The root of a document without entities or external references. A bare DOCTYPE passes: GE MUSE writes one."""
    require_size(data, MAX_XML_BYTES)
    # Counted on bytes before the tree exists, since a tree of empty tags costs a hundred times its text.
    if data.count(b"<") > 2 * MAX_XML_ELEMENTS * (2 if data[:2] in (b"\xff\xfe", b"\xfe\xff") else 1):
        raise TooLarge(f"more than {MAX_XML_ELEMENTS} XML elements")
    try:
        return fromstring(data, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as error:
        raise Unsafe(f"XML with {type(error).__name__.removesuffix('Forbidden').lower()} is refused") from error
    except ParseError as error:
        line, column = error.position
        raise Malformed("not well-formed XML", where=f"line {line}, column {column}") from error
    except (ValueError, LookupError, RecursionError) as error:
        raise Malformed("unreadable XML", where="the XML declaration") from error


_XML_START: Final = re.compile(rb"^\s*(?:<\?xml|<!DOCTYPE|<!--|<[A-Za-z])")


def xml_head(head: bytes) -> str:
    """The first characters of an XML document as text, whatever its encoding, or "" when it is no XML."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) // 2 * 2].decode("utf-16", errors="replace")
        return text if text.lstrip().startswith("<") else ""
    if head[:4] in (b"<\x00?\x00", b"\x00<\x00?"):
        return head[: len(head) // 2 * 2].decode("utf-16-le" if head[1] == 0 else "utf-16-be", errors="replace")
    plain = head.removeprefix(b"\xef\xbb\xbf")
    return plain.decode("latin-1") if _XML_START.match(plain) else ""


# The library trusts an archive's fields: an entry without a name, or one cut short, breaks it in its own ways.
_BROKEN_ZIP: Final = (zipfile.BadZipFile, zlib.error, struct.error, IndexError, KeyError)


def unzip(data: bytes) -> dict[str, bytes]:
    """The regular files of an archive by their names, within bounds on count, size and ratio; no nested archives."""
    require_size(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _members(archive, len(data))
    except (*_BROKEN_ZIP, EOFError, NotImplementedError, ValueError, OSError, RuntimeError) as error:
        raise Malformed("unreadable zip archive", where="the archive") from error


def _members(archive: zipfile.ZipFile, packed: int) -> dict[str, bytes]:
    infos = [info for info in archive.infolist() if not info.is_dir()]
    if len(infos) > MAX_ZIP_MEMBERS:
        raise Unsafe(f"more than {MAX_ZIP_MEMBERS} files in one archive")
    budget = min(MAX_UNZIPPED_BYTES, max(2**20, packed * MAX_ZIP_RATIO))
    members: dict[str, bytes] = {}
    for info in infos:
        _require_plain_name(info)
        with archive.open(info) as stream:
            content = stream.read(budget + 1)
        budget -= len(content)
        if budget < 0:
            raise Unsafe("the archive unpacks to far more than it may")
        if content[:4] == b"PK\x03\x04":
            raise Unsafe("archives inside archives are refused")
        members[info.filename] = content
    return members


def _require_plain_name(info: zipfile.ZipInfo) -> None:
    name = info.filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name or "\x00" in name:
        raise Unsafe("a file name in the archive points outside it")
    if info.flag_bits & 0x1:
        raise Unsafe("encrypted archives are refused")
