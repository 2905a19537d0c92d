"""One file for the service: the graph with its risk maps inside, and the contract that it keeps."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from ecg import contract as contracts
from ecg import probe
from ecg.contract import METADATA_KEY, Contract, OutputFacts
from ecg.errors import ContractMismatch
from ecg.predictor import Predictor
from model_training.nets.dual_attention import DualAttention, Tokens
from model_training.nets.interface import N_LEADS
from model_training.nets.risk_model import Explained, RiskModel

INPUTS: Final = ("ecg", "lead_mask")
ANSWER: Final = ("log_hazard", "horizon_risk", "embedding")
MAPS: Final = ("lead_attention", "cross_lead", "temporal_attention", "lead_relevance", "temporal_relevance")
LARGEST_BATCH: Final = 4096


class Served(nn.Module):
    """What the graph computes. A network without maps answers with the first three outputs alone."""

    log_survival: Tensor

    def __init__(self, model: RiskModel, output: OutputFacts) -> None:
        super().__init__()
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.after = _after_tokens(self.model) if isinstance(model.network, DualAttention) else None
        survival = torch.tensor([horizon.baseline_survival for horizon in output.horizons])
        self.register_buffer("log_survival", survival.log())
        self.slope, self.center = output.calibration.slope, output.calibration.center

    @property
    def outputs(self) -> tuple[str, ...]:
        return ANSWER + (MAPS if self.after is not None else ())

    def forward(self, ecg: Tensor, lead_mask: Tensor) -> tuple[Tensor, ...]:
        if self.after is None:
            log_hazard, seen = self.model(ecg, lead_mask)
            return log_hazard, self._risk(log_hazard), seen.embedding
        assert isinstance(self.model.network, DualAttention)
        log_hazard, embedding, *maps = self.after(*self.model.network.encode(ecg, lead_mask).tensors)
        return log_hazard, self._risk(log_hazard), embedding, *maps

    def _risk(self, log_hazard: Tensor) -> Tensor:
        """1 - baseline survival ** exp(slope * (log-hazard - center)), one column a horizon."""
        hazard = torch.exp(self.slope * (log_hazard - self.center))
        return -torch.expm1(self.log_survival * hazard[:, None])


class _Flat(nn.Module):
    """`Explained` as plain tensors in, plain tensors out."""

    def __init__(self, model: RiskModel) -> None:
        super().__init__()
        self.explained = Explained(model)

    def forward(self, *tokens: Tensor) -> tuple[Tensor, ...]:
        (log_hazard, seen), relevance = self.explained(Tokens(*tokens))
        assert seen.maps is not None
        return log_hazard, seen.embedding, *seen.maps, *relevance


class _Traced(nn.Module):
    """The part after the tokens with its gradient written out as ordinary operations, so that no autograd is needed."""

    def __init__(self, flat: nn.Module, example: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.flat = flat
        self.names = list(self._state())

        def functional(values: Tensor, usable: Tensor, mask: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            named = dict(zip(self.names, state, strict=True))
            traced: tuple[Tensor, ...] = torch.func.functional_call(flat, named, (values, usable, mask))
            return traced

        # weights go in as arguments: baked in as constants they would fix the batch size of the example
        mode = FakeTensorMode(shape_env=ShapeEnv(), static_shapes=False)
        with mode:
            self.graph = make_fx(functional)(
                *(_shape_of(tensor, mode, DimDynamic.DYNAMIC) for tensor in example),
                *(_shape_of(tensor, mode, DimDynamic.STATIC) for tensor in self._state().values()),
            )

    def _state(self) -> dict[str, Tensor]:
        return dict(self.flat.named_parameters()) | dict(self.flat.named_buffers())

    def forward(self, values: Tensor, usable: Tensor, lead_mask: Tensor) -> tuple[Tensor, ...]:
        state = self._state()
        out: tuple[Tensor, ...] = self.graph(values, usable, lead_mask, *(state[name] for name in self.names))
        return out


def _shape_of(tensor: Tensor, mode: FakeTensorMode, first: DimDynamic) -> Tensor:
    """A stand-in without values, of which at most the first axis, the batch, is free."""
    axes = [first, *[DimDynamic.STATIC] * tensor.dim()][: tensor.dim()]
    fake: Tensor = mode.from_tensor(tensor, symbolic_context=StatelessSymbolicContext(dynamic_sizes=axes))
    return fake


def _after_tokens(model: RiskModel) -> nn.Module:
    flat = _Flat(model)
    if model.splits_exactly:
        return flat
    assert isinstance(model.network, DualAttention)
    config = model.network.config
    example = torch.randn(5, N_LEADS, config.samples), torch.ones(5, N_LEADS)
    with torch.no_grad():
        return _Traced(flat, model.network.encode(*example).tensors)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of packages that are not needed here and of its own deprecations."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def to_onnx(model: RiskModel, samples: int, output: OutputFacts) -> onnx.ModelProto:
    """The graph with a dynamic batch, constants folded, weights inside; no contract yet."""
    served = Served(model, output)
    batch = torch.export.Dim("batch", min=1, max=LARGEST_BATCH)
    example = (torch.randn(5, N_LEADS, samples), torch.ones(5, N_LEADS))
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            served, example, input_names=INPUTS, output_names=served.outputs, dynamo=True, verbose=False,
            dynamic_shapes=({0: batch}, {0: batch}), external_data=False, optimize=True,
        )  # fmt: skip
        assert program is not None
    return _lean(onnx.load_from_string(program.model_proto.SerializeToString()))


def _lean(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what only the exporter needs: source lines of this machine, and shapes that were noted on the way."""
    del proto.graph.value_info[:]
    del proto.metadata_props[:]
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        del value.metadata_props[:]
    del proto.graph.metadata_props[:]
    onnx.checker.check_model(proto)
    return proto


def require_agreement(model: RiskModel, contract: Contract) -> None:
    """Refuse to write a contract that the network does not keep."""
    if not isinstance(model.network, DualAttention):
        return
    config, facts, shown = model.network.config, contract.input, contract.explanation
    pairs = {
        "samples": (config.samples, facts.samples),
        "sampling_rate_hz": (config.sampling_rate_hz, facts.sampling_rate_hz),
        "view": (config.view, facts.view),
        "tokens": (config.cells, shown.tokens),
        "token_start_ms": (config.cell_start_ms, shown.token_start_ms),
        "token_step_ms": (config.cell_step_ms, shown.token_step_ms),
    }
    if wrong := {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}:
        raise ContractMismatch(f"network and contract disagree (network, contract): {wrong}")


def with_contract(proto: onnx.ModelProto, contract: Contract) -> bytes:
    """The artefact's bytes, its contract read back equal."""
    stamped = onnx.ModelProto()
    stamped.CopyFrom(proto)
    kept = {prop.key: prop.value for prop in stamped.metadata_props if prop.key != METADATA_KEY}
    onnx.helper.set_model_props(stamped, kept | {METADATA_KEY: contract.to_json()})
    data: bytes = stamped.SerializeToString()
    if read_contract(data) != contract:
        raise ContractMismatch("the contract does not read back as it was written")
    return data


def read_contract(data: bytes) -> Contract:
    props = {prop.key: prop.value for prop in onnx.load_from_string(data).metadata_props}
    return contracts.parse(props.get(METADATA_KEY))


def stamped(proto: onnx.ModelProto, contract: Contract) -> Contract:
    """The contract with the known ECG's tensor and with what this graph makes of it."""
    predictor = Predictor(with_contract(proto, contract))
    usable = np.ones(N_LEADS, dtype=bool)
    facts = probe.facts(contract.preprocessing, lambda tensor: predictor.infer(tensor, usable).log_hazard)
    return contract.model_copy(update={"probe": facts})


def write(model: RiskModel, contract: Contract, path: Path) -> Path:
    """Graph, contract and probe into one file, verified as the service will verify it at its start."""
    require_agreement(model, contract)
    proto = to_onnx(model, contract.input.samples, contract.output)
    data = with_contract(proto, stamped(proto, contract))
    probe.verify(Predictor(data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
