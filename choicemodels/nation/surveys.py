"""The census tables of a generated nation: exact, and as surveys of it would print them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import poisson_counts
from choicemodels.nation.parameters import NationParameters

__all__ = ["count_all", "survey", "survey_county_flows"]

Array = NDArray[np.float64]

# Standard errors to the margin of error at 90 %, as the census has it.
_NINETY = 1.645


def count_all(truth: MigrationMatrix) -> CensusTables:
    """Return the tables of a census that counts everybody."""
    areas, year = truth.areas, truth.year
    assert year is not None
    county, state = areas.level("county"), areas.level("state")
    by_state = truth.aggregate("state")
    return CensusTables(
        year=year,
        populations=pd.Series(truth.before, areas.labels),
        movers=pd.Series(by_state.movers.sum(axis=0), state.labels),
        stayers=pd.Series(by_state.stayers, state.labels),
        flows=by_state.to_frame(),
        before=pd.Series(county.totals(truth.before), county.labels),
        after=pd.Series(county.totals(truth.after), county.labels),
    )


def survey(
    exact: CensusTables, truth: MigrationMatrix, parameters: NationParameters, streams: Streams
) -> CensusTables:
    """Return the tables as surveys would print them, with their margins of error.

    A survey finds Poisson numbers of people, each of whom stands for ``design effect / sample``
    others; where it finds nobody it prints zero. Populations of areas come from the pooled
    sample, controlled to the counties'; moves from the sample of one year, the people now in
    each state being known, so that its stayers are the rest. County populations are exact.
    """
    areas = truth.areas
    county = areas.level("county")
    pooled = parameters.design_effect / parameters.pooled_sample
    yearly = parameters.design_effect / parameters.yearly_sample
    found, moe = _sample(truth.before, pooled, "populations", streams)
    sums = county.totals(found)[county.codes]
    before = exact.before.to_numpy()[county.codes]
    sizes = np.bincount(county.codes)[county.codes]
    # A county where the survey met nobody is divided evenly.
    populations = np.where(sums > 0, found * before / np.maximum(sums, 1.0), before / sizes)
    labels = exact.movers.index
    flows = exact.flows.to_numpy()
    within = exact.movers.to_numpy() - (flows.sum(axis=0) - flows.diagonal())
    moves = flows.copy()
    np.fill_diagonal(moves, within)
    drawn, moves_moe = _sample(moves.ravel(), yearly, "moves", streams)
    moves, moves_moe = drawn.reshape(flows.shape), moves_moe.reshape(flows.shape)
    now = flows.sum(axis=0)
    movers = moves.sum(axis=0)
    arrivals = movers - moves.diagonal()
    np.fill_diagonal(moves, now - arrivals)
    movers_moe = np.sqrt((moves_moe**2).sum(axis=0))
    np.fill_diagonal(moves_moe, np.sqrt(movers_moe**2 - moves_moe.diagonal() ** 2))
    return CensusTables(
        year=exact.year,
        populations=pd.Series(populations, areas.labels),
        movers=pd.Series(movers, labels),
        stayers=pd.Series(now - movers, labels),
        flows=pd.DataFrame(moves, labels, labels),
        before=exact.before,
        after=exact.after,
        margins_of_error={
            "populations": pd.Series(moe, areas.labels),
            "movers": pd.Series(movers_moe, labels),
            "stayers": pd.Series(movers_moe, labels),
            "flows": pd.DataFrame(moves_moe, labels, labels),
        },
    )


def survey_county_flows(
    truth: MigrationMatrix, parameters: NationParameters, streams: Streams
) -> pd.DataFrame:
    """Return everybody by county of origin and destination, as the pooled survey finds them.

    Pairs that it does not find are left out.

    Returns
    -------
    DataFrame, columns origin, destination, people, moe
    """
    sums = truth.aggregate("county")
    cells = sums.flows.tocoo()
    weight = parameters.design_effect / parameters.pooled_sample
    people, moe = _sample(np.asarray(cells.data), weight, "county flows", streams)
    labels = sums.areas.labels
    table = pd.DataFrame(
        {
            "origin": labels.take(cells.row),
            "destination": labels.take(cells.col),
            "people": people,
            "moe": moe,
        }
    )
    return table[people > 0].reset_index(drop=True)


def _sample(people: Array, weight: float, name: str, streams: Streams) -> tuple[Array, Array]:
    """Return estimates and their margins of error, shape as ``people``."""
    uniforms = streams.uniform(f"survey of {name}", np.arange(len(people)))
    found = poisson_counts(uniforms, people / weight)
    return found * weight, _NINETY * weight * np.sqrt(np.maximum(found, 1.0))
