"""The report is one page of A4 to scale, says what the JSON answer says, and its bytes depend on the answer alone."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ecg import probe
from ecg.errors import EcgError
from ecg.leads import LEADS
from service import samples
from service.answer import Answered, judge
from service.registry import Registry
from service.report import fonts
from service.report.marks import Trace
from service.report.page import page
from service.representations import pdf, svg
from service.uploads import Options, Upload
from service.words import per_cent, span
from tests.conftest import ROOT
from tests.ecg.hearts import normal_mv
from tests.makers import wfdb
from tests.service.pdf_text import content, strings
from tests.service.server import Server

MM_PER_POINT = 25.4 / 72
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def shelf() -> Registry:
    registry = Registry(ROOT / "models", None)
    registry.load()
    return registry


def answer(shelf: Registry, data: bytes, options: Options | None = None) -> Answered:
    upload = Upload({"": data})
    return judge(upload, upload.sha256, options or Options(reference="ACC-77"), shelf.shelf.default, lambda: False)


@pytest.fixture(scope="module")
def answered(shelf: Registry) -> Answered:
    return answer(shelf, wfdb.make(normal_mv(66.0), 500.0))


def curves(document: bytes) -> list[np.ndarray]:
    """Paths of many points, in millimetres from the lower left corner."""
    found = []
    for path in re.findall(r"n ((?:[-\d.]+ [-\d.]+ [ml] ?\n?){100,})", content(document)):
        points = [(float(x), float(y)) for x, y in re.findall(r"([-\d.]+) ([-\d.]+) [ml]", path)]
        found.append(np.array(points) * MM_PER_POINT)
    return found


def test_one_page_of_a4(answered: Answered) -> None:
    """A4 lying, one page, in both."""
    document = pdf.render(answered)
    assert document.startswith(b"%PDF-1.4")
    assert len(re.findall(rb"/Type /Page\b(?!s)", document)) == 1
    [box] = re.findall(rb"/MediaBox \[ ?([^\]]+?) ?\]", document)
    assert np.array(box.split(), float) * MM_PER_POINT == pytest.approx([0, 0, 297, 210], abs=0.01)
    root = ElementTree.fromstring(svg.render(answered))
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("297mm", "210mm", "0 0 297 210")


def test_a_second_is_25_mm_on_paper(answered: Answered) -> None:
    """Read from the PDF's own drawing operators: ten seconds of lead II, beat to beat, and a millivolt of each lead."""
    beats = answered.assessment.beats
    found = curves(pdf.render(answered))
    assert len(found) == 13
    rhythm = found[-1]
    steps = np.diff(rhythm[:, 0])
    assert steps.sum() / (steps.size / 250) == pytest.approx(25.0, abs=0.01)
    assert np.ptp(rhythm[:, 0]) == pytest.approx(250.0, abs=0.2)
    # R peaks lie as many millimetres apart as the beats lie seconds apart; the curve has a point each 0.1 mm.
    times = beats.r_samples[beats.r_samples < 5_000] / beats.sampling_rate_hz
    near = [np.flatnonzero(np.abs(rhythm[:, 0] - rhythm[0, 0] - 25 * time) < 3) for time in times]
    peaks = np.array([rhythm[place[rhythm[place, 1].argmax()], 0] for place in near])
    assert np.diff(peaks) == pytest.approx(25 * np.diff(times), abs=0.15)
    shown = beats.signal_mv[LEADS.index("II"), :5000:2]
    assert np.ptp(rhythm[:, 1]) / 10 == pytest.approx(np.ptp(shown), abs=0.003)


def test_both_pens_draw_the_same_curves(answered: Answered) -> None:
    """Point for point, in the order of the leads."""
    root = ElementTree.fromstring(svg.render(answered))
    paths = [path for path in root.iter(f"{SVG}path") if path.get("data-lead")]
    for path, printed in zip(paths, curves(pdf.render(answered)), strict=True):
        start, steps = re.fullmatch(r"M(-?\d+ -?\d+)l(.*)", path.get("d", "")).groups()
        moves = np.array([int(each) for each in re.findall(r"-?\d+", steps)]).reshape(-1, 2)
        points = np.cumsum(np.vstack(([int(each) for each in start.split()], moves)), axis=0) / 100
        np.testing.assert_allclose(np.column_stack((points[:, 0], 210 - points[:, 1])), printed, atol=0.01)


def test_it_says_what_the_answer_says(answered: Answered) -> None:
    """Score, band, every horizon with its interval, measurements, weights, quality, model, hash, notice, ids."""
    assessment, facts = answered.assessment, answered.model.contract.model
    document = pdf.render(answered)
    told = strings(document)
    whole = "\n".join(told)
    assert f"{assessment.risk.score:g}" in told
    assert f"{assessment.risk.band.value.upper()} BAND" in told
    for each in assessment.risk.horizons:
        assert {span(each.years), per_cent(each.probability)} <= set(told)
        assert " – ".join(per_cent(edge) for edge in each.interval) in told
    for name in ("heart_rate_bpm", "pr_ms", "qrs_ms", "qt_ms", "qtc_ms", "axis_deg"):
        assert f"{getattr(assessment.measurements, name):.0f}" in told
    assert set(LEADS) <= set(told)
    assert f"{max(assessment.attention.by_lead.values()):.0%}" in told
    assert "Signal quality: good." in told
    assert answered.model.sha256 in whole
    assert f"{facts.name} {facts.version}" in whole
    assert "DEMONSTRATION MODEL" in told
    assert all(warning in whole for warning in assessment.warnings)
    assert answered.id in told
    assert "ACC-77" in told
    assert "25 mm/s · 10 mm/mV · 0.5–150 Hz" in told
    shown = {each.text for each in ElementTree.fromstring(svg.render(answered)).iter(f"{SVG}text")}
    assert shown == set(told)


def test_bytes_are_deterministic(answered: Answered) -> None:
    """The same answer, the same bytes, without a clock: no date of making but the answer's own."""
    assert pdf.render(answered) == pdf.render(answered)
    assert svg.render(answered) == svg.render(answered)
    assert b"D:20000101" in pdf.render(answered)
    assert len(pdf.render(answered)) < 150_000


def test_without_an_explanation(shelf: Registry, answered: Answered) -> None:
    """No weights, no bands, no legend; and no reference where none came."""
    plain = answer(shelf, wfdb.make(normal_mv(66.0), 500.0), Options(explain=False))
    told = strings(pdf.render(plain))
    assert "no explanation was asked for" in told
    assert "more" not in told
    assert "Your reference" not in told
    assert "more" in strings(pdf.render(answered))


def test_tall_curves_get_half_the_gain(shelf: Registry) -> None:
    """As ECG machines do; the page says so, and its traces stay on the paper."""
    tall = answer(shelf, wfdb.make(normal_mv(66.0) * 3.0, 500.0))
    assert "25 mm/s · 5 mm/mV · 0.5–150 Hz" in strings(pdf.render(tall))
    for mark in page(tall).marks:
        if isinstance(mark, Trace):
            assert mark.y.min() > 6_000
            assert mark.y.max() < 21_000


def test_a_lead_left_out_says_so(shelf: Registry) -> None:
    """A masked lead has no weight, and the remark names it."""
    heart = normal_mv(66.0)
    heart[LEADS.index("V3")] = 0.0
    told = strings(pdf.render(answer(shelf, wfdb.make(heart, 500.0))))
    assert told.count("left out") == 2
    assert "Signal quality: limited." in told
    assert any("V3" in each and "Left out for poor quality" in each for each in told)


@pytest.mark.parametrize("format", samples.names())
def test_every_sample_has_its_report(server: Server, format: str) -> None:
    """Over the wire, for each format, as PDF and as SVG."""
    sample = samples.find(format)
    assert sample
    for media_type, start in {"application/pdf": b"%PDF-", "image/svg+xml": b"<svg"}.items():
        response = server.http.post("/predict", files={"file": sample.data}, headers={"accept": media_type})
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == media_type
        assert response.content.startswith(start)


def test_a_reader_of_pdf_reads_it(answered: Answered, tmp_path: Path) -> None:
    """poppler draws the page without a complaint, and a second of its paper grid is 25 mm of pixels."""
    if shutil.which("pdftoppm") is None:
        pytest.skip("poppler-utils is not installed")
    (tmp_path / "report.pdf").write_bytes(pdf.render(answered))
    dots_per_mm = 10
    run = subprocess.run(
        ["pdftoppm", "-r", str(dots_per_mm * 25.4), "-gray", "-singlefile", "report.pdf", "page"],
        cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert run.stderr == ""
    _, size, _, pixels = (tmp_path / "page.pgm").read_bytes().split(b"\n", 3)
    wide, high = (int(each) for each in size.split())
    assert (wide, high) == pytest.approx((2970, 2100), abs=1)
    # Across the sheet's lowest half millimetre, where nothing but the grid is drawn: the dark columns are strong lines.
    row = np.frombuffer(pixels, np.uint8).reshape(high, wide)[1875]
    groups = np.split(dark := np.flatnonzero(row < 210), np.flatnonzero(np.diff(dark) > 3) + 1)
    lines_mm = np.array([group.mean() / dots_per_mm for group in groups])
    assert lines_mm.size == 54
    # Five strong lines of 5 mm are a second of paper.
    assert lines_mm[5:] - lines_mm[:-5] == pytest.approx(np.full(49, 25.0), abs=0.11)


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", [""]), ("one two", ["one two"]), ("w" * 200, None), ("many words " * 40, None)],
)
def test_texts_fit(text: str, lines: list[str] | None) -> None:
    """However long a text is, no line of it is wider than its place."""
    found = fonts.wrapped(text, 3.0, 50.0, 3)
    assert len(found) <= 3
    assert all(fonts.width(line, 3.0) <= 50.0 for line in found)
    assert lines is None or found == lines
    assert fonts.plain("≥ 18 · Ω") == "? 18 · ?"


def test_risks_are_never_told_as_none_or_certain() -> None:
    """A risk that rounds to nothing, or to certainty, is said to be beyond the last digit."""
    told = {0.0: "<0.1%", 0.0004: "<0.1%", 0.0006: "0.1%", 0.1234: "12.3%", 0.9994: "99.9%", 0.9996: ">99.9%"}
    assert {share: per_cent(share) for share in told} == told


def test_refused_is_not_reported(shelf: Registry) -> None:
    """There is no report without an answer."""
    with pytest.raises(EcgError):
        answer(shelf, wfdb.make(np.zeros((12, 5000)), 500.0))
    assert probe.known_ecg() is not None
