"""The data that ship with nestflow: real metros and occupations, and published examples.

What each table holds, in which units and from which source, is in ``data/README.md``.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import pandas as pd

from choicemodels.errors import DataError
from choicemodels.frames import closest

__all__ = ["data_path", "load_data"]

_FILES = {
    "ai_exposure": "ai_exposure.csv",
    "ai_use": "ai_use.csv",
    "austria_flows": "austria_flows.csv",
    "calibration_targets": "calibration_targets.csv",
    "canada_migration": "canada_migration.csv",
    "electricity": "electricity.csv.gz",
    "hc": "hc.csv.gz",
    "industry_occupations": "industry_occupations.csv",
    "labour_laws": "labour_laws.csv",
    "metro_occupations": "metro_occupations.csv",
    "metros": "metros.csv",
    "mode_canada": "mode_canada.csv.gz",
    "occupation_skills": "occupation_skills.csv",
    "occupations": "occupations.csv",
    "states": "states.csv",
    "swissmetro": "swissmetro.csv.gz",
    "train": "train.csv.gz",
    "travel_mode": "travel_mode.csv",
}

# Codes are names, not numbers: as integers they would lose their leading zeros.
_CODES = {"cbsa": str, "soc": str}

# A checkout has the folder beside the packages.
_CHECKOUT = Path(__file__).parents[1] / "data"


def data_path(name: str) -> Path:
    """Find the file of a shipped table.

    Parameters
    ----------
    name : str
        The table's name, without its suffix; one of those in ``data/README.md``.

    Returns
    -------
    Path
        An existing CSV file, gzipped if it ends in ``.gz``.

    Raises
    ------
    DataError
        If there is no table of that name, or the installation lacks its file.
    """
    if name not in _FILES:
        raise DataError(
            f"There is no shipped table named '{name}'{closest(name, _FILES)}; "
            f"choose one of {', '.join(_FILES)}."
        )
    for path in (_CHECKOUT / _FILES[name], *_installed(_FILES[name])):
        if path.is_file():
            return path
    raise DataError(
        f"The shipped table '{name}' is neither at {_CHECKOUT / _FILES[name]} nor among the files "
        "of the installed package; install nestflow again, or restore the file."
    )


def _installed(file: str) -> list[Path]:
    """Return where a wheel's installer put a file of ``share/nestflow/data``, if it did."""
    try:
        recorded = files("nestflow") or []
    except PackageNotFoundError:
        return []
    return [Path(str(f.locate())) for f in recorded if f.parts[-3:] == ("nestflow", "data", file)]


def load_data(name: str) -> pd.DataFrame:
    """Read a shipped table.

    Parameters
    ----------
    name : str
        ``metros``, ``occupations``, ``metro_occupations``, ``ai_exposure``; the choice samples
        ``swissmetro``, ``mode_canada``, ``hc``, ``electricity``, ``train``, ``travel_mode``; the
        flows ``austria_flows``, ``canada_migration``.

    Returns
    -------
    DataFrame
        The table as it stands in the file; CBSA and SOC codes are strings.

    Raises
    ------
    DataError
        If there is no table of that name, or the installation lacks its file.
    """
    return pd.read_csv(data_path(name), dtype=_CODES)
