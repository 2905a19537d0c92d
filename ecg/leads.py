"""The twelve leads: their order, the names that files give them, and the algebra that ties the limb leads."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEADS: Final = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
LIMB: Final = LEADS[:6]
PRECORDIAL: Final = LEADS[6:]
# What carries all there is: the other limb leads follow from I and II.
INDEPENDENT: Final = ("I", "II", *PRECORDIAL)
INDEX: Final = {name: position for position, name in enumerate(LEADS)}
INDEPENDENT_ROWS: Final = tuple(INDEX[name] for name in INDEPENDENT)

_BY_FOLDED_NAME: Final = {name.lower(): name for name in LEADS} | {"1": "I", "2": "II", "3": "III"}
_WRAPPING: Final = re.compile(r"^(?:ecg|ekg|mdc[_ ]ecg[_ ]lead|lead|ch(?:annel)?|d(?=i))[\s_:.-]*", re.IGNORECASE)

# Each limb lead as (weight of I, weight of II): Einthoven III = II - I, Goldberger's three from them.
LIMB_FROM_I_II: Final[dict[str, tuple[float, float]]] = {
    "I": (1.0, 0.0),
    "II": (0.0, 1.0),
    "III": (-1.0, 1.0),
    "aVR": (-0.5, -0.5),
    "aVL": (1.0, -0.5),
    "aVF": (-0.5, 1.0),
}


def canonical_name(name: str) -> str | None:
    """The canonical name of a lead however a file spells it (`MDC_ECG_LEAD_AVR`, `Lead II`, `avf`), or None."""
    if name in INDEX:
        return name
    folded = name.strip().strip("'\"")
    for candidate in (folded, _WRAPPING.sub("", folded)):
        found = _BY_FOLDED_NAME.get(candidate.replace("-", "").replace(" ", "").lower())
        if found:
            return found
    return None


def derive_limb_leads(i: NDArray[np.float32], ii: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """All six limb leads from I and II, exactly."""
    return {
        name: (np.float32(from_i) * i + np.float32(from_ii) * ii).astype(np.float32)
        for name, (from_i, from_ii) in LIMB_FROM_I_II.items()
    }
