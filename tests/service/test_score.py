"""Scoring a cohort: one row a record on every engine, resumed after a kill, bounded, honest about what failed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from ecg import assess, formats
from ecg.predictor import Predictor
from service import score
from service.scoring import inputs, parts
from tests import makers
from tests.conftest import ROOT
from tests.ecg import hearts

MODEL = ROOT / "tests" / "fixtures" / "models" / "hf-untrained-0.1.0.onnx"


def heart(format_name: str, bpm: float) -> bytes:
    maker = makers.of(format_name)
    return maker.make(hearts.normal_mv(bpm=bpm).astype("float64"), 500.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of recordings in several formats, among them files that are none."""
    root = tmp_path_factory.mktemp("cohort")
    for number in range(40):
        name = ("muse_xml", "hl7_aecg", "dicom", "edf")[number % 4]
        folder = root / f"site-{number % 3}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number:03d}.{name}").write_bytes(heart(name, 55 + number))
    (root / "broken.xml").write_bytes(b"<RestingECG><never closed")
    (root / "noise.bin").write_bytes(os.urandom(4096))
    (root / "notes.txt").write_text("not a recording")
    (root / ".hidden").write_text("not a recording")
    return root


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "RECORDS_A_PART", 8)


def scored(out: Path, *given: str, model: Path = MODEL) -> list[dict[str, object]]:
    assert score.main([*given, "--models", str(model), "--out", str(out)]) == 0
    return pq.read_table(out).to_pylist()


def command(out: Path, *given: str) -> list[str]:
    return [sys.executable, "-m", "service.score", *given, "--models", str(MODEL), "--out", str(out)]


def test_every_record_is_one_row_with_its_answer_or_its_code(cohort: Path, tmp_path: Path) -> None:
    """The numbers are those of the trip of one upload; what cannot be read has a code and no number."""
    rows = {row["record"]: row for row in scored(tmp_path / "s.parquet", str(cohort), "--workers", "1")}
    assert len(rows) == 42
    assert rows["broken.xml"]["code"] in ("malformed", "unknown_format")
    assert rows["noise.bin"]["code"] == "unknown_format"
    assert rows["noise.bin"]["log_hazard"] is None
    path = cohort / "site-0" / "000.muse_xml"
    alone = assess.assess(formats.read(path.read_bytes()), Predictor.load(MODEL))
    row = rows["site-0/000.muse_xml"]
    assert (row["code"], row["log_hazard"], row["percentile"], row["band"]) == (
        "ok", alone.risk.log_hazard, alone.risk.percentile, alone.risk.band.value,
    )  # fmt: skip
    assert [row["risk_5y"]] == [each.probability for each in alone.risk.horizons if each.years == 5]


def test_a_model_of_simulated_outcomes_says_so_in_the_file(cohort: Path, tmp_path: Path) -> None:
    """Whoever opens the file later learns by which model and on what outcomes."""
    scored(tmp_path / "s.parquet", str(cohort / "site-0"), "--workers", "1")
    told = pq.read_schema(tmp_path / "s.parquet").metadata
    assert told[b"model"] == b"hf-untrained-0.1.0"
    assert told[b"intended_use"] == b"demonstration"
    assert told[b"outcomes"] == b"SIMULATED"


def test_two_processes_and_shards_give_the_rows_of_one(cohort: Path, tmp_path: Path) -> None:
    """In the same order, with the lead weights; shards share nothing and leave nothing out."""
    one = scored(tmp_path / "one.parquet", str(cohort), "--workers", "1", "--explain")
    two = scored(tmp_path / "two.parquet", str(cohort), "--workers", "2", "--explain")
    assert one == two
    shards = [
        scored(tmp_path / f"{each}.parquet", str(cohort), "--workers", "1", "--explain", "--shard", f"{each}/3")
        for each in (1, 2, 3)
    ]
    assert sorted((row for shard in shards for row in shard), key=str) == sorted(one, key=str)
    weights = [row["lead_attention"] for row in one if row["code"] == "ok"]
    assert all(abs(sum(each) - 1) < 1e-3 for each in weights)


def test_globs_manifests_files_and_other_stores_name_the_same_recordings(cohort: Path, tmp_path: Path) -> None:
    """A manifest's paths are relative to it; an address of another store is read like a path."""
    listed = cohort / "manifest.csv"
    listed.write_text("path,age\nsite-0/000.muse_xml,61\nsite-1/001.hl7_aecg,62\n")
    store = fsspec.filesystem("memory")
    for name in ("000.muse_xml", "003.edf"):
        store.pipe(f"/far/{name}", (cohort / "site-0" / name).read_bytes())
    try:
        found = [each.name for each in inputs.records([str(listed)])]
        assert found == ["site-0/000.muse_xml", "site-1/001.hl7_aecg"]
        assert len(list(inputs.records([str(cohort / "*" / "*.edf")]))) == 10
        rows = scored(tmp_path / "s.parquet", str(listed), "memory://far", "--workers", "1")
    finally:
        listed.unlink()
    assert [row["code"] for row in rows] == ["ok"] * 4
    assert rows[0]["log_hazard"] == rows[2]["log_hazard"]


def test_wfdb_records_are_their_headers(ptbxl_dir: Path, tmp_path: Path) -> None:
    """Signal files stand behind their header, in a folder and as a manifest's path without suffix."""
    source = sorted((ptbxl_dir / "records500" / "00000").glob("*.hea"))[:3]
    for each in source:
        shutil.copy(each, tmp_path)
        shutil.copy(each.with_suffix(".dat"), tmp_path)
    manifest = tmp_path / "m.csv"
    manifest.write_text("path\n" + "\n".join(each.stem for each in source))
    by_manifest = scored(tmp_path / "a.parquet", str(manifest), "--workers", "1")
    manifest.unlink()
    by_folder = scored(tmp_path / "b.parquet", str(tmp_path), "--workers", "1")
    assert [row["log_hazard"] for row in by_manifest] == [row["log_hazard"] for row in by_folder]
    assert [row["record"] for row in by_folder] == [each.name for each in source]


def test_a_header_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    """A hostile header names a file elsewhere: refused, and the file is not opened."""
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.dat").write_bytes(b"\0" * 24)
    (tmp_path / "in" / "r.hea").write_text("r 1 500 10\n../secret.dat 16 1000/mV 16 0 0 0 0 I\n")
    rows = scored(tmp_path / "s.parquet", str(tmp_path / "in"), "--workers", "1")
    assert [row["code"] for row in rows] == ["unsafe"]


@pytest.fixture
def many(cohort: Path, tmp_path: Path) -> Path:
    """Enough records that a kill falls in the middle."""
    root = tmp_path / "many"
    root.mkdir()
    source = cohort / "site-0" / "000.muse_xml"
    for number in range(700):
        os.link(source, root / f"{number:05d}.xml")
    return root


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_rows(many: Path, tmp_path: Path) -> None:
    """Nothing lost, nothing twice; the output does not appear before it is whole."""
    out = tmp_path / "killed.parquet"
    run = subprocess.Popen(command(out, str(many)), stderr=subprocess.DEVNULL, start_new_session=True, cwd=ROOT)
    folder = Path(f"{out}.parts")
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert not out.exists()
    kept = {each: each.stat().st_mtime_ns for each in folder.glob("*.parquet")}
    assert 2 <= len(kept) < 6
    again = subprocess.run(command(out, str(many)), check=True, capture_output=True, text=True, cwd=ROOT)
    assert "700 rows" in again.stdout
    assert not folder.exists()
    unbroken = tmp_path / "unbroken.parquet"
    subprocess.run(command(unbroken, str(many), "--workers", "1"), check=True, capture_output=True, cwd=ROOT)
    assert pq.read_table(out).equals(pq.read_table(unbroken))
    assert out.read_bytes() == unbroken.read_bytes()


def test_parts_of_other_work_are_not_taken_over(cohort: Path, tmp_path: Path) -> None:
    """The same output for other inputs is refused rather than mixed."""
    out = tmp_path / "s.parquet"
    job_parts = Path(f"{out}.parts")
    job = score.Job(MODEL, Predictor.load(MODEL).sha256, False)
    job_parts.mkdir()
    first = next(parts.parts_of(inputs.records([str(cohort / "site-1")])))
    parts.score(first, job, str(job_parts))
    with pytest.raises(SystemExit, match="other records"):
        scored(out, str(cohort / "site-0"), "--workers", "1")
    out.write_bytes(b"already here")
    with pytest.raises(SystemExit, match="there already"):
        scored(out, str(cohort / "site-1"), "--workers", "1")


def test_a_defect_costs_one_row_and_fails_the_run(
    cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A programming error on one recording is told by its type alone and makes the exit status 1."""
    from service.scoring import rows

    real = rows.make_ready

    def fragile(recording: object, *rest: object, **named: object) -> object:
        if recording.format == "edf":  # type: ignore[attr-defined]
            raise ZeroDivisionError("a secret")
        return real(recording, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "make_ready", fragile)
    out = tmp_path / "s.parquet"
    assert score.main([str(cohort / "site-0"), "--models", str(MODEL), "--out", str(out), "--workers", "1"]) == 1
    found = pq.read_table(out).to_pylist()
    assert {row["code"] for row in found} == {"ok", "internal_error"}
    assert "a secret" not in str(found) + capsys.readouterr().out


@pytest.mark.slow
def test_ray_gives_the_same_rows_though_a_node_dies(many: Path, tmp_path: Path) -> None:
    """A local cluster of three nodes, one of which is killed in the middle: the same file as one process writes."""
    pytest.importorskip("ray")
    script = Path(__file__).with_name("ray_cluster.py")
    out = tmp_path / "ray.parquet"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(many), str(MODEL), str(out)],
        capture_output=True, text=True, timeout=280, cwd=ROOT, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert "a node was killed" in run.stdout
    local = tmp_path / "local.parquet"
    subprocess.run(command(local, str(many)), check=True, capture_output=True, cwd=ROOT)
    assert pq.read_table(out).equals(pq.read_table(local))
