"""A generated nation as the files that a researcher would have, and a job to harmonize them."""

from pathlib import Path

import pandas as pd

from choicemodels.errors import DataError
from choicemodels.migration.store import write_matrix
from choicemodels.nation.generator import Nation

__all__ = ["write_nation"]

_JOB = """\
# Harmonizes the raw matrix of a generated nation: nestflow harmonize {file}
name: {name}
matrix: raw
out: harmonized
steps:
  - kind: populations
    table: tables/populations.csv
    empty: leave            # a generated area may be empty in the raw matrix
  - kind: movers_and_stayers
    table: tables/movers_and_stayers.csv
  - kind: flows
    table: tables/flows.csv
    empty: leave
  - kind: margins
    table: tables/margins.csv
"""


def write_nation(nation: Nation, folder: str | Path) -> Path:
    """Write raw and true matrix, census tables and a job into a new folder.

    Parameters
    ----------
    nation
    folder
        It must not exist.

    Returns
    -------
    Path
        Of the job, for ``nestflow harmonize``.

    Raises
    ------
    DataError
        If the folder exists.
    """
    folder = Path(folder)
    if folder.exists():
        raise DataError(f"'{folder}' is there already; give a folder that is not.")
    tables = folder / "tables"
    tables.mkdir(parents=True)
    about = {
        "source": "generated",
        "size": f"{nation.size.block_groups} block groups",
        "seed": nation.seed,
    }
    write_matrix(nation.raw, folder / "raw", provenance=about | {"matrix": "raw"})
    write_matrix(nation.truth, folder / "truth", provenance=about | {"matrix": "truth"})
    t, areas = nation.tables, nation.areas
    _write(t.populations.to_frame("people"), areas.name, tables / "populations.csv")
    state = pd.DataFrame({"movers": t.movers, "stayers": t.stayers})
    _write(state, "state", tables / "movers_and_stayers.csv")
    flows = t.flows.rename_axis(index="origin").reset_index()
    flows.melt("origin", var_name="destination", value_name="people").to_csv(
        tables / "flows.csv", index=False
    )
    _write(pd.DataFrame({"before": t.before, "after": t.after}), "county", tables / "margins.csv")
    nation.county_flows.to_csv(tables / "county_flows.csv", index=False)
    job = folder / "harmonize.yaml"
    job.write_text(_JOB.format(file=job, name=folder.name), encoding="utf-8")
    return job


def _write(table: pd.DataFrame, label: str, path: Path) -> None:
    table.rename_axis(label).reset_index().to_csv(path, index=False)
