"""python -m tests.supply.secrets: no key, token or password lies among the files that git tracks."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

from tests.conftest import ROOT

PATTERNS: Final = {
    "private key": re.compile(r"-----BEGIN (?:[A-Z ]+ )?PRIVATE KEY-----"),
    "cloud key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "forge token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|glpat-[A-Za-z0-9_-]{20})\b"),
    "API key of ours": re.compile(r"\becg_[A-Za-z0-9_-]{40,}\b"),
    "token": re.compile(r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "password in an address": re.compile(r"\b[a-z][a-z0-9+]*://[^\s:/@'\"`{}$<]+:([^\s@'\"`{}$<]{6,})@"),
    "password": re.compile(
        r"(?i)(?:password|passwd|secret|api_?key|token)\w*['\"]?\s*[:=]\s*['\"]([A-Za-z0-9+/_=.-]{16,})['\"]"
    ),
}
_LARGEST_BYTES: Final = 2**20
# Bits a character: words and names lie below, random keys above.
_LEAST_ENTROPY: Final = 3.3


def entropy(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def in_text(text: str) -> list[str]:
    """What kinds of secret the text seems to hold."""
    found = []
    for kind, pattern in PATTERNS.items():
        for hit in pattern.finditer(text):
            value = hit.group(hit.lastindex or 0)
            if kind != "password" or entropy(value) > _LEAST_ENTROPY:
                found.append(kind)
    return found


def tracked() -> list[Path]:
    listing = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    return [ROOT / name for name in listing.decode().split("\0") if name]


def scan() -> dict[str, list[str]]:
    found = {}
    for path in tracked():
        if not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
            continue
        data = path.read_bytes()
        if b"\0" not in data and (kinds := in_text(data.decode(errors="replace"))):
            found[str(path.relative_to(ROOT))] = kinds
    return found


def main() -> int:
    found = scan()
    for name, kinds in found.items():
        print(f"{name}: {', '.join(sorted(set(kinds)))}")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
