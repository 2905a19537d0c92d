"""A graph without what leads to no wanted output: fewer nodes, and the same numbers to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from ecg import graph
from ecg.predictor import Predictor
from tests.conftest import ROOT

SHIPPED = sorted((ROOT / "models").glob("*.onnx"))
ANSWER = {"log_hazard", "horizon_risk", "embedding"}


def model(nodes: list[onnx.NodeProto], outputs: list[str]) -> bytes:
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in outputs]
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])]
    made = helper.make_model(
        helper.make_graph(nodes, "g", given, told), ir_version=10, opset_imports=[helper.make_opsetid("", 18)]
    )
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString())


def told_by(data: bytes, **fed: float) -> list[float]:
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    return [float(each[0]) for each in session.run(None, {name: np.array([v], "f") for name, v in fed.items()})]


def test_what_leads_nowhere_is_left_out() -> None:
    """Nodes that two outputs share stay for one of them; those of the other alone go, and so does it."""
    nodes = [
        helper.make_node("Neg", ["x"], ["shared"]),
        helper.make_node("Exp", ["shared"], ["a"]),
        helper.make_node("Abs", ["shared"], ["between"]),
        helper.make_node("Sqrt", ["between"], ["b"]),
    ]
    brief = graph.leading_to(["b"], model(nodes, ["a", "b"]))
    left = onnx.load_from_string(brief)
    assert [node.op_type for node in left.graph.node] == ["Neg", "Abs", "Sqrt"]
    assert [each.name for each in left.graph.output] == ["b"]
    assert told_by(brief, x=-9.0) == [3.0]


def test_what_a_branch_reads_from_outside_stays() -> None:
    """A node inside a branch may read a name of the graph around it, which no input of the branching node names."""

    def branch(operation: str, name: str) -> onnx.GraphProto:
        out = helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
        return helper.make_graph([helper.make_node(operation, ["outside"], [name])], name, [], [out])

    nodes = [
        helper.make_node("Abs", ["x"], ["outside"]),
        helper.make_node("Neg", ["x"], ["unwanted"]),
        helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", TensorProto.FLOAT, [1], [0.0])),
        helper.make_node("Greater", ["x", "zero"], ["is_positive"]),
        helper.make_node(
            "If", ["is_positive"], ["b"], then_branch=branch("Sqrt", "t"), else_branch=branch("Identity", "e")
        ),
    ]
    brief = graph.leading_to(["b"], model(nodes, ["unwanted", "b"]))
    assert "Neg" not in {node.op_type for node in onnx.load_from_string(brief).graph.node}
    assert told_by(brief, x=16.0) == [4.0]
    assert told_by(brief, x=-16.0) == [16.0]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_without_maps_the_answer_is_the_same_to_the_last_bit(path: Path) -> None:
    """The shipped graphs have nodes for their maps alone; an answer must not depend on whether maps were asked for."""
    data = path.read_bytes()
    whole, brief = onnx.load_from_string(data), onnx.load_from_string(graph.leading_to(ANSWER, data))
    assert len(brief.graph.node) < 0.9 * len(whole.graph.node)
    assert list(brief.metadata_props) == list(whole.metadata_props)
    predictor, random = Predictor(data), np.random.default_rng(1)
    for _ in range(20):
        tensor = random.normal(scale=0.3, size=(12, predictor.contract.input.samples)).astype(np.float32)
        mask = random.random(12) > 0.2
        with_maps, without = (predictor.infer(tensor, mask, maps=maps) for maps in (True, False))
        assert with_maps.maps is not None
        assert without.maps is None
        assert with_maps.log_hazard == without.log_hazard
        assert np.array_equal(with_maps.horizon_risk, without.horizon_risk)
        assert np.array_equal(with_maps.embedding, without.embedding)
