"""The data that ship with nestflow: real metros and occupations, and published examples.

What each table holds, in which units and from which source, is in ``data/README.md``.
"""

from pathlib import Path

import pandas as pd

from choicemodels.errors import DataError
from choicemodels.frames import closest

__all__ = ["data_path", "load_data"]

_FILES = {
    "ai_exposure": "ai_exposure.csv",
    "austria_flows": "austria_flows.csv",
    "canada_migration": "canada_migration.csv",
    "hc": "hc.csv.gz",
    "metro_occupations": "metro_occupations.csv",
    "metros": "metros.csv",
    "mode_canada": "mode_canada.csv.gz",
    "occupations": "occupations.csv",
    "swissmetro": "swissmetro.csv.gz",
    "travel_mode": "travel_mode.csv",
}

# Codes are names, not numbers: as integers they would lose their leading zeros.
_CODES = {"cbsa": str, "soc": str}

# An installed wheel carries its own copy; a checkout has the folder beside the packages.
_FOLDERS = (Path(__file__).parent / "_data", Path(__file__).parents[1] / "data")


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
    for folder in _FOLDERS:
        path = folder / _FILES[name]
        if path.is_file():
            return path
    places = " or ".join(str(folder) for folder in _FOLDERS)
    raise DataError(
        f"The shipped table '{name}' should be {_FILES[name]} in {places}, but it is in neither; "
        "install nestflow again, or restore the file from the repository."
    )


def load_data(name: str) -> pd.DataFrame:
    """Read a shipped table.

    Parameters
    ----------
    name : str
        ``metros``, ``occupations``, ``metro_occupations``, ``ai_exposure``; the choice samples
        ``swissmetro``, ``mode_canada``, ``hc``, ``travel_mode``; the flows ``austria_flows``,
        ``canada_migration``.

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
