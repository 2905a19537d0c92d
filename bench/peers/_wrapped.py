"""A file inside JSON, for the frameworks that take nothing else."""

from __future__ import annotations

import base64
import json


def for_litserve(data: bytes) -> bytes:
    return json.dumps({"data": base64.b64encode(data).decode()}).encode()


def for_mlserver(data: bytes) -> bytes:
    """A V2 inference request."""
    given = {
        "name": "file", "shape": [1, 1], "datatype": "BYTES",
        "parameters": {"content_type": "base64"}, "data": [base64.b64encode(data).decode()],
    }  # fmt: skip
    return json.dumps({"inputs": [given]}).encode()
