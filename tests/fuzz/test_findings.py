"""What fuzzing found, each as a law of its own; the very bytes lie in the corpus as `found-*`."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from ecg import beats, formats, harmonise
from ecg.errors import EcgError, Malformed, UnitsUnknown
from ecg.leads import LEADS
from ecg.recording import Recording, Unit, Waveform
from tests.ecg.hearts import normal_mv
from tests.fuzz import signals
from tests.fuzz.targets import CORPUS


@pytest.mark.parametrize("n_samples", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("rate_hz", [50.0, 500.0, 20_000.0])
def test_a_handful_of_samples_is_refused(n_samples: int, rate_hz: float) -> None:
    """Too little signal for any check is a refusal that names the quality; it was an IndexError, and so a 500."""
    samples = np.asarray(normal_mv(72.0), np.float32)[:, 300 : 300 + n_samples]
    recording = Recording("fuzz", Waveform(LEADS, samples, rate_hz, Unit.MILLIVOLT))
    with pytest.raises(EcgError):
        signals.judged(recording, require=True)


@pytest.mark.parametrize("value", [3e38, -3e38, np.inf, -np.inf])
@pytest.mark.parametrize("unit", [Unit.VOLT, Unit.MILLIVOLT])
def test_numbers_beyond_single_precision_are_refused_quietly(value: float, unit: Unit) -> None:
    """Volts that overflow as millivolts are refused as no unit's, without a warning on the way."""
    samples = np.asarray(normal_mv(72.0), np.float32).copy()
    samples[:, 40] = value
    keep = [row for row, name in enumerate(LEADS) if name != "III"]  # so that one is derived too
    names = tuple(LEADS[row] for row in keep)
    with pytest.raises(UnitsUnknown):
        harmonise.to_twelve(Recording("fuzz", Waveform(names, samples[keep], 500.0, unit)))


def test_an_archive_with_a_nameless_entry_is_refused() -> None:
    """A zip entry whose name is empty is a broken archive; it was an IndexError of the library, and so a 500."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"data")
    named = buffer.getvalue()
    local, central = named.index(b"PK\x03\x04"), named.index(b"PK\x01\x02")
    nameless = bytearray(named)
    nameless[local + 26 : local + 28] = nameless[central + 28 : central + 30] = b"\0\0"
    del nameless[central + 46]
    with pytest.raises(Malformed):
        formats.read(bytes(nameless))


def test_beats_never_share_a_sample() -> None:
    """Peaks at the very end are one beat, not two with no time between them; it was a division by zero in the rate."""
    given = signals.recording((CORPUS / "signals" / "found-two-peaks-on-one-sample").read_bytes())
    found = beats.find(harmonise.to_twelve(given))
    assert found.r_samples.size == len(found.kinds) == found.correlation.size
    assert (np.diff(found.r_samples) > 0).all()
    assert np.isfinite(found.heart_rate_bpm or 0.0)
