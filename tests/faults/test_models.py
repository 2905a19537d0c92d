"""The artefact breaks on disk or in the runtime: what was verified goes on answering, what was not never does."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ecg.hearts import normal_mv
from tests.faults.traffic import Callers, ask, require_nothing_lost
from tests.makers import table
from tests.service.server import Server
from tests.service.test_lifecycle import altered, seal, shelf, shipped

__all__ = ["shelf"]


def flipped(path: Path) -> None:
    """One bit in the middle of the weights."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def gone(path: Path) -> None:
    path.unlink()


def unlisted(path: Path) -> None:
    (path.parent / "SHA256SUMS").unlink()


def scrambled_list(path: Path) -> None:
    (path.parent / "SHA256SUMS").write_bytes(b"\xff\x00 nonsense\nno-hash\n\n" + bytes(range(256)))


@pytest.mark.parametrize("damage", [flipped, cut, gone, unlisted, scrambled_list])
def test_an_artefact_damaged_on_disk(tmp_path: Path, shelf: Path, damage: Callable[[Path], None]) -> None:
    """A reload after the damage is refused and says so; the verified model answers on; mended, it reloads."""
    [path] = shelf.glob("*.onnx")
    with Server(tmp_path, MODELS=str(shelf)) as server:
        before = ask(server.http)
        damage(path)
        refused = server.http.post("/models/reload")
        expected = (404, "model_unknown") if damage is gone else (503, "artefact_altered")
        assert (refused.status_code, refused.json()["code"]) == expected
        assert refused.headers["content-type"] == "application/problem+json"
        after = ask(server.http)
        assert after.body["risk"] == before.body["risk"]
        assert server.is_ready()
        shutil.copy(shipped(), path)
        seal(shelf)
        assert server.http.post("/models/reload").status_code == 200
        assert ask(server.http).body["risk"] == before.body["risk"]
        require_nothing_lost(server, [before, after])


def _newer(contract: dict[str, Any]) -> None:
    contract["model"]["version"] = "9.0.0"


@pytest.mark.slow
def test_an_artefact_swapped_while_running(tmp_path: Path, shelf: Path) -> None:
    """Other bytes under the same name, time and again under load: each answer is wholly of one verified version."""
    [path] = shelf.glob("*.onnx")
    versions = [tmp_path / "old.onnx", tmp_path / "new.onnx"]
    shutil.copy(path, versions[0])
    altered(path, versions[1], _newer)
    with Server(tmp_path, MODELS=str(shelf), WORKERS="2") as server:
        with Callers(server, 3) as callers:
            for turn in range(1, 7):
                path.write_bytes(b"half an artefact")  # what a reload in the middle of a copy would see
                server.http.post("/models/reload")
                shutil.copy(versions[turn % 2], path)
                seal(shelf)
                assert server.http.post("/models/reload").status_code == 200
                time.sleep(0.4)
        told = {(each.body["model"]["version"], str(each.body["risk"])) for each in callers.heard}
        assert set(callers.codes) == {"ok"}
        assert callers.broken == 0
        assert {version for version, _ in told} == {"9.0.0", ask_version(versions[0])}
        assert len(told) == 2
        require_nothing_lost(server, callers.heard)


def ask_version(path: Path) -> str:
    from ecg.predictor import Predictor

    return str(Predictor.load(path).contract.model.version)


def fails_on_masked_leads(source: Path, target: Path) -> None:
    """The same graph, but its runtime fails on every recording of which a lead is left out; the probe has none."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(source)
    graph, helper, kinds = model.graph, onnx.helper, onnx.TensorProto
    for output in graph.output:
        if output.name == "log_hazard":
            inner = "log_hazard_before_fault"
            for node in graph.node:
                node.output[:] = [inner if name == output.name else name for name in node.output]
                node.input[:] = [inner if name == output.name else name for name in node.input]
    numbers = {"fault_twelve": 12.0, "fault_far": 1e6}
    for name, value in numbers.items():
        graph.initializer.append(helper.make_tensor(name, kinds.FLOAT, [], [value]))
    graph.node.extend(
        [
            helper.make_node("ReduceSum", ["lead_mask"], ["fault_leads"], keepdims=0),
            helper.make_node("Sub", ["fault_twelve", "fault_leads"], ["fault_missing"]),
            helper.make_node("Mul", ["fault_missing", "fault_far"], ["fault_index_float"]),
            helper.make_node("Cast", ["fault_index_float"], ["fault_index"], to=kinds.INT64),
            helper.make_node("Gather", ["log_hazard_before_fault", "fault_index"], ["fault_scalar"], axis=0),
            helper.make_node("Shape", ["log_hazard_before_fault"], ["fault_shape"]),
            helper.make_node("Expand", ["fault_scalar", "fault_shape"], ["log_hazard"]),
        ]
    )
    onnx.save(model, target)


def test_the_runtime_fails(tmp_path: Path, shelf: Path) -> None:
    """A failure inside the runtime is a 500 with its row and no text; the next recording is answered as ever."""
    [path] = shelf.glob("*.onnx")
    fails_on_masked_leads(path, path)
    seal(shelf)
    heart = normal_mv(66.0)
    limited = heart.copy()
    limited[10] = 0.0  # a flat lead is left out
    raw = {"content-type": "text/csv"}
    with Server(tmp_path, MODELS=str(shelf)) as server:
        for _ in range(3):
            sound = server.http.post("/predict", content=table.make(heart, 500.0), headers=raw)
            broken = server.http.post("/predict", content=table.make(limited, 500.0), headers=raw)
            assert sound.status_code == 200
            assert (broken.status_code, broken.json()["code"]) == (500, "inference_failed")
            assert "fault" not in broken.text
        parts = [("file", (f"{index}.csv", table.make(each, 500.0))) for index, each in enumerate((limited, heart))]
        lines = server.http.post("/predict/batch", files=parts).text.splitlines()
        assert ['"inference_failed"' in line for line in lines] == [True, False]
        assert server.is_ready()
        codes = [row["code"] for row in server.http.get("/predictions").json()["items"]]
        assert codes.count("inference_failed") == 4
        assert codes.count("ok") == 4
    assert sum(line["event"] == "failed" for line in server.lines()) >= 3


def test_the_limited_heart_is_judged_by_a_sound_runtime(server: Server) -> None:
    """The recording that failed above is answered by the artefact as shipped: the fault was the runtime's."""
    limited = np.array(normal_mv(66.0))
    limited[10] = 0.0
    told = server.http.post("/predict", content=table.make(limited, 500.0), headers={"content-type": "text/csv"})
    assert (told.status_code, told.json()["quality"]["verdict"]) == (200, "limited")
