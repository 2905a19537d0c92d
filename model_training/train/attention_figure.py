"""Where the network looks in people of low and of high risk: leads at leads, and one person's moments. SIMULATED."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from ecg.leads import LEADS
from model_training.nets.dual_attention import DualAttention
from model_training.nets.heads import RiskHead
from model_training.nets.risk_model import Explained, RiskModel
from model_training.train import pretrain
from model_training.train.cox_head import CoxHead
from model_training.train.people import AT_ONCE, People, Rows

Array = NDArray[np.float64]
TENTH: Final = 0.1
TITLES: Final = ("lowest tenth of risk", "highest tenth of risk")


@dataclass(frozen=True, slots=True)
class Looked:
    """Of one group: cross_lead (12, 12) the mean, rows asking; relevance (12, cells) of its middle person, signed."""

    cross_lead: Array
    relevance: Array


def model_of(encoder: Path, head: CoxHead) -> RiskModel:
    network, _ = pretrain.load_encoder(encoder / pretrain.ENCODER)
    model = RiskModel(network, RiskHead(network.embedding_size, hidden=0))
    head.write_to(model.head)
    return model.eval()


def extremes(model: RiskModel, people: People, rows: Rows, scores: Array) -> tuple[Looked, Looked]:
    """The lowest and the highest tenth of `rows` by their scores."""
    order, n = rows[np.argsort(scores, kind="stable")], max(1, round(TENTH * len(rows)))
    return _looked(model, people, order[:n]), _looked(model, people, order[-n:])


@torch.no_grad()
def _looked(model: RiskModel, people: People, rows: Rows) -> Looked:
    assert isinstance(model.network, DualAttention)
    explained, cross = Explained(model), []
    for start in range(0, len(rows), AT_ONCE):
        batch = people.batch(rows[start : start + AT_ONCE])
        seen = model.network(batch.ecg, batch.lead_mask)
        assert seen.maps is not None
        cross.append(seen.maps.cross_lead)
    middle = people.batch(rows[[len(rows) // 2]])
    _, relevance = explained(model.network.encode(middle.ecg, middle.lead_mask))
    return Looked(torch.cat(cross).mean(dim=0).double().numpy(), relevance.temporal[0].double().numpy())


def draw(groups: tuple[Looked, Looked], label: str, duration_s: float, path: Path) -> Path:
    """Two columns, low and high; above the leads, below the moments, each row on one scale."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "ecg"
    drawn, axes = plt.subplots(2, 2, figsize=(9, 7), layout="constrained", height_ratios=(3, 2))
    paid: Mapping[str, Any] = {"vmin": 0, "vmax": max(each.cross_lead.max() for each in groups), "cmap": "Blues"}
    most = max(float(np.abs(each.relevance).max()) for each in groups)
    told: Mapping[str, Any] = {"vmin": -most, "vmax": most, "cmap": "RdBu_r", "aspect": "auto", "interpolation": "none"}
    for column, (group, title) in enumerate(zip(groups, TITLES, strict=True)):
        above, below = axes[:, column]
        leads = above.imshow(group.cross_lead, **paid)
        above.set(title=title, xlabel="lead attended to", ylabel="lead that asks")
        above.set_xticks(range(len(LEADS)), LEADS, rotation=90, fontsize=7)
        above.set_yticks(range(len(LEADS)), LEADS, fontsize=7)
        moments = below.imshow(group.relevance, extent=(0, duration_s, len(LEADS) - 0.5, -0.5), **told)
        below.set(title="risk map of the person in its middle", xlabel="seconds")
        below.set_yticks(range(len(LEADS)), LEADS, fontsize=7)
    drawn.colorbar(leads, ax=axes[0], label="attention paid, mean of the group")
    drawn.colorbar(moments, ax=axes[1], label="share of the log-hazard")
    drawn.suptitle(label)
    drawn.savefig(path, metadata={"Date": None}, dpi=100)
    plt.close(drawn)
    return path
