"""Households' finances by a Gaussian copula, given age, wage and home.

Savings, debt, home equity and credit score have each a law of their own; four correlated normals
tie their ranks together. The first normal is the one that savings are drawn with.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from choicemodels.keyed_random import Streams
from microsim.assumptions.finance import (
    CREDIT_BANDS,
    FINANCES,
    FinanceParameters,
    normal_correlations,
)
from microsim.people.draws import standardize
from microsim.people.persons import Profile

__all__ = ["finance_scores", "make_finances"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def finance_scores(ids: Ints, streams: Streams, assumed: FinanceParameters) -> Floats:
    """Return the normal scores that tie households' finances together.

    Parameters
    ----------
    ids : (N,)
    streams, assumed
        Draws and assumptions.

    Returns
    -------
    (N, 4) float64
        In the order of `FINANCES`; each standard normal, their rank correlations those assumed.
    """
    own = np.column_stack([streams.normal(f"synthesis: {name}", ids) for name in FINANCES])
    # Lower triangular: the scores of savings are their own draws, whatever comes after.
    scores: Floats = own @ np.linalg.cholesky(normal_correlations(assumed.rank_correlations)).T
    return scores


def make_finances(
    profile: Profile, places: pd.DataFrame, streams: Streams, assumed: FinanceParameters
) -> dict[str, NDArray[Any]]:
    """Draw debt, home equity, credit score and the cost of housing.

    Parameters
    ----------
    profile
        What is known of the workers.
    places
        The metros, as in ``data/metros.csv``.
    streams, assumed
        Draws and assumptions.

    Returns
    -------
    dict
        Columns of `microsim.people.agents.Workers` by name.
    """
    p = profile
    _, debt_score, equity_score, credit_score = finance_scores(p.ids, streams, assumed).T
    value = _home_values(p, places, streams, assumed)
    log_odds = assumed.equity_level + assumed.equity_age_slope * (p.age - 45)
    equity = np.where(p.owner, value * expit(log_odds + assumed.equity_sigma * equity_score), 0.0)
    of_owners = assumed.upkeep * value + assumed.loan_payment * (value - equity)
    yearly = np.where(p.owner, of_owners, assumed.rent_yield * value)
    return {
        "debt": _debt(p, debt_score, assumed),
        "home_equity": np.rint(100.0 * equity).astype(np.int64),
        "credit_score": _credit(p, credit_score, assumed),
        "housing_cost": yearly / 12.0,
    }


def _home_values(
    p: Profile, places: pd.DataFrame, streams: Streams, assumed: FinanceParameters
) -> Floats:
    """Return the values of homes, dollars; those of owners have each metro's median."""
    spread = assumed.home_value_sigma * streams.normal("synthesis: home value", p.ids)
    value = p.wage**assumed.home_value_elasticity * np.exp(spread)
    # Where nobody owns, the renters' homes stand in for the owners'.
    everyone = pd.Series(value).groupby(p.metro).median()
    owners = pd.Series(value[p.owner]).groupby(p.metro[p.owner]).median()
    median = owners.reindex(everyone.index).fillna(everyone).to_numpy()
    level = places["median_home_value"].to_numpy(dtype=np.float64) / median
    scaled: Floats = value * level[p.metro] * np.where(p.owner, 1.0, assumed.renter_home_value)
    return scaled


def _debt(p: Profile, score: Floats, assumed: FinanceParameters) -> Ints:
    """Return debt besides the mortgage in cents: nothing, or log-normal around a wage's share."""
    if assumed.debt_share == 0:
        return np.zeros(len(p.ids), dtype=np.int64)
    # The lowest scores owe nothing; ranks among the rest are spread anew over (0, 1).
    rank = 1.0 - ndtr(-score) / assumed.debt_share
    z = ndtri(np.clip(rank, 1e-12, 1.0 - 1e-12))
    median = assumed.debt_median * p.wage * np.exp(assumed.debt_age_slope * (p.age - 40))
    cents = np.rint(100.0 * median * np.exp(assumed.debt_sigma * z))
    return np.where(rank > 0, cents, 0.0).astype(np.int64)


def _credit(p: Profile, score: Floats, assumed: FinanceParameters) -> Ints:
    """Return credit scores, 300 to 850, whose ranks follow age, wage and the copula."""
    a, b = assumed.credit_age_correlation, assumed.credit_wage_correlation
    ranked = a * standardize(p.age) + b * standardize(np.log(p.wage))
    ranked += np.sqrt(1.0 - a * a - b * b) * score
    rank = np.empty(len(score))
    rank[np.argsort(ranked, kind="stable")] = (np.arange(len(score)) + 0.5) / len(score)
    edges = np.concatenate([[0.0], np.cumsum(assumed.credit_shares)])
    points = np.interp(rank, edges, np.array(CREDIT_BANDS, dtype=np.float64))
    return np.minimum(np.floor(points), CREDIT_BANDS[-1]).astype(np.int64)
