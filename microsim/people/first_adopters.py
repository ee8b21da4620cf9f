"""Who has taken AI up when a simulation starts: by industry, by state and by size."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from choicemodels.apportion import select, shift_to_margins
from choicemodels.datasets import load_data
from choicemodels.keyed_random import Streams
from microsim.assumptions.synthesis import INDUSTRIES, SynthesisParameters
from microsim.people.draws import look_up, start

__all__ = ["first_stages", "log_odds_by_metro"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_INSIDE = 1e-9
"""How far a chance of having begun is kept from 0 and 1, where it has no odds."""


def first_stages(
    size: Ints,
    industry: Ints,
    home: Ints,
    local: Floats,
    streams: Streams,
    assumed: SynthesisParameters,
) -> Ints:
    """Draw each firm's stage of adoption at the start, codes of ADOPTION_STAGES, (F,).

    The odds of having begun are those of the firm's industry times those of its metro, shifted so
    that of all firms that are not large ``1 - adoption_shares[0]`` have begun, and of the large
    ones ``large_adoption_factor`` times as many. At which stage who has begun is, follows the
    shares alone.

    Parameters
    ----------
    size, industry, home : (F,)
        Workers; codes of INDUSTRIES; row of the metro.
    local : (M,)
        Log odds by metro, as of `log_odds_by_metro`.
    streams, assumed
        Streams: "synthesis: adopters", once, for a systematic sample of the firms in the order of
        their metros and sizes, so that every metro has its expected number within one;
        "synthesis: adoption", keyed by row, for the stage.
    """
    begun = 1.0 - assumed.adoption_shares[0]
    if begun == 0.0:
        return np.zeros(len(size), dtype=np.int64)
    by_industry = look_up(assumed.adoption_by_industry, INDUSTRIES, "adoption_by_industry")
    large = (size >= assumed.large_firm).astype(np.int64)
    margins = np.array([begun, begun * assumed.large_adoption_factor])
    log_odds = logit(_inside(np.array(by_industry)))[industry] + local[home]
    chance = shift_to_margins(log_odds, large, _inside(margins))
    order = np.lexsort((size, home))
    has_begun = np.empty(len(size), dtype=np.bool_)
    has_begun[order] = select(chance[order], start("synthesis: adopters", streams))
    u = streams.uniform("synthesis: adoption", np.arange(len(size), dtype=np.int64)) * begun
    later = np.cumsum(assumed.adoption_shares[1:])
    stage = 1 + np.searchsorted(later[:-1], u, side="right")
    return np.asarray(np.where(has_begun, stage, 0), dtype=np.int64)


def log_odds_by_metro(places: pd.DataFrame, assumed: SynthesisParameters) -> Floats:
    """Return the log odds that a firm uses AI, against the nation's, by metro, (M,).

    ``adoption_state_spread`` times the mean over the metro's states of ``data/ai_use.csv``; 0 where
    none of them has a number.
    """
    surveyed = load_data("ai_use").set_index("state")["use_rate"].dropna()
    by_state = pd.Series(logit(surveyed) - logit(surveyed).mean())
    states = places["states"].str.split("-")
    known = [by_state.reindex(of_metro).dropna() for of_metro in states]
    means = [rates.mean() if len(rates) else 0.0 for rates in known]
    return assumed.adoption_state_spread * np.array(means, dtype=np.float64)


def _inside(share: Floats) -> Floats:
    return np.clip(share, _INSIDE, 1.0 - _INSIDE)
