"""What is fuzzed: each target takes bytes and breaks when the law does. No fuzzer here: pytest runs them too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ecg import formats
from ecg.formats import Format, _xli, wfdb
from ecg.recording import Recording
from tests.fuzz.law import lawful

Target = Callable[[bytes], None]
CORPUS = Path(__file__).parent / "corpus"
# Between a WFDB header and its signals in one corpus file: no header and hardly any signal holds it.
SPLIT = b"\n%%signals%%\n"
FILENAMES = ("", "record.csv", "record.hea", "../../etc/passwd", "a.xml")


def any_format(data: bytes) -> None:
    """The upload's first step: whatever sniffs it, parses it. The first byte chooses the name it comes under."""
    name = FILENAMES[data[0] % len(FILENAMES)] if data else ""
    lawful(lambda: formats.read(data[1:], name))


def of_format(reader: Format) -> Target:
    """One parser called by name: its sniffer cannot keep bytes from it."""

    def target(data: bytes) -> None:
        lawful(lambda: formats._guarded(reader.NAME, lambda: reader.parse(data)))

    return target


def wfdb_pair(data: bytes) -> None:
    """A header and its signals as two files."""
    header, _, signals = data.partition(SPLIT)

    def parse() -> Recording:
        return formats._guarded(wfdb.NAME, lambda: wfdb.parse_files({"record.hea": header, "record.dat": signals}))

    lawful(parse)


def xli(data: bytes) -> None:
    """The compressed leads of a Philips file, without the XML and base64 around them."""
    leads, samples = (data[0] % 16 + 1, int.from_bytes(data[1:3], "little") % 4096 + 1) if len(data) > 2 else (1, 1)
    lawful(lambda: formats._guarded("philips_sierra", lambda: _xli.decompress(data[3:], leads, samples)))  # type: ignore[arg-type,return-value]


def parsers() -> dict[str, Target]:
    by_name = {each.NAME: of_format(each) for each in formats.available()}
    return {"any": any_format, **by_name, "wfdb": wfdb_pair, "xli": xli}


def seeds(name: str) -> Iterator[bytes]:
    """The corpus of a target."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.read_bytes()
