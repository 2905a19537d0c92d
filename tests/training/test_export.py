"""The exported graph does what torch does, for any batch, without torch; and it carries its contract."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from ecg import probe
from ecg.errors import ContractInvalid, ContractMismatch, ProbeMismatch
from ecg.predictor import Predictor
from model_training.export import Served, read_contract, to_onnx, with_contract, write
from model_training.nets import build
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.risk_model import RiskModel
from tests.training.contracts import OUTPUT, contract
from tests.training.nets import SWITCHED, batch, risk_model

pytestmark = pytest.mark.torch
TOLERANCE = 1e-4  # relative to the largest value of an output
FULL = ("paper", "additive")


@cache
def exported(name: str) -> tuple[RiskModel, onnx.ModelProto]:
    model = risk_model(name)
    assert isinstance(model.network, DualAttention)
    return model, to_onnx(model, model.network.config.samples, OUTPUT)


def session(data: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def run(running: onnxruntime.InferenceSession, ecg: torch.Tensor, mask: torch.Tensor) -> dict[str, NDArray[np.float32]]:
    names = [output.name for output in running.get_outputs()]
    return dict(zip(names, running.run(None, {"ecg": ecg.numpy(), "lead_mask": mask.numpy()}), strict=True))


def assert_same(served: Served, answer: dict[str, NDArray[np.float32]], ecg: torch.Tensor, mask: torch.Tensor) -> None:
    with torch.no_grad():
        expected = dict(zip(served.outputs, served(ecg, mask), strict=True))
    assert list(answer) == list(expected)
    for name, ours in expected.items():
        assert answer[name].dtype == np.float32
        assert answer[name].shape == tuple(ours.shape)
        worst = np.abs(answer[name] - ours.numpy()).max() / max(float(ours.abs().max()), 1e-6)
        assert worst < TOLERANCE, (name, worst)


@pytest.mark.parametrize("name", SWITCHED)
def test_every_switch_exports_and_agrees(name: str) -> None:
    """Law: after a few steps of training each configuration's graph gives torch's answer, masked leads included."""
    model, proto = exported(name)
    served, running = Served(model, OUTPUT), session(proto.SerializeToString())
    for size in (1, 5):
        ecg, mask = batch(model.network, size, seed=size)  # type: ignore[arg-type]
        assert_same(served, run(running, ecg, mask), ecg, mask)


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("size", [1, 2, 3, 8, 33, 64])
def test_any_batch_size_agrees(name: str, size: int) -> None:
    """Law: batch sizes from 1 to 64 run and agree."""
    model, proto = exported(name)
    ecg, mask = batch(model.network, size, seed=size)  # type: ignore[arg-type]
    assert_same(Served(model, OUTPUT), run(session(proto.SerializeToString()), ecg, mask), ecg, mask)


@pytest.mark.parametrize("name", FULL)
def test_a_record_alone_is_the_record_among_others(name: str) -> None:
    """Law: an answer does not depend on the company it is computed in, to 1e-5 of its scale."""
    model, proto = exported(name)
    running = session(proto.SerializeToString())
    ecg, mask = batch(model.network, 9, seed=4)  # type: ignore[arg-type]
    together = run(running, ecg, mask)
    for row in range(9):
        alone = run(running, ecg[row : row + 1], mask[row : row + 1])
        for output, value in alone.items():
            scale = max(1.0, float(np.abs(together[output]).max()))
            np.testing.assert_allclose(value[0], together[output][row], rtol=0, atol=1e-5 * scale, err_msg=output)


def test_horizon_risk_is_the_contracts_formula() -> None:
    """Law: risk = 1 - S0 ** exp(slope * (log-hazard - center)), rising with the horizon."""
    model, proto = exported("additive")
    answer = run(session(proto.SerializeToString()), *batch(model.network, 4))  # type: ignore[arg-type]
    survival = np.array([horizon.baseline_survival for horizon in OUTPUT.horizons])
    scaled = OUTPUT.calibration.slope * (answer["log_hazard"] - OUTPUT.calibration.center)
    np.testing.assert_allclose(answer["horizon_risk"], 1 - survival ** np.exp(scaled)[:, None], rtol=1e-5)
    assert (np.diff(answer["horizon_risk"], axis=1) > 0).all()


@pytest.mark.parametrize("name", FULL)
def test_maps_from_the_file_are_weights(name: str) -> None:
    """Law: what the service reads sums to 1, lies in [0, 1], and gives a masked lead nothing."""
    model, proto = exported(name)
    ecg, mask = batch(model.network, 6)  # type: ignore[arg-type]
    answer = run(session(proto.SerializeToString()), ecg, mask)
    np.testing.assert_allclose(answer["lead_attention"].sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(answer["cross_lead"].sum(axis=2), 1, rtol=1e-5)
    assert answer["temporal_attention"].min() >= 0
    assert answer["temporal_attention"].max() <= 1
    assert (answer["lead_attention"][mask.numpy() == 0] == 0).all()
    assert (answer["lead_relevance"][mask.numpy() == 0] == 0).all()
    assert np.abs(answer["lead_relevance"]).max() > 0


def test_a_dead_lead_and_silence_give_finite_answers() -> None:
    """Law: a lead of zeros, and a recording of nothing but zeros, give numbers and no NaN."""
    for name in FULL:
        model, proto = exported(name)
        ecg, mask = batch(model.network, 2)  # type: ignore[arg-type]
        mask.fill_(1)
        ecg[0, 4], ecg[1] = 0, 0
        assert all(np.isfinite(value).all() for value in run(session(proto.SerializeToString()), ecg, mask).values())


@pytest.mark.parametrize("name", FULL)
def test_the_contract_is_written_with_its_probe_and_read_back_equal(name: str, tmp_path: Path) -> None:
    """Law: one file holds graph, contract and probe; the core loads it, its probe verifies, its contract is equal."""
    model, _ = exported(name)
    assert isinstance(model.network, DualAttention)
    promised = contract(model.network.config)
    path = write(model, promised, tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    predictor = Predictor.load(path)
    found = read_contract(path.read_bytes())
    assert predictor.contract == found
    assert found.model_copy(update={"probe": promised.probe}) == promised
    assert found.probe != promised.probe
    probe.verify(predictor)


def test_a_retouched_weight_fails_the_probe(tmp_path: Path) -> None:
    """Law: an artefact whose graph is no longer the one that was stamped is refused by its probe."""
    model, proto = exported("additive")
    assert isinstance(model.network, DualAttention)
    path = write(model, contract(model.network.config), tmp_path / "model.onnx")
    other = onnx.ModelProto()
    other.CopyFrom(proto)
    weight = next(each for each in other.graph.initializer if each.name.endswith("head.out.weight"))
    weight.CopyFrom(onnx.numpy_helper.from_array(3 * onnx.numpy_helper.to_array(weight), weight.name))
    with pytest.raises(ProbeMismatch):
        probe.verify(Predictor(with_contract(other, read_contract(path.read_bytes()))))


@pytest.mark.parametrize("name", ["resnet1d_wang", "inception_time", "xresnet1d101", "bilstm"])
def test_a_baseline_is_served_by_the_same_core(name: str) -> None:
    """Law: a network without attention exports its answer, has no maps, and agrees with torch alone and in company."""
    torch.manual_seed(0)
    net = build(name, 600)
    model = RiskModel(net, RiskHead(net.embedding_size, 0)).eval()
    running, served = session(to_onnx(model, 600, OUTPUT).SerializeToString()), Served(model, OUTPUT)
    for size in (1, 6):
        ecg, mask = torch.randn(size, 12, 600), torch.ones(size, 12)
        answer = run(running, ecg, mask)
        assert set(answer) == {"log_hazard", "horizon_risk", "embedding"}
        assert_same(served, answer, ecg, mask)


def test_a_file_without_a_contract_is_refused() -> None:
    """Law: a graph that carries no contract cannot be read as an artefact."""
    with pytest.raises(ContractInvalid):
        read_contract(exported("additive")[1].SerializeToString())


def test_a_contract_that_the_network_does_not_keep_is_not_written(tmp_path: Path) -> None:
    """Law: export refuses a contract with another rate, length, view or token grid, and writes nothing."""
    model, _ = exported("additive")
    assert isinstance(model.network, DualAttention)
    promised = contract(model.network.config)
    wrong = promised.model_copy(update={"input": promised.input.model_copy(update={"samples": 999})})
    with pytest.raises(ContractMismatch, match="samples"):
        write(model, wrong, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_the_artefact_says_nothing_of_the_machine_that_made_it() -> None:
    """Law: the file holds no source path of the exporter; the same graph and contract are the same bytes."""
    model, proto = exported("additive")
    assert isinstance(model.network, DualAttention)
    data = with_contract(proto, contract(model.network.config))
    assert b"site-packages" not in data
    assert str(Path.cwd()).encode() not in data
    assert data == with_contract(proto, contract(model.network.config))


def test_the_runtime_folds_what_can_be_folded() -> None:
    """Law: after the runtime's optimisation no batch normalisation of the encoder is left beside its convolution."""
    _, proto = exported("additive")
    kinds = [node.op_type for node in proto.graph.node]
    assert "Dropout" not in kinds
    assert kinds.count("Conv") == 7


def genuine(ptbxl_dir: Path, records: int) -> NDArray[np.float32]:
    """PTB-XL at 100 Hz in mV, offset removed: (records, 12, 1000)."""
    import wfdb  # only the slow test reads files

    headers = sorted((ptbxl_dir / "records100").rglob("*.hea"))[:records]
    strips = [wfdb.rdrecord(str(header.with_suffix(""))).p_signal.T for header in headers]
    signals = np.stack([strip[:, :1000] for strip in strips if strip.shape[1] >= 1000])
    return np.ascontiguousarray(signals - np.median(signals, axis=2, keepdims=True), np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_a_thousand_genuine_recordings_agree(name: str, ptbxl_dir: Path) -> None:
    """Law: over 1,000 real records, in batches of 1 to 64, no output is further than 1e-4 of its scale from torch's."""
    model, proto = exported(name)
    assert isinstance(model.network, DualAttention)
    signals = genuine(ptbxl_dir, 1000)
    assert len(signals) >= 1000
    served, running = Served(model, OUTPUT), session(proto.SerializeToString())
    sizes, start, chance = np.arange(1, 65), 0, np.random.default_rng(0)
    while start < len(signals):
        size = int(chance.choice(sizes))
        ecg = torch.from_numpy(signals[start : start + size, :, : model.network.config.samples].copy())
        mask = torch.from_numpy((chance.random(ecg.shape[:2]) > 0.03).astype(np.float32))
        assert_same(served, run(running, ecg, mask), ecg, mask)
        start += size
