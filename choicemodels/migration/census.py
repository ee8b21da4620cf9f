"""The census tables that a matrix of moves is brought to agree with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["CensusTables"]


@dataclass(frozen=True, eq=False)
class CensusTables:
    """Reliable but coarse tables of one year of moves, from t - 1 to t.

    All describe the same people: those who were alive and in the country in t - 1, by where they
    lived then and live in t; who died or left the country counts as having stayed.

    Attributes
    ----------
    year : int
        The year t.
    populations : Series, shape (N,)
        People by finest area in t - 1.
    movers, stayers : Series, shape (S,)
        By state *of destination*: who changed area, and who did not.
    flows : DataFrame, shape (S, S)
        Everybody, by state of origin (rows) and of destination; stayers on the diagonal.
    before, after : Series, shape (C,)
        By county: people in t - 1, and the same people in t.
    margins_of_error : mapping of str to Series or DataFrame
        Of the tables above, by their names, at 90 % as the census prints them; may lack some.
    """

    year: int
    populations: "pd.Series[float]"
    movers: "pd.Series[float]"
    stayers: "pd.Series[float]"
    flows: pd.DataFrame
    before: "pd.Series[float]"
    after: "pd.Series[float]"
    margins_of_error: Mapping[str, "pd.Series[float] | pd.DataFrame"] = field(default_factory=dict)
