"""Set the joint ratios of hazard.toml anew, as must be done when the simulated people change.

Run: python -m model_training.simulate.calibrate_hazard
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from model_training.simulate import hazard, people
from model_training.simulate.chance import Chance
from model_training.simulate.hazard import Hazard

PEOPLE: Final = 60_000
SEED: Final = 20_260_101
_FILE: Final = Path(hazard.__file__).with_name("hazard.toml")


def main() -> None:
    traits = people.draw(PEOPLE, SEED)
    start = hazard.shipped()
    frailty = start.frailty_sd * Chance.of(SEED, traits["person"].to_numpy(), "frailty").normal("frailty")
    settled = hazard.calibrate(start, traits, frailty)
    found = hazard.marginals(settled, traits, frailty)
    for term in settled.terms:
        published = term.published
        print(
            f"{term.name:14} log HR {term.log_hr:7.4f}  marginal {found[term.name]:5.2f}"
            f"  target {term.target_hr:5.2f}  published {published.hr:.2f} ({published.low:.2f}-{published.high:.2f})"
        )
    _FILE.write_text(rewritten(_FILE.read_text(encoding="utf-8"), settled), encoding="utf-8")


def rewritten(text: str, settled: Hazard) -> str:
    """The file with each term's `used` replaced, and nothing else."""
    for term in settled.terms:
        kind = "visible" if term.visible else "hidden"
        pattern = rf"(\[{kind}\.{term.name}\].*?^used = )[-\d.]+"
        text = re.sub(pattern, rf"\g<1>{term.log_hr:.4f}", text, count=1, flags=re.DOTALL | re.MULTILINE)
    return text


if __name__ == "__main__":
    main()
