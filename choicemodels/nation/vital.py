"""Births, deaths, and moves across the border of a generated nation."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from choicemodels.apportion import cumulative_rounding
from choicemodels.keyed_random import Streams
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import poisson_counts
from choicemodels.nation.inhabitants import groups_of
from choicemodels.nation.parameters import GROUPS, NationParameters

__all__ = ["residents_now", "vital_events"]


def vital_events(
    truth: MigrationMatrix, parameters: NationParameters, streams: Streams
) -> pd.DataFrame:
    """Draw births, deaths, immigrants and emigrants by area, shape (N, 4).

    Who dies or emigrates stayed until then: there are no more of them than stayers.
    """
    areas = truth.areas
    county = areas.level("county")
    table = pd.DataFrame(index=areas.labels)
    for name in ("births", "deaths", "immigrants", "emigrants"):
        z = streams.normal(f"rate of {name}", np.arange(county.size))[county.codes]
        rate = getattr(parameters, name) * np.exp(parameters.component_spread * z)
        uniforms = streams.uniform(name, np.arange(areas.size))
        table[name] = poisson_counts(uniforms, truth.before * rate)
    table["deaths"] = np.minimum(table["deaths"], truth.stayers)
    table["emigrants"] = np.minimum(table["emigrants"], truth.stayers - table["deaths"])
    return table


def residents_now(
    truth: MigrationMatrix, events: pd.DataFrame, changes: NDArray[np.float64], streams: Streams
) -> pd.DataFrame:
    """Return the residents of t by area and group, shape (N, 5).

    ``people living there after the moves + births - deaths + immigrants - emigrants``; births and
    the like follow the groups of those who are there.

    Parameters
    ----------
    events : (N, 4)
        From :func:`vital_events`.
    changes : (N, 5)
        Arrivals less leavers by group.
    """
    areas = truth.areas
    total = truth.after + events["births"].to_numpy() - events["deaths"].to_numpy()
    total = total + events["immigrants"].to_numpy() - events["emigrants"].to_numpy()
    # Leavers are drawn by expected shares, so that a small group may lose one too many.
    groups = np.maximum(groups_of(areas) + changes, 0.0)
    sums = groups.sum(axis=1, keepdims=True)
    shares = np.where(sums > 0, groups / np.maximum(sums, 1.0), 1 / len(GROUPS))
    offsets = streams.uniform("rounding of residents", np.arange(areas.size))
    rounded = cumulative_rounding(shares * total[:, None], offsets)
    return pd.DataFrame(rounded.astype(np.float64), areas.labels, list(GROUPS))
