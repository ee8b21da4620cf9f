"""Births, deaths, and moves across the border of a generated nation."""

import numpy as np
import pandas as pd

from choicemodels.keyed_random import Streams
from choicemodels.migration.matrix import MigrationMatrix
from choicemodels.nation.counts import poisson_counts
from choicemodels.nation.parameters import NationParameters

__all__ = ["vital_events"]


def vital_events(
    truth: MigrationMatrix, parameters: NationParameters, streams: Streams
) -> pd.DataFrame:
    """Draw births, deaths, immigrants and emigrants by county, shape (C, 4).

    Who dies or emigrates stayed until then: there are no more of them than stayers.
    """
    county = truth.areas.level("county")
    who = np.arange(county.size)
    people = county.totals(truth.before)
    table = pd.DataFrame(index=county.labels)
    for name in ("births", "deaths", "immigrants", "emigrants"):
        z = streams.normal(f"rate of {name}", who)
        rate = getattr(parameters, name) * np.exp(parameters.component_spread * z)
        table[name] = poisson_counts(streams.uniform(name, who), people * rate)
    left = county.totals(truth.stayers)
    for name in ("deaths", "emigrants"):
        table[name] = np.minimum(table[name], left)
        left = left - table[name].to_numpy()
    return table
