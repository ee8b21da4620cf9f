"""Who works from anywhere: functions of arrays, for the start and for every month."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from microsim.assumptions.firms import REMOTE_POLICIES
from microsim.assumptions.mobility import RemoteParameters
from microsim.people.draws import look_up
from microsim.people.population import Population

__all__ = ["REMOTE", "remote_status", "telework_shares", "teleworkable", "turns_remote"]

REMOTE = REMOTE_POLICIES.index("remote")


def telework_shares(population: Population, rules: RemoteParameters) -> NDArray[np.float64]:
    """Return the share of each occupation's jobs that can be done from anywhere, (O,)."""
    groups = [str(soc)[:2] for soc in population.occupations["soc"]]
    shares = look_up(rules.telework_by_occupation, groups, "telework_by_occupation")
    return np.array(shares, dtype=np.float64)


def teleworkable(
    population: Population,
    occupation: NDArray[np.integer[Any]],
    rules: RemoteParameters,
    gain: NDArray[np.floating[Any]] | float = 0.0,
) -> NDArray[np.bool_]:
    """Return who could do their work from anywhere, (N,), given their occupations (N,).

    By `Population.telework`, drawn once for all months and scenarios, with the occupation's share
    ([DingelNeiman2020]_), times 1 + ``gain``, a number or (N,).
    """
    if not rules.active:
        return np.zeros(len(occupation), dtype=np.bool_)
    share = telework_shares(population, rules)[occupation]
    can: NDArray[np.bool_] = population.telework < share * (1.0 + gain)
    return can


def remote_status(
    firm: NDArray[np.int64], policy: NDArray[np.int8], can: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return who works from anywhere, (N,): an employer lets them, and the work does.

    Parameters
    ----------
    firm : (N,)
        Row of the employer, -1 for none.
    policy : (F,)
        The firms' codes of `REMOTE_POLICIES`.
    can : (N,)
        From `teleworkable`.
    """
    allowed = np.append(policy == REMOTE, False)  # the last is for row -1
    remote: NDArray[np.bool_] = can & allowed[firm]
    return remote


def turns_remote(
    whether: NDArray[np.float64],
    when: NDArray[np.float64],
    chance: NDArray[np.float64],
    since: int,
    months: int,
) -> NDArray[np.bool_]:
    """Return which firms a shock has reached by now, (F,).

    Parameters
    ----------
    whether, when : (F,)
        Uniforms in (0, 1).
    chance : (F,)
        That the shock reaches the firm at all.
    since
        Months since the shock began, from 0.
    months
        Over which it spreads evenly.
    """
    return (whether < chance) & (when * months < since + 1)
