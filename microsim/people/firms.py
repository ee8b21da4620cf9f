"""What firms are like beside their size, drawn in turn; wages are those of their workers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from choicemodels.apportion import shift_to_margins
from choicemodels.keyed_random import Streams
from microsim.assumptions.firms import FirmParameters
from microsim.assumptions.synthesis import INDUSTRIES
from microsim.people.draws import allot, look_up, normal_scores, weibull

__all__ = ["make_traits", "wage_structure"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def make_traits(
    size: Ints,
    industry: Ints,
    stage: Ints,
    large: NDArray[np.bool_],
    metros: int,
    streams: Streams,
    assumed: FirmParameters,
) -> dict[str, NDArray[Any]]:
    """Draw age, remote work, growth, labour intensity, footprint, automation, layoffs and plans.

    Parameters
    ----------
    size, industry, stage, large : (F,)
        Of the firms; codes as in `microsim.people.agents.Firms`.
    metros
        How many there are to serve.
    streams, assumed
        Draws and assumptions.

    Returns
    -------
    dict
        Columns of `microsim.people.agents.Firms` by name.
    """
    ids = np.arange(len(size), dtype=np.int64)
    age = _ages(ids, size, streams, assumed)
    settled = 1.0 - np.exp(-age / assumed.growth_settling)
    spread = assumed.growth_young_sigma + settled * (
        assumed.growth_sigma - assumed.growth_young_sigma
    )
    growth = assumed.growth_mean + spread * streams.normal("synthesis: firm growth", ids)
    beyond = -np.log(streams.uniform("synthesis: footprint", ids)) * assumed.footprint_scale
    automation = np.exp(assumed.automation_sigma * streams.normal("synthesis: automation", ids))
    layoffs = assumed.layoff_mean - assumed.layoff_slope * growth
    layoffs += assumed.layoff_sigma * streams.normal("synthesis: layoffs", ids)
    plan = assumed.hiring_slope * growth + assumed.hiring_stage_slope * stage
    plan += assumed.hiring_sigma * streams.normal("synthesis: hiring plan", ids)
    return {
        "age": age,
        "remote": _remote(ids, industry, large, streams, assumed),
        "revenue_growth": growth,
        "labour_intensity": _labour(ids, industry, stage, streams, assumed),
        "footprint": np.minimum(1 + np.floor(beyond * size**assumed.footprint_elasticity), metros),
        "automation_investment": np.array(assumed.automation_by_stage)[stage] * automation,
        "layoff_rate": np.clip(layoffs, 0.0, 1.0),
        "hiring_plan": plan,
    }


def wage_structure(employer: Ints, wage: Floats, firms: int) -> dict[str, NDArray[Any]]:
    """Return the deciles one, five and nine of the wages in each firm, linearly interpolated.

    Parameters
    ----------
    employer : (N,)
        Row of the firm, -1 for the unemployed.
    wage : (N,)
        Dollars a year.
    firms
        F; each employs somebody.

    Returns
    -------
    dict
        Columns wage_p10, wage_p50 and wage_p90, (F,) dollars a year.
    """
    order = np.lexsort((wage, employer))
    paid = wage[order[np.count_nonzero(employer < 0) :]]
    count = np.bincount(employer[employer >= 0], minlength=firms)
    first = np.cumsum(count) - count
    columns: dict[str, NDArray[Any]] = {}
    for percent in (10, 50, 90):
        place = percent / 100 * (count - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, count - 1)
        below, above = paid[first + low], paid[first + high]
        columns[f"wage_p{percent}"] = below + (place - low) * (above - below)
    return columns


def _ages(ids: Ints, size: Ints, streams: Streams, assumed: FirmParameters) -> Ints:
    """Return ages in whole years; large firms are older."""
    rho = assumed.age_size_correlation
    score = rho * normal_scores(size, np.zeros(len(size), dtype=np.int64))
    score += np.sqrt(1.0 - rho * rho) * streams.normal("synthesis: firm age", ids)
    years = weibull(score, assumed.age_median, assumed.age_shape)
    return np.minimum(np.floor(years), assumed.oldest).astype(np.int64)


def _remote(
    ids: Ints,
    industry: Ints,
    large: NDArray[np.bool_],
    streams: Streams,
    assumed: FirmParameters,
) -> Ints:
    margins = np.array(look_up(assumed.remote_by_industry, INDUSTRIES, "remote_by_industry"))
    tilt = np.array([(1.0, 1.0, 1.0), assumed.remote_large])
    kind = large.astype(np.int64)
    return allot("synthesis: remote policy", streams, ids, industry, kind, tilt, margins)


def _labour(
    ids: Ints, industry: Ints, stage: Ints, streams: Streams, assumed: FirmParameters
) -> Floats:
    """Return payroll over revenue, with each industry's mean."""
    margins = np.array(look_up(assumed.labour_by_industry, INDUSTRIES, "labour_by_industry"))
    log_odds = assumed.labour_stage_slope * stage
    log_odds = log_odds + assumed.labour_sigma * streams.normal("synthesis: labour intensity", ids)
    return shift_to_margins(log_odds, industry, margins)
