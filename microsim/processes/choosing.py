"""Who moves, and where: draws from the fitted model, alike for a year's data and a month's run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from choicemodels.keyed_random import Streams, uniform_one
from choicemodels.logit.random_utility import nested_errors, staying_error
from microsim.mobility.deviations import Deviations
from microsim.mobility.utility import MobilityUtility, WorkerTypes
from microsim.mobility.variables import PlaceColumns, WorkerColumns

__all__ = ["Choosers", "Prospects", "choose", "choose_fully", "draw_destinations"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_BLOCK = 4096


@dataclass(frozen=True)
class Prospects:
    """What moving holds for each offer, type and origin.

    Attributes
    ----------
    logsum : ndarray (1 + G, T, M) float64
        Of moving; row 0 without a grant, row 1 + g with that of policy g.
    utilities : tuple of 1 + G ndarrays (T, M, M)
        Of the destinations, to draw one from.
    gain : ndarray (1 + G, T) float64
        What an offer adds to all destinations alike: in ``logsum``, but not in ``utilities``.
    """

    logsum: Floats
    utilities: tuple[Floats, ...]
    gain: Floats


@dataclass(frozen=True)
class Choosers:
    """The workers who choose.

    Attributes
    ----------
    utility : MobilityUtility
    ids, metro, offer : ndarray (N,) int64
        Who they are, where they live, and what they are offered: a policy's row or -1.
    staying : ndarray (N,) float64
        Utility of staying.
    types : WorkerTypes
    deviations : Deviations
    """

    utility: MobilityUtility
    ids: Ints
    metro: Ints
    offer: Ints
    staying: Floats
    types: WorkerTypes
    deviations: Deviations

    @classmethod
    def build(
        cls,
        utility: MobilityUtility,
        workers: WorkerColumns,
        types: WorkerTypes,
        places: PlaceColumns,
        ids: Ints,
        metro: Ints,
        offer: Ints,
    ) -> "Choosers":
        """Evaluate what is each worker's own."""
        staying = utility.staying(workers, metro, places)
        deviations = Deviations.build(utility, workers, types, metro, places)
        return cls(utility, ids, metro, offer, staying, types, deviations)

    def only(self, workers: Ints) -> "Choosers":
        """Return some of the workers, who choose as they do among all."""
        kinds = self.types
        residuals = {part: values[workers] for part, values in kinds.residuals.items()}
        return Choosers(
            self.utility,
            self.ids[workers],
            self.metro[workers],
            self.offer[workers],
            self.staying[workers],
            WorkerTypes(kinds.code[workers], kinds.parts, residuals),
            self.deviations.only(workers),
        )

    def rows(self, workers: Ints, view: Prospects) -> Floats:
        """Return the utilities of the destinations for some workers, (R, M)."""
        rows = np.empty((len(workers), len(self.utility.cbsa)))
        kind, origin, offer = self.types.code[workers], self.metro[workers], self.offer[workers]
        for o in np.unique(offer):
            mine = offer == o
            rows[mine] = view.utilities[o + 1][kind[mine], origin[mine]]
        return rows + self.deviations.rows(workers)

    def gain(self, workers: Ints, view: Prospects) -> Floats:
        """Return what the offers add to all destinations of some workers, (R,)."""
        return view.gain[self.offer[workers] + 1, self.types.code[workers]]


@njit(cache=True, parallel=True)
def _below(
    key: Any, month: Any, ids: Any, staying: Any, W: Any, offer: Any, kind: Any, metro: Any,
    years: Any,
) -> Any:  # fmt: skip
    """Return whose draw lies below the chance of moving, (N,) bool.

    The annual odds of moving are ``exp(W - V_stay)``; hence ``log(1 - p) = -log1p(odds)``, and the
    probability within so many years is ``-expm1(-log1p(odds) * years)``.
    """
    moved = np.zeros(ids.shape[0], dtype=np.bool_)
    for i in prange(ids.shape[0]):
        gain = W[offer[i] + 1, kind[i], metro[i]] - staying[i]
        u = uniform_one(key, ids[i], month)
        # log1p(exp(gain)) without overflow
        if gain > 0:
            softplus = gain + np.log1p(np.exp(-gain))
        else:
            odds = np.exp(gain)
            # The chance is below odds * years; nearly all draws lie above that, with room for
            # rounding, and need no more.
            if u > 1.001 * odds * years:
                continue
            softplus = np.log1p(odds)
        moved[i] = u < -np.expm1(-softplus * years)
    return moved


@njit(cache=True)
def draw_destinations(u: Any, log_p: Any) -> Any:
    """Draw a destination for each row of log probabilities by inversion, (moves,) int64."""
    out = np.empty(u.shape[0], dtype=np.int64)
    p = np.empty(log_p.shape[1])
    for i in range(u.shape[0]):
        total = 0.0
        for j in range(p.shape[0]):
            p[j] = np.exp(log_p[i, j])
            total += p[j]
        running, last = 0.0, 0
        for j in range(p.shape[0]):
            if p[j] > 0.0:
                last = j
            running += p[j]
            if running > u[i] * total:
                break
        out[i] = last
    return out


def choose(
    who: Choosers,
    view: Prospects,
    streams: Streams,
    month: int,
    *,
    names: tuple[str, str] = ("move", "destination"),
    years: float = 1 / 12,
) -> tuple[Ints, Ints]:
    """Draw who moves and where.

    A draw decides between staying and moving; movers draw a destination by another. Where workers
    deviate from their types, those whose draw lies below the chance at the ceiling of their
    logsum are evaluated exactly, and no others: the choices are those of the full model.

    Parameters
    ----------
    who, view
    streams, month, names
        Where the draws come from.
    years
        Of exposure to the annual model.

    Returns
    -------
    movers, destination : (moves,) int64
        Rows of workers and of metros.
    """
    ceiling = who.deviations.ceiling()
    threshold = who.staying if ceiling is None else who.staying - ceiling
    key = streams.key(names[0])
    kind = who.types.code
    below = _below(key, month, who.ids, threshold, view.logsum, who.offer, kind, who.metro, years)
    movers = np.flatnonzero(below)
    destination = np.empty(len(movers), dtype=np.int64)
    kept = np.ones(len(movers), dtype=np.bool_)
    u = streams.uniform(names[1], who.ids[movers], month)
    for block in _blocks(len(movers)):
        rows, own, draw = who.rows(movers[block], view), movers[block], u[block]
        go = np.ones(len(own), dtype=np.bool_)
        if ceiling is not None:
            W = who.utility.logsum_rows(rows, who.metro[own]) + who.gain(own, view)
            # The same draw against the exact logsum, which stands here for a type's.
            one, here = np.zeros(len(own), dtype=np.int64), np.arange(len(own))
            go = _below(
                key, month, who.ids[own], who.staying[own], W[None, None], one - 1, one, here, years
            )
            rows, own, draw = rows[go], own[go], draw[go]
        log_p = who.utility.log_probability_rows(rows, who.metro[own])
        destination[block][go] = draw_destinations(draw, log_p)
        kept[block] = go
    return movers[kept], destination[kept]


def choose_fully(
    who: Choosers, view: Prospects, streams: Streams, month: int, years: float = 1 / 12
) -> tuple[Ints, Ints]:
    """Draw a utility for every alternative of every worker, and let each take the best.

    The draws do not depend on the model's utilities, so that two scenarios differ for a worker
    only if another alternative has become the best one (`choicemodels.logit.random_utility`).
    Slow: workers x metros draws a month.

    Parameters and returns as in `choose`. Streams: "full: ..." for each metro, nest and "stay".
    """
    tree, lam = who.utility.behaviour.mobility.nesting()

    moved, best = [], []
    for block in _blocks(len(who.ids)):
        rows = np.arange(block.start, block.stop)
        ids = who.ids[rows]

        def draw(name: str, ids: Ints = ids) -> Floats:
            return streams.uniform(f"full: {name}", ids, month)

        errors = nested_errors(tree, lam, draw, who.utility.cbsa)
        utilities = who.rows(rows, view) + who.gain(rows, view)[:, None] + errors
        utilities[np.arange(len(rows)), who.metro[rows]] = -np.inf
        top = utilities.argmax(axis=1)
        stay = who.staying[rows] + staying_error(draw("stay"), years)
        moved.append(utilities[np.arange(len(rows)), top] > stay)
        best.append(top)
    movers = np.flatnonzero(np.concatenate(moved))
    return movers, np.concatenate(best)[movers]


def _blocks(count: int) -> Iterator[slice]:
    """Cut rows into blocks that fit into the cache."""
    for first in range(0, count, _BLOCK):
        yield slice(first, min(first + _BLOCK, count))
