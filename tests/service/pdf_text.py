"""What a PDF of ours holds, without its compression."""

from __future__ import annotations

import base64
import re
import zlib


def content(document: bytes) -> str:
    """The drawing operators of the page, out of their wrapping."""
    found = []
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", document, re.DOTALL):
        data = base64.a85decode(stream.strip().removesuffix(b"~>"))
        found.append(zlib.decompress(data).decode("latin-1"))
    return "\n".join(found)


def strings(document: bytes) -> list[str]:
    """Every text that the page shows, in order."""
    told = re.findall(r"\((.*?[^\\])\) Tj", content(document))
    escape = re.compile(r"\\(\d{3}|.)")
    plain = [escape.sub(lambda found: chr(int(found[1], 8)) if found[1].isdigit() else found[1], each) for each in told]
    return [each.encode("latin-1").decode("cp1252") for each in plain]
