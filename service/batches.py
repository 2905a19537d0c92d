"""Many files of one request, sorted into recordings: a WFDB header with its signals is one, any other file is one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import UploadFile
from starlette.requests import Request

from ecg.errors import TooLarge
from ecg.guards import unzip
from service.refusals import UploadMissing, UploadTimeout
from service.settings import Settings
from service.uploads import (
    MULTIPART,
    Options,
    Upload,
    base_name,
    bounded,
    options,
    read_form,
    require_media_type,
    texts,
)

_ZIP_MAGIC: Final = b"PK\x03\x04"
_SIGNALS: Final = (".dat", ".mat", ".flac")
_CLUTTER: Final = ("RECORDS", "SHA256SUMS.txt", "LICENSE.txt")


async def read_many(request: Request, settings: Settings) -> tuple[list[Upload], Options]:
    try:
        async with asyncio.timeout(settings.upload_timeout_s):
            files, chosen = await _read(request, settings)
    except TimeoutError as error:
        raise UploadTimeout(f"the body did not arrive within {settings.upload_timeout_s:g} s") from error
    records = recordings(files)
    if not records:
        raise UploadMissing("the batch holds no file: send many files in `file`, or one zip of many")
    if len(records) > settings.max_batch_records:
        raise TooLarge(
            f"{len(records)} records; at most {settings.max_batch_records}", limit=settings.max_batch_records
        )
    return records, chosen


async def _read(request: Request, settings: Settings) -> tuple[list[tuple[str, bytes]], Options]:
    if require_media_type(request.headers) == MULTIPART:
        most_files = 2 * settings.max_batch_records
        async with read_form(request, settings.max_batch_bytes, most_files) as form:
            uploads = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
            files = [(base_name(each), await each.read()) for each in uploads]
            return files, options({**texts(request.query_params), **texts(form)})
    body = b"".join([chunk async for chunk in bounded(request, settings.max_batch_bytes)])
    return [("", body)] if body else [], options(texts(request.query_params))


def recordings(files: list[tuple[str, bytes]]) -> list[Upload]:
    """In the order of the files. One zip alone is a zip of many; a zip beside other files is one recording."""
    if len(files) == 1 and files[0][1][:4] == _ZIP_MAGIC:
        files = list(unzip(files[0][1]).items())
    wanted = [(name, data) for name, data in files if not _is_clutter(name)]
    headers = {_stem(name) for name, _ in wanted if name.lower().endswith(".hea")}
    signals: dict[str, dict[str, bytes]] = {stem: {} for stem in headers}
    for name, data in wanted:
        if name.lower().endswith(_SIGNALS) and _stem(name) in headers:
            signals[_stem(name)][_base(name)] = data
    return [each for name, data in wanted if (each := _recording(name, data, signals)) is not None]


def _recording(name: str, data: bytes, signals: Mapping[str, dict[str, bytes]]) -> Upload | None:
    if name.lower().endswith(".hea"):
        return Upload({_base(name): data, **signals[_stem(name)]}, name)
    if name.lower().endswith(_SIGNALS) and _stem(name) in signals:
        return None  # told with its header
    return Upload({_base(name): data}, name)


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _base(name: str) -> str:
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _is_clutter(name: str) -> bool:
    return _base(name).startswith(".") or name.startswith("__MACOSX/") or _base(name) in _CLUTTER
