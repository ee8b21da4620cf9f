"""Whether what happens to metros clusters in space."""

from dataclasses import asdict

import numpy as np
import pandas as pd

from choicemodels.errors import SpecificationError
from choicemodels.frames import closest
from estimation.interaction.autocorrelation import moran
from microsim.mobility.variables import great_circle
from microsim.people.population import Population
from microsim.results.run import Run

__all__ = ["clustering", "moran_by_metro"]

_OF_WORKERS = ("displaced", "separations", "quits", "hires", "unemployed", "arrivals", "departures")


def clustering(
    run: Run,
    population: Population,
    column: str = "displaced",
    *,
    scale: float = 150.0,
    permutations: int = 999,
    seed: int = 0,
) -> pd.DataFrame:
    """Return Moran's I of a rate by metro, in all months of each replicate.

    The rate is the column's total over the metro's worker-months; metros are neighbours with
    weight ``exp(-distance / scale)``, standardized by row ([Moran1950]_, [CliffOrd1981]_).

    Parameters
    ----------
    run
    population
        The one that was simulated: it knows where the metros are.
    column
        Of the metro panel: displaced, separations, quits, hires, unemployed, arrivals or
        departures.
    scale
        Kilometres over which a neighbour's weight falls to 37 %; that of contagion in adoption,
        unless given.
    permutations, seed
        As of `estimation.interaction.autocorrelation.moran`.

    Returns
    -------
    DataFrame
        One row a replicate; the columns are the fields of
        `estimation.interaction.autocorrelation.MoranTest`. Where there is no statistic, ``reason``
        says why.

    Raises
    ------
    SpecificationError
        If the run is of another population, the column is not one of those, or the scale is not
        positive.
    """
    if column not in _OF_WORKERS:
        raise SpecificationError(
            f"'{column}' does not count workers of a metro{closest(column, list(_OF_WORKERS))}; "
            f"use one of {', '.join(_OF_WORKERS)}."
        )
    if not scale > 0:
        raise SpecificationError(f"scale is {scale}; give kilometres above 0, such as 150.")
    if run.population_fingerprint != population.fingerprint():
        raise SpecificationError(
            "the run is of another population, whose metros may lie elsewhere; give the one that "
            "was simulated."
        )
    return moran_by_metro(run, column, scale=scale, permutations=permutations, seed=seed)


def moran_by_metro(
    run: Run, column: str, *, scale: float = 150.0, permutations: int = 0, seed: int = 0
) -> pd.DataFrame:
    """Return Moran's I of a column's rate, by the coordinates in the panel; see `clustering`."""
    from scipy.sparse import csr_array

    metros = run.metros.drop_duplicates("cbsa")
    place = (metros[name].to_numpy() for name in ("latitude", "longitude"))
    weights = np.exp(-great_circle(*place) / scale)
    np.fill_diagonal(weights, 0.0)
    totals = run.metros.groupby(["replicate", "cbsa"], sort=False)[[column, "population"]].sum()
    rates = (totals[column] / totals["population"].clip(lower=1)).unstack("cbsa")
    tests = {
        replicate: asdict(moran(row, csr_array(weights), permutations=permutations, seed=seed))
        for replicate, row in zip(rates.index, rates[list(metros["cbsa"])].to_numpy(), strict=True)
    }
    return pd.DataFrame.from_dict(tests, orient="index").rename_axis("replicate")
