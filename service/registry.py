"""The models on the shelf: found in a folder, checked (checksum, contract, probe), swapped without a gap."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import structlog

from ecg import native, probe
from ecg.contract import Contract
from ecg.errors import ContractInvalid, ContractMismatch, ModelError, ModelUnknown, ProbeMismatch
from ecg.predictor import Predictor
from service.refusals import ArtefactAltered

_log = structlog.get_logger("service.models")
PREFERRED: Final = "hf-general"
CHECKSUMS: Final = "SHA256SUMS"
_FAULTY: Final = (ArtefactAltered, ProbeMismatch, ContractInvalid, ContractMismatch)


@dataclass(frozen=True, slots=True)
class Model:
    """One verified artefact."""

    path: Path
    sha256: str
    predictor: Predictor
    card: str

    @property
    def contract(self) -> Contract:
        contract: Contract = self.predictor.contract
        return contract

    @property
    def contract_digest(self) -> str:
        digest: str = self.predictor.contract_digest
        return digest

    @property
    def name(self) -> str:
        return self.contract.model.name

    @property
    def version(self) -> str:
        return self.contract.model.version

    @property
    def label(self) -> str:
        return f"{self.name}-{self.version}"

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))


@dataclass(frozen=True, slots=True)
class Fault:
    """An artefact that may not answer, and why."""

    file: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Shelf:
    """All versions by label, the newest of each name by name. Never changes; a reload makes a new one."""

    by_label: Mapping[str, Model]
    by_name: Mapping[str, Model]
    default: Model
    faults: tuple[Fault, ...] = ()

    def choose(self, name: str | None) -> Model:
        """The model of that name (its newest version) or label (`name-1.2.3`); the default for None."""
        if name is None:
            return self.default
        found = self.by_name.get(name) or self.by_label.get(name)
        if found is None:
            raise ModelUnknown("no model of that name is loaded")
        return found


class Registry:
    def __init__(self, models: Path, default: str | None) -> None:
        self._models, self._default = models, default
        self._shelf: Shelf | None = None

    @property
    def shelf(self) -> Shelf:
        if self._shelf is None:
            raise ModelUnknown("no model is loaded")
        return self._shelf

    def load(self) -> Shelf:
        """Look at the folder again. What fails is left out; without a default the old shelf stays and this raises."""
        known = dict(self._shelf.by_label) if self._shelf else {}
        loaded, faults = _verified(self._models, {model.path: model for model in known.values()})
        self._shelf = _shelf(loaded, faults, self._default)
        _log.info(
            "models_loaded",
            models=sorted(self._shelf.by_label),
            default=self._shelf.default.label,
            kernels=native.in_use(),
        )
        return self._shelf

    def require_sound(self) -> None:
        """The default model still gives the known answer to the known ECG."""
        probe.verify(self.shelf.default.predictor)


def _verified(models: Path, known: Mapping[Path, Model]) -> tuple[list[Model], tuple[Fault, ...]]:
    loaded, faults = [], []
    for path in _artefacts(models):
        try:
            loaded.append(_verify(path, known.get(path)))
        except (ModelError, OSError) as error:
            code = error.code if isinstance(error, ModelError) else ArtefactAltered.code
            message = error.message if isinstance(error, ModelError) else "the file cannot be read"
            faults.append(Fault(path.name, code, message))
            _log.error("model_refused", file=path.name, code=code, reason=message)
    return loaded, tuple(faults)


def _artefacts(models: Path) -> list[Path]:
    return [models] if models.is_file() else sorted(models.glob("*.onnx"))


def _verify(path: Path, known: Model | None) -> Model:
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    promised = _checksums(path.parent).get(path.name)
    if promised != sha256:
        why = f"is not listed in {CHECKSUMS}" if promised is None else f"differs from its line in {CHECKSUMS}"
        raise ArtefactAltered(f"{path.name} {why}")
    if known and known.sha256 == sha256:
        return known
    predictor = Predictor(data)
    probe.verify(predictor)
    card = path.with_suffix(".md")
    return Model(path, sha256, predictor, card.read_text() if card.is_file() else "")


def _checksums(folder: Path) -> dict[str, str]:
    """The lines of `sha256sum`: hash, two spaces (or space and star), name."""
    listing = folder / CHECKSUMS
    lines = listing.read_text(errors="replace").splitlines() if listing.is_file() else []
    parts = (line.split(maxsplit=1) for line in lines)
    return {part[1].lstrip("*").strip(): part[0] for part in parts if len(part) == 2}


def _shelf(models: list[Model], faults: tuple[Fault, ...], default: str | None) -> Shelf:
    by_label = {model.label: model for model in models}
    by_name = {model.name: model for model in sorted(models, key=lambda each: each.order)}
    wanted = default or (PREFERRED if PREFERRED in by_name or len(by_name) != 1 else next(iter(by_name)))
    chosen = by_name.get(wanted) or by_label.get(wanted)
    if chosen is None:
        reasons = "; ".join(f"{fault.file}: {fault.message}" for fault in faults) or "no artefact was found"
        kind = next((each for each in _FAULTY if faults and each.code == faults[0].code), ModelUnknown)
        raise kind(f"the default model {wanted} cannot be served ({reasons})")
    return Shelf(MappingProxyType(by_label), MappingProxyType(by_name), chosen, faults)
