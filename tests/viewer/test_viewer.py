"""The viewer as a person uses it: real Chromium, real service, every other host cut off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecg.contract import MapKind
from ecg.explain import Attention, TimeBase
from ecg.leads import LEADS
from service import samples
from tests.ecg.hearts import normal_mv
from tests.makers import table, wfdb
from tests.service.server import Server
from tests.viewer.screen import REFUSED, SHOWN, Screen

pytestmark = pytest.mark.browser
READOUT = "return document.querySelector('.readout').textContent.replace(/\\s+/g, ' ').trim()"
LAYOUT = "document.querySelector(`.tools input[value='${args[0]}']`).click()"
TEXT = "return document.querySelector(args[0]).innerText"
PRESS = "[...document.querySelectorAll('.toggle')].find((each) => each.textContent === args[0]).click()"


def answer_of(server: Server, format: str) -> dict[str, Any]:
    found = samples.find(format)
    assert found
    told: dict[str, Any] = server.http.post(
        "/predict", files={"file": (found.filename, found.data)}, data={"include": "signal,beat"}
    ).json()
    return told


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", text.replace("−", "-"))]


@pytest.mark.parametrize("format", samples.names())
def test_every_sample_is_told_and_drawn(page: Screen, viewer_server: Server, format: str) -> None:
    """Percentile, band, horizons, leads and the demonstration banner are the service's own; the trace is drawn."""
    answer = answer_of(viewer_server, format)
    page.sample(format)
    assert page.run(TEXT, ".percentile .number") == str(round(answer["risk"]["percentile"]))
    assert answer["risk"]["band"] in page.run(TEXT, ".risk .band").lower()
    assert "Demonstration model" in page.run(TEXT, ".banner")
    rows = page.run("return [...document.querySelectorAll('.horizons tbody tr')].map((each) => each.innerText)")
    for row, horizon in zip(rows, answer["risk"]["horizons"], strict=True):
        years, risk = numbers(row)[:2]
        assert years == horizon["years"]
        assert risk == pytest.approx(horizon["probability"] * 100, abs=0.51 if risk >= 10 else 0.051)
    drawn = page.run(
        "const canvas = document.querySelector('canvas.tracing');"
        "const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;"
        "let ink = 0; for (let at = 0; at < pixels.length; at += 4) ink += pixels[at] < 40; return ink"
    )
    assert drawn > 4000
    page.picture(f"format-{format}", whole=False)
    assert page.complaints() == []


def test_a_pair_and_many_files_at_once(page: Screen, viewer_server: Server, tmp_path: Path) -> None:
    """A header finds its signal file by name among others; each recording gets its own tab; one bad file stops none."""
    for name, data in wfdb.files(normal_mv(70.0).astype(float), 500.0).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "other.csv").write_bytes(table.make(normal_mv(90.0).astype(float), 500.0))
    (tmp_path / "letter.txt").write_text("dear colleague")
    page.give(*(tmp_path / name for name in ("record.dat", "letter.txt", "other.csv", "record.hea")))
    page.wait("return document.querySelectorAll('.tab.done, .tab.failed').length === 3")
    tabs = page.run(
        "return [...document.querySelectorAll('.tab')].map((each) => [each.innerText.trim(), each.className])"
    )
    assert [re.sub(r"\s*,", ",", name) for name, _ in tabs] == ["letter.txt, refused", "other.csv", "record"]
    assert page.run(REFUSED) == "unknown_format"
    page.click("#recordings li:nth-child(3) button")
    page.wait(SHOWN)
    assert "wfdb" in page.run(TEXT, ".facts")
    assert "70 bpm" in page.run(TEXT, ".measurements")


def test_files_are_dropped(page: Screen) -> None:
    """A drop anywhere on the page counts."""
    page.run(
        "const sample = await (await fetch('samples/scp_ecg')).blob();"
        "const given = new DataTransfer(); given.items.add(new File([sample], 'dropped.scp'));"
        "document.body.dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: given}))"
    )
    page.wait(SHOWN)
    assert page.run(TEXT, "h1:not(#start-title)") == "dropped.scp"


def test_a_refusal_is_told_in_words_with_its_code(page: Screen, tmp_path: Path) -> None:
    """Reasons of the quality gate are listed; the code and the request id stand there for those who look them up."""
    flat = normal_mv(70.0).astype(float)
    flat[:] = 0.0
    (tmp_path / "flat.csv").write_bytes(table.make(flat, 500.0))
    page.give(tmp_path / "flat.csv")
    code = page.wait(REFUSED)
    assert code == "quality_rejected"
    told = page.run(TEXT, ".problem")
    assert "I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6: flat line" in told
    assert "request" in told
    page.picture("refused", whole=False)


def test_the_readout_is_the_recording(page: Screen, viewer_server: Server) -> None:
    """Wherever one points, lead, time, amplitude and activation are those of the answer, in every layout and gain."""
    answer = answer_of(viewer_server, "muse_xml")
    page.sample("muse_xml")
    for layout in ("3x4", "6x2", "12x1"):
        page.run(LAYOUT, layout)
        for gain in ("5", "20"):
            page.run(LAYOUT, gain)
            box = page.box("canvas.tracing")
            page.hover(box["x"] + box["width"] * 0.63, min(box["y"] + box["height"] * 0.4, 700))
            lead, seconds, amplitude, activation = re.fullmatch(
                r"Lead (\w+) Time ([\d.]+) s Amplitude (−?[\d.]+) mV Activation ([\d.]+)", page.run(READOUT)
            ).groups()  # type: ignore[union-attr]
            assert lead in LEADS
            expected = answer["signal"]["leads"][lead][round(float(seconds) * 500)]
            assert numbers(amplitude)[0] == pytest.approx(expected, abs=0.0051)
            assert min(answer["attention"]["temporal"]["activation"][lead]) - 0.01 <= float(activation) <= 1


@pytest.mark.parametrize(("speed", "gain"), [("25", "10"), ("50", "20"), ("25", "5")])
def test_calipers_measure_the_paper(page: Screen, speed: str, gain: str) -> None:
    """At true size 25.4 mm are 96 px: a drag of so many px is the time and voltage that the paper says."""
    page.sample("dicom")
    for each in ("12x1", speed, gain):
        page.run(LAYOUT, each)
    page.run("document.querySelector('.group button[aria-label^=\"True size\"]').click()")
    page.run(PRESS, "Calipers")
    box = page.box("canvas.tracing")
    x, y = box["x"] + 140, box["y"] + 60
    page.drag((x, y), (x + 40, y + 10), (x + 120, y + 40))
    ms, mv = numbers(page.run(TEXT, ".measure").split(":")[1])[:2]
    assert ms == pytest.approx(120 / 96 * 25.4 / float(speed) * 1000, abs=1)
    assert abs(mv) == pytest.approx(40 / 96 * 25.4 / float(gain), abs=0.006)
    page.drag((x + 120, y + 20), (x + 150, y + 20), (x + 160, y + 20))
    assert numbers(page.run(TEXT, ".measure").split(":")[1])[0] == pytest.approx(
        160 / 96 * 25.4 / float(speed) * 1000, abs=1
    )
    page.run(PRESS, "March out")
    page.picture(f"calipers-{speed}-{gain}", whole=False)


def test_a_long_recording_is_turned(page: Screen, tmp_path: Path) -> None:
    """Thirty seconds are three sheets; time goes on from one to the next."""
    (tmp_path / "long.csv").write_bytes(table.make(normal_mv(70.0, 30.0).astype(float), 500.0))
    page.give(tmp_path / "long.csv")
    page.wait(SHOWN)
    for _ in range(3):
        page.click("button[aria-label=Later]")
    assert "20–30 s" in page.run(TEXT, ".tools")
    box = page.box("canvas.tracing")
    page.hover(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.9)
    assert 28 < numbers(page.run(READOUT).split("Time")[1])[0] < 30


def test_the_keyboard_reads_and_measures(page: Screen) -> None:
    """Without a mouse: read along a lead, change the lead, zoom, set calipers between two points."""
    page.sample("hl7_aecg")
    page.run("document.querySelector('canvas.tracing').focus()")
    page.press(*["\ue014"] * 12)  # right
    assert re.match(r"Lead I Time 0\.1[12]0 s", page.run(READOUT))
    page.press("\ue015")  # down
    assert "Lead aVR" in page.run(READOUT) or "Lead II" in page.run(READOUT)
    before = page.run(TEXT, ".zoom")
    page.press("+")
    assert numbers(page.run(TEXT, ".zoom")) > numbers(before)
    page.press("c", "\ue007", *["\ue014"] * 20, "\ue007")
    assert "200 ms" in page.run(TEXT, ".measure")
    page.press("\ue00c")
    assert page.run(TEXT, ".measure") == ""


def test_either_map_and_its_faithfulness_in_words(page: Screen, viewer_server: Server) -> None:
    """The switch asks for the other kind; what was never measured is said so; what was is told with its numbers."""
    page.sample("edf")
    found = samples.find("edf")
    assert found
    kinds = {"risk": "what moved the predicted risk", "attention": "where the network looked"}
    shown_first = viewer_server.http.post("/predict", content=found.data).json()["attention"]["faithfulness"]["kind"]
    [other] = kinds.keys() - {shown_first}
    page.run(f"document.querySelector('.attention input[value={other}]').click()")
    page.wait(f"return document.querySelector('.words').innerText.includes('{kinds[other]}')")
    shown = page.run("return [...document.querySelectorAll('.weights tbody tr')].map((each) => each.innerText)")
    answer = viewer_server.http.post(f"/predict?map={other}", content=found.data).json()["attention"]
    assert answer["faithfulness"]["statement"] in page.run(TEXT, ".faithful")
    told = answer["leads"]
    assert [round(told[lead] * 100) for lead in LEADS] == pytest.approx([numbers(each)[-1] for each in shown], abs=0.51)
    words = page.run(
        "const {attentionPanel} = await import('/static/viewer/attention.js');"
        "const even = Object.fromEntries(args[0].map((lead) => [lead, 1 / 12]));"
        "const activation = Object.fromEntries(args[0].map((lead) => [lead, [0, 1]]));"
        "const temporal = {time_base: 'beat', start_ms: 0, step_ms: 40, anchors_ms: [0], activation};"
        "const rows = args[0].map(() => Array(12).fill(1 / 12));"
        "const told = (faithfulness) => attentionPanel("
        "  {attention: {leads: even, cross_lead: rows, temporal, faithfulness}}, null)"
        "  .querySelector('.faithful').textContent;"
        "return [null, {kind: 'risk', deletion_gain: 0.1234, tested: true}].map(told)",
        list(LEADS),
    )
    assert "Not measured" in words[0]
    assert "Measured on this model" in words[1]
    assert "Deletion gain0.123" in words[1]
    page.picture("attention-risk")


def test_activation_lies_where_the_core_lays_it(page: Screen) -> None:
    """The page spreads a beat's map over the recording as the core's own sheet does, and a recording's as it is."""
    rng = np.random.default_rng(5)
    for base, start_ms, step_ms, anchors_ms in (
        (TimeBase.BEAT, -480.0, 40.0, (300.0, 1210.0, 1800.0)),
        (TimeBase.RECORDING, 0.0, 80.0, (0.0,)),
    ):
        tokens = 30 if base is TimeBase.BEAT else 38
        activation = rng.random((12, tokens))
        core = Attention(
            MapKind.ATTENTION, np.full(12, 1 / 12), np.full((12, 12), 1 / 12), activation, base, start_ms, step_ms,
            anchors_ms, {},
        ).on_recording(3.0, 10.0)  # fmt: skip
        told = {
            "time_base": base.value, "start_ms": start_ms, "step_ms": step_ms, "anchors_ms": anchors_ms,
            "activation": dict(zip(LEADS, activation.tolist(), strict=True)),
        }  # fmt: skip
        drawn = page.run(
            "const {Activation} = await import('/static/viewer/wave.js');"
            "const map = new Activation(args[0], 3000);"
            "return args[1].map((lead) => [...map.drawn[lead]].map((each) => (Number.isNaN(each) ? 0 : each)))",
            told,
            list(LEADS),
        )
        assert np.array(drawn) == pytest.approx(core, abs=1e-6)


def test_without_the_contract_a_ruler_serves(page: Screen, viewer_server: Server) -> None:
    """A caller who may not read the model's contract sees a plain ruler; extremes keep their words."""
    answer = answer_of(viewer_server, "muse_xml")
    answer["risk"] |= {"percentile": 99.9, "log_hazard": 9.0}
    for horizon in answer["risk"]["horizons"]:
        horizon |= {"probability": 1e-6, "interval": [0.0, 2e-6]}
    told = page.run(
        "const {riskPanel} = await import('/static/viewer/risk.js');"
        "const panel = riskPanel(args[0], null); document.body.append(panel); return panel.innerText",
        answer,
    )
    assert "fewer than 1 to develop heart failure" in told
    assert "99" in told
    assert "100th" not in told
    assert " 0 " not in told


def test_two_fingers_zoom(page: Screen) -> None:
    """On a tablet: spread two fingers over the tracing."""
    page.size(1024, 768, touch=True)
    page.sample("muse_xml")
    box = page.box("canvas.tracing")
    before = numbers(page.run(TEXT, ".zoom"))[0]

    def fingers(kind: str, apart: float) -> None:
        x, y = box["x"] + 400, box["y"] + 150
        points = [] if kind == "touchEnd" else [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        page.command("Input.dispatchTouchEvent", type=kind, touchPoints=points)

    fingers("touchStart", 40)
    for apart in (50, 60, 70, 80):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    assert numbers(page.run(TEXT, ".zoom"))[0] == pytest.approx(2 * before, rel=0.15)


def test_two_recordings_beside_each_other(page: Screen, tmp_path: Path) -> None:
    """Differences are those of the answers; both tracings and the beats laid over each other are there."""
    (tmp_path / "fast.csv").write_bytes(table.make(normal_mv(95.0).astype(float), 500.0))
    (tmp_path / "slow.csv").write_bytes(table.make(normal_mv(60.0).astype(float), 500.0))
    page.give(tmp_path / "slow.csv", tmp_path / "fast.csv")
    page.wait("return !document.querySelector('#compare').hidden")
    page.click("#compare")
    rows = page.run(
        "return Object.fromEntries([...document.querySelectorAll('.compare tbody tr')]"
        ".map((each) => [each.cells[0].innerText, [...each.cells].slice(1).map((cell) => cell.innerText)]))"
    )
    assert rows["Heart rate"] == ["60 bpm", "95 bpm", "+35 bpm"]
    assert page.run("return document.querySelectorAll('canvas.tracing').length") == 3
    page.run(
        "const menu = document.querySelector('select[aria-label=\"First recording\"]');"
        "menu.value = '1'; menu.dispatchEvent(new Event('change'))"
    )
    assert page.run("return document.querySelector('.compare tbody tr td').innerText") == rows["Percentile"][1]
    page.picture("compare")
    assert page.complaints() == []


def test_history_opens_stored_answers(page: Screen) -> None:
    """The newest row is what was just asked; opened, it tells the same number, and says that no tracing is stored."""
    page.sample("fhir")
    number = page.run(TEXT, ".percentile .number")
    page.click("#history")
    page.wait("return document.querySelector('.history tbody tr') !== null")
    assert "fhir" in page.run(TEXT, ".history tbody tr")
    page.picture("history", whole=False)
    page.click(".history tbody tr button")
    page.wait("return document.querySelector('h1:not(#start-title)')?.innerText.startsWith('Stored')")
    assert page.run(TEXT, ".percentile .number") == number
    assert "not stored" in page.run(TEXT, ".trace-card")
    assert page.complaints() == []


def test_light_and_dark(page: Screen) -> None:
    """The system's preference holds until the person chooses; paper and page follow either."""
    page.sample("wfdb")
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    corner = "return document.querySelector('canvas.tracing').getContext('2d').getImageData(1, 1, 1, 1).data[0]"
    light, paper = page.run(ground), page.run(corner)
    page.scheme("dark")
    assert page.run(ground) != light
    page.wait(f"return (() => {{ {corner} }})() < 80")
    page.picture("dark")
    page.click("#theme")
    assert page.run(ground) == light
    assert page.run(corner) == paper


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (1024, 768), (820, 1180), (768, 1024)])
def test_it_fits_the_window(page: Screen, width: int, height: int) -> None:
    """Nothing makes the page scroll sideways, on a desk or on a tablet either way up."""
    page.size(width, height, touch=width < 1000)
    page.sample("philips_sierra")
    page.picture(f"window-{width}x{height}")
    assert page.run("return document.documentElement.scrollWidth <= innerWidth")


def test_the_print_is_to_scale(page: Screen) -> None:
    """On paper the sheet is as wide as its millimetres: 25.0 mm a second at 25 mm/s, whatever the window's zoom was."""
    page.scheme("dark")
    page.sample("cardiosoft_xml")
    page.run(
        "const canvas = document.querySelector('canvas.tracing');"
        "const corner = () => canvas.getContext('2d').getImageData(1, 1, 1, 1).data[0];"
        "addEventListener('beforeprint', () => Object.assign(window, {printedPx: canvas.style.width, paper: corner()}))"
    )
    printed = page.paper()
    sheet_mm = page.run(
        "const {arrange} = await import('/static/viewer/layout.js');"
        "const wave = {startMs: 0, lengthMs: 10000};"
        "const sheet = arrange('3x4', {wave, mmPerS: 25, mmPerMv: 10});"
        "const rhythm = sheet.strips.at(-1);"
        "return [sheet.widthMm, rhythm.xMm, sheet.leftMm]"
    )
    assert sheet_mm[0] == sheet_mm[1] + 250 + 5
    assert numbers(page.run("return window.printedPx"))[0] == pytest.approx(sheet_mm[0] * 96 / 25.4, abs=0.01)
    assert page.run("return window.paper") > 200
    assert page.run("return document.documentElement.dataset.theme") is None
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 2


@pytest.mark.parametrize(("ending", "magic"), [("pdf", b"%PDF-"), ("svg", b"<svg")])
def test_a_report_is_saved(page: Screen, viewer_server: Server, tmp_path: Path, ending: str, magic: bytes) -> None:
    """The buttons ask for this recording as a report, and the browser keeps the file under the recording's name."""
    page.command("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.sample("muse_xml")
    page.click(f"[data-report={ending}]")
    saved = tmp_path / f"muse_xml.{ending}"
    viewer_server.wait(lambda: saved.exists() and saved.stat().st_size, 10)
    assert saved.read_bytes().startswith(magic)
    assert page.run("return document.querySelector('.result .problem')") is None
