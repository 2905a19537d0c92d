"""ONNX session and contract; the only importer of onnxruntime."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from ecg import contract as contracts
from ecg import graph
from ecg.contract import METADATA_KEY, Contract
from ecg.errors import ContractInvalid, ContractMismatch, InferenceFailed
from ecg.leads import LEADS
from ecg.recording import Samples

_ANSWER: Final = ("log_hazard", "horizon_risk", "embedding")
_MAPS: Final = ("lead_attention", "cross_lead", "temporal_attention", "lead_relevance", "temporal_relevance")
# The runtime raises what it would print, and what it prints is no line of our log.
_FATAL: Final = 4
_N: Final = len(LEADS)
EVERY_LEAD: Final = np.ones(_N, dtype=bool)
EVERY_LEAD.flags.writeable = False

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class RawMaps:
    """As the graph gives them: attention sums to 1, relevance is signed."""

    lead_attention: Array  # (12,)
    cross_lead: Array  # (12, 12), a row is a query lead
    temporal_attention: Array  # (12, tokens)
    lead_relevance: Array  # (12,)
    temporal_relevance: Array  # (12, tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Inference:
    """What the graph says of one recording, before calibration. `maps` is None for a network without attention."""

    log_hazard: float
    horizon_risk: Array
    embedding: Array
    maps: RawMaps | None


class Predictor:
    """One graph and its contract, agreeing. Safe to call from several threads."""

    def __init__(self, data: bytes) -> None:
        self.sha256 = hashlib.sha256(data).hexdigest()
        self._data = data
        self._session = _session(data)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.contract: Contract = contracts.parse(metadata.get(METADATA_KEY))
        self.contract_digest = self.contract.digest  # named in each answer's record, and slow to work out
        self._outputs = [each.name for each in self._session.get_outputs()]
        _require_promised_shapes(self._session, self.contract)

    @classmethod
    def load(cls, path: Path) -> Self:
        return cls(path.read_bytes())

    def infer(self, tensor: Samples, lead_mask: NDArray[np.bool_], *, maps: bool = True) -> Inference:
        """One prepared recording and the leads that may be used."""
        return self.infer_batch(tensor[None], lead_mask[None], maps=maps)[0]

    def infer_batch(self, tensors: Samples, lead_masks: NDArray[np.bool_], *, maps: bool = True) -> list[Inference]:
        """(n, 12, samples) and (n, 12). Batches differ from single calls in the last float digits alone.

        Without maps the nodes that only they need are left out.
        """
        expected = (len(tensors), _N, self.contract.input.samples)
        if tensors.shape != expected or lead_masks.shape != expected[:2]:
            raise InferenceFailed(f"a tensor of shape {tensors.shape}; {expected} is needed")
        session, wanted = (self._session, self._outputs) if maps else (self._brief, list(_ANSWER))
        feed = {"ecg": np.ascontiguousarray(tensors, np.float32), "lead_mask": lead_masks.astype(np.float32)}
        try:
            found = session.run(wanted, feed)
        except Exception as error:  # the runtime's errors share no other base
            raise InferenceFailed("the runtime failed on a prepared tensor") from error
        by_name = dict(zip(wanted, found, strict=True))
        if not all(np.isfinite(by_name[name]).all() for name in _ANSWER):
            raise InferenceFailed("the graph answered with something that is no number")
        return [self._one(by_name, row) for row in range(len(tensors))]

    @cached_property
    def _brief(self) -> ort.InferenceSession:
        """The graph without its maps, for those who do not ask for them."""
        if set(self._outputs) == set(_ANSWER):
            return self._session
        return _session(graph.leading_to(_ANSWER, self._data))

    def _one(self, outputs: dict[str, Any], row: int) -> Inference:
        maps = RawMaps(*(outputs[name][row] for name in _MAPS)) if _MAPS[0] in outputs else None
        log_hazard, horizon_risk, embedding = (outputs[name][row] for name in _ANSWER)
        return Inference(float(log_hazard), horizon_risk, embedding, maps)


def _session(data: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    # One thread a session: processes are the unit of scale, and waiting threads would take cores from each other.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = _FATAL
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no other base
        raise ContractInvalid("the artefact is no ONNX graph that this runtime can load") from error


def _require_promised_shapes(session: ort.InferenceSession, contract: Contract) -> None:
    """Inputs and outputs by name and shape, where the graph states a number."""
    tokens, horizons = contract.explanation.tokens, len(contract.output.horizons)
    promised: dict[str, tuple[int | None, ...]] = {
        "ecg": (None, _N, contract.input.samples),
        "lead_mask": (None, _N),
        "log_hazard": (None,),
        "horizon_risk": (None, horizons),
        "embedding": (None, None),
        "lead_attention": (None, _N),
        "cross_lead": (None, _N, _N),
        "temporal_attention": (None, _N, tokens),
        "lead_relevance": (None, _N),
        "temporal_relevance": (None, _N, tokens),
    }
    inputs = {each.name: each.shape for each in session.get_inputs()}
    outputs = {each.name: each.shape for each in session.get_outputs()}
    if set(inputs) != {"ecg", "lead_mask"} or set(outputs) not in (set(_ANSWER), {*_ANSWER, *_MAPS}):
        raise ContractMismatch(f"the graph takes {sorted(inputs)} and gives {sorted(outputs)}")
    for name, shape in (inputs | outputs).items():
        if not _fits(shape, promised[name]):
            raise ContractMismatch(f"{name} has shape {shape}, the contract promises {promised[name]}", output=name)


def _fits(shape: Sequence[int | str | None], promised: tuple[int | None, ...]) -> bool:
    """Equal wherever both sides state a number; a free axis of the graph is named, not numbered."""
    return len(shape) == len(promised) and all(
        wanted is None or not isinstance(there, int) or there == wanted
        for there, wanted in zip(shape, promised, strict=True)
    )
