"""Bytes from strangers, read in a bounded way: one recording as a body or as named form fields."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from ecg.contract import MapKind
from ecg.errors import Malformed, TooLarge
from service.refusals import ClientClosed, MediaTypeUnsupported, RequestInvalid, UploadMissing, UploadTimeout

MULTIPART: Final = "multipart/form-data"
RAW_TYPES: Final = (
    "application/xml", "text/xml", "application/dicom", "application/zip", "application/x-zip-compressed",
    "application/octet-stream", "application/edf", "application/fhir+json", "application/json", "text/csv",
)  # fmt: skip
_FORM_OVERHEAD_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 20
_LONGEST_FIELD_BYTES: Final = 4_096
# No blanks and no letters beyond ASCII: room for a number of the caller's, hardly for a name.
REFERENCE: Final = "[A-Za-z0-9._:/-]{1,64}"
_REFERENCE: Final = re.compile(REFERENCE)
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Include(StrEnum):
    SIGNAL = "signal"
    BEAT = "beat"


@dataclass(frozen=True, slots=True)
class Options:
    model: str | None = None
    explain: bool = True
    include: frozenset[Include] = frozenset()
    map: MapKind | None = None
    # The caller's own word for this ECG (an order or accession number), printed on reports; no person.
    reference: str = ""

    @property
    def text(self) -> str:
        words = [self.model or "", str(self.explain), ",".join(sorted(self.include))]
        words += [self.map.value] if self.map else []
        return "|".join([*words, f"reference={self.reference}"] if self.reference else words)


@dataclass(frozen=True, slots=True)
class Upload:
    """The files of one recording. `name` is the caller's own word for it: never logged, never stored."""

    files: Mapping[str, bytes] = field(repr=False)
    name: str = field(default="", repr=False)

    @property
    def sha256(self) -> str:
        """Of the file's bytes; of two files, of the one's bytes followed by the other's, header first."""
        digest = hashlib.sha256()
        for name in sorted(self.files, key=lambda each: not each.lower().endswith(".hea")):
            digest.update(self.files[name])
        return digest.hexdigest()


async def read_one(request: Request, max_bytes: int, timeout_s: float) -> tuple[Upload, Options]:
    """The recording and the options of a /predict request."""
    media_type = require_media_type(request.headers)
    try:
        async with asyncio.timeout(timeout_s):
            if media_type == MULTIPART:
                async with read_form(request, max_bytes, most_files=2) as form:
                    return await _from_form(form), options({**texts(request.query_params), **texts(form)})
            body = b"".join([chunk async for chunk in bounded(request, max_bytes)])
    except TimeoutError as error:
        raise UploadTimeout(f"the body did not arrive within {timeout_s:g} s") from error
    if not body:
        raise UploadMissing("the body is empty: send a recording")
    return Upload({"": body}), options(texts(request.query_params))


def require_media_type(headers: Headers) -> str:
    media_type = headers.get("content-type", "application/octet-stream").partition(";")[0].strip().lower()
    if media_type not in (MULTIPART, *RAW_TYPES):
        raise MediaTypeUnsupported(
            f"send {MULTIPART} with a field `file`, or raw bytes as one of {', '.join(RAW_TYPES)}"
        )
    return media_type


async def bounded(request: Request, max_bytes: int, overhead: int = 0) -> AsyncGenerator[bytes, None]:
    """The body as it arrives; refused at once when it says that it is too large, else as soon as it is."""
    ceiling = max_bytes + overhead
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > ceiling:
        raise _too_large(max_bytes)
    seen = 0
    try:
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > ceiling:
                raise _too_large(max_bytes)
            yield chunk
    except ClientDisconnect as error:
        raise ClientClosed("the caller closed the connection") from error


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body is over {max_bytes} bytes", limit_bytes=max_bytes)


@contextlib.asynccontextmanager
async def read_form(request: Request, max_bytes: int, most_files: int) -> AsyncIterator[FormData]:
    """The form while it is needed, held in memory: the service needs no writable disk for uploads."""
    parser = MultiPartParser(
        request.headers, bounded(request, max_bytes, _FORM_OVERHEAD_BYTES),
        max_files=most_files, max_fields=_MOST_FIELDS, max_part_size=_LONGEST_FIELD_BYTES,
    )  # fmt: skip
    parser.spool_max_size = max_bytes + 1
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError, KeyError) as error:
        raise Malformed("broken multipart form, or more fields than allowed", where="the request body") from error
    try:
        yield form
    finally:
        await form.close()


async def _from_form(form: FormData) -> Upload:
    file, header, signal = (_file(form, name) for name in ("file", "header", "signal"))
    if file and not header and not signal:
        return Upload({base_name(file): await file.read()}, base_name(file))
    if header and signal and not file:
        header_name = base_name(header)
        header_name = header_name if header_name.lower().endswith(".hea") else f"{header_name or 'record'}.hea"
        return Upload({header_name: await header.read(), base_name(signal): await signal.read()}, header_name)
    raise UploadMissing("the form needs a file in the field `file`, or two in `header` and `signal`")


def _file(form: FormData, name: str) -> UploadFile | None:
    """The file in this field. Browsers send a field that was left empty as empty text or as a file without a name."""
    found = form.get(name)
    return found if isinstance(found, UploadFile) and (found.filename or found.size) else None


def base_name(file: UploadFile) -> str:
    """What the caller calls the file, without folders: readers match a WFDB header's signals by it."""
    return (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1]


def texts(fields: Mapping[str, object] | FormData) -> dict[str, str]:
    pairs = fields.multi_items() if hasattr(fields, "multi_items") else list(fields.items())
    texts: dict[str, str] = {}
    for name, value in pairs:
        if isinstance(value, str):
            texts[name] = f"{texts[name]},{value}" if name in texts else value
    return texts


def options(fields: Mapping[str, str]) -> Options:
    return Options(
        model=fields.get("model") or None,
        explain=_flag("explain", fields.get("explain", "true")),
        include=_included(fields.get("include", "")),
        map=_map(fields.get("map", "").strip()),
        reference=_reference(fields.get("reference", "").strip()),
    )


def _reference(text: str) -> str:
    if text and not _REFERENCE.fullmatch(text):
        raise RequestInvalid(f"reference must match {REFERENCE}", parameter="reference")
    return text


def _flag(name: str, text: str) -> bool:
    if text.strip().lower() in (*_TRUE, *_FALSE):
        return text.strip().lower() in _TRUE
    raise RequestInvalid(f"{name} must be true or false", parameter=name)


def _map(text: str) -> MapKind | None:
    if text and text not in set(MapKind):
        raise RequestInvalid(f"map must be one of {', '.join(MapKind)}", parameter="map")
    return MapKind(text) if text else None


def _included(text: str) -> frozenset[Include]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not set(words) <= set(Include):
        raise RequestInvalid(f"include must be one or more of {', '.join(Include)}", parameter="include")
    return frozenset(Include(word) for word in words)
