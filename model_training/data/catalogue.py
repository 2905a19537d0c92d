"""Which data set lies in a folder, told by its files, and how to open it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from model_training.data import challenge, code15, echonext, manifest, mimic, ptbxl, simulated, ukb
from model_training.data.cohort import Cohort, CohortError


@dataclass(frozen=True, slots=True)
class Options:
    """What some data sets need to be told beside their folder."""

    hosp: Path | None = None
    participants: Path | None = None
    censor_date: date | None = None
    population: ukb.Population = ukb.Population.ALL


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    told_by: str
    open: Callable[[Path, Options], Cohort]


def _open_ukb(path: Path, options: Options) -> Cohort:
    if options.participants is None or options.censor_date is None:
        raise CohortError("UK Biobank needs the participant table and the date up to which outcomes are complete")
    return ukb.load(path, options.participants, options.censor_date, options.population)


# The first whose sign is found wins: the Challenge's bare .hea files would be found in most of the others.
DATASETS: Final = (
    Dataset("simulated", simulated.ABOUT, lambda path, _: simulated.load(path)),
    Dataset("ptbxl", "ptbxl_database.csv", lambda path, _: ptbxl.load(path)),
    Dataset("mimic", "record_list.csv", lambda path, options: mimic.load(path, options.hosp)),
    Dataset("code15", "exams_part*.hdf5", lambda path, _: code15.load(path)),
    Dataset("sami-trop", "exams.hdf5", lambda path, _: code15.load_sami_trop(path)),
    Dataset("echonext", "[Ee]cho[Nn]ext_metadata_*.csv", lambda path, _: echonext.load(path)),
    Dataset("ukb", "*_20205_*.xml", _open_ukb),
    Dataset("manifest", "manifest.csv", lambda path, _: manifest.load(path / "manifest.csv")),
    Dataset("challenge", "**/*.hea", lambda path, _: challenge.load(path)),
)


def open_cohort(path: Path, options: Options | None = None) -> Cohort:
    """The cohort in a folder, or of a manifest given as a .csv file."""
    options = options or Options()
    if path.is_file():
        return manifest.load(path)
    return identify(path).open(path, options)


def identify(folder: Path) -> Dataset:
    if not folder.is_dir():
        raise CohortError(f"{folder} is neither a folder nor a manifest")
    for dataset in DATASETS:
        if next(folder.glob(dataset.told_by), None) is not None:
            return dataset
    signs = ", ".join(f"{dataset.told_by} ({dataset.name})" for dataset in DATASETS)
    raise CohortError(f"no known data set in {folder}; looked for {signs}")
