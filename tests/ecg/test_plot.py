"""The sheet is paper: a second is 25 mm, a millivolt 10 mm, and nothing on it comes from anywhere but its arguments."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ecg import assess, plot, probe
from ecg.leads import LEADS
from ecg.plot import Layout, Scale
from ecg.predictor import Predictor
from ecg.recording import Recording, Unit, Waveform
from tests.conftest import ROOT

SVG = "{http://www.w3.org/2000/svg}"
ECG = probe.known_ecg()


@pytest.fixture(scope="module")
def assessment() -> assess.Assessment:
    predictor = Predictor.load(ROOT / "tests" / "fixtures" / "models" / "hf-untrained-0.1.0.onnx")
    recording = Recording("test", Waveform(LEADS, ECG.samples_mv, 500.0, Unit.MILLIVOLT))
    return assess.assess(recording, predictor)


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def traces(root: ElementTree.Element) -> dict[str, np.ndarray]:
    """Points of each lead's path in millimetres, rebuilt from its relative steps; the last strip of a lead wins."""
    found = {}
    for path in root.iter(f"{SVG}path"):
        if lead := path.get("data-lead"):
            start, steps = re.fullmatch(r"M(-?\d+ -?\d+)l(.*)", path.get("d", "")).groups()
            numbers = np.array([int(each) for each in re.findall(r"-?\d+", steps)]).reshape(-1, 2)
            first = np.array([int(each) for each in start.split()])
            found[lead] = np.concatenate(([first], first + np.cumsum(numbers, axis=0))) / 100
    return found


@pytest.mark.parametrize("layout", list(Layout))
@pytest.mark.parametrize(("speed", "gain"), [(25.0, 10.0), (50.0, 5.0), (25.0, 20.0)])
def test_paper_is_to_scale(layout: Layout, speed: float, gain: float) -> None:
    """The drawing's unit is the millimetre; time and voltage of every point are the signal's."""
    root = drawn(plot.sheet(ECG.samples_mv, 500, layout=layout, scale=Scale(speed, gain)))
    width, height = (float(each) for each in root.get("viewBox", "").split()[2:])
    assert root.get("width") == f"{width:g}mm"
    assert root.get("height") == f"{height:g}mm"
    points = traces(root)["II"]
    seconds = (points[-1, 0] - points[0, 0]) / speed
    assert seconds == pytest.approx(10.0, abs=0.01)
    volts = np.ptp(points[:, 1]) / gain
    assert volts == pytest.approx(np.ptp(ECG.lead("II")[::2]), abs=0.003)


def test_the_grid_is_in_millimetres() -> None:
    """Every fifth line is strong, and neighbouring lines lie one millimetre apart."""
    root = drawn(plot.sheet(ECG.samples_mv, 500))
    fine, strong = [each for each in root.iter(f"{SVG}path") if each.get("stroke-width") in ("0.1", "0.18")]
    columns = sorted(float(x) for path in (fine, strong) for x in re.findall(r"M(\S+) \S+V", path.get("d", "")))
    np.testing.assert_allclose(np.diff(columns), 1.0)
    bold = sorted(float(x) for x in re.findall(r"M(\S+) \S+V", strong.get("d", "")))
    np.testing.assert_allclose(np.diff(bold), 5.0)


@pytest.mark.parametrize(("layout", "strips"), [("3x4", 13), ("6x2", 13), ("12x1", 12)])
def test_every_lead_is_there_and_named(layout: str, strips: int) -> None:
    """Twelve leads, a rhythm strip where the layout has one, a calibration pulse a row."""
    svg = plot.sheet(ECG.samples_mv, 500, layout=Layout(layout))
    root = drawn(svg)
    assert set(traces(root)) == set(LEADS)
    assert svg.count("data-lead=") == strips
    assert {each.text for each in root.iter(f"{SVG}text")} >= set(LEADS)
    assert svg.count("data-calibration") == {"3x4": 4, "6x2": 7, "12x1": 12}[layout]
    assert "25 mm/s · 10 mm/mV · 0.5–150 Hz" in svg


def test_attention_lies_under_the_trace(assessment: assess.Assessment) -> None:
    """Bands and a legend only with an explanation, the kind of map in words, each weight beside its lead."""
    plain = plot.sheet(assessment.beats.signal_mv, 500)
    assert "attention" not in plain
    with_map = plot.sheet(assessment.beats.signal_mv, 500, attention=assessment.attention, opacity=0.5)
    layer = next(each for each in drawn(with_map).iter(f"{SVG}g") if each.get("data-layer") == "attention")
    assert layer.get("opacity") == "0.5"
    assert len(layer) > 12
    assert "model attention" in with_map
    assert f"{assessment.attention.lead_weights[0]:.0%}" in with_map


def test_bytes_are_deterministic_and_few(assessment: assess.Assessment) -> None:
    """The same recording, the same text; even twelve full rows stay under 300 kB."""
    made = [
        plot.sheet(assessment.beats.signal_mv, 500, layout=Layout.TWELVE_BY_ONE, attention=assessment.attention)
        for _ in "ab"
    ]
    assert made[0] == made[1]
    assert len(made[0].encode()) < 300_000


def test_a_heading_is_text_and_nothing_else() -> None:
    """What the caller writes is escaped."""
    svg = plot.sheet(ECG.samples_mv, 500, heading='<script>alert("x")</script> & more')
    assert "<script" not in svg
    assert drawn(svg) is not None


def test_a_short_recording_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    """Six seconds leave the later columns of the sheet empty and fail nothing."""
    found = traces(drawn(plot.sheet(ECG.samples_mv[:, :3_000], 500, layout=Layout.THREE_BY_FOUR)))
    assert "V4" not in found
    assert "V1" in found
