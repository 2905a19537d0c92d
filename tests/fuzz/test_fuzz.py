"""The corpus and random damage to it, bounded, so that every run of the tests asks again; it needs no fuzzer."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from ecg.errors import Malformed
from tests.conftest import ROOT
from tests.ecg.formats.hostile import EXTREMES
from tests.fuzz.law import TooSlow, bounded_memory, lawful
from tests.fuzz.make_corpus import corpus
from tests.fuzz.run import COUNTS, README, TARGETS, page
from tests.fuzz.targets import CORPUS, seeds
from tests.fuzz.triage import targets

ALL = targets()
SECONDS = 1.5
LARGEST_CORPUS_BYTES = 2**20


def damaged(files: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """A file with up to four bytes flipped, stretches cut, doubled, or spliced in, or extremes planted."""
    while True:
        broken = bytearray(chance.choice(files))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(broken)) if broken else 0
            other = chance.choice(files)
            match chance.randrange(5):
                case 0 if broken:
                    broken[at] = chance.randrange(256)
                case 1:
                    del broken[at : at + chance.randint(1, 64)]
                case 2:
                    broken[at:at] = broken[at : at + chance.randint(1, 64)]
                case 3:
                    cut = chance.randrange(len(other) + 1)
                    broken[at : at + 32] = other[cut : cut + 32]
                case _:
                    extreme = chance.choice(EXTREMES)
                    broken[at : at + len(extreme)] = extreme
        yield bytes(broken)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("target", ALL)
def test_the_corpus_is_lawful(target: str) -> None:
    """Every kept file, findings of earlier runs among them: an answer or an EcgError, soon, within 300 MB."""
    files = list(seeds(target))
    assert files
    for data in files:
        with bounded_memory():
            ALL[target](data)


# A form that breaks off leaves a file that lives in memory alone to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("target", ALL)
def test_damage_to_the_corpus_is_lawful(target: str) -> None:
    """The same of random damage to the kept files, for a bounded time, from a fixed seed."""
    ends, files = time.monotonic() + SECONDS, list(seeds(target))
    for tries, data in enumerate(damaged(files, random.Random(9))):
        if time.monotonic() > ends:
            assert tries > 5
            return
        try:
            ALL[target](data)
        except Exception:
            kept = ROOT / "build" / "fuzz" / "found" / f"{target}-pytest"
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
            raise


def test_the_law_can_be_broken() -> None:
    """A foreign exception, a slow job and one that takes too much memory are all told; an EcgError is not."""

    def foreign() -> None:
        raise KeyError

    def broken() -> None:
        raise Malformed("broken", where="here")

    def slow() -> None:
        while time.thread_time() < begun + 0.05:
            pass

    lawful(broken)
    with pytest.raises(KeyError):
        lawful(foreign)
    begun = time.thread_time()
    with pytest.raises(TooSlow):
        lawful(slow, limit_s=0.01)
    # in a process of its own: holes that earlier tests left in this one's heap would hold it
    greedy = "from tests.fuzz.law import bounded_memory\nwith bounded_memory():\n    bytearray(400 * 2**20)"
    done = subprocess.run([sys.executable, "-c", greedy], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.rstrip().endswith("MemoryError")


def test_the_corpus_is_small_and_made() -> None:
    """Under a megabyte in all; the made files are those that the makers write today."""
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < LARGEST_CORPUS_BYTES
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
    for target, files in corpus().items():
        assert {path.name for path in (CORPUS / target).glob("made-*")} == {f"made-{name}" for name in files}


def test_the_page_tells_the_counts() -> None:
    """README.md says what the runner counted, and every target was run."""
    counts = json.loads(COUNTS.read_text())
    assert README.read_text() == page(counts)
    assert set(counts) == set(TARGETS)
    assert sum(each["executions"] for each in counts.values()) >= 2_000_000
