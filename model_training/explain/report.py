"""The battery's figures as JSON for machines and Markdown for readers; what is simulated says so."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from ecg.contract import MapKind
from model_training.explain import pairs
from model_training.explain.deletion import FRACTIONS, REMOVED
from model_training.explain.examine import KINDS, Findings, plain
from model_training.explain.pairs import Object
from model_training.explain.verdict import Criterion, for_contract, gained_on_judged, judge, judge_rivals, recommended
from model_training.explain.writing import estimate, finite, mean, number, paragraphs, table

_MARKS: Final = {True: "met", False: "**failed**", None: "not tested"}


def write(found: Findings, out: Path) -> tuple[Path, Path]:
    """OUT/faithfulness-<model>.json and .md."""
    out.mkdir(parents=True, exist_ok=True)
    stem = out / f"faithfulness-{found.model}"
    numbers, text = out / f"{stem.name}.json", out / f"{stem.name}.md"
    numbers.write_text(json.dumps(as_json(found), indent=1) + "\n", encoding="utf-8")
    text.write_text(markdown(found), encoding="utf-8")
    return numbers, text


def as_json(found: Findings) -> dict[str, Any]:
    verdicts = judge(found)
    return {
        "for_contract": for_contract(found),
        "recommended": recommended(verdicts).value,
        "findings": finite(plain(found)),
    }


def markdown(found: Findings) -> str:
    parts = (
        _head,
        _verdicts,
        _pairs,
        _rivals,
        _doses,
        _curves,
        _population,
        _sanity,
        _locality,
        _leads,
        _textbook,
        _made,
    )
    return paragraphs(line for part in parts for line in part(found))


def _head(found: Findings) -> Iterator[str]:
    verdicts = judge(found)
    yield f"# Do the maps of {found.model} explain it?"
    yield ""
    yield "Tested on the artefact as it is served. Simulated people are marked SIMULATED; PTB-XL is real."
    yield "The thresholds were written into the code before any figure was seen."
    yield ""
    for kind in KINDS:
        yield f"- `{kind.value}`: {verdicts[kind].statement}"
    yield f"- Shown by default, by these figures: `{recommended(verdicts).value}`."
    yield ""


def _verdicts(found: Findings) -> Iterator[str]:
    verdicts = judge(found)
    yield "## The tests set beforehand"
    yield ""
    rivals = judge_rivals(found)
    rows = zip(*(verdicts[kind].criteria for kind in KINDS), *rivals.values(), strict=True)
    yield from table(
        ("test", "wanted", *(kind.value for kind in KINDS), *(f"{name} (not served)" for name in rivals)),
        ((each[0].title, each[0].wanted, *(_criterion(one) for one in each)) for each in rows),
    )
    yield "Deletion is told for the cohort on which it did worse. Weight and pointing are those of the map's change."
    yield ""


def _criterion(one: Criterion) -> str:
    told = "" if one.value is None else f"{one.value:.3f} "
    return told + _MARKS[one.passed]


def _pairs(found: Findings) -> Iterator[str]:
    yield "## One trait changed, all else the same (SIMULATED)"
    yield ""
    yield "Pairs of recordings of one simulated person with the same beats and the same noise, which differ in one"
    yield "trait."
    yield "The mask is every lead and moment at which they differ by over 20 uV; where that is more than a third of the"
    yield "recording (three times chance could not be reached there) it is the core that holds half of the squared"
    yield f"difference. A pair counts where the log-hazard moves by {pairs.REACTS_FROM_SD:g} SD of the reference"
    yield "population or more. *difference* is the later ECG's map less the earlier one's, which is what is judged;"
    yield "*after*"
    yield "is the later map alone, which also shows whatever else raises that person's risk. *ceiling* is the most over"
    yield "chance that any map on these cells could reach; a hit is a highest cell that the mask covers at least"
    yield "half as"
    yield "well as its best one, beside the share of hits by blind chance."
    yield "A model may have been taught by such pairs of other people where to point (`pointing` in its run's"
    yield "configuration), in the judged changes alone: the changes that are not judged were never taught."
    yield ""
    yield from table(
        ("change", "reacts", "mean change, SD", "map", "difference: over chance (ceiling)", "pointing (chance)",
         "AUROC", "after: over chance", "pointing"),
        _pair_rows(found),
    )  # fmt: skip


def _pair_rows(found: Findings) -> Iterator[Sequence[str]]:
    for change, (n, reacting, moved) in found.reacting.items():
        mark = "" if change in pairs.JUDGED else " (not judged)"
        for place, name in enumerate((*(kind.value for kind in KINDS), "energy", "random")):
            apart, after = (found.of(name, each, change) for each in (Object.DIFFERENCE, Object.AFTER))
            about = (f"{change}{mark}", f"{reacting} of {n}", f"{moved:+.2f}") if place == 0 else ("", "", "")
            if apart is None or after is None:
                yield (*about, name, "does not react", "", "", "", "")
                continue
            yield (
                *about, name, f"{apart.gained:.2f} ({apart.ceiling:.1f})",
                f"{apart.pointing:.2f} ({apart.pointing_by_chance:.2f})", f"{apart.separation:.2f}",
                f"{after.gained:.2f}", f"{after.pointing:.2f}",
            )  # fmt: skip


def _rivals(found: Findings) -> Iterator[str]:
    names = list(dict.fromkeys(score.map_name for score in found.scores))
    yield "### Beside other maps, mean over the judged changes"
    yield ""
    yield "Integrated gradients, gradient x input and occlusion start at a typical beat under the person's own rhythm."
    yield "Maps that read the signal at each cell alone (energy, and nearly so occlusion) change where the signal"
    yield "changed"
    yield "and nowhere else: their *difference* is close to the mask by construction, so that energy is compared"
    yield "*after*."
    yield ""
    yield from table(
        ("map", "pairs", "difference: over chance", "pointing", "after: over chance", "pointing"),
        (_rival_row(found, name) for name in names),
    )


def _rival_row(found: Findings, name: str) -> Sequence[str]:
    scores = {each: [s for change in pairs.JUDGED if (s := found.of(name, each, change))] for each in Object}
    apart, after = scores[Object.DIFFERENCE], scores[Object.AFTER]
    return (
        name, str(sum(each.n for each in apart)),
        number(gained_on_judged(found, name)), mean(s.pointing for s in apart),
        number(gained_on_judged(found, name, Object.AFTER)), mean(s.pointing for s in after),
    )  # fmt: skip


def _doses(found: Findings) -> Iterator[str]:
    yield "### Dose and response (SIMULATED)"
    yield ""
    yield "Spearman of what the map gains on the mask with what the log-hazard gains: within pairs over four doses, and"
    yield "over pairs. Attention has no sign, so there amounts are compared."
    yield ""
    yield from table(
        ("change", *(f"{kind.value}: {which}" for kind in KINDS for which in ("within", "over pairs"))),
        (
            (change, *(number(value) for kind in KINDS for value in found.kinds[kind].doses.get(change, ())))
            for change in found.reacting
        ),
    )


def _curves(found: Findings) -> Iterator[str]:
    yield "## Deletion and insertion"
    yield ""
    yield "The highest cells are exchanged for a typical beat's, laid under the person's own R peaks: mean distance"
    yield "of the"
    yield "log-hazard from the intact answer, in SD. Deletion should move it far, insertion bring it near, with few"
    yield "cells."
    for name, curves in found.curves.items():
        yield ""
        yield f"### {name}, n = {found.sizes.deleted} at most"
        yield ""
        yield from table(
            ("order", *(f"deleted {share:.0%}" for share in FRACTIONS), "farther than random", "farther than energy",
             "insertion nearer than random"),
            ((each.name, *(f"{value:.3f}" for value in each.deleted), estimate(each.over_random),
              estimate(each.over_energy), estimate(each.nearer)) for each in curves),
        )  # fmt: skip


def _population(found: Findings) -> Iterator[str]:
    yield f"### Discrimination lost when the top {REMOVED:.0%} of cells go, in everybody (SIMULATED)"
    yield ""
    yield "C is concordance with the true log-hazard of simulated people."
    yield ""
    yield from table(
        ("map", "C lost", "C lost beyond random cells", "direction right"),
        (
            (kind.value, estimate(of.loss_of_c), estimate(of.loss_over_random), number(of.polarity))
            for kind, of in found.kinds.items()
        ),
    )
    yield "Direction right: taking out raising cells lowers the risk, taking out lowering cells raises it."
    yield ""


def _sanity(found: Findings) -> Iterator[str]:
    yield "## Sanity"
    yield ""
    if found.kinds[MapKind.RISK].cascade:
        yield "Rank correlation of the maps with those of the same network after its parts were made random, top down:"
        yield ""
        parts = list(found.kinds[MapKind.RISK].cascade)
        yield from table(("random down to", *(kind.value for kind in KINDS)), (
            (part, *(number(found.kinds[kind].cascade[part]) for kind in KINDS)) for part in parts
        ))  # fmt: skip
        yield f"Artefact and weights differ by at most {found.weights_differ:.1g} in log-hazard."
    else:
        yield "Random weights and exchanged attention were not tested: they need the weights beside the artefact."
    yield ""
    if found.exchanged:
        yield from table(
            ("attention replaced by", "risk moves by, SD", "rank correlation of answers", "C lost (SIMULATED)"),
            ((name, estimate(each.moved_sd), number(each.correlation), number(each.loss_of_c))
             for name, each in found.exchanged.items()),
        )  # fmt: skip
    yield "Rank correlation of each map with itself after a small change of the recording:"
    yield ""
    changes = list(found.kinds[MapKind.RISK].stability)
    yield from table(
        ("change", *(kind.value for kind in KINDS)),
        ((each, *(number(found.kinds[kind].stability[each]) for kind in KINDS)) for each in changes),
    )


def _locality(found: Findings) -> Iterator[str]:
    yield "### How local a map is"
    yield ""
    yield "One cell of the recording is exchanged for a typical beat's; where the map changes, as shares of its change."
    yield "What a token saw of its neighbours, and what attention moved elsewhere, bounds every figure above."
    yield ""
    places = list(found.kinds[MapKind.RISK].locality)
    yield from table(
        ("map", *places),
        ((kind.value, *(f"{of.locality[place]:.0%}" for place in places)) for kind, of in found.kinds.items()
         if of.locality),
    )  # fmt: skip


def _leads(found: Findings) -> Iterator[str]:
    if found.shapley is None:
        return
    yield "### Leads by Shapley value"
    yield ""
    yield "Exact over all coalitions of the eight independent leads, by the mask that the network was trained with."
    yield "The six limb leads are one plane: III, aVR, aVL and aVF follow from I and II, and weights among them"
    yield "mean little."
    yield ""
    values = found.shapley.by_lead
    yield from table((*values,), ([f"{value:.3f}" for value in values.values()],))
    told = ", ".join(f"`{kind}` {value:.2f}" for kind, value in found.shapley.agreement.items())
    yield f"Rank correlation of lead weights with Shapley values, limb plane and V1 to V6: {told}."
    yield ""


def _textbook(found: Findings) -> Iterator[str]:
    if not any(of.textbook for of in found.kinds.values()):
        return
    yield "## Real ECGs against the textbook (PTB-XL fold 9)"
    yield ""
    yield "Where a reader would look is written in `model_training/explain/textbook.toml`, with reasons. *density*"
    yield "is the"
    yield "share of the map there over the share of cells; *over normal* is how much denser than normal ECGs' maps"
    yield "at the"
    yield "same place. A statement is met where both intervals lie above 1 and 0."
    yield ""
    yield from table(
        ("statement", "n", "map", "density", "over normal", ""),
        (
            (each.statement, str(each.n), kind.value, estimate(each.density), estimate(each.over_normal),
             "met" if each.passes else "not met")
            for kind, of in found.kinds.items() for each in of.textbook
        ),
    )  # fmt: skip


def _made(found: Findings) -> Iterator[str]:
    sizes = found.sizes
    yield "## How it was made"
    yield ""
    yield f"`python -m model_training explain` on the artefact with SHA-256 `{found.sha256}`: {sizes.pairs} pairs a"
    yield "change"
    yield f"({sizes.gradients} for gradients, {sizes.occluded} for occlusion), {sizes.deleted} people for deletion,"
    yield f"{sizes.population} simulated people for discrimination, {sizes.shapley} for Shapley values,"
    yield f"{sizes.sanity} for"
    yield f"sanity, at most {sizes.textbook} of each diagnosis. Intervals are 95 % bootstraps over people."
