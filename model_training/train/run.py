"""A run's folder: its configuration, the code it ran, its metrics line by line, and its checkpoints."""

from __future__ import annotations

import importlib.util
import json
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import torch

import ecg
from ecg import native
from model_training.train.place import leading

ROOT: Final = Path(__file__).resolve().parents[2]
CONFIG, METRICS, ABOUT = "config.toml", "metrics.jsonl", "about.json"


class RunError(Exception):
    """The folder holds another run; the message says how they differ."""


class Run:
    """Metrics go to metrics.jsonl always, and to TensorBoard where it is installed."""

    def __init__(self, folder: Path, board: bool = True) -> None:
        self.folder = folder
        self._board: Any = None
        self._wants_board = board and importlib.util.find_spec("tensorboard") is not None

    @classmethod
    def open(cls, folder: Path, config: str, board: bool = True) -> Self:
        """A new folder, or the one to go on with: the same configuration to the letter, else it is refused."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / CONFIG
        if path.is_file() and path.read_text(encoding="utf-8") != config:
            raise RunError(f"{folder} holds a run of another configuration: give another folder or remove it")
        if leading() and not path.is_file():
            path.write_text(config, encoding="utf-8")
        if leading() and not (folder / ABOUT).is_file():
            (folder / ABOUT).write_text(json.dumps(about(), indent=2) + "\n", encoding="utf-8")
        return cls(folder, board)

    @property
    def last(self) -> Path:
        return self.folder / "last.pt"

    @property
    def best(self) -> Path:
        return self.folder / "best.pt"

    @property
    def metrics(self) -> list[dict[str, Any]]:
        path = self.folder / METRICS
        if not path.is_file():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def forget_after(self, epoch: int) -> None:
        """Drop lines of epochs that a resumed run will live through again."""
        kept = [line for line in self.metrics if line["epoch"] < epoch]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        (self.folder / METRICS).write_text(text, encoding="utf-8")

    def note(self, epoch: int, values: dict[str, float]) -> None:
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch} | values) + "\n")
        if self._wants_board:
            for name, value in values.items():
                self._writer().add_scalar(name, value, epoch)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _writer(self) -> Any:
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(self.folder / "tensorboard"))
        return self._board


def about() -> dict[str, str]:
    """What made this run, for whoever has to repeat it."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": ecg.__version__,
        "revision": revision(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "kernels": native.in_use(),
        "machine": platform.machine(),
    }


def revision() -> str:
    """The commit of the code, with a plus when files were changed since; 'unknown' outside a checkout."""
    found = _git("rev-parse", "HEAD")
    if not found:
        return "unknown"
    return found + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
