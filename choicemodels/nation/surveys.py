"""The census tables of a generated nation: exact, and as surveys of it would print them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams
from choicemodels.migration.areas import Level
from choicemodels.migration.census import CensusTables
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import poisson_counts
from choicemodels.nation.parameters import NationParameters

__all__ = ["count_all", "survey", "survey_county_flows"]

Array = NDArray[np.float64]

# Standard errors to the margin of error at 90 %, as the census has it.
_NINETY = 1.645


def count_all(truth: MigrationMatrix, year: int) -> CensusTables:
    """Return the tables of a census that counts everybody."""
    areas = truth.areas
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
    pooled = parameters.design_effect / parameters.pooled_sample
    yearly = parameters.design_effect / parameters.yearly_sample
    county, before = truth.areas.level("county"), np.asarray(exact.before, dtype=np.float64)
    found, populations_moe = _sample(truth.before, pooled, "populations", streams)
    populations = _controlled(found, county, before)
    flows = exact.flows.to_numpy()
    now, within = flows.sum(axis=0), exact.movers.to_numpy() - _arrivals(flows)
    drawn, moe = _sample(_with_diagonal(flows, within).ravel(), yearly, "moves", streams)
    moves, moe = drawn.reshape(flows.shape), moe.reshape(flows.shape)
    # In the smallest nations a survey may find more movers than there are people.
    moves *= np.minimum(1.0, now / np.maximum(moves.sum(axis=0), 1.0))
    movers = moves.sum(axis=0)
    movers_moe = np.sqrt((moe**2).sum(axis=0))
    stayers, here = np.maximum(0.0, now - movers), np.maximum(0.0, now - _arrivals(moves))
    arrivals_moe = np.sqrt(_arrivals(moe**2))
    areas, states = exact.populations.index, exact.movers.index
    return CensusTables(
        year=exact.year,
        populations=pd.Series(populations, areas),
        movers=pd.Series(movers, states),
        stayers=pd.Series(stayers, states),
        flows=pd.DataFrame(_with_diagonal(moves, here), states, states),
        before=exact.before,
        after=exact.after,
        margins_of_error={
            "populations": pd.Series(populations_moe, areas),
            "movers": pd.Series(movers_moe, states),
            "stayers": pd.Series(movers_moe, states),
            "flows": pd.DataFrame(_with_diagonal(moe, arrivals_moe), states, states),
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


def _controlled(found: Array, county: Level, before: Array) -> Array:
    """Scale areas to the people of their counties; divide evenly where nobody was met, (N,)."""
    sums = county.totals(found)[county.codes]
    sizes = np.bincount(county.codes)[county.codes]
    people = before[county.codes]
    return np.where(sums > 0, found * people / np.maximum(sums, 1.0), people / sizes)


def _arrivals(flows: Array) -> Array:
    """Add up who came from elsewhere, by column, shape (S,)."""
    return np.asarray(flows.sum(axis=0) - flows.diagonal())


def _with_diagonal(matrix: Array, diagonal: Array) -> Array:
    out = matrix.copy()
    np.fill_diagonal(out, diagonal)
    return out


def _sample(people: Array, weight: float, name: str, streams: Streams) -> tuple[Array, Array]:
    """Return estimates and their margins of error, shape as ``people``."""
    uniforms = streams.uniform(f"survey of {name}", np.arange(len(people)))
    found = poisson_counts(uniforms, people / weight)
    return found * weight, _NINETY * weight * np.sqrt(np.maximum(found, 1.0))
